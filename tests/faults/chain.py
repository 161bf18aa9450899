"""The scripts of the workflow one after the other in this process, in place of a whole Snakemake for every fault.

Each script runs as Snakemake runs it, in the frame of a job, with the inputs, outputs and parameters of its rule. Like
Snakemake, the chain leaves out what is newer than what it is made from and was made from just that, removes an old
result before it is made anew, and stops at the first failure. What rules themselves do is shown by the tests that run
the real workflow.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import h5py

from paths import REPOSITORY
from zsad.classification.splits import read_split
from zsad.data.catalogue import datasets
from zsad.data.changed import TABLES, changed_tables, changed_text, put_aside
from zsad.data.subsets import support_subset
from zsad.errors import ZsadError
from zsad.errors.boundary import sentence_of
from zsad.files.csv_files import read_table
from zsad.workflow.settings import Settings
from zsad.workflow.workplace import check_folders

RESOURCES = {
    "device": "cpu",
    "batch": "auto",
    "workers": "auto",
    "compiled": "0",
    "scoring_mb": 100,
    "shared": 0,
    "max_patches": 65536,
}
TIMED = "seconds"  # the column of the list of images, and the content of a score file, that differ between equal runs
NOTHING: Mapping[str, Callable[[], None]] = MappingProxyType({})


class Outcome(NamedTuple):
    """How a run of the chain ended.

    Attributes:
        said: what it said, a line each.
        failed: the outputs of the step that failed; none if no step did.
    """

    status: int
    said: list[str]
    failed: list[Path]


class Step(NamedTuple):
    """A job: the script, what it reads and writes by name, its parameters, wildcards and digest of a listing."""

    script: str
    inputs: dict[str, Any]
    outputs: dict[str, Path]
    cfg: dict[str, Any]
    wildcards: dict[str, str]
    listing: str = ""
    suitability: str = ""  # what is asked of the methods, which nothing is run again for

    @property
    def files(self) -> list[Path]:
        """What it reads."""
        return [path for value in self.inputs.values() for path in (value if isinstance(value, list) else [value])]


class Chain:
    """From images or a download to masks, metrics and tables, in the working directory.

    Args:
        made: what earlier runs made each output from, as Snakemake remembers it.

    Attributes:
        ran: the steps that were run to their ends, in order.
    """

    def __init__(self, made: Mapping[Path, str] = MappingProxyType({})) -> None:
        self.made = dict(made)
        self.ran: list[Step] = []

    def run(self, config: Mapping[str, Any], before: Mapping[str, Callable[[], None]] = NOTHING) -> Outcome:
        """Run what is missing or out of date.

        Args:
            config: a complete configuration.
            before: what happens just before the first step of a script, by its name.
        """
        said, status, step = StringIO(), 0, None
        pending = dict(before)
        datasets.cache_clear()  # every run of Snakemake reads it anew
        with redirect_stderr(said), redirect_stdout(said), _logging_restored():
            try:
                for step in _steps(config):
                    pending.pop(step.script, lambda: None)()
                    self._run(step)
                step = None
            except ZsadError as error:  # as rules/common.smk shows it
                step = None
                status = 1
                print(error, file=said)
            except OSError as error:  # what Snakemake itself fails at, as zsad/watching/failures.py shows it
                status = 1
                print(sentence_of(error), file=said)
            except SystemExit as end:
                status = int(end.code or 0)
        return Outcome(status, said.getvalue().splitlines(), list(step.outputs.values()) if step else [])

    def _run(self, step: Step) -> None:
        source = repr((sorted(map(str, step.files)), step.cfg, step.listing))
        if all(self._is_current(path, step, source) for path in step.outputs.values()):
            return
        for path in step.outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        _execute(step)
        self.ran.append(step)
        self.made |= dict.fromkeys(step.outputs.values(), source)

    def _is_current(self, output: Path, step: Step, source: str) -> bool:
        if not output.exists() or self.made.get(output) != source:
            return False
        age = output.stat().st_mtime_ns
        return all(path.exists() and path.stat().st_mtime_ns <= age for path in step.files)


def results() -> dict[str, str]:
    """What two runs must agree on, by path: manifests, checks and tables, and digests of files in HDF5."""
    base = Path("results")
    texts = {path: path.read_text(encoding="utf-8") for path in base.glob("*/*/manifest.csv")}
    texts |= {
        path: path.read_text(encoding="utf-8") for path in base.glob("*/*/images.csv") if path.parts[-2] != "tables"
    }
    texts |= {path: path.read_text(encoding="utf-8") for path in base.glob("*/*/unreadable.csv")}
    texts |= {path: _without_times(path) for path in base.glob("*/tables/*")}
    texts |= {path: without_provenance(path) for path in base.glob("*/*/check.json")}
    texts |= {
        path: _digest(path)
        for kind in ("texts", "models", "scores", "decisions", "masks")
        for path in base.glob(f"*/*/{kind}/*.h5")
    }
    return {path.as_posix(): text for path, text in sorted(texts.items())}


def scored_images() -> set[str]:
    """The images that have a score by every method."""
    rows = read_table("results/t/tables/images.csv")
    by_method = {
        method: {row["image_id"] for row in rows if row["method"] == method and row["image_score"] != "NaN"}
        for method in {row["method"] for row in rows}
    }
    return set.intersection(*by_method.values())


def _steps(config: Mapping[str, Any]) -> Iterator[Step]:
    settings = Settings(config)
    check_folders(settings.dataset)
    settings.check_models()
    settings.data.list_files()
    data = settings.data
    base = Path("results") / data.name
    if data.is_downloaded:
        yield _download(settings)
    readers = {**TABLES, "splits/*.csv": read_split}
    changed = changed_tables((base / category for category in data.categories), readers)
    if changed:
        put_aside(changed)
        print(changed_text(changed))
    for category in data.categories:
        yield from _category_steps(settings, category, base)
        for name in settings.classifiers:
            yield from _classification_steps(settings, name, category, base)
    metrics = sorted(base.glob("*/metrics/*.json"))
    draws = {path: path.parents[1] / "draws" / f"{path.stem}.h5" for path in metrics}
    of_scores, of_masks = ([path for path in metrics if path.stem.count(".") == dots] for dots in (0, 1))
    outputs = {name: base / "tables" / file for name, file in settings.measurable.tables.items()}
    if not settings.measurable.is_labelled:
        of_masks, draws = [], {}
    yield Step(
        "collect_tables",
        {
            "score_metrics": of_scores,
            "score_draws": [draws[path] for path in of_scores if draws],
            "mask_metrics": of_masks,
            "mask_draws": [draws[path] for path in of_masks],
            "oracle_metrics": [],
            "oracle_draws": [],
        },
        outputs,
        {
            "textures": data.textures,
            "published": data.published,
            "unmade": [(base / path).as_posix() for path in settings.measurable.unmade()],
        },
        {"dataset": data.name},
    )
    yield _costs(settings, base, outputs)
    evaluated = [
        base / category / "metrics" / "classification" / f"{name}.json"
        for category in data.categories
        for name in settings.classifiers
    ]
    if evaluated:
        classes = {name: base / "tables" / file for name, file in settings.measurable.class_tables.items()}
        yield Step("collect_classes", {"evaluations": evaluated}, classes, {}, {"dataset": data.name})


def _costs(settings: Settings, base: Path, tables: Mapping[str, Path]) -> Step:
    """The tables of cost, which nothing is known of: Snakemake alone leaves benchmarks."""
    listed = [base / category / "images.csv" for category in settings.data.categories]
    read = {name: tables[name] for name in ("images_csv", "metrics_csv") if name in tables}
    step = {"stage": "score_images", "subset": "test", "benchmark": "none.tsv", "product": "", "for_scores": True}
    plans = [
        {
            **{"method": name, "setting": entry.description["setting"], "backbone": entry.backbone, "group": ""},
            "steps": [{**step, "detail": name}],
        }
        for name, entry in settings.methods.items()
    ]
    kinds = {"cost_csv": "csv", "markdown": "md", "latex": "tex", "checksums": "sha256"}
    return Step(
        "collect_costs",
        {**read, "table_sums": tables["checksums"], "image_lists": listed},
        {name: base / "tables" / f"cost.{kind}" for name, kind in kinds.items()},
        {"categories": settings.data.categories, "methods": plans},
        {"dataset": settings.data.name},
    )


def _download(settings: Settings) -> Step:
    """The data set, as far as `download_config` in rules/functions/data.smk says what it depends on."""
    name, folder = settings.data.layout_name, settings.data.download_to
    kept = {"file", "sha256", "size", "into"}
    archives = [archive.model_dump(include=kept) for archive in datasets()[name].archives]
    cfg = {"dataset": name, "download_to": folder.as_posix(), "archives": archives}
    return Step("download_dataset", {}, {"record": folder / f"{name}.json"}, cfg, {"published": name})


def _category_steps(settings: Settings, category: str, base: Path) -> Iterator[Step]:
    folder = base / category
    data = settings.data
    place = {"dataset": data.name, "category": category}
    manifest, check, images = folder / "manifest.csv", folder / "check.json", folder / "images.csv"
    unreadable, options = folder / "unreadable.csv", data.stage_config()
    suitability = json.dumps(settings.suitability().stage_config())
    bounded = {**options, "bounds": settings.image_bounds().stage_config()}
    read = {"image_list": images, "unreadable": unreadable}
    yield Step("read_images", {"files": data.image_files(category)}, read, bounded, place, data.images_digest(category))
    known = {"image_list": images, "files": data.truth_files(category)}
    yield Step("build_manifest", known, {"manifest": manifest}, options, place, data.truth_digest(category))
    checked = {"manifest": manifest, "unreadable": unreadable, "files": data.files(category)}
    yield Step("check_images", checked, {"check": check}, options, place, suitability=suitability)
    for name, method in settings.methods.items():
        features = {}
        for role, wanted in method.feature_sets.items():
            backbone = settings.backbones[method.backbone]
            here = {**place, "subset": wanted.subset, "view": wanted.view}
            files = {
                each.name: folder / "features" / each.name / f"{wanted.subset}.{wanted.view}.h5"
                for each in (backbone, *backbone.members)
            }
            listed = images
            if wanted.subset != "test":
                listed = folder / "training.csv"
                files_read = {"files": data.train_files(category)}
                digest = data.train_digest(category)
                yield Step("read_training", files_read, {"training_list": listed}, bounded, place, digest)
            for each in backbone.members or [backbone]:
                yield Step(
                    "extract_features",
                    {"image_list": listed, "weights": []},
                    {"features": files[each.name]},
                    each.stage_config(),
                    {**here, "backbone": each.name},
                    suitability=suitability,
                )
            features[role] = files.pop(backbone.name)
            if files:
                joined = {"features": features[role]}
                named = {**here, "backbone": backbone.name}
                yield Step("join_features", {"features": list(files.values())}, joined, backbone.stage_config(), named)
        scores = folder / "scores" / f"{name}.h5"
        here = {**place, "method": name}
        learned = {"learned": [Path(path) for path in method.learned_files.values()]}
        asked = {}
        if method.texts is not None:
            step = _texts(settings, name, category, folder)
            asked = step.outputs
            yield step
        if method.fitted_roles:
            model = folder / "models" / f"{name}.h5"
            references = {role: features.pop(role) for role in method.fitted_roles}
            fitted = references | learned | (asked if method.fits_texts else {})
            yield Step("fit_method", fitted, {"model": model}, settings.fit_config(name), here)
            features["model"] = model
        read = features | learned | ({} if method.fits_texts else asked)
        members = {"scores": [folder / "scores" / f"{member}.h5" for member in method.members]}
        script, read = ("fuse_scores", members) if method.members else ("score_images", read)
        yield Step(script, read, {"scores": scores}, method.stage_config(), here)
        decisions = folder / "decisions" / f"{name}.h5"
        model = {role: path for role, path in features.items() if role == "model"}
        yield Step("decide_images", {"scores": scores, **model}, {"decisions": decisions}, method.deciding, here)
        read = {"manifest": manifest, "scores": scores, "decisions": decisions}
        options = {"options": settings.evaluation.parameters()}
        tables = [path.as_posix() for path in [data.saturation(category)] if path]
        named = {"backbone": method.backbone, "group": "", "saturation": next(iter(tables), None), **options}
        measured = _measured(settings, folder, name)
        yield Step("evaluate_scores", {**read, "saturation": list(map(Path, tables))}, measured, named, here)
        for refiner, entry in settings.refiners.items():
            masks = folder / "masks" / f"{name}.{refiner}.h5"
            there = {**here, "refiner": refiner}
            outlined = {"image_list": images, "scores": scores, "decisions": decisions}
            yield Step("refine_masks", outlined, {"masks": masks}, entry.stage_config(), there)
            measured = _measured(settings, folder, f"{name}.{refiner}")
            yield Step("evaluate_masks", {**read, "masks": masks}, measured, options, there)


def _texts(settings: Settings, method: str, category: str, folder: Path) -> Step:
    """What a method asks in words, as far as `encoding_config` in rules/functions/texts.smk says what it depends on."""
    asked, owner = settings.methods[method].texts, settings.text_backbone(method)
    entry = settings.backbones[owner]
    files = {"files": list(map(Path, [*asked.local_files(), *entry.text_files()]))}
    cfg = {
        "backbone": entry.text_config(),
        "part_name": settings.part_name(category, asked),
        "prompts": asked.prompts,
        "trained_on": asked.trained_on,
    }
    named = {"dataset": settings.dataset, "category": category, "backbone": owner, "prompts": asked.name}
    return Step("encode_texts", files, {"texts": folder / "texts" / f"{owner}.{asked.name}.h5"}, cfg, named)


def _classification_steps(settings: Settings, name: str, category: str, base: Path) -> Iterator[Step]:
    """One classifier's way from labelled examples to metrics, as rules/classification.smk has it."""
    folder, entry = base / category, settings.classifiers[name]
    place = {"dataset": settings.dataset, "category": category}
    here = {**place, "classifier": name}
    images, backbone = folder / "images.csv", settings.backbones[entry.backbone]
    suitability = json.dumps(settings.suitability().stage_config())

    def features(subset: str, listed: Path) -> tuple[Path, Step]:
        path = folder / "features" / backbone.name / f"{subset}.original.h5"
        named = {**place, "backbone": backbone.name, "subset": subset, "view": "original"}
        read, cfg = {"image_list": listed, "weights": []}, backbone.stage_config()
        return path, Step("extract_features", read, {"features": path}, cfg, named, suitability=suitability)

    drawn_from: dict[str, Any] = {"manifest": folder / "manifest.csv"}
    read = {}
    if not entry.is_drawn_from_tests:
        support = settings.supports[entry.support]
        listed = {"images": folder / "labelled" / f"{support.name}.csv"}
        listed["kinds"] = folder / "labelled" / f"{support.name}.kinds.csv"
        bounds, white = settings.image_bounds().stage_config(), settings.data.layout.white
        cfg = {"source": support.stage_config(), "bounds": bounds, "white": white}
        files, named = {"files": support.files(category)}, {**place, "support": support.name}
        yield Step("read_support", files, listed, cfg, named, support.digest(category))
        drawn_from = {"labelled": listed["images"], "kinds": listed["kinds"]}
        read["support_features"], step = features(support_subset(support.name), listed["images"])
        yield step
        if entry.scores_support:
            read["support_scores"] = folder / "labelled" / f"{support.name}.{entry.method}.h5"
            method = settings.methods[entry.method]
            assert not method.fitted_roles
            assert method.backbone == entry.backbone
            named = {**place, "support": support.name, "method": entry.method}
            scored = {"scores": read["support_scores"]}
            asked = _texts(settings, entry.method, category, folder).outputs if method.texts else {}
            scoring = {"test": read["support_features"], **asked}
            yield Step("score_images", scoring, scored, method.stage_config(), named)
    split = folder / "splits" / f"{name}.csv"
    drawing = {"source": entry.support, "options": entry.drawing}
    yield Step("draw_support", {**drawn_from, "images": images}, {"split": split}, drawing, here)
    read["features"], step = features("test", images)
    yield step
    if entry.method:
        read["scores"] = folder / "scores" / f"{entry.method}.h5"
    if entry.refiner:
        read["masks"] = folder / "masks" / f"{entry.method}.{entry.refiner}.h5"
    if entry.regions == "ground truth":
        read["masks"] = folder / "masks" / "truth.h5"
        yield Step("outline_truth", {"manifest": folder / "manifest.csv"}, {"masks": read["masks"]}, {}, place)
    classified = folder / "classification" / f"{name}.h5"
    yield Step("classify_images", {**read, "split": split}, {"classified": classified}, entry.stage_config(), here)
    measured = {"metrics": folder / "metrics" / "classification" / f"{name}.json"}
    known = {"manifest": folder / "manifest.csv", "classified": classified}
    cfg = {"backbone": entry.backbone, "options": settings.evaluation.parameters()}
    yield Step("evaluate_classes", known, measured, cfg, here)


