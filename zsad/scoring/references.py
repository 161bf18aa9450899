"""Base class of scorers that are fitted to normal reference images, and score each test image only by the fit."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field

from zsad.data.subsets import FeatureSet, base_id, is_upright, references
from zsad.errors import DataError
from zsad.scoring.base import ImageScore, Needs, Scorer, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.token_source import TokenSource

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

ALL: Final = "all"
REFERENCES: Final = "references"  # the role of the reference images
SYNTHETIC: Final = "synthetic"  # the role of synthetic images made from these
FOLDS = 5  # of cross-fitting, if there are that many references and a fit is fast


def _shots(value: Any) -> Any:
    """Validate a number of references or ``all``, with one message for an invalid value, not one for each type."""
    if value == ALL or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if isinstance(value, str) and value.isdecimal() and int(value) >= 1:
        return int(value)
    raise ValueError(f"it must be a number of at least 1, or '{ALL}'")


Shots = Annotated[
    int | Literal["all"],
    BeforeValidator(_shots),
    Field(description="Number of reference images, sampled from the training images; 'all' uses all of them."),
]


PUBLISHED_TURNS = ("anomalydino", "subspacead")  # papers whose code rotates references in its own way


def _rotations(value: Any) -> Any:
    """Validate true, false or the name of a paper, with one message for an invalid value, not one for each type."""
    if isinstance(value, bool) or value in PUBLISHED_TURNS:
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"it must be true, false, {' or '.join(map(repr, PUBLISHED_TURNS))}")


Rotations = Annotated[
    bool | Literal["anomalydino", "subspacead"],
    BeforeValidator(_rotations),
    Field(
        description="Also rotate each reference by 0, 45, ... 315 degrees: true; 'anomalydino' for rotations half a "
        "pixel off the middle, as in its code; 'subspacead' for 30 random angles with black corners, as in its code."
    ),
]


class ReferenceScorer(Scorer):
    """Base class of few-shot and full-shot scorers; a subclass implements the fit and the scoring.

    A subclass with a field ``rotations`` that is true gets each reference at eight angles, or as in the named paper,
    see `Rotations`.

    Class attributes:
        folds: number of folds of the cross-fitting that scores the references, if there are as many references.
    """

    fitted_roles: ClassVar[tuple[str, ...]] = (REFERENCES,)
    folds: ClassVar[int] = FOLDS

    shots: Shots = 1
    seed: int = Field(0, ge=0, description="Random seed of the sample of references; samples of one seed are nested.")
    draw: Literal["random", "consecutive"] = Field(
        "random",
        description="How references are sampled: random; or consecutive, as AnomalyDINO's code: files in order of "
        "their names from number seed * shots on.",
    )

    @property
    def setting(self) -> str:
        """``few-shot-K`` with ``K = shots``, or ``full-shot`` for all."""
        return "full-shot" if self.shots == ALL else f"few-shot-{self.shots}"

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images and the references."""
        subset = "train" if self.shots == ALL else references(self.shots, self.seed, consecutive=self._is_consecutive)
        turns = getattr(self, "rotations", False)
        view = f"rotations_{turns}" if isinstance(turns, str) else "rotations" if turns else "original"
        return {"test": FeatureSet("test"), "references": FeatureSet(subset, view)}

    def fewest_references(self) -> int:
        """The fewest references that `fit` takes."""
        return 1

    def needs(self, *, scores_references: bool = False) -> Needs:
        """As many training images as there are references, and at least as many as `fit` needs.

        To score the references, the method is fitted without some of them.
        """
        least = self.fewest_references()
        if scores_references:
            least = next(number for number in count(2) if _fewest_in_a_fit(number, self.folds) >= least)
        if self.shots == ALL:
            return Needs(train=least, least_train=least)
        drawn = self.shots * (self.seed + 1 if self._is_consecutive else 1)
        return Needs(train=max(drawn, least), least_train=least)

    @property
    def _is_consecutive(self) -> bool:
        return self.draw == "consecutive"

    def refusal(self, images: Mapping[str, Shown], *, scores_references: bool = False) -> str:
        """A sentence if there are too few references, or that of `fit_refusal` for all of them and every fold."""
        if reason := super().refusal(images):
            return reason
        test, shown = images["test"], images["references"]
        if scores_references and (reason := _too_few_to_score(_owners(shown.image_ids))):
            return reason
        asked = [(shown, test)]
        if scores_references:
            asked += [
                (shown.only(fitted), shown.only(scored)) for fitted, scored in _folds(shown.image_ids, self.folds)
            ]
        return next(filter(None, (self.fit_refusal(fitted, scored) for fitted, scored in asked)), "")

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence on why it cannot be fitted to some references, or not score images by the fit; empty if it can."""
        return ""

    def check_fit(self, references: TokenSource, indices: Sequence[int]) -> None:
        """Reject references that it cannot be fitted to.

        Raises:
            DataError: see `fit_refusal`.
        """
        shown = Shown.of(references, indices)
        if reason := self.fit_refusal(shown, shown):
            raise DataError(reason)

    @abstractmethod
    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Any:
        """Fit the method to some of the references.

        Args:
            references: the open feature file of all references.
            indices: positions of those to fit to; with rotations, all angles of each reference.

        Raises:
            DataError: there are too few.
        """

    @abstractmethod
    def score_by(
        self, model: Any, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield the score of each image at ``indices`` of a feature file, in order, by what `fit` returned."""

    @abstractmethod
    def store(self, model: Any, writer: FittedWriter) -> None:
        """Store the result of `fit` in a model file, array by array."""

    @abstractmethod
    def restore(self, reader: FittedReader, compute: Compute) -> Any:
        """Restore the result of `fit` for `score_by`; the scores are equal.

        Args:
            reader: open as long as the result is used, since large models are read in pieces.

        Raises:
            DamagedFileError: the file holds something else.
        """

    def training(self, model: Any) -> dict[str, Any]:
        """Facts about the training of a model: ``"seed"``, ``"steps"``, ``"weights_sha256"``, ...

        Empty if the model is computed and not trained.
        """
        return {}

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield the score of each test image, in order."""
        test, references = features["test"], features["references"]
        model = self.fit(references, range(len(references)), compute)
        yield from self.score_by(model, test, range(len(test)), compute)

    def score_references(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield a score of each upright reference by a fit to others: leave-one-out, or in `folds` folds if more.

        Raises:
            DataError: there is only one reference.
        """
        reader = features["references"]
        if reason := _too_few_to_score(_owners(reader.image_ids)):
            raise DataError(reason)
        for fitted, scored in _folds(reader.image_ids, self.folds):
            yield from self.score_by(self.fit(reader, fitted, compute), reader, scored, compute)


def _owners(image_ids: Sequence[str]) -> list[str]:
    """The distinct images, each once for all its rotations."""
    return list(dict.fromkeys(map(base_id, image_ids)))


def _too_few_to_score(references: Sequence[str]) -> str:
    if len(references) >= 2:
        return ""
    return (
        f"a threshold from references needs at least 2 of them, but there is {len(references)}; raise 'shots' or "
        "choose another threshold rule"
    )


def _folds(image_ids: Sequence[str], most: int) -> Iterator[tuple[list[int], list[int]]]:
    """Positions of images to fit to, and of images to score by the fit; only upright ones, each image once."""
    owners = list(map(base_id, image_ids))
    names = _owners(image_ids)
    folds = min(most, len(names))
    for fold in range(folds):
        left_out = set(names[fold::folds])
        yield (
            [index for index, owner in enumerate(owners) if owner not in left_out],
            [index for index, owner in enumerate(owners) if owner in left_out and is_upright(image_ids[index])],
        )


def _fewest_in_a_fit(references: int, folds: int) -> int:
    """The smallest number of references that a fit of `ReferenceScorer.score_references` has, of at least two."""
    return references - math.ceil(references / min(folds, references))
