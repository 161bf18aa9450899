"""Choose the backbone of the default configuration: the filter bank, a trained network, or both together.

    pip install "zsad[efficientnet,elpv]"
    python benchmarks/backbones.py --magnetic-tile ROOT     # ROOT: magnetic tiles in the MVTec AD layout

The whole workflow runs on magnetic tiles, on ELPV's mono- and polycrystalline cells (60 normal and 60 defective test
images each, sampled as in config/elpv.yaml), and on the two textures of the demo set that are made from photographs.
Methods are `memory_bank` (8 references, three random samples of them), `mutual` and `self_similarity`.

The rule, fixed before the first run:

1. A method's figure on a category is the mean of image AUROC and AUPRO, or the image AUROC alone where there are no
   masks; that of `memory_bank` is the mean over its samples.
2. A candidate's figure is the mean over methods and categories.
3. Two candidates tie if the 95 % interval of their difference (paired bootstrap over images, 1000 replicates) contains
0.
   4. The best candidate becomes the default or, of those that tie with it, the fastest: the filter bank before the
   network, and the network before both.

All figures are printed as Markdown, in per cent.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from zsad.evaluation.bootstrap import interval
from zsad.files.draws import read_draws
from zsad.files.json_files import read_json

REPOSITORY = Path(__file__).resolve().parent.parent
CANDIDATES: Mapping[str, str | list[str]] = {  # the fastest first
    "filters": "embedded",
    "network": "efficientnet-lite0",
    "both": ["embedded", "efficientnet-lite0"],
}
METHODS: Mapping[str, Mapping[str, Any]] = {
    "memory_bank": {"scorer": "memory_bank", "params": {"shots": 8}, "seeds": [0, 1, 2]},
    "mutual": {"scorer": "mutual"},
    "self_similarity": {"scorer": "self_similarity"},
}
MEASURED = ("image_auroc", "aupro")
TITLES = {"image_auroc": "image AUROC", "aupro": "AUPRO"}


class Figure(NamedTuple):
    """A metric of a candidate by one method on one category.

    Attributes:
        value: as measured, 0 to 1.
        draws: float64 ``[replicate]``, of the bootstrap.
    """

    value: float
    draws: np.ndarray

    @property
    def shown(self) -> str:
        """In per cent, with the 95 % limits."""
        return f"{100 * self.value:.1f} [{', '.join(f'{100 * limit:.1f}' for limit in interval(self.draws))}]"


Figures = dict[tuple[str, str, str, str], Figure]  # by candidate, category, method and metric


def mean(figures: Sequence[Figure]) -> Figure:
    """The mean of figures, with the mean of every bootstrap replicate."""
    return Figure(float(np.mean([one.value for one in figures])), np.mean([one.draws for one in figures], axis=0))


def data_sets(magnetic_tile: Path) -> dict[str, dict[str, Any]]:
    """The sections ``dataset`` of the runs, by their names."""
    return {
        "magnetic_tile": {
            "layout": "mvtec",
            "root": str(magnetic_tile.resolve().parent),
            "categories": [magnetic_tile.name],
        },
        "elpv": {"layout": "elpv", "params": {"train": 40, "good": 60, "defective": 60}},
        "demo": {"layout": "demo", "categories": ["brick", "grass"]},
    }


def configuration(name: str, dataset: Mapping[str, Any], candidates: Sequence[str]) -> dict[str, Any]:
    """Every method with every candidate; no masks are refined."""
    methods: dict[str, Any] = dict.fromkeys(default()["methods"])
    for candidate in candidates:
        for method, entry in METHODS.items():
            methods[f"{method}_{candidate}"] = {**entry, "backbone": CANDIDATES[candidate]}
    return {
        "dataset": {**dataset, "name": name},
        "methods": methods,
        "refiners": dict.fromkeys(default()["refiners"]),
        "report": {"refiner": "none"},
    }


def default() -> dict[str, Any]:
    """The backbone of ``config.yaml``."""
    return yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))


def run(name: str, config: Mapping[str, Any], folder: Path, cores: int) -> Figures:
    """Run the workflow in a folder up to the tables, and read its figures."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "tables"]
    command += ["--cores", str(cores), "--directory", str(folder), "--quiet", "progress", "--configfile", str(file)]
    subprocess.run(command, check=True)
    return dict(figures(folder / "results" / name))


