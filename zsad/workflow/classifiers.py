"""The resolved classifiers of a configuration, with the labelled examples that they learn from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from zsad.classification.draws import DrawOptions, check_left_out
from zsad.classification.registry import CLASSIFIERS
from zsad.classification.splits import TEST
from zsad.data.demo.plan import defect_counts
from zsad.data.kinds import kind_of
from zsad.data.layouts.base import GOOD
from zsad.data.subsets import FeatureSet, support_subset
from zsad.errors import ConfigError, nearest_hint
from zsad.names import NO_REFINER
from zsad.scoring.registry import SCORERS
from zsad.workflow.entries import GROUND_TRUTH, ClassifierEntry, MethodEntry, SupportEntry
from zsad.workflow.references import Models
from zsad.workflow.schema import Config
from zsad.workflow.sections import ConfiguredClassifier

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset

THUMBNAILS = "thumbnails"  # a file beside the scores of examples, which are named after their method
BATCH = "zero-shot-batch"  # the setting of methods that compare the images of a batch with each other
DRAWING = tuple(DrawOptions.model_fields)  # keys that a sample depends on


def support_entries(config: Config, classifiers: Mapping[str, ClassifierEntry]) -> dict[str, SupportEntry]:
    """The supports of the classifiers in use, by name."""
    used = {entry.support for entry in classifiers.values()}
    return {
        name: SupportEntry(name, source)
        for name, source in config.supports.items()
        if source is not None and name in used
    }


def classifier_entries(
    config: Config, models: Models, methods: Mapping[str, MethodEntry], refiners: Collection[str]
) -> dict[str, ClassifierEntry]:
    """The classifiers that are not switched off, by name; their backbones are added to ``models``.

    Args:
        methods: all configured methods, whether they can run or not.
        refiners: the names of the refiners in use.

    Raises:
        ConfigError: a name that does not exist, a wrong parameter, or an invalid combination.
    """
    supports = {name for name, source in config.supports.items() if source is not None}
    if TEST in config.supports:
        raise ConfigError(f"a support cannot be called '{TEST}', which stands for the test images; rename it")
    entries = {name: entry for name, entry in config.classifiers.items() if entry is not None}
    return {name: _classifier(name, entry, models, methods, refiners, supports) for name, entry in entries.items()}


def check_truth(classifiers: Mapping[str, ClassifierEntry], data: Dataset) -> None:
    """Reject classifiers that need labels or masks which the data set is known not to have.

    Raises:
        ConfigError: there is one; it names the first category without them.
    """
    for name, entry in classifiers.items():
        if not entry.is_drawn_from_tests:
            continue
        for category, truth in zip(data.categories if data.is_here else [""], data.truths(), strict=True):
            place = f"category '{category}'" if category else "the data set"
            if not truth.is_labelled:
                raise ConfigError(
                    f"classifiers.{name} takes its examples from the test images, but {place} has no labels; add "
                    "labels, or give labelled images under 'supports'"
                )
            if entry.masks == GROUND_TRUTH and not truth.masks:
                raise ConfigError(
                    f"classifiers.{name}.masks is '{GROUND_TRUTH}', but {place} has no ground-truth masks; name a "
                    f"refiner, or '{NO_REFINER}'"
                )


def check_supports(supports: Mapping[str, SupportEntry], data: Dataset) -> None:
    """Reject supports whose examples are missing or invalid.

    Raises:
        ConfigError, DataError: see `SupportSource.check`.
    """
    for name, entry in supports.items():
        entry.source.check(name, data.categories if data.is_here else ())


def check_kinds_left_out(
    classifiers: Mapping[str, ClassifierEntry], supports: Mapping[str, SupportEntry], data: Dataset
) -> None:
    """Reject kinds to leave out that are known to be in no category.

    Raises:
        ConfigError: there is one.
    """
    for name, entry in classifiers.items():
        if entry.drawing["leave_out"] and data.is_here:
            kinds = {kind for category in data.categories for kind in _known_kinds(entry, supports, data, category)}
            check_left_out(entry.drawing["leave_out"], kinds, f"classifiers.{name}.leave_out")


def _known_kinds(
    entry: ClassifierEntry, supports: Mapping[str, SupportEntry], data: Dataset, category: str
) -> set[str]:
    """The kinds of the images that a classifier's examples may be taken from, by folders and tables."""
    if not entry.is_drawn_from_tests:
        return {example.kind for example in supports[entry.support].source.items(category)}
    if data.is_demo:
        return {GOOD, *defect_counts(category, data.demo_options)}
    items = [item for item in data.items(category) if item.split == "test" and item.label is not None]
    only_masks_tell = any(item.label == "mask" for item in items)
    return {kind_of(item) for item in items} | ({GOOD} if only_masks_tell else set())


def support_features(classifier: ClassifierEntry, methods: Mapping[str, MethodEntry]) -> set[tuple[str, FeatureSet]]:
    """Backbone and images of the features that a classifier reads, or that its examples' maps are computed from."""
    read = {(classifier.backbone, FeatureSet(TEST))}
    if classifier.is_drawn_from_tests:
        return read
    subset = support_subset(classifier.support)
    read.add((classifier.backbone, FeatureSet(subset)))
    if classifier.scores_support:
        method = methods[classifier.method]
        read |= {(method.backbone, features) for features in scored_features(method, subset).values()}
    return read


def scored_features(method: MethodEntry, subset: str) -> dict[str, FeatureSet]:
    """The features of a subset that a method scores instead of the test images, by role."""
    return {
        role: features._replace(subset=subset)
        for role, features in method.feature_sets.items()
        if role not in method.fitted_roles
    }


