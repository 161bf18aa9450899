"""The classifiers of a configuration, complete, with the labelled examples that they learn from."""

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
DRAWING = tuple(DrawOptions.model_fields)  # keys that a draw depends on


def support_entries(config: Config, classifiers: Mapping[str, ClassifierEntry]) -> dict[str, SupportEntry]:
    """The supports that classifiers in use learn from, by name."""
    used = {entry.support for entry in classifiers.values()}
    return {
        name: SupportEntry(name, source)
        for name, source in config.supports.items()
        if source is not None and name in used
    }


def classifier_entries(
    config: Config, models: Models, methods: Mapping[str, MethodEntry], refiners: Collection[str]
) -> dict[str, ClassifierEntry]:
    """The classifiers that are not switched off, by name; the backbones that they ask for are entered in ``models``.

    Args:
        methods: all that are configured, whether they can run or not.
        refiners: the names of those that are in use.

    Raises:
        ConfigError: a name that does not exist, a wrong parameter, or what does not go together.
    """
    supports = {name for name, source in config.supports.items() if source is not None}
    if TEST in config.supports:
        raise ConfigError(f"a support cannot be called '{TEST}', which stands for the test images; rename it")
    entries = {name: entry for name, entry in config.classifiers.items() if entry is not None}
    return {name: _classifier(name, entry, models, methods, refiners, supports) for name, entry in entries.items()}


def check_truth(classifiers: Mapping[str, ClassifierEntry], data: Dataset) -> None:
    """Refuse classifiers that learn from labels or masks which the data set is known not to have.

    Raises:
        ConfigError: there is one; it names the first category without.
    """
    for name, entry in classifiers.items():
        if not entry.is_drawn_from_tests:
            continue
        for category, truth in zip(data.categories if data.is_here else [""], data.truths(), strict=True):
            place = f"category '{category}'" if category else "the data set"
            if not truth.is_labelled:
                raise ConfigError(
                    f"classifiers.{name} draws its examples from the test images, and {place} has no labels; give "
                    "them, or labelled images of your own under 'supports'"
                )
            if entry.masks == GROUND_TRUTH and not truth.masks:
                raise ConfigError(
                    f"classifiers.{name}.masks is '{GROUND_TRUTH}', and {place} has no true masks; name a refiner, or "
                    f"'{NO_REFINER}'"
                )


def check_supports(supports: Mapping[str, SupportEntry], data: Dataset) -> None:
    """Refuse supports whose examples are not there, or not as they should be.

    Raises:
        ConfigError, DataError: see `SupportSource.check`.
    """
    for name, entry in supports.items():
        entry.source.check(name, data.categories if data.is_here else ())


def check_kinds_left_out(
    classifiers: Mapping[str, ClassifierEntry], supports: Mapping[str, SupportEntry], data: Dataset
) -> None:
    """Refuse kinds to be left out that are known to be in no category.

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
    """The kinds of the images that a classifier's examples may be drawn from, by places and tables."""
    if not entry.is_drawn_from_tests:
        return {example.kind for example in supports[entry.support].source.items(category)}
    if data.is_demo:
        return {GOOD, *defect_counts(category, data.demo_options)}
    items = [item for item in data.items(category) if item.split == "test" and item.label is not None]
    only_masks_tell = any(item.label == "mask" for item in items)
    return {kind_of(item) for item in items} | ({GOOD} if only_masks_tell else set())


def support_features(classifier: ClassifierEntry, methods: Mapping[str, MethodEntry]) -> set[tuple[str, FeatureSet]]:
    """Backbone and images of the features that a classifier reads, or that maps of its examples are made from."""
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
    """The features of a subset that a method scores in place of those of the test images, by role."""
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
            f"{where}.shots cannot be all with support: {TEST}, as no test image would be left to classify; give "
            "numbers, e.g. [1, 5]"
        )


