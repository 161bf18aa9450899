"""Estimates of the rules in rules/scoring.smk: from features to maps and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zsad.data.subsets import support_subset
from zsad.features.views import variants
from zsad.resources.estimate import Estimate
from zsad.resources.features import CPU_RATE
from zsad.resources.libraries import PLAIN, SCIKIT_LEARN, with_torch
from zsad.resources.run import Run, scorer_behind
from zsad.resources.tokens import is_network, tokens_of
from zsad.scoring.base import Scorer
from zsad.scoring.cost import VALUE, TokenCount
from zsad.scoring.references import REFERENCES, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.tokens import patch_layers
from zsad.scoring.trained import TrainedScorer
from zsad.workflow.classifiers import scored_features

if TYPE_CHECKING:
    from zsad.workflow.entries import MethodEntry

GPU_RATE = 5e12  # operations per second, in float32; conservative
NETWORK_THREADS = 4  # scoring the wide tokens of a network profits from several
IMAGE_COPIES = 8 * 4  # bytes per value of an image's tokens: read, converted, normalised, and as operands
MAP_BYTES = 64  # per patch: maps as computed, kept and written
MAP_SECONDS = 2e-8  # per patch: written, thresholded
LIBRARIES: Mapping[str, Estimate] = {"gmm": SCIKIT_LEARN}  # for scorers that need more than torch
IMAGE_SECONDS = 2e-3  # per image: finding it in a file


def scoring_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads of a scoring job; with a GPU one thread is enough."""
    backbone = run.settings.backbones[run.settings.methods[names["method"]].backbone]
    return NETWORK_THREADS if is_network(backbone) and not run.on_gpu else 1


def train_method(run: Run, names: Mapping[str, str]) -> Estimate:
    """The scorer's own estimate of its training on all categories of the auxiliary data set."""
    entry = run.settings.methods[names["method"]]
    scorer = SCORERS.build(entry.scorer, entry.params)
    tokens = _training_tokens(run, entry)
    if not isinstance(scorer, TrainedScorer):
        raise ValueError(f"{entry.scorer} does not learn from another data set")
    tables = min(run.settings.scoring.memory_mb, scorer.training_bytes(tokens) / 1e6)
    largest = max((count.image_values for count in tokens.values()), default=0.0)
    operations = scorer.training_operations(tokens)
    return with_torch(on_gpu=run.on_gpu).plus(
        tables + IMAGE_COPIES * largest / 1e6,
        operations / (GPU_RATE if run.on_gpu else CPU_RATE)
        + IMAGE_SECONDS * sum(count.images for count in tokens.values()),
    )


def _training_tokens(run: Run, entry: MethodEntry) -> dict[str, TokenCount]:
    """The training tokens of a method by role, over all auxiliary categories; each image counts as the largest."""
    if run.settings.auxiliary is None:
        raise ValueError(f"{entry.name} has no training data")
    name, backbone = run.settings.auxiliary.name, run.settings.backbones[entry.backbone]
    layers = _layers(run, entry)
    together: dict[str, TokenCount] = {}
    for role, features in entry.training_sets.items():
        counts = [tokens_of(backbone, run.images(category, *features, name)) for category in run.auxiliary_categories]
        if counts:
            images, patches = sum(count.images for count in counts), max(count.patches for count in counts)
            together[role] = counts[0]._replace(images=images, patches=patches, layers=layers)
    return together


def fit_method(run: Run, names: Mapping[str, str]) -> Estimate:
    """A fit to all references, and one per fold, with which the held-out references are scored once each."""
    entry = run.settings.methods[names["method"]]
    scorer = SCORERS.build(entry.scorer, entry.params)
    tokens = scored_tokens(run, names)
    references = tokens[REFERENCES]
    owners = references.images // len(variants(entry.feature_sets[REFERENCES].view))
    scored = {role: tokens[role] for role in entry.fitted_roles}
    scored["test"] = references._replace(images=owners if owners > 1 else 0)
    most = scorer.folds if isinstance(scorer, ReferenceScorer) else 0
    folds = min(most, owners) if owners > 1 else 0
    fit = scorer.operations(_untested(scored))
    return _computed(run, entry.scorer, scorer, scored, (1 + folds) * fit + _compared(scorer, scored))


