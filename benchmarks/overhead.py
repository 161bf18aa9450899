"""Measure the overhead of a run: Python's start, imports, loading models, hashing weights, and Snakemake itself.

    python benchmarks/overhead.py                              # the demo by the default, and by the filter bank
    python benchmarks/overhead.py --runs categories            # 15 categories of 20 images, a ViT-S of random weights
    python benchmarks/overhead.py --runs embedded --before v1.0 --turns 3

Each run computes everything in its own folder, without a network. For each rule it prints the number of jobs, their
wall-clock seconds, their processor seconds, and the use of these according to the jobs' logs. The last lines are for
the process of Snakemake, with the servers of warm jobs and the ends of jobs, and for the total; ``outside`` is the
share that is not work. Processor seconds are those of all threads and depend little on other programs; wall-clock
seconds do.

--before REV runs the same with another revision of this repository, in turns with this one, and prints its tables and
the ratio of seconds. For a revision whose jobs do not log their time, all time counts as work.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml

from zsad.timing import HASHES, IMPORTS, KINDS, MODEL, START, WORK, read_line

REPOSITORY = Path(__file__).resolve().parent.parent
SNAKEMAKE = "Snakemake, ends of jobs"
ALL = "all"
CATEGORIES, SIDE = 15, 128
SPLITS: Mapping[str, int] = {"train/good": 8, "test/good": 6, "test/spot": 6}  # images of a category
VIT_S: Mapping[str, int] = {
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "patch_size": 14,
    "image_size": 518,
}


class Spent(NamedTuple):
    """The time of the jobs of a rule, or of a whole run.

    Attributes:
        jobs: how many.
        clock: seconds on the clock; those of jobs side by side are added up.
        kinds: processor seconds by their use, see `zsad.timing`.
    """

    jobs: int
    clock: float
    kinds: dict[str, float]

    @property
    def processor(self) -> float:
        """All seconds of the processor."""
        return sum(self.kinds.values())

    @property
    def outside(self) -> float:
        """The share that is not work, 0 to 1; 0 where nothing was spent."""
        return 1 - self.kinds.get(WORK, 0.0) / self.processor if self.processor else 0.0


def added(several: Iterable[Spent]) -> Spent:
    """The sum of several times."""
    listed = list(several)
    kinds = {kind: sum(each.kinds.get(kind, 0.0) for each in listed) for kind in KINDS}
    return Spent(sum(each.jobs for each in listed), sum(each.clock for each in listed), kinds)


class Prepared(NamedTuple):
    """The configuration of a run, where it differs from config.yaml."""

    configuration: dict[str, Any]


def demo(folder: Path, categories: int) -> Prepared:
    """The demo as config.yaml has it."""
    return Prepared({})


def embedded(folder: Path, categories: int) -> Prepared:
    """The demo by the filter bank."""
    return Prepared({"backbone": "embedded"})


def categories_by_vit(folder: Path, categories: int) -> Prepared:
    """A data set in MVTec AD's layout and a network of the size of a published one."""
    draw_data_set(folder / "images", categories)
    save_network(folder / "vit-s")
    return Prepared(
        {
            "dataset": {"layout": "mvtec", "name": "drawn", "root": str(folder / "images")},
            "backbone": str(folder / "vit-s"),
        }
    )


RUNS: Mapping[str, Callable[[Path, int], Prepared]] = {
    "demo": demo,
    "embedded": embedded,
    "categories": categories_by_vit,
}


def draw_data_set(root: Path, categories: int) -> None:
    """Draw small images of smooth noise, with a bright spot in those that are defective, and its mask."""
    generator = np.random.default_rng(0)
    for number in range(categories):
        for split, count in SPLITS.items():
            for index in range(count):
                _draw(root / f"c{number:02}", split, f"{index:03}.png", generator)


