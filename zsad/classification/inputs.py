"""Input files of the classification, opened, and checks that they belong together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from zsad.classification.embeddings import EmbeddingOptions
from zsad.classification.splits import TEST, Draw, Shots, SplitRow, check_split, draws_of
from zsad.errors import DataError
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.provenance import contents_sha256, inherited
from zsad.files.scores import ScoreReader
from zsad.files.table_digest import RUN_AGAIN

ORIGIN = ("stage", "setting", "scorer", "refiner")  # keys of the provenance of the inputs
SAME_BACKBONE = ("model", "backbone", "view")  # keys of the provenance of features that must be equal


class Images(NamedTuple):
    """The open files of one source of images.

    Attributes:
        name: ``"test"``, or the name of a support.
    """

    name: str
    features: FeatureReader
    scores: ScoreReader | None
    masks: MaskReader | None

    @classmethod
    def open(cls, stack: ExitStack, name: str, features: Path, scores: Path | None, masks: Path | None) -> Self:
        """Open files, which the stack closes."""
        return cls(
            name,
            stack.enter_context(FeatureReader(features)),
            None if scores is None else stack.enter_context(ScoreReader(scores)),
            None if masks is None else stack.enter_context(MaskReader(masks)),
        )

    def origins(self) -> dict[str, Any]:
        """The origins of features, scores and masks."""
        readers = {"features": self.features, "scores": self.scores, "masks": self.masks}
        return {name: _origin(reader) for name, reader in readers.items() if reader is not None}


def _origin(reader: FeatureReader | ScoreReader | MaskReader) -> dict[str, Any]:
    said = reader.provenance
    return {**inherited(said), **{key: said[key] for key in ORIGIN if key in said}}


def check_asked(
    embedding: EmbeddingOptions,
    regions: str,
    scores: Path | None,
    support_scores: Path | None,
    support_features: Path | None,
    masks: Path | None,
) -> None:
    """Check that the inputs go together, as a valid configuration guarantees.

    Raises:
        ValueError: they do not.
    """
    if (embedding.kind == "image") != (regions == "image"):
        raise ValueError(f"an embedding of '{embedding.kind}' does not go with regions '{regions}'")
    if regions == "image" and any(path is not None for path in (scores, support_scores, masks)):
        raise ValueError("an embedding of the whole image reads no scores and masks")
    if (regions == "predicted" and scores is None) or (regions == "ground truth" and masks is None):
        raise ValueError(f"neither scores nor masks are given for the regions '{regions}'")
    if support_features is None and support_scores is not None:
        raise ValueError("there are scores of examples without features")
    if support_features is not None and (masks is not None or (scores is None) != (support_scores is None)):
        raise ValueError("the regions of examples beside the data set must be found like those of the images")


def source_of(rows: Sequence[SplitRow]) -> str:
    """The name of the support that lies beside the data set; empty if the split names none."""
    return next((row.source for row in rows if row.source != TEST), "")


def check_images_of_split(split: Path, rows: Sequence[SplitRow], sources: Sequence[Images]) -> None:
    """Check that a split and the features are of the same images, as far as both record their contents.

    Raises:
        DataError: it is not.
    """
    features = {source.name: source.features for source in sources}
    other = next((row for row in rows if row.source not in features), None)
    if other is not None or "" in features:
        name = next((source.features.path for source in sources if source.name != TEST), features[TEST].path)
        named = "no examples beside the test images" if other is None else f"examples of '{other.source}'"
        raise _stale(split, name, f"it names {named}")
    for source, reader in features.items():
        for seed in sorted({row.seed for row in rows}):
            contents = {row.image_id: row.sha256 for row in rows if row.source == source and row.seed == seed}
            strangers = contents.keys() - set(reader.image_ids)
            missing = set(reader.image_ids) - contents.keys()
            if unmatched := min(strangers | missing if source == TEST else strangers, default=None):
                raise _stale(split, reader.path, f"{unmatched} is only in one of them")
            known = reader.provenance.get("contents_sha256")
            if not missing and known not in (None, contents_sha256(contents)):
                raise _stale(split, reader.path, "an image was replaced by another of the same name")


def _stale(split: Path, features: Path, reason: str) -> DataError:
    return DataError(f"{split} is not a split of the images in {features} ({reason}); delete both and run again")


def check_together(sources: Sequence[Images]) -> None:
    """Check that examples beside the data set were processed like the test images.

    Raises:
        DataError: they come from another backbone or another method.
    """
    test = sources[0]
    for other in sources[1:]:
        one, two = test.features, other.features
        known = [key for key in SAME_BACKBONE if key in one.provenance and key in two.provenance]
        is_same = all(one.provenance[key] == two.provenance[key] for key in known)
        if (one.layers, one.channels, one.cls_source) != (two.layers, two.channels, two.cls_source) or not is_same:
            raise DataError(f"{two.path} and {one.path} come from different backbones; delete both and run again")
        if test.scores is None or other.scores is None:
            continue
        methods = [scores.provenance.get("scorer") for scores in (test.scores, other.scores)]
        if None not in methods and methods[0] != methods[1]:
            raise DataError(
                f"{other.scores.path} and {test.scores.path} come from different methods; delete both and run again"
            )


def check_draws(split: Path, rows: Sequence[SplitRow], shots: Sequence[Shots]) -> list[Draw]:
    """The samples of a split.

    Raises:
        DataError: it contradicts itself, or has too few examples.
    """
    try:
        check_split(rows)
    except ValueError as error:
        raise DataError(f"{split} is not a split of a classifier ({error}); {RUN_AGAIN}") from None
    if ambiguous := _under_two_kinds(rows):
        raise DataError(f"{split} is not a split of a classifier (it shows {ambiguous} under two kinds); {RUN_AGAIN}")
    return draws_of(rows, shots)


def _under_two_kinds(rows: Sequence[SplitRow]) -> str:
    """An image whose kind differs between seeds; empty if there is none."""
    kind_of: dict[tuple[str, str], str] = {}
    shown = (row for row in rows if row.kind)
    return next(
        (row.image_id for row in shown if kind_of.setdefault((row.source, row.image_id), row.kind) != row.kind), ""
    )
