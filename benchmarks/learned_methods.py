"""Compare methods that are trained with methods that only compare.

    pip install "zsad[efficientnet,elpv]"
    python benchmarks/learned_methods.py --magnetic-tile ROOT     # ROOT: magnetic tiles in the MVTec AD layout

Fixed before the first run:

- Data: the demo set of `config.yaml` (four categories, 16 normal and 24 defective test images each); magnetic tiles
  (40 and 60); ELPV's mono- and polycrystalline cells (40 and 40, no masks). Training images: 20 normal ones per
  category, 40 for magnetic tiles and ELPV.
- Features: `efficientnet-lite0` and `embedded`, with their defaults.
- Methods: as in `METHODS`, with the defaults of their scorers for number of steps, learning rate and network. Few-shot
  methods use 8 references, full-shot methods all training images.
- Three random seeds, 0 to 2, of the sample of references and of the training. A figure is the mean over the categories
  of a set, then mean and standard deviation over seeds; methods without randomness run once.
- Methods with an auxiliary data set are trained on the demo set: for a category of the demo set on the other three, for
  all others on all four.
- Variants of a method (`VARIANTS`) are tried on the demo set with the network alone.

Figures are measured with the code of the workflow, without its jobs: `train_method`, `fit`, `score_by`, `zsad.metrics`.
The scores of references, which only thresholds need, are left out. Seconds are processor seconds of all cores together,
so that other programs do not count; they are means over all runs of a row: to train (on an auxiliary data set, once for
all categories of the tested set), to fit, and to score the test images of a category.

Every row is stored in the folder ``--cache`` when it is known and is not computed again: the study may be stopped at
any time. ``--only flow coupling_flow`` runs some methods, ``--sets ELPV`` and ``--backbones embedded`` some sets and
backbones, also at the same time. Delete the stored rows after a change to a method. ``--table`` prints stored rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad import extract, metrics
from zsad.adaptation.make_synthetic import make_synthetic
from zsad.adaptation.origins import synthetic_marks
from zsad.data.catalogue import facts_of
from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import CATEGORIES, DemoOptions
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.layouts.base import Layout
from zsad.data.layouts.elpv import ElpvLayout
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.packages import installed
from zsad.data.subsets import FeatureSet, select, synthetic_named
from zsad.evaluation.ground_truth import has_pixel_ground_truth, pixel_ground_truth
from zsad.files.features import FeatureReader
from zsad.files.json_files import read_json, write_json
from zsad.interactive.written_tokens import written_tokens
from zsad.scoring.base import Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import REFERENCES, SYNTHETIC, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import LabelledTokens
from zsad.scoring.train_method import TrainingFiles, train_method

SEEDS = (0, 1, 2)
BACKBONES = ("efficientnet-lite0", "embedded")
DEMO = "demo"
CELLS = ElpvLayout(train=40, good=40, defective=40)
EIGHT: Mapping[str, Any] = {"shots": 8}
ALL: Mapping[str, Any] = {"shots": "all"}
MEASURED = {"image_auroc": "image AUROC", "aupro": "AUPRO", "pixel_ap": "pixel AP"}


class Method(NamedTuple):
    """A row of the table.

    Attributes:
        auxiliary: whether it is trained on an auxiliary data set.
        seeded: whether a seed changes anything.
        fit_of: the row whose fit also gives this score; empty for its own fit.
    """

    scorer: str
    params: Mapping[str, Any]
    auxiliary: bool = False
    seeded: bool = True
    fit_of: str = ""


METHODS: Mapping[str, Method] = {
    "mahalanobis": Method("mahalanobis", EIGHT),
    "memory_bank": Method("memory_bank", EIGHT),
    "mutual": Method("mutual", {}, seeded=False),
    "flow": Method("flow", EIGHT),
    "coupling_flow": Method("coupling_flow", EIGHT),
    "residual_prompts": Method("residual_prompts", EIGHT),
    "mahalanobis, all": Method("mahalanobis", ALL, seeded=False),
    "flow, all": Method("flow", ALL),
    "coupling_flow, all": Method("coupling_flow", ALL),
    "visual_prompts": Method("visual_prompts", {}, auxiliary=True),
    "prompt_memory": Method("prompt_memory", {}, auxiliary=True, seeded=False),  # fewer keys than it would sample from
    "residual_prompts, auxiliary": Method("residual_prompts", {**EIGHT, "learns_from": "auxiliary"}, auxiliary=True),
}
VARIANTS: Mapping[str, Method] = {
    **{f"flow, {name}": Method("flow", {**EIGHT, "measure": name}, fit_of="flow") for name in ("endpoint", "velocity")},
    "flow, contraction": Method("flow", {**EIGHT, "measure": "contraction"}),
    **{f"flow, {name}": Method("flow", {**EIGHT, "pairing": name}) for name in ("optimal", "worst")},
    **{f"{name}, position": Method(name, {**EIGHT, "position": True}) for name in ("flow", "coupling_flow")},
}


class Category(NamedTuple):
    """Some images of a kind.

    Attributes:
        layout, root, name: place of the images.
    """

    data_set: str
    name: str
    layout: Layout
    root: Path

    @property
    def key(self) -> str:
        """Its place in the cache."""
        return f"{self.data_set}/{self.name}"


class Run(NamedTuple):
    """One method with one backbone and seed on one category."""

    category: Category
    backbone: str
    method: str
    seed: int | None

    @property
    def row(self) -> Method:
        """The row of the run."""
        return {**METHODS, **VARIANTS}[self.method]

    @property
    def scorer(self) -> Scorer:
        """The configured scorer."""
        params = dict(self.row.params)
        if self.row.auxiliary:
            params["trained_on"] = DEMO
        if self.seed is not None:
            params["seed"] = self.seed
        return SCORERS.build(self.row.scorer, params)

    @property
    def stem(self) -> str:
        """Name of its files."""
        name = self.method.replace(", ", ".")
        return name if self.seed is None else f"{name}-seed{self.seed}"


class Inputs(NamedTuple):
    """The inputs of a run from a category.

    Attributes:
        cache: the folder of all stored files.
    """

    category: Category
    backbone: str
    cache: Path

    @property
    def folder(self) -> Path:
        """The folder of the features."""
        return self.cache / "features" / self.category.key / self.backbone

    def features(self, wanted: FeatureSet) -> Path:
        """The feature file of some images, which is extracted if it is missing."""
        path = self.folder / f"{wanted.subset}.{wanted.view}.h5"
        if not path.exists():
            records: Sequence[ImageRecord | ListedImage] = records_of(self.category)
            if synthetic_named(wanted.subset) is not None:
                records = read_image_list(self.synthetic(wanted.subset) / "images.csv")
            records = select(records, wanted.subset, self.category.name)
            names = [record.image_id for record in records]
            paths = [record.path for record in records]
            given = extract(paths, self.backbone, view=wanted.view, image_ids=names, device="cpu")
            path.parent.mkdir(parents=True, exist_ok=True)
            written_tokens(given, path)
        return path

    def synthetic(self, subset: str) -> Path:
        """The folder of synthetic images from references, which are made if they are missing."""
        folder = self.cache / "synthetic" / self.category.key / subset
        if not (folder / "images.csv").exists():
            folder.mkdir(parents=True, exist_ok=True)
            known = [record.listed for record in records_of(self.category) if record.split == "train"]
            write_images(folder / "training.csv", known)
            make_synthetic(
                training_list=folder / "training.csv",
                category=self.category.name,
                subset=subset,
                images=folder / "images.csv",
                manifest=folder / "manifest.csv",
                origins=folder / "made_from.csv",
                sheet=folder / "sheet.png",
            )
        return folder

    def labelled(self, wanted: FeatureSet) -> LabelledTokens:
        """Tokens of such images, with labels and masks."""
        folder, reader = self.synthetic(wanted.subset), FeatureReader(self.features(wanted))
        marks = synthetic_marks(folder / "manifest.csv", folder / "made_from.csv", reader.image_ids)
        return LabelledTokens(reader, marks)

    def manifest(self) -> Path:
        """The manifest of the category."""
        path = self.cache / "manifests" / f"{self.category.key}.csv"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_manifest(path, records_of(self.category))
        return path


# -- data ------------------------------------------------------------------------------------------------------------


def data_sets(cache_folder: Path, magnetic_tile: Path | None) -> dict[str, list[Category]]:
    """The categories of each data set; magnetic tiles only if their folder is given."""
    root = cache_folder / "images" / DEMO
    found = {DEMO: [Category(DEMO, name, MvtecLayout(), root) for name in CATEGORIES]}
    if magnetic_tile is not None:
        folder = magnetic_tile.resolve()
        found["magnetic tiles"] = [Category("magnetic tiles", folder.name, MvtecLayout(), folder.parent)]
    facts = facts_of("elpv")
    if facts is None or facts.package is None:
        raise SystemExit("ELPV is not in the catalogue of data sets as a package")
    cells = installed(facts.package, facts.title).root
    found["ELPV"] = [Category("ELPV", name, CELLS, cells) for name in ("mono", "poly")]
    return found


@cache
def records_of(category: Category) -> list[ImageRecord]:
    """The images of a category; those of the demo set are made if they are missing."""
    folder = category.root / category.name
    if category.data_set == DEMO and not (folder / "made").exists():
        make_category(category.name, DemoOptions(), folder)
        (folder / "made").touch()
    return category.layout.records(category.root, category.name)


# -- what is measured ------------------------------------------------------------------------------------------------


def row_file(run: Run, folder: Path) -> Path:
    """The file of the row of a run."""
    return folder / "rows" / run.category.key / run.backbone / f"{run.stem}.json"


def measured(run: Run, folder: Path) -> dict[str, Any]:
    """The row of a run; if it is missing it is computed, with those of all runs that share its fit."""
    if not row_file(run, folder).exists():
        first = run._replace(method=run.row.fit_of or run.method)
        sharing = [first._replace(method=name) for name, row in VARIANTS.items() if row.fit_of == first.method]
        absent = [each for each in (first, *filter(is_asked, sharing)) if not row_file(each, folder).exists()]
        prepared = prepare(first, folder)
        for each in absent:
            path = row_file(each, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, figures(each, prepared, folder))
    return read_json(row_file(run, folder))


class Prepared(NamedTuple):
    """The state before test images are scored.

    Attributes:
        weights: weights trained on the demo set; None for methods without such training.
        model: the model fitted to references; None without references.
        row: seconds, and facts about the training.
    """

    weights: Path | None
    model: Any
    row: Mapping[str, Any]


def prepare(run: Run, folder: Path) -> Prepared:
    """Train and fit the method, if it needs this."""
    scorer, weights, model = run.scorer, None, None
    row: dict[str, Any] = {"train_seconds": 0.0, "fit_seconds": 0.0}
    if run.row.auxiliary:
        weights, row["train_seconds"] = trained(run, folder)
        scorer = scorer.with_weights(weights)
    if isinstance(scorer, ReferenceScorer):
        references = references_of(run, scorer, folder)
        start = time.process_time()
        model = scorer.fit(references, range(len(references)), Compute())
        row["fit_seconds"] = time.process_time() - start
        row["training"] = scorer.training(model)
    return Prepared(weights, model, row)


def figures(run: Run, prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Metrics, seconds and setting of a run."""
    inputs, scorer = Inputs(run.category, run.backbone, folder), run.scorer
    if prepared.weights is not None:
        scorer = scorer.with_weights(prepared.weights)
    test = FeatureReader(inputs.features(FeatureSet("test")))
    start = time.process_time()
    if isinstance(scorer, ReferenceScorer):
        found = list(scorer.score_by(prepared.model, test, range(len(test)), Compute()))
    else:
        features = {role: FeatureReader(inputs.features(wanted)) for role, wanted in scorer.feature_sets().items()}
        found = list(scorer.score(features, Compute()))
    scored = [ImageScoring().complete(one) for one in sorted(found, key=lambda one: one.index)]
    scores = scorer.rescored(np.array([one.image_score for one in scored], np.float64), {"test": test})
    row = {**prepared.row, "setting": scorer.setting, "score_seconds": time.process_time() - start}
    records = [record for record in records_of(run.category) if record.split == "test"]
    row["image_auroc"] = metrics.image_auroc(scores, [record.label for record in records])
    if scorer.localises and all(map(has_pixel_ground_truth, records)):
        of_pixels = metrics.pixel_metrics(
            [one.anomaly_map for one in scored], [pixel_ground_truth(one) for one in records]
        )
        row |= {name: of_pixels[name] for name in MEASURED if name in of_pixels}
    return row


