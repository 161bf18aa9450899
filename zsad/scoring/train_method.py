"""The training stage: from features and ground truth of an auxiliary data set to the weights of one method."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from zsad.adaptation.marks import ManifestMarks
from zsad.data.manifest import read_manifest
from zsad.data.subsets import base_id
from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.files.learned import Learned, write_learned
from zsad.files.provenance import library_versions
from zsad.scoring.compute import Compute
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.references import REFERENCES
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import check_same, feature_facts
from zsad.scoring.token_source import LabelledTokens, TokenSource
from zsad.scoring.trained import FEATURES, IMAGES, PARAMS, TrainedScorer

MANIFESTS = "manifests"  # name of the inputs that are not features
OF_FILE = ("weights", "trained_on")  # parameters that select the file to read

logger = logging.getLogger(__name__)


class TrainingFiles(NamedTuple):
    """Training files of one category of the auxiliary data set.

    Attributes:
        name: of the category.
        manifest: with the ground truth.
        features: feature files by the roles of `TrainedScorer.training_sets`.
    """

    name: str
    manifest: Path
    features: Mapping[str, Path]


def training_files(categories: Sequence[str], files: Iterable[tuple[str, Sequence[str]]]) -> list[TrainingFiles]:
    """The training files of each category.

    Args:
        files: by name: manifests (`MANIFESTS`) of all categories, in their order, and their features by role.
    """
    by_name = {name: list(map(Path, paths)) for name, paths in files}
    manifests = by_name.pop(MANIFESTS)
    return [
        TrainingFiles(category, manifest, {role: paths[index] for role, paths in by_name.items()})
        for index, (category, manifest) in enumerate(zip(categories, manifests, strict=True))
    ]


def train_method(
    *, categories: Sequence[TrainingFiles], scorer: TrainedScorer, compute: Compute, output: Path, trained_on: str
) -> Learned:
    """Train a method on the labelled images of all categories of an auxiliary data set, and write the weights.

    The same files, parameters and machine give the same bytes. Nothing of the data set under test is read.

    Args:
        scorer: without weights.
        compute: device, memory and number format.
        output: the file of weights, see `zsad.files.learned`; written whole or not at all.
        trained_on: the name of the auxiliary data set.

    Returns:
        The written weights. Their facts are those of `TrainedScorer.train`, and: ``"method"``, ``"params"``,
        ``"trained_on"``, ``"categories"``, ``"images_sha256"`` (of each image's file, sorted), ``"features"`` (see
        `zsad.scoring.same_features.feature_facts`), ``"grids"`` (rows and columns, each once), ``"seed"`` and
        ``"zsad"``, the version.

    Raises:
        DataError: the features come from different backbones, no image is anomalous or none is normal, a label is
            unknown, or the method cannot learn from them.
    """
    with ExitStack() as stack:
        opened = [_opened(files, scorer, stack) for files in categories]
        learned = learn(opened, _digests(categories, opened), scorer, compute, trained_on)
    write_learned(output, learned)
    return learned


def learn(
    categories: Sequence[AuxiliaryCategory],
    images_sha256: Iterable[str],
    scorer: TrainedScorer,
    compute: Compute,
    trained_on: str,
) -> Learned:
    """Train on categories that are open, without writing a file.

    Args:
        images_sha256: of the file of every image in them.
    """
    sources = [source for category in categories for source in _sources(category)]
    check_same(*sources)
    _check_both(categories, trained_on)
    shown = sum(len(category.images.tokens) for category in categories)
    logger.info("training on %d images of %d categories of %s", shown, len(categories), trained_on)
    found = scorer.train(categories, compute)
    facts = {
        "notes": [],
        **found.facts,
        "method": SCORERS.name_of(scorer),
        PARAMS: {name: value for name, value in scorer.parameters().items() if name not in OF_FILE},
        "trained_on": trained_on,
        "categories": [category.name for category in categories],
        "images_sha256": sorted(set(images_sha256)),
        FEATURES: feature_facts(sources[0]),
        "grids": sorted({tuple(grid) for source in sources for grid in source.grid_sizes.tolist()}),
        "seed": getattr(scorer, "seed", None),
        "zsad": library_versions().get("zsad", ""),
    }
    for note in facts["notes"]:
        logger.warning("%s", note)
    return Learned(found.tensors, facts)


def _opened(files: TrainingFiles, scorer: TrainedScorer, stack: ExitStack) -> AuxiliaryCategory:
    """A category's files, open as long as the stack is.

    Raises:
        DataError: they do not belong together, or a label is unknown.
    """
    wanted = scorer.training_sets()
    if files.features.keys() != wanted.keys():
        raise ValueError(f"the scorer learns from {sorted(wanted)}, but {sorted(files.features)} were given")
    readers = {role: stack.enter_context(FeatureReader(path)) for role, path in files.features.items()}
    images = readers[IMAGES]
    marks = ManifestMarks(files.manifest, [base_id(image_id) for image_id in images.image_ids])
    return AuxiliaryCategory(files.name, LabelledTokens(images, marks), readers.get(REFERENCES))


def _sources(category: AuxiliaryCategory) -> list[TokenSource]:
    return [category.images.tokens, *([] if category.references is None else [category.references])]


def _check_both(categories: Sequence[AuxiliaryCategory], trained_on: str) -> None:
    """Check that there are anomalous and normal images, in any category.

    Raises:
        DataError: there is only one kind.
    """
    labels = {label for category in categories for label in category.images.marks.labels}
    for label, kind in ((1, "anomalous"), (0, "normal")):
        if label not in labels:
            raise DataError(
                f"the auxiliary data set '{trained_on}' has no {kind} test image, but methods learn to distinguish "
                "both kinds; add categories that have some, or choose another data set"
            )


def _digests(categories: Sequence[TrainingFiles], opened: Sequence[AuxiliaryCategory]) -> set[str]:
    """The SHA-256 of the file of every training image.

    Raises:
        DataError: a manifest lacks one.
    """
    digests: set[str] = set()
    for files, category in zip(categories, opened, strict=True):
        known = {record.image_id: record.sha256 for record in read_manifest(files.manifest)}
        for source in _sources(category):
            for image_id in map(base_id, source.image_ids):
                if image_id not in known:
                    raise DataError(f"{files.manifest} does not list {image_id}; delete both files and run again")
                digests.add(known[image_id])
    return digests