def figures(results: Path) -> Iterator[tuple[tuple[str, str, str, str], Figure]]:
    """The figures of a run, averaged over samples of references."""
    for category in sorted(path.parent for path in results.glob("*/metrics")):
        for candidate in CANDIDATES:
            for method, entry in METHODS.items():
                suffixes = [f"-seed{seed}" for seed in entry["seeds"]] if "seeds" in entry else [""]
                stems = [f"{method}_{candidate}{suffix}" for suffix in suffixes]
                if not (category / "metrics" / f"{stems[0]}.json").exists():
                    continue
                documents = [read_json(category / "metrics" / f"{stem}.json") for stem in stems]
                draws = [read_draws(category / "draws" / f"{stem}.h5") for stem in stems]
                for metric in (metric for metric in MEASURED if metric in draws[0]):
                    each = [
                        Figure(document["metrics"][metric], of_draws[metric])
                        for document, of_draws in zip(documents, draws, strict=True)
                    ]
                    yield (candidate, category.name, method, metric), mean(each)


def overall(measured: Figures, candidate: str, method: str | None = None, category: str | None = None) -> Figure:
    """A candidate's figure by the rule, over everything, or over a method or a category."""
    places = sorted({place[:3] for place in measured if place[0] == candidate})
    chosen = [place for place in places if category in (None, place[1]) and method in (None, place[2])]
    return mean(
        [mean([measured[*place, metric] for metric in MEASURED if (*place, metric) in measured]) for place in chosen]
    )


def choice(measured: Figures, candidates: Sequence[str]) -> tuple[str, list[str]]:
    """The candidate that the rule chooses, and the differences behind the choice as lines of a list."""
    totals = {candidate: overall(measured, candidate) for candidate in candidates}
    best = max(totals, key=lambda candidate: totals[candidate].value)
    tied, lines = [best], []
    for candidate, total in totals.items():
        if candidate == best:
            continue
        difference = Figure(totals[best].value - total.value, totals[best].draws - total.draws)
        lines.append(f"- {best} less {candidate}: {difference.shown}")
        if interval(difference.draws).low <= 0:
            tied.append(candidate)
    return min(tied, key=list(CANDIDATES).index), lines


def table(measured: Figures, candidates: Sequence[str]) -> str:
    """All figures in Markdown, one row for each category, method and metric, and the mean of the rule."""
    rows = [f"| category | method | metric | {' | '.join(candidates)} |", "|---|---|---|" + "---|" * len(candidates)]
    for category, method, metric in dict.fromkeys(place[1:] for place in measured):
        cells = [measured[candidate, category, method, metric].shown for candidate in candidates]
        rows.append(f"| {category} | {method} | {TITLES[metric]} | {' | '.join(cells)} |")
    for category in dict.fromkeys(place[1] for place in measured):
        cells = [overall(measured, candidate, category=category).shown for candidate in candidates]
        rows.append(f"| {category} | all | by the rule | {' | '.join(cells)} |")
    cells = [overall(measured, candidate).shown for candidate in candidates]
    rows.append(f"| all | all | by the rule | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Run everything, and print the table and the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--magnetic-tile", type=Path, required=True, metavar="ROOT", help="folder of the category")
    parser.add_argument("--work", type=Path, help="folder of the results, kept; without it they are made in a new one")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--candidates", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measured: Figures = {}
        for name, dataset in data_sets(options.magnetic_tile).items():
            measured |= run(name, configuration(name, dataset, options.candidates), folder, options.cores)
    print(table(measured, options.candidates))
    chosen, differences = choice(measured, options.candidates)
    print("", *differences, f"\nThe rule chooses: {chosen}", sep="\n")


if __name__ == "__main__":
    main()
