"""Interface of methods: parameters, required images, and scores of the test images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np

from zsad.data.subsets import FeatureSet
from zsad.errors import DataError
from zsad.registry import Choice
from zsad.scoring.cost import VALUE, TokenCount
from zsad.scoring.tokens import layer_refusal

if TYPE_CHECKING:
    from zsad.scoring.compute import Compute
    from zsad.scoring.token_source import TokenSource

SAM = "sam"  # the value of a scorer's ``foreground`` that uses masks of the foreground object


@dataclass(frozen=True)
class ImageScore:
    """Result of a scorer for one image.

    Attributes:
        index: position of the image among the test images.
        anomaly_map: float ``[row, column]`` on the image's patch grid; greater is more anomalous, and comparable
            between the images of a category (never normalised image by image). None from a scorer that does not
            localise.
        note: a remark that the tables show, e.g. ``"not symmetric"``; usually empty.
        image_score: from a scorer that does not localise, or that also scores whole images; otherwise None until it is
            computed from the map.
    """

    index: int
    anomaly_map: np.ndarray | None
    note: str = ""
    image_score: float | None = None


class Shown(NamedTuple):
    """Facts about the images of a role, known before features exist.

    Attributes:
        image_ids: each view of an image counts separately.
        grids: rows and columns of the patch grid of each.
        layers: names of the layers of the features; None if unknown.
        channels: width of a token.
    """

    image_ids: Sequence[str]
    grids: Sequence[tuple[int, int]]
    layers: Sequence[str] | None
    channels: int

    @classmethod
    def of(cls, reader: TokenSource, indices: Sequence[int] | None = None) -> Self:
        """The images of a file, or some of them."""
        indices = range(len(reader)) if indices is None else indices
        grids = reader.grid_sizes.tolist()
        return cls(
            [reader.image_ids[index] for index in indices],
            [tuple(grids[index]) for index in indices],
            reader.layers,
            reader.channels,
        )

    def only(self, indices: Sequence[int]) -> Self:
        """Some of the images."""
        return self._replace(
            image_ids=[self.image_ids[index] for index in indices], grids=[self.grids[index] for index in indices]
        )

    @property
    def patches(self) -> int:
        """Of all images."""
        return sum(rows * columns for rows, columns in self.grids)


FEWEST_COMPARED = 2  # fewest test images of a method that compares them


class Needs(NamedTuple):
    """The fewest images of a category that a method requires.

    Attributes:
        test: test images.
        train: normal training images, as it is configured.
        least_train: training images for the smallest possible configuration; 0 without references.
    """

    test: int = 1
    train: int = 0
    least_train: int = 0


class Method(Choice):
    """Base class of the entries of ``methods`` in the configuration: a `Scorer` of features, or a fusion of methods.

    Class attributes:
        reference: source of the method (paper, section), or a note that it is this project's own.
        blind_to: defects that it misses by its construction; completes "cannot see ...". Empty if not described.
    """

    reference: ClassVar[str]
    blind_to: ClassVar[str] = ""


class Scorer(Method):
    """Base class of scorers. A subclass is one method in one file; its fields are the parameters.

    Class attributes:
        localises: whether it gives anomaly maps, or only image scores.
        fitted_roles: the roles of `feature_sets` that are replaced by a model fitted to them.
        text_role: the role of `feature_sets` whose `TokenSource.texts` it reads, by its parameter ``text_prompts``;
            empty if it reads no texts.
        reads_windows: whether it reads the layers that hold windows of an image, see `zsad.grids.WINDOW`.
    """

    localises: ClassVar[bool] = True
    fitted_roles: ClassVar[tuple[str, ...]] = ()
    text_role: ClassVar[str] = ""
    reads_windows: ClassVar[bool] = False

    @property
    @abstractmethod
    def setting(self) -> str:
        """The setting: ``zero-shot-single``, ``zero-shot-batch``, ``few-shot-K``, ...; see `zsad.names`."""

    @property
    def wants_foreground(self) -> bool:
        """Whether it reads masks of the foreground object from a promptable segmentation model."""
        return getattr(self, "foreground", None) == SAM

    @property
    def own_image_scores(self) -> bool:
        """Whether it computes image scores itself, not from its maps."""
        return not self.localises

    def learned_files(self) -> dict[str, str]:
        """Files of published weights that it reads for scoring, by their parameters."""
        return {}

    @abstractmethod
    def feature_sets(self) -> dict[str, FeatureSet]:
        """The features it reads, by role; the role ``"test"`` is always there."""

    def needs(self, *, scores_references: bool = False) -> Needs:
        """The fewest images of a category that it can score.

        Args:
            scores_references: whether its threshold rule needs scores of the references.
        """
        return Needs()

    @abstractmethod
    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield the score of every test image, each once, in any order.

        Args:
            features: open feature files, by the roles of `feature_sets`; read image by image or block by block.
            compute: device, memory and number format.

        Raises:
            DataError: too few images for the method.
        """

    def refusal(self, images: Mapping[str, Shown], *, scores_references: bool = False) -> str:
        """A sentence on why it cannot score such images; empty if it can.

        It is called before any feature is computed, and again in `score`.

        Args:
            images: by the roles of `feature_sets`.
            scores_references: see `needs`.
        """
        wanted = getattr(self, "layers", None) or ()
        known = [shown.layers for shown in images.values() if shown.layers is not None]
        return next(filter(None, (layer_refusal(layer, names) for names in known for layer in wanted)), "")

    def check(self, features: Mapping[str, TokenSource]) -> None:
        """Reject feature files that it cannot score.

        Raises:
            DataError: see `refusal`.
        """
        if reason := self.refusal({role: Shown.of(reader) for role, reader in features.items()}):
            raise DataError(reason)

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Approximate number of multiplications and additions of scoring; see `zsad.scoring.cost`.

        Args:
            tokens: tokens to read, by the roles of `feature_sets`.
        """
        return VALUE * sum(count.values for count in tokens.values())

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of tables and blocks with unlimited memory; with less memory they are smaller."""
        return 0.0

    def rescored(self, image_scores: np.ndarray, features: Mapping[str, TokenSource]) -> np.ndarray:
        """Re-score the image scores, float64 ``[image]``, using all images together; in the same unit."""
        return image_scores

    def score_references(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        """Yield a score of every reference image, as if it were a test image and not a reference.

        Only scorers with references implement it; see `zsad.scoring.references`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no references")
