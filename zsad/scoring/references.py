"""Scorers that fit something to good reference images, and score each test image by it alone."""

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
REFERENCES: Final = "references"  # the role of the images that it is fitted to
SYNTHETIC: Final = "synthetic"  # that of images made from these, with anomalies in them
FOLDS = 5  # of cross-fitting, where there are that many references and a fit is cheap


def _shots(value: Any) -> Any:
    """Read a number of references or ``all``, so that anything else gets one sentence and not one for each type."""
    if value == ALL or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if isinstance(value, str) and value.isdecimal() and int(value) >= 1:
        return int(value)
    raise ValueError(f"it must be a number of at least 1, or '{ALL}'")


Shots = Annotated[
    int | Literal["all"],
    BeforeValidator(_shots),
    Field(description="Number of reference images, drawn from the training images; 'all' takes every one."),
]


PUBLISHED_TURNS = ("anomalydino", "subspacead")  # papers whose code turns references in a way of its own


def _rotations(value: Any) -> Any:
    """Read a yes, a no or a paper's name, so that anything else gets one sentence and not one for each type."""
    if isinstance(value, bool) or value in PUBLISHED_TURNS:
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"it must be true, false, {' or '.join(map(repr, PUBLISHED_TURNS))}")


Rotations = Annotated[
    bool | Literal["anomalydino", "subspacead"],
    BeforeValidator(_rotations),
    Field(
        description="Turn each reference by 0, 45, ... 315 degrees as well: true; 'anomalydino' for turns half a pixel "
        "off the middle, as in its code; 'subspacead' for 30 random angles with black corners, as in its code."
    ),
]


class ReferenceScorer(Scorer):
    """Base of few-shot and full-shot scorers; a subclass says what is fitted, and how an image is scored by it.

    A subclass with a field ``rotations`` that is true gets each reference at eight angles, or as the paper that it
    names, see `Rotations`.

    Class attributes:
        folds: of cross-fitting, by which the references are scored: so many more fits, where there are as many
            references.
    """

    fitted_roles: ClassVar[tuple[str, ...]] = (REFERENCES,)
    folds: ClassVar[int] = FOLDS

    shots: Shots = 1
    seed: int = Field(0, ge=0, description="Seed of the draw; draws of one seed are nested.")
    draw: Literal["random", "consecutive"] = Field(
        "random",
        description="How references are drawn: at random; or, as AnomalyDINO's code, the files by name from number "
        "seed * shots on, consecutive.",
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
        """As many training images as references are drawn, and no fewer than `fit` takes.

        To score the references, it is fitted without some of them.
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
        """The references are too few, or what `fit_refusal` says of all of them and of every fold."""
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
        """Why it cannot be fitted to some of the references, or not score images by it; empty if it can."""
        return ""

    def check_fit(self, references: TokenSource, indices: Sequence[int]) -> None:
        """Refuse references that it cannot be fitted to.

        Raises:
            DataError: see `fit_refusal`.
        """
        shown = Shown.of(references, indices)
        if reason := self.fit_refusal(shown, shown):
            raise DataError(reason)

    @abstractmethod
    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Any:
        """What is learnt from some of the references.

        Args:
            references: the open feature file of all references.
            indices: positions of those to learn from; with rotations, each reference stands there at every angle.

        Raises:
            DataError: they are too few.
        """

    @abstractmethod
    def score_by(
        self, model: Any, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield the score of each image at ``indices`` of a feature file, in order, by what `fit` returned."""

    @abstractmethod
    def store(self, model: Any, writer: FittedWriter) -> None:
        """Keep what `fit` returned in a model file, array by array."""

    @abstractmethod
    def restore(self, reader: FittedReader, compute: Compute) -> Any:
        """What `store` kept, for `score_by`: the scores are those of what was stored.

        Args:
            reader: stays open as long as the result is used: what does not fit the memory is read from it in pieces.

        Raises:
            DamagedFileError: it holds something else.
        """

    def training(self, model: Any) -> dict[str, Any]:
        """What is to be told of how a model was trained: ``"seed"``, ``"steps"``, ``"weights_sha256"``, ...

        Empty of what is computed and not trained.
        """
        return {}

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield the score of each test image, in order."""
        test, references = features["test"], features["references"]
        model = self.fit(references, range(len(references)), compute)
        yield from self.score_by(model, test, range(len(test)), compute)

    def score_references(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield a score of each reference, as it is, by a fit to others: leave-one-out, or in `folds` folds if more.

        Raises:
            DataError: there is only one reference.
        """
        reader = features["references"]
        if reason := _too_few_to_score(_owners(reader.image_ids)):
            raise DataError(reason)
        for fitted, scored in _folds(reader.image_ids, self.folds):
            yield from self.score_by(self.fit(reader, fitted, compute), reader, scored, compute)


def _owners(image_ids: Sequence[str]) -> list[str]:
    """The images that are shown, each once however often it is turned."""
    return list(dict.fromkeys(map(base_id, image_ids)))


def _too_few_to_score(references: Sequence[str]) -> str:
    if len(references) >= 2:
        return ""
    return (
        f"a threshold from references needs at least 2 of them, and there is {len(references)}; raise 'shots' or "
        "choose another threshold rule"
    )


def _folds(image_ids: Sequence[str], most: int) -> Iterator[tuple[list[int], list[int]]]:
    """Positions of what is fitted to, and of what is scored by that, upright alone: of each image once."""
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
    """How many of at least two references `ReferenceScorer.score_references` fits to where it leaves most out."""
    return references - math.ceil(references / min(folds, references))