def _classifier(
    name: str,
    entry: ConfiguredClassifier,
    models: Models,
    methods: Mapping[str, MethodEntry],
    refiners: Collection[str],
    supports: Collection[str],
) -> ClassifierEntry:
    where = f"classifiers.{name}"
    classifier = CLASSIFIERS.build(entry.classifier, entry.params, where=f"{where}.params")
    _check_support(entry, supports, where)
    _check_region(entry, methods, refiners, where)
    if entry.method is not None and entry.support != TEST:
        _check_scores_examples(entry, methods[entry.method], where)
    _check_sets(entry, where)
    return ClassifierEntry(
        name=name,
        classifier=entry.classifier,
        params=classifier.parameters(),
        backbone=models.backbone(entry.backbone, where),
        embedding={"kind": entry.embedding, "layers": entry.layers and list(entry.layers)},
        method=entry.method or "",
        masks=entry.masks,
        support=entry.support,
        drawing={key: getattr(entry, key) for key in DRAWING},
        probabilities=entry.probabilities.parameters(),
        conformal=entry.conformal.parameters(),
    )


def _check_support(entry: ConfiguredClassifier, supports: Collection[str], where: str) -> None:
    known = [TEST, *supports]
    if entry.support not in known:
        raise ConfigError(
            f"{where}.support '{entry.support}' is not among the supports{nearest_hint(entry.support, known)}"
        )
    if entry.support == TEST and "all" in entry.shots:
        raise ConfigError(
            f"{where}.shots cannot be all with support: {TEST}, since no test image would be left to classify; give "
            "numbers, e.g. [1, 5]"
        )


def _check_region(
    entry: ConfiguredClassifier, methods: Mapping[str, MethodEntry], refiners: Collection[str], where: str
) -> None:
    """Reject a method or masks that do not exist, or that do not fit the embedding."""
    if entry.method is not None:
        _check_method(entry.method, methods, where)
    known = [*refiners, NO_REFINER, GROUND_TRUTH]
    if entry.masks == GROUND_TRUTH and GROUND_TRUTH in refiners:
        raise ConfigError(
            f"{where}.masks: '{GROUND_TRUTH}' stands for the ground-truth masks; rename the refiner with this name"
        )
    if entry.masks not in known:
        raise ConfigError(f"{where}.masks '{entry.masks}' is not among the refiners{nearest_hint(entry.masks, known)}")
    if entry.embedding == "image":
        if entry.method is not None or entry.masks != NO_REFINER:
            key = "masks" if entry.method is None else "method"
            raise ConfigError(f"{where}: embedding: image uses no region; remove '{key}', or set embedding: region")
        return
    if entry.masks == GROUND_TRUTH:
        if entry.support != TEST:
            raise ConfigError(
                f"{where}: masks: {GROUND_TRUTH} requires support: {TEST}, since examples outside of the data "
                f"set have no masks; set masks: {NO_REFINER}"
            )
        return
    if entry.method is None:
        outlined = "" if entry.masks == NO_REFINER else f", whose maps '{entry.masks}' outlines"
        raise ConfigError(
            f"{where}: embedding: {entry.embedding} needs a method that localises the defect{outlined}; add "
            f"'method' (there are: {', '.join(methods)}), or set embedding: image"
        )
    if entry.masks != NO_REFINER and entry.support != TEST:
        raise ConfigError(
            f"{where}: masks of '{entry.masks}' exist only for test images, but examples need the same kind of "
            f"masks; set masks: {NO_REFINER}, or support: {TEST}"
        )


def _check_method(name: str, methods: Mapping[str, MethodEntry], where: str) -> None:
    if name not in methods:
        seeded = [method.name for method in methods.values() if method.group == name]
        if seeded:
            raise ConfigError(f"{where}.method '{name}' has several seeds; name one of them, e.g. '{seeded[0]}'")
        raise ConfigError(f"{where}.method '{name}' is not among the methods{nearest_hint(name, methods)}")
    if not localises(name, methods):
        raise ConfigError(
            f"{where}.method '{name}' does not localise defects, since it scores only images; name one that does"
        )


def localises(name: str, methods: Mapping[str, MethodEntry]) -> bool:
    """Whether a method localises defects; a method that reads scores does if any of its members does."""
    entry = methods[name]
    if entry.members:
        return any(localises(member, methods) for member in entry.members)
    return SCORERS.load(entry.scorer).localises


def _check_scores_examples(entry: ConfiguredClassifier, method: MethodEntry, where: str) -> None:
    """Reject a method that cannot score images one by one, apart from the test images."""
    if method.members:
        what = "a modulation" if method.refiner else "a fusion"
        reason = f"is {what}, which reads the scores of others"
    elif method.description["setting"] == BATCH:
        reason = "compares the images of a batch with each other"
    elif method.name == THUMBNAILS:
        raise ConfigError(f"{where}.method: the name '{THUMBNAILS}' is reserved for supports; rename the method")
    else:
        return
    raise ConfigError(
        f"{where}.method '{method.name}' {reason}, so that maps of examples of '{entry.support}' would differ from "
        "those of test images; name a method that scores each image by itself, or set embedding: image"
    )


def _check_sets(entry: ConfiguredClassifier, where: str) -> None:
    """Reject prediction sets and calibrated probabilities without calibration images."""
    if entry.calibration:
        return
    if entry.conformal.sets == "split":
        raise ConfigError(
            f"{where}: with calibration: 0 there are no images for the thresholds of prediction sets; raise "
            "calibration, or set conformal.sets: cross"
        )
    if entry.probabilities.calibrated != "none":
        raise ConfigError(
            f"{where}: probabilities.calibrated: {entry.probabilities.calibrated} needs calibration images; raise "
            "calibration, or set it to none"
        )