def score_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """The scorer's own estimate of its products, and of its tables within the limit ``scoring.memory_mb``.

    With a fitted model, the references do not count. The images are the test images, or the examples of a support.
    """
    entry = run.settings.methods[names["method"]]
    scorer = SCORERS.build(entry.scorer, entry.params)
    tokens = scored_tokens(run, names)
    if not entry.fitted_roles:
        return _computed(run, entry.scorer, scorer, tokens, scorer.operations(tokens))
    read = VALUE * tokens[REFERENCES].values
    return _computed(run, entry.scorer, scorer, tokens, read + _compared(scorer, tokens))


def _untested(tokens: Mapping[str, TokenCount]) -> dict[str, TokenCount]:
    """The tokens without images to score."""
    return {**tokens, "test": tokens["test"]._replace(images=0)}


def _compared(scorer: Scorer, tokens: Mapping[str, TokenCount]) -> float:
    """Operations for scoring images with a fitted model."""
    return scorer.operations(tokens) - scorer.operations(_untested(tokens))


def _computed(run: Run, name: str, scorer: Scorer, tokens: Mapping[str, TokenCount], operations: float) -> Estimate:
    """Estimate for a scorer with this number of operations on its input; the maps of ``"test"`` are kept.

    Args:
        name: of the method.
    """
    tables = min(run.settings.scoring.memory_mb, scorer.working_bytes(tokens) / 1e6)
    largest = max(count.image_values for count in tokens.values())
    maps = MAP_BYTES * tokens["test"].images * tokens["test"].patches
    estimate = with_torch(on_gpu=run.on_gpu).plus(
        tables + (IMAGE_COPIES * largest + maps) / 1e6,
        operations / (GPU_RATE if run.on_gpu else CPU_RATE) + IMAGE_SECONDS * tokens["test"].images,
    )
    if name in LIBRARIES:
        estimate = estimate.plus(*LIBRARIES[name])
    return estimate


def fuse_scores(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the maps of all members, image by image."""
    return _of_scores(run, names, members=len(run.settings.methods[names["method"]].members))


def scored_tokens(run: Run, names: Mapping[str, str]) -> dict[str, TokenCount]:
    """The tokens that a method reads, by role; only the layers that it names.

    Args:
        names: with a ``support``, the method scores its examples instead of the test images.
    """
    entry = run.settings.methods[names["method"]]
    backbone, layers = run.settings.backbones[entry.backbone], _layers(run, entry)
    feature_sets = dict(entry.feature_sets)
    if support := names.get("support"):
        feature_sets |= scored_features(entry, support_subset(support))
    tokens = {}
    for role, features in feature_sets.items():
        count = tokens_of(backbone, run.images(names["category"], *features))
        tokens[role] = count._replace(layers=layers)
    return tokens


def _layers(run: Run, entry: MethodEntry) -> int:
    """How many layers a method reads: those that it names, or all that contain its tokens."""
    if chosen := entry.params.get("layers"):
        return len(chosen)
    of_backbone = run.settings.backbones[entry.backbone].backbone.assumed_layout().layers or ()
    return len(of_backbone if SCORERS.load(entry.scorer).reads_windows else patch_layers(of_backbone))


def map_patches(run: Run, method: str, category: str) -> TokenCount:
    """The tokens that correspond to the maps of any method, one layer of one channel."""
    count = tokens_of(run.settings.backbones[scorer_behind(run, method).backbone], run.workload(category).test)
    return count._replace(layers=1, channels=1)


def _of_scores(run: Run, names: Mapping[str, str], members: int) -> Estimate:
    maps = map_patches(run, names["method"], names["category"])
    patches = maps.images * maps.patches * (members + 1)
    return PLAIN.plus(MAP_BYTES * patches / 1e6, IMAGE_SECONDS * maps.images + MAP_SECONDS * patches)