def references_of(run: Run, scorer: ReferenceScorer, folder: Path) -> FeatureReader:
    """The references of a method, with the synthetic images made from them if it is trained on these."""
    inputs, sets = Inputs(run.category, run.backbone, folder), scorer.feature_sets()
    made = inputs.labelled(sets[SYNTHETIC]) if SYNTHETIC in sets else None
    return FeatureReader(inputs.features(sets[REFERENCES]), synthetic=made)


def trained(run: Run, folder: Path) -> tuple[Path, float]:
    """The weights of a method trained on the demo set without the tested category, and the seconds of the training."""
    left_out = f".without-{run.category.name}" if run.category.data_set == DEMO else ""
    path = folder / "trained" / run.backbone / f"{run.stem}{left_out}.safetensors"
    seconds = path.with_suffix(".json")
    if not seconds.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.process_time()
        learn(run, path, folder)
        write_json(seconds, {"seconds": time.process_time() - start})
    return path, read_json(seconds)["seconds"]


def learn(run: Run, path: Path, folder: Path) -> None:
    """Train a method on the demo set without the tested category."""
    scorer = run.scorer
    all_inputs = [
        Inputs(category, run.backbone, folder) for category in data_sets(folder, None)[DEMO] if category != run.category
    ]
    files = [
        TrainingFiles(
            inputs.category.name,
            inputs.manifest(),
            {role: inputs.features(wanted) for role, wanted in scorer.training_sets().items()},
        )
        for inputs in all_inputs
    ]
    train_method(categories=files, scorer=scorer, compute=Compute(), output=path, trained_on=DEMO)


