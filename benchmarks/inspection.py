"""Measure one photograph with a stored model, and a hundred compared with the workflow's own stages.

    python benchmarks/inspection.py                           # the demo's ring, 100 photographs, 9 turns
    python benchmarks/inspection.py --photographs 20 --turns 3

The first ratio is ``zsad inspect PHOTO --model MODEL`` from the shell to ``python -c "import torch"``, which takes most
of the time. The second is `zsad.load` and all photographs in one process to `extract_features`, `score_images` and
`decide_images` for the same photographs in that process. The two sides of each ratio take turns, and the least time of
each counts, because the rest depends on other programs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import DemoOptions
from zsad.data.image_list import ListedImage, write_images
from zsad.data.images import image_facts
from zsad.deciding.decide_images import decide_images
from zsad.deciding.suitable import Suitable
from zsad.features.embedded import Embedded
from zsad.features.execution import Execution
from zsad.features.extract_features import extract_features
from zsad.inspecting.inspector import load
from zsad.inspecting.reading import cores
from zsad.scoring.compute import Compute
from zsad.scoring.fit_method import fit_method
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.references import REFERENCES
from zsad.scoring.score_images import score_images

CATEGORY = "ring"
SCORER = MemoryBank(shots=4)


class Bench:
    """Photographs, references and a model in a folder."""

    def __init__(self, folder: Path, photographs: int) -> None:
        self.folder = folder
        drawn = folder / CATEGORY
        make_category(CATEGORY, DemoOptions(), drawn)
        sources = sorted(drawn.glob("test/**/*.png"))
        records = [_listed(path, f"train/good/{path.name}", "train") for path in sorted(drawn.glob("train/good/*.png"))]
        self.photographs = []
        for number in range(photographs):
            path = folder / "photographs" / f"{number:04}.png"
            path.parent.mkdir(exist_ok=True)
            shutil.copy(sources[number % len(sources)], path)
            self.photographs.append(path)
            records.append(_listed(path, f"test/{path.name}", "test"))
        write_images(folder / "images.csv", records)
        self.model = folder / "memory_bank.h5"
        wanted = SCORER.feature_sets()[REFERENCES]
        fit_method(
            references=self.features(wanted.subset, wanted.view),
            scorer=SCORER,
            image_scoring=ImageScoring(),
            compute=Compute(),
            output=self.model,
            provenance={},
            dataset="demo",
            category=CATEGORY,
            method="memory_bank",
            backbone={"name": "embedded", "family": "embedded", "params": Embedded().parameters()},
        )

    def features(self, subset: str, view: str) -> Path:
        """Features of a subset, as the workflow extracts them."""
        output = self.folder / f"{subset}.h5"
        extract_features(
            image_list=self.folder / "images.csv",
            category=CATEGORY,
            subset=subset,
            view=view,
            backbone=Embedded(),
            execution=Execution(threads=cores(), workers=None),
            output=output,
            provenance={},
        )
        return output

    def by_workflow(self) -> None:
        """Extract, score and decide the photographs."""
        score_images(
            features={"test": self.features("test", "original")},
            scorer=SCORER,
            image_scoring=ImageScoring(),
            compute=Compute(),
            output=self.folder / "scores.h5",
            provenance={},
            model=self.model,
        )
        decide_images(
            scores=self.folder / "scores.h5",
            rule=Suitable(),
            output=self.folder / "decisions.h5",
            provenance={},
            model=self.model,
        )

    def by_model(self) -> None:
        """Inspect the photographs."""
        with load(self.model) as inspector:
            if len(list(inspector.inspect_all(self.photographs))) != len(self.photographs):
                raise AssertionError("a photograph is missing")

    def one_from_the_shell(self) -> None:
        """Inspect one photograph."""
        run("-m", "zsad.cli", "inspect", str(self.photographs[0]), "--model", str(self.model))


def import_torch() -> None:
    """Import torch, which every inspection needs."""
    run("-c", "import torch")


def run(*arguments: str) -> None:
    """Run Python in its own process."""
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def least_seconds(turns: int, *sides: Callable[[], None]) -> list[float]:
    """The shortest time of each side, by turns."""
    least = [float("inf")] * len(sides)
    for turn in range(turns + 1):
        for place, side in enumerate(sides):
            start = time.perf_counter()
            side()
            if turn:  # the first is to fill caches
                least[place] = min(least[place], time.perf_counter() - start)
    return least


def main() -> None:
    """Print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=100)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.photographs)
        alone, one = least_seconds(options.turns, import_torch, bench.one_from_the_shell)
        print(f"one photograph from the shell   {one:.2f} s, {one / alone:.2f} times `import torch` ({alone:.2f} s)")
        stages, inspected = least_seconds(options.turns, bench.by_workflow, bench.by_model)
        print(
            f"{options.photographs} photographs, one process    {inspected:.2f} s, {inspected / stages:.2f} times "
            f"extraction and scoring ({stages:.2f} s); {torch.get_num_threads()} threads"
        )


def _listed(path: Path, image_id: str, split: str) -> ListedImage:
    height, width, sha256 = image_facts(path)
    return ListedImage(image_id, str(path), "train" if split == "train" else "test", height, width, sha256)


if __name__ == "__main__":
    main()
