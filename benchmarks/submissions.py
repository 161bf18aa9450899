"""List the jobs and submissions of a run on a cluster, and their requested resources, from a dry run.

    python benchmarks/submissions.py profiles/slurm --mvtec-ad
    python benchmarks/submissions.py profiles/dtu-hpc --configfile mine.yaml

With `--mvtec-ad` the run is on a generated tree of empty files with the names and numbers of MVTec AD's images, with
the five methods and two refiners of config.yaml and the model of config/mvtec_ad.yaml; nothing is read or downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zsad.data.catalogue import datasets

REPOSITORY = Path(__file__).resolve().parent.parent
LINE = "submission: "


class Submission(NamedTuple):
    """A submission to the scheduler as one job, or a job on the submitting host.

    Attributes:
        part: its part of the pipeline; a rule for jobs on the submitting host.
        category: empty for jobs without a category.
        rules: number of steps of each rule.
        steps: requested resources of each step, by Snakemake's names.
        asks: requested resources of the submission.
    """

    part: str
    category: str
    rules: dict[str, int]
    steps: list[dict[str, Any]]
    asks: dict[str, Any]

    @property
    def is_local(self) -> bool:
        """Whether it runs on the submitting host."""
        return not self.category


def submissions(profile: Path, directory: Path, options: Sequence[str | Path] = ()) -> list[Submission]:
    """All submissions of a run.

    Args:
        profile: of a cluster.
        directory: the working folder.
        options: of Snakemake, with the target first.

    Raises:
        RuntimeError: Snakemake fails; with what it prints.
    """
    command = [sys.executable, __file__, "--record", *options, "--dry-run", "--directory", directory]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--workflow-profile", profile.resolve()]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    lines = (line.removeprefix(LINE) for line in done.stdout.splitlines() if line.startswith(LINE))
    return [Submission(**json.loads(line)) for line in lines]


def make_empty_mvtec_ad(root: Path) -> None:
    """Make empty files with the layout and numbers of MVTec AD; about a quarter of its test images are normal."""
    for category, counts in datasets()["mvtec_ad"].categories.items():
        good = counts.test // 4
        for folder, count in {"train/good": counts.train, "test/good": good, "test/bad": counts.test - good}.items():
            for number in range(count):
                _touch(root / category / folder / f"{number:03}.png")
        for number in range(counts.test - good):
            _touch(root / category / "ground_truth/bad" / f"{number:03}_mask.png")


def table(found: Iterable[Submission]) -> Iterator[str]:
    """Lines of Markdown: a row a part, with the greatest that any category asks for."""
    yield "| submission | how many | steps in each | cores | memory | time | GPU |"
    yield "|---|---:|---|---:|---:|---:|---:|"
    parts: dict[str, list[Submission]] = {}
    for one in found:
        parts.setdefault("on the submitting host" if one.is_local else one.part, []).append(one)
    for part, members in parts.items():
        rules = Counter()
        for rule in {rule for one in members for rule in one.rules}:
            rules[rule] = max(one.rules.get(rule, 0) for one in members)
        steps = ", ".join(f"{count} {rule}" if count > 1 else rule for rule, count in sorted(rules.items()))
        if members[0].is_local:
            yield f"| {part} | {len(members)} | {steps} | | | | |"
            continue
        cores, memory, minutes, gpus = (
            max(one.asks.get(name, 0) for one in members) for name in ("_cores", "mem_mb", "runtime", "gpu")
        )
        yield f"| `{part}` | {len(members)} | {steps} | {cores} | {memory / 1000:.1f} GB | {minutes} min | {gpus} |"


def summary(found: Sequence[Submission]) -> str:
    """The numbers of jobs and submissions, in words."""
    submitted = [one for one in found if not one.is_local]
    jobs = sum(sum(one.rules.values()) for one in submitted)
    return f"{jobs} jobs in {len(submitted)} submissions, and {len(found) - len(submitted)} on the submitting host"


def record() -> None:
    """Run Snakemake, and also print the requested resources of each submission."""
    from snakemake.cli import main
    from snakemake.executors import dryrun
    from snakemake.resources import GroupResources

    run = dryrun.Executor.run_job

    def run_and_print(self: Any, job: Any) -> None:
        members = list(job.jobs) if job.is_group() else [job]
        part, _, category = job.groupid.partition("-") if job.is_group() else (job.name, "", "")
        asks = job.resources
        if job.is_group():
            # As for a job that is submitted; the dry run itself counts as one on this machine. In an order of its own,
            # as Snakemake takes the steps in any order, which may make a difference where they differ.
            levels = [sorted(level, key=lambda member: (member.name, *member.wildcards)) for level in job.toposorted]
            asks = GroupResources.basic_layered(levels, self.workflow.global_resources, False)
        one = Submission(
            part=part,
            category=category,
            rules=Counter(member.name for member in members),
            steps=[{"rule": member.name, **_plain(member.resources)} for member in members],
            asks=_plain(asks),
        )
        if job.name != "all":
            print(LINE + json.dumps(one._asdict()), flush=True)
        run(self, job)

    dryrun.Executor.run_job = run_and_print
    main(sys.argv[2:])


def _plain(resources: Any) -> dict[str, Any]:
    return {name: value for name, value in resources.items() if type(value) in (int, str)}


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", type=Path, help="e.g. profiles/slurm")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="as given to the run")
    parser.add_argument("--mvtec-ad", action="store_true", help="on empty files that are named as MVTec AD's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [path.resolve() for path in arguments.configfile]
        directory = Path()
        if arguments.mvtec_ad:
            directory = Path(folder)
            make_empty_mvtec_ad(directory / "images")
            here = directory / "mvtec_ad.yaml"
            here.write_text(yaml.safe_dump({"dataset": {"root": "images"}}))
            files = [REPOSITORY / "config/mvtec_ad.yaml", *files, here]
        options = ["--configfile", *files] if files else []
        found = submissions(arguments.profile, directory, options)
    print("\n".join(table(found)))
    print(f"\n{summary(found)}")


if __name__ == "__main__":
    record() if sys.argv[1:2] == ["--record"] else main()
