"""The commands that list methods, models and data sets."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from zsad.classification.registry import CLASSIFIERS
from zsad.columns import aligned
from zsad.data.catalogue import DatasetFacts, datasets
from zsad.data.layouts.registry import LAYOUTS
from zsad.data.packages import verified
from zsad.deciding.base import ThresholdRule
from zsad.deciding.registry import THRESHOLDS
from zsad.exporting.registry import FORMATS
from zsad.features.base import NamedModel
from zsad.features.registry import BACKBONES
from zsad.inspecting.verdict import FIXED, SUITABLE
from zsad.refinement.registry import MODULATIONS, REFINERS
from zsad.registry import Choice, Options, Registry
from zsad.scoring.registry import FUSIONS, SCORERS
from zsad.segmentation.catalogue import MODELS as SEGMENTATION_MODELS
from zsad.segmentation.catalogue import SegmenterFacts
from zsad.segmentation.registry import SEGMENTERS
from zsad.workflow.sections import ConfiguredClassifier

BACKBONE_COLUMNS = ("name", "hub id or package", "size", "GB", "licence", "gated", "patch", "px", "texts", "cached")
SEGMENTER_COLUMNS = ("name", "hub id or file", "family", "size", "GB", "licence", "gated", "px", "cached")
DATASET_COLUMNS = ("name", "title", "categories", "train", "test", "GB", "licence")
FLOAT32_BYTES = 4
NUMBER_COLUMNS = ("categories", "train", "test", "size", "GB", "patch", "px")


def show_methods(_: argparse.Namespace) -> None:
    """Print the scorers, threshold rules, refiners and export formats, with their parameters."""
    listed: dict[str, Registry[Choice]] = {
        "Scorers": SCORERS,
        "Scorers of other methods' scores": FUSIONS,
        "Scorers of a method's map and a refiner's masks": MODULATIONS,
        "Thresholds": THRESHOLDS,
        "Refiners": REFINERS,
        "Export formats": FORMATS,
    }
    for title, registry in listed.items():
        print(f"{title}\n")
        _show(registry)


def show_classifiers(_: argparse.Namespace) -> None:
    """Print the classifiers of defect types with their parameters, and the sections that all of them share."""
    print("Classifiers of defect types\n")
    _show(CLASSIFIERS)
    print("Sections of every classifier\n")
    for name, field in ConfiguredClassifier.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            print(f"  {name}: {field.description}")
            _show_parameters(field.annotation)
            print()


def show_backbones(options: argparse.Namespace) -> None:
    """Print the published models and the families of backbones."""
    families = [BACKBONES.load(name) for name in BACKBONES.names()]
    cached = {model.name: family.has(model.name) for family in families for model in family.models()}
    models = [model for family in families for model in family.models()]
    if options.json:
        return _print_json(models, cached, BACKBONES)
    _show_models(
        [BACKBONE_COLUMNS, *(_backbone_row(model, cached[model.name]) for model in models)],
        "px is the default short side of the image",
        BACKBONES,
        "Texts are encoded by a model's own text tower, or by that of a head (dino.txt), whose file must be given.",
        "Pixels are normalised by a checkpoint's preprocessor_config.json; without one, by the default of its family.",
    )


def show_segmenters(options: argparse.Namespace) -> None:
    """Print the published segmentation models and their families."""
    from zsad.segmentation.weights import is_cached

    models = SEGMENTATION_MODELS.values()
    cached = {facts.name: is_cached(facts) for facts in models}
    if options.json:
        return _print_json(models, cached, SEGMENTERS)
    _show_models(
        [SEGMENTER_COLUMNS, *(_segmenter_row(facts, cached[facts.name]) for facts in models)],
        "px is the side of the square to which an image is resized",
        SEGMENTERS,
    )


def show_datasets(options: argparse.Namespace) -> None:
    """Print the published data sets, and the layouts with their parameters."""
    if options.json:
        listed = [{"name": name, **facts.model_dump()} for name, facts in datasets().items()]
        print(json.dumps({"datasets": listed, "layouts": _described(LAYOUTS)}, indent=1, ensure_ascii=False))
        return
    print("Published data sets\n")
    for line in aligned([DATASET_COLUMNS, *map(_dataset_row, datasets(), datasets().values())], NUMBER_COLUMNS):
        print(f"  {line}")
    print("\nGB is the size of the download. With `dataset: {layout: NAME}` the run downloads and unpacks a data set;")
    print("`zsad download NAME` does so in advance. For data sets 'by hand', the notes below say where to get the")
    print("files and where to put them. A package is installed with the command below; its data set is not copied.\n")
    for name, facts in datasets().items():
        print(f"  {name}: {facts.citation}")
        comes = (f"package: {verified(facts.package)} (`{facts.package.command}`)",) if facts.package else ()
        for line in (facts.homepage, f"licence: {facts.licence}", *comes, *facts.notes):
            print(f"    {line}")
    print("\nLayouts\n")
    _show(LAYOUTS)


def _dataset_row(name: str, facts: DatasetFacts) -> tuple[str, ...]:
    counts = [counts for counts in facts.categories.values() if counts]
    sizes = [archive.size for archive in facts.archives]
    return (
        name,
        facts.title,
        str(len(facts.categories)),
        _total([count.train for count in counts]),
        _total([count.test for count in counts]),
        _way(facts) or _total(sizes, lambda size: f"{size / 1e9:.1f}"),
        facts.licence.partition(" (")[0].partition(":")[0].partition(";")[0],
    )


def _way(facts: DatasetFacts) -> str:
    """How to get a data set that is not downloaded."""
    if facts.package:
        return "package"
    return "by hand" if facts.is_by_hand else ""


def _total(numbers: Sequence[int | None], text: Callable[[int], str] = str) -> str:
    """The sum of some numbers; ``?`` if one of them is unknown."""
    known = [number for number in numbers if number is not None]
    return text(sum(known)) if known and len(known) == len(numbers) else "?"


class Described(Protocol):
    """Facts about a model: a NamedTuple with its name."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    def _asdict(self) -> dict[str, Any]:
        """All facts by name."""