# -- the table -------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """A figure over seeds.

    Attributes:
        values: one a seed.
    """

    values: Sequence[float]

    def shown(self, factor: float = 1.0) -> str:
        """Mean and standard deviation; a single value alone."""
        values = factor * np.array(self.values)
        spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
        return f"{values.mean():.1f}{spread}"


def cells(rows: Mapping[tuple[str, int | None], Mapping[str, Any]], name: str) -> Cell | None:
    """The mean over categories for each seed; None where a category has no such figure.

    Args:
        rows: by category and seed.
    """
    seeds = sorted({seed for _, seed in rows}, key=str)
    by_seed = [[row for (_, seed), row in rows.items() if seed == each] for each in seeds]
    if not all(name in row for of_seed in by_seed for row in of_seed):
        return None
    return Cell([float(np.mean([row[name] for row in of_seed])) for of_seed in by_seed])


def table(places: Mapping[str, Sequence[Category]], backbone: str, known: Mapping[Run, Mapping[str, Any]]) -> str:
    """All figures of a backbone in Markdown, in per cent, one row for each method; empty if a run is missing."""
    columns = [(name, measure) for name in places for measure in MEASURED if name != "ELPV" or measure == "image_auroc"]
    header = [f"{name}, {MEASURED[measure]}" for name, measure in columns]
    lines = [
        f"| method | setting | {' | '.join(header)} | learn, s | fit, s | score, s |",
        "|---|---|" + "---:|" * (len(columns) + 3),
    ]
    for method in {**METHODS, **VARIANTS}:
        of_method = {run: row for run, row in known.items() if (run.method, run.backbone) == (method, backbone)}
        if not of_method:
            continue
        entries = []
        for name, measure in columns:
            asked = set(runs({name: places[name]}, [backbone], [method]))
            rows = {(run.category.name, run.seed): of_method[run] for run in asked if run in of_method}
            cell = cells(rows, measure) if asked and len(rows) == len(asked) else None
            entries.append("" if cell is None else cell.shown(100))
        seconds = [
            f"{np.mean([row[name] for row in of_method.values()]):.1f}"
            for name in ("train_seconds", "fit_seconds", "score_seconds")
        ]
        settings = ", ".join(dict.fromkeys(row["setting"] for row in of_method.values()))
        lines.append(f"| {method} | `{settings}` | {' | '.join([*entries, *seconds])} |")
    return "\n".join(lines)


def is_asked(run: Run) -> bool:
    """Whether a run belongs to the study: variants only run on the demo set with the first backbone."""
    return run.method in METHODS or (run.category.data_set, run.backbone) == (DEMO, BACKBONES[0])


def runs(places: Mapping[str, Sequence[Category]], backbones: Sequence[str], methods: Sequence[str]) -> Iterator[Run]:
    """All runs of some methods."""
    rows = {**METHODS, **VARIANTS}
    for backbone, method in product(backbones, methods):
        for category in chain.from_iterable(places.values()):
            found = (Run(category, backbone, method, seed) for seed in (SEEDS if rows[method].seeded else (None,)))
            yield from filter(is_asked, found)


def main() -> None:
    """Compute missing rows, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--magnetic-tile", type=Path, required=True, metavar="ROOT", help="folder of the category")
    parser.add_argument(
        "--cache", type=Path, default=Path("results/learned_methods"), help="folder of the stored files"
    )
    parser.add_argument("--only", nargs="+", metavar="METHOD", help="of those in the table")
    parser.add_argument("--sets", nargs="+", metavar="SET", help=f"{DEMO}, magnetic tiles, ELPV")
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--table", action="store_true", help="compute nothing, print the stored rows")
    given = parser.parse_args()
    methods = [*METHODS, *VARIANTS]
    if given.only and (unknown := [name for name in given.only if name not in methods]):
        parser.error(f"there is no {unknown[0]!r}; choose from: {', '.join(methods)}")
    places = data_sets(given.cache, given.magnetic_tile)
    if given.sets and (unknown := [name for name in given.sets if name not in places]):
        parser.error(f"there is no {unknown[0]!r}; choose from: {', '.join(places)}")
    chosen = {name: categories for name, categories in places.items() if name in (given.sets or places)}
    if not given.table:
        for run in runs(chosen, given.backbones, given.only or methods):
            measured(run, given.cache)
    known = {
        run: measured(run, given.cache)
        for run in runs(places, BACKBONES, methods)
        if row_file(run, given.cache).exists()
    }
    for backbone in BACKBONES:
        print(f"## {backbone}\n\n{table(places, backbone, known)}\n")


if __name__ == "__main__":
    main()