def _draw(category: Path, split: str, name: str, generator: np.random.Generator) -> None:
    noise = generator.normal(size=(SIDE, SIDE, 3))
    image = cv2.GaussianBlur(noise, (0, 0), 4) * 250 + 110
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if split == "test/spot":
        row, column = (int(each) for each in generator.integers(24, SIDE - 24, size=2))
        cv2.circle(mask, (column, row), 10, 255, -1)
        image[mask > 0] += 90
        _write(category / "ground_truth" / "spot" / name.replace(".png", "_mask.png"), mask)
    _write(category / split / name, image.clip(0, 255).astype(np.uint8))


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def save_network(folder: Path, sizes: Mapping[str, int] = VIT_S) -> None:
    """A DINOv2 of random weights in the format of published ones."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**sizes)).save_pretrained(folder)


def run(root: Path, prepared: Prepared, folder: Path, cores: int) -> dict[str, Spent]:
    """Run everything with the Snakefile in ``root``; return the time by rule.

    Raises:
        RuntimeError: the run fails; with the end of what it prints.
    """
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.safe_dump(prepared.configuration))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--snakefile", str(root / "Snakefile")]
    command += ["--configfile", "run.yaml"] if prepared.configuration else []
    before, start = _seconds_of_children(), time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    clock = time.monotonic() - start
    _wait_for_orphans()
    processor = _seconds_of_children() - before
    if done.returncode:
        raise RuntimeError(f"the run by {root} failed:\n{done.stdout[-1500:]}{done.stderr[-3000:]}")
    rules = read_rules(folder / "results")
    rules[SNAKEMAKE] = Spent(0, 0.0, {START: max(processor - added(rules.values()).processor, 0.0)})
    rules[ALL] = added(rules.values())._replace(clock=clock)
    return rules


def adopt_orphans() -> None:
    """Have processes whose parents end first become children of this one, so that their seconds count (Linux alone)."""
    import ctypes

    set_child_subreaper = 36  # PR_SET_CHILD_SUBREAPER
    ctypes.CDLL(None).prctl(set_child_subreaper, 1)


def _wait_for_orphans() -> None:
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_rules(results: Path) -> dict[str, Spent]:
    """The time of the jobs of each rule, from their benchmark files and logs.

    Args:
        results: the folder of the results of a run.
    """
    rules: dict[str, Spent] = {}
    for path in sorted(results.glob("*/benchmarks/**/*.tsv")):
        place = path.relative_to(path.parents[len(path.relative_to(results).parts) - 3])
        rule = place.parts[0].removesuffix(".tsv")
        log = results / path.relative_to(results).parts[0] / "logs" / place.with_suffix(".log")
        spent = _spent_in_job(path, log)
        rules[rule] = added([rules[rule], spent]) if rule in rules else spent
    return rules


def _spent_in_job(benchmark: Path, log: Path) -> Spent:
    with benchmark.open(newline="") as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    told = [kinds for line in log.read_text(errors="replace").splitlines() if (kinds := read_line(line))]
    kinds = dict(told[-1]) if told else {WORK: float(row["cpu_time"]) if row["cpu_time"] not in ("NA", "-") else 0.0}
    return Spent(1, float(row["s"]), kinds)


def table(rules: Mapping[str, Spent]) -> str:
    """The rules by processor seconds, most first, then Snakemake and the total, in Markdown."""
    last = (SNAKEMAKE, ALL)
    ordered = sorted((name for name in rules if name not in last), key=lambda name: -rules[name].processor)
    lines = [
        "| rule | jobs | s on the clock | s of the processor | work | start, imports of the script | later imports "
        "| loading a model | hashing weights | outside |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in [*ordered, *(name for name in last if name in rules)]:
        spent = rules[name]
        shown = [f"{spent.kinds.get(kind, 0.0):.1f}" for kind in (WORK, START, IMPORTS, MODEL, HASHES)]
        cells = [name, str(spent.jobs), f"{spent.clock:.1f}", f"{spent.processor:.1f}", *shown, f"{spent.outside:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def medians(turns: Sequence[Mapping[str, Spent]]) -> dict[str, Spent]:
    """Of each rule the turn whose seconds of the processor are the median, the lower one of two in the middle."""
    return {
        name: sorted((turn[name] for turn in turns if name in turn), key=lambda spent: spent.processor)[
            (sum(name in turn for turn in turns) - 1) // 2
        ]
        for name in turns[0]
    }


def comparison(before: Sequence[Mapping[str, Spent]], now: Sequence[Mapping[str, Spent]]) -> str:
    """How many times the seconds of the processor each rule took before, the median of the ratios of turns."""
    lines = ["| rule | jobs before | jobs now | s before | s now | times |", "|---|---:|---:|---:|---:|---:|"]
    earlier, later = medians(before), medians(now)
    for name in sorted({*earlier, *later}, key=lambda name: (name == ALL, name == SNAKEMAKE, name)):
        first, second = (each.get(name, Spent(0, 0.0, {})) for each in (earlier, later))
        ratios = [
            one[name].processor / other[name].processor
            for one, other in zip(before, now, strict=True)
            if name in one and name in other and other[name].processor
        ]
        times = f"{statistics.median(ratios):.2f}" if ratios else "-"
        cells = [name, str(first.jobs), str(second.jobs), f"{first.processor:.1f}", f"{second.processor:.1f}", times]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """Another revision of this repository in its own folder, which is removed at the end."""
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def measure(names: Sequence[str], roots: Mapping[str, Path], options: argparse.Namespace, folder: Path) -> None:
    """Run the given runs in turns and print the tables."""
    for name in names:
        prepared = RUNS[name](folder / name, options.categories)
        turns: dict[str, list[dict[str, Spent]]] = {state: [] for state in roots}
        for turn in range(options.turns):
            for state, root in roots.items():
                turns[state].append(run(root, prepared, folder / f"{name}-{state}-{turn}", options.cores))
        for state, found in turns.items():
            print(
                f"\n{name}, {state}: {options.cores} cores, median of {options.turns} turns\n\n{table(medians(found))}"
            )
        if "before" in turns:
            print(f"\n{name}, before and now\n\n{comparison(turns['before'], turns['now'])}")
        sys.stdout.flush()


def main() -> None:
    """Make the runs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=["demo", "embedded"])
    parser.add_argument("--before", metavar="REV", help="another revision to run beside this one")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--categories", type=int, default=CATEGORIES, help="of the run `categories`")
    parser.add_argument("--folder", type=Path, help="for the runs; a temporary one if not given")
    options = parser.parse_args()
    if sys.platform == "linux":
        adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="overhead-", dir=options.folder) as temporary:
        folder = Path(temporary)
        if options.before is None:
            measure(options.runs, {"now": REPOSITORY}, options, folder)
            return
        with worktree(options.before, folder / "before") as before:
            measure(options.runs, {"before": before, "now": REPOSITORY}, options, folder)


if __name__ == "__main__":
    main()