def _measured(settings: Settings, folder: Path, name: str) -> dict[str, Path]:
    draws = {"draws": folder / "draws" / f"{name}.h5"} if settings.measurable.is_labelled else {}
    return {"metrics": folder / "metrics" / f"{name}.json", **draws}


class _Named(dict):
    """What Snakemake's named lists offer to the scripts: attributes, and items; iterated, all files in one row."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __iter__(self) -> Iterator[str]:
        for value in self.values():
            yield from value if isinstance(value, list) else [value]


def _execute(step: Step) -> None:
    snakemake = SimpleNamespace(
        rule=step.script,
        input=_Named({name: _text(value) for name, value in step.inputs.items()}),
        output=_Named({name: str(path) for name, path in step.outputs.items()}),
        params=SimpleNamespace(cfg=json.dumps(step.cfg), code="{}", suitability=step.suitability),
        wildcards=SimpleNamespace(**step.wildcards),
        resources=_Named(RESOURCES),
        threads=1,
        log=["results/log/job.log"],
    )
    runpy.run_path(str(REPOSITORY / "workflow_scripts" / f"{step.script}.py"), {"snakemake": snakemake})


def _text(value: Any) -> Any:
    return [str(path) for path in value] if isinstance(value, list) else str(value)


def _without_times(table: Path) -> str:
    if table.suffix == ".sha256":
        lines = table.read_text(encoding="utf-8").splitlines()
        return "\n".join(line for line in lines if not line.endswith("  images.csv"))
    if table.name != "images.csv":
        return table.read_text(encoding="utf-8")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = [{column: cell for column, cell in row.items() if column != TIMED} for row in csv.DictReader(stream)]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else [])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def without_provenance(path: Path) -> str:
    """The content of a file of JSON but for its provenance."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps({key: value for key, value in document.items() if key != "provenance"}, sort_keys=True)


def _digest(path: Path) -> str:
    """SHA-256 of everything in a result file but times."""
    digest = hashlib.sha256()
    with h5py.File(path) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in sorted(set(names) - {TIMED}):
            content = file[name].asstr()[:].tolist() if h5py.check_string_dtype(file[name].dtype) else file[name][:]
            digest.update(f"{name}: {content if isinstance(content, list) else content.tobytes().hex()}".encode())
    return digest.hexdigest()


@contextmanager
def _logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    try:
        yield
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            if handler not in handlers:
                with suppress(OSError):  # as at the end of a process
                    handler.close()
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
        logging.raiseExceptions = raises
        logging.captureWarnings(False)