def _check_region(
    entry: ConfiguredClassifier, methods: Mapping[str, MethodEntry], refiners: Collection[str], where: str
) -> None:
    """Refuse a method or masks that do not exist, or that do not go with the embedding."""
    if entry.method is not None:
        _check_method(entry.method, methods, where)
    known = [*refiners, NO_REFINER, GROUND_TRUTH]
    if entry.masks == GROUND_TRUTH and GROUND_TRUTH in refiners:
        raise ConfigError(f"{where}.masks: '{GROUND_TRUTH}' stands for the true masks; rename the refiner of this name")
    if entry.masks not in known:
        raise ConfigError(f"{where}.masks '{entry.masks}' is not among the refiners{nearest_hint(entry.masks, known)}")
    if entry.embedding == "image":
        if entry.method is not None or entry.masks != NO_REFINER:
            key = "masks" if entry.method is None else "method"
            raise ConfigError(
                f"{where}: embedding: image looks at no region; leave '{key}' out, or set embedding: region"
            )
        return
    if entry.masks == GROUND_TRUTH:
        if entry.support != TEST:
            raise ConfigError(
                f"{where}: masks: {GROUND_TRUTH} goes with support: {TEST} alone, as examples that lie beside the data "
                f"set have no masks; set masks: {NO_REFINER}"
            )
        return
    if entry.method is None:
        outlined = "" if entry.masks == NO_REFINER else f", whose maps '{entry.masks}' outlines"
        raise ConfigError(
            f"{where}: embedding: {entry.embedding} needs a method, which says where the defect is{outlined}; add "
            f"'method' (there are: {', '.join(methods)}), or set embedding: image"
        )
    if entry.masks != NO_REFINER and entry.support != TEST:
        raise ConfigError(
            f"{where}: masks of '{entry.masks}' are made of test images alone, and examples must be outlined as they "
            f"are; set masks: {NO_REFINER}, or support: {TEST}"
        )


def _check_method(name: str, methods: Mapping[str, MethodEntry], where: str) -> None:
    if name not in methods:
        seeded = [method.name for method in methods.values() if method.group == name]
        if seeded:
            raise ConfigError(f"{where}.method '{name}' stands for several seeds; name one of them, e.g. '{seeded[0]}'")
        raise ConfigError(f"{where}.method '{name}' is not among the methods{nearest_hint(name, methods)}")
    if not localises(name, methods):
        raise ConfigError(
            f"{where}.method '{name}' does not say where a defect is, as it scores images alone; name one that does"
        )


def localises(name: str, methods: Mapping[str, MethodEntry]) -> bool:
    """Whether a method says where a defect is; what reads scores does if any of those does."""
    entry = methods[name]
    if entry.members:
        return any(localises(member, methods) for member in entry.members)
    return SCORERS.load(entry.scorer).localises


def _check_scores_examples(entry: ConfiguredClassifier, method: MethodEntry, where: str) -> None:
    """Refuse a method that cannot score images one by one, apart from the test images."""
    if method.members:
        what = "a modulation" if method.refiner else "a fusion"
        reason = f"is {what}, which reads the scores of others"
    elif method.description["setting"] == BATCH:
        reason = "compares the images of a batch with each other"
    elif method.name == THUMBNAILS:
        raise ConfigError(f"{where}.method: the name '{THUMBNAILS}' is taken beside supports; rename the method")
    else:
        return
    raise ConfigError(
        f"{where}.method '{method.name}' {reason}, so examples of '{entry.support}' would get maps unlike those of "
        "test images; name a method that scores each image by itself, or set embedding: image"
    )


def _check_sets(entry: ConfiguredClassifier, where: str) -> None:
    """Refuse prediction sets and calibrated probabilities for which there are no images."""
    if entry.calibration:
        return
    if entry.conformal.sets == "split":
        raise ConfigError(
            f"{where}: with calibration: 0 there are no images to set the thresholds of prediction sets by; raise "
            "calibration, or set conformal.sets: cross"
        )
    if entry.probabilities.calibrated != "none":
        raise ConfigError(
            f"{where}: probabilities.calibrated: {entry.probabilities.calibrated} needs calibration images; raise "
            "calibration, or set it to none"
        )