def _print_json(models: Iterable[Described], cached: Mapping[str, bool], registry: Registry[Choice]) -> None:
    listed = [{**facts._asdict(), "cached": cached[facts.name]} for facts in models]
    print(json.dumps({"models": listed, "families": _described(registry)}, indent=1, ensure_ascii=False))


def _show_models(rows: Sequence[Sequence[str]], pixels: str, registry: Registry[Choice], *notes: str) -> None:
    print("Models\n")
    for line in aligned(rows, NUMBER_COLUMNS):
        print(f"  {line}")
    print(f"\nGB is the size of the weights in float32; {pixels}.")
    print("A gated model needs a hub account that has accepted its licence; `zsad download NAME` downloads a model.")
    for note in notes:
        print(note)
    print("\nFamilies\n")
    _show(registry)


def _backbone_row(model: NamedModel, cached: bool) -> tuple[str, ...]:
    count = model.parameters
    return (
        model.name,
        model.place or "-",
        "?" if count is None else f"{count / 1e6:.1f} M",
        "?" if count is None else f"{count * FLOAT32_BYTES / 1e9:.2f}",
        model.licence or "?",
        "yes" if model.gated else "-",
        "-" if model.patch is None else str(model.patch),
        "-" if model.resolution is None else str(model.resolution),
        model.texts or "-",
        "yes" if cached else "-",
    )


def _segmenter_row(facts: SegmenterFacts, cached: bool) -> tuple[str, ...]:
    return (
        facts.name,
        facts.place,
        facts.family,
        f"{facts.parameters / 1e6:.1f} M",
        f"{facts.gigabytes:.2f}",
        facts.licence,
        "yes" if facts.gated else "-",
        str(facts.side),
        "yes" if cached else "-",
    )


def _described(registry: Registry[Choice]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "summary": choice.summary,
            "parameters": [
                {
                    "name": parameter,
                    "required": field.is_required(),
                    "default": None if field.is_required() else field.default,
                    "description": field.description,
                }
                for parameter, field in choice.model_fields.items()
            ],
        }
        for name, choice in ((name, registry.load(name)) for name in registry.names())
    ]


def _show(registry: Registry[Choice]) -> None:
    for name in registry.names():
        choice = registry.load(name)
        print(f"  {name}: {choice.summary}")
        if reference := getattr(choice, "reference", ""):
            print(f"    source: {reference}")
        if blind_to := getattr(choice, "blind_to", ""):
            print(f"    cannot see: {blind_to}")
        if issubclass(choice, ThresholdRule):
            print(f"    uses: {_evidence_of(choice)}")
        _show_parameters(choice)
        print()


def _show_parameters(choice: type[Options]) -> None:
    for parameter, field in choice.model_fields.items():
        default = "required" if field.is_required() else f"default {field.default!r}"
        print(f"    {parameter} ({default}): {field.description}")


def _evidence_of(rule: type[ThresholdRule]) -> str:
    """The evidence that a threshold rule uses to decide on an image, in words."""
    if rule is THRESHOLDS.load(SUITABLE):
        return "the evidence that is available; also for `zsad inspect --model`"
    if rule is THRESHOLDS.load(FIXED):
        return "only the given values; also as `zsad inspect --model --threshold 0.8`"
    if rule.needs_references:
        return "scores of two or more references; also for `zsad inspect --model`"
    if rule.needs_batch:
        return "all images of a category together; not for `zsad inspect --model`, which decides one by one"
    return "the patches of the images; also for `zsad inspect --model`, for each photograph by itself"
