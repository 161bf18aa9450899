"""Read result files and ground truth: arrays by the name of the image, or by position."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar, overload

import numpy as np

from zsad.data.image_list import of_split
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.deciding.decision import Decision, decision_of
from zsad.errors import DataError, nearest_hint
from zsad.evaluation.ground_truth import has_pixel_ground_truth, pixel_ground_truth
from zsad.files.classified import CALIBRATION, LEFT_OUT, QUERY, SUPPORT, ClassifiedReader
from zsad.files.decisions import DecisionReader
from zsad.files.features import FeatureReader
from zsad.files.masks import MaskReader
from zsad.files.scores import ScoreReader

Value = TypeVar("Value")

ROLES: Mapping[int, str] = MappingProxyType(
    {QUERY: "query", SUPPORT: "support", CALIBRATION: "calibration", LEFT_OUT: "left_out"}
)
UNKNOWN = -1  # label of an unlabelled image


class UnknownImageError(DataError, KeyError):
    """There is no image of this name."""

    def __str__(self) -> str:
        return str(self.args[0])


class Arrays(Sequence[np.ndarray]):
    """Arrays by the positions of their images, each read when it is used.

    Args:
        number: number of images.
        read: reads the array at a position.
    """

    def __init__(self, number: int, read: Callable[[int], np.ndarray]) -> None:
        self._number = number
        self._read = read

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, position: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, position: slice) -> list[np.ndarray]: ...
    def __getitem__(self, position: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(position, slice):
            return [self._read(each) for each in range(self._number)[position]]
        return self._read(range(self._number)[position])


class ByImage(Mapping[str, Value], Generic[Value]):
    """Values of images by their identifiers: a mapping, whose values are read when they are used.

    Attributes:
        image_ids: identifiers in order.
    """

    image_ids: list[str]

    @abstractmethod
    def _value(self, index: int) -> Value:
        """The value of the image at a position."""

    def __getitem__(self, image_id: str) -> Value:
        if image_id not in self._places:
            hint = nearest_hint(str(image_id), self._places, or_all=False)
            raise UnknownImageError(f"there is no image {image_id!r}{hint or '; image_ids lists them all'}")
        return self._value(self._places[image_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self.image_ids)

    def __len__(self) -> int:
        return len(self.image_ids)

    __eq__ = object.__eq__  # comparing two files must not read their arrays
    __hash__ = object.__hash__

    @property
    def _places(self) -> dict[str, int]:
        if not hasattr(self, "_place_of"):
            self._place_of = {image_id: place for place, image_id in enumerate(self.image_ids)}
        return self._place_of


class ArraysByImage(ByImage[np.ndarray]):
    """Arrays by the identifiers of their images."""

    def _arrays(self) -> Arrays:
        return Arrays(len(self.image_ids), self._value)


class Features(FeatureReader, ArraysByImage):
    """An open feature file: patch tokens, float32 ``[layer, row, column, channel]``, by image.

    Further attributes and methods are those of `zsad.files.features.FeatureReader`, such as ``layers``, ``channels``,
    ``grid_sizes``, ``provenance`` and ``cls_tokens()``. It is a context manager, and an argument of `zsad.score`.
    """

    @property
    def tokens(self) -> Arrays:
        """The values in the order of ``image_ids``."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        return self.patch_tokens(index)


class Scores(ScoreReader, ArraysByImage):
    """An open score file: anomaly maps, float32 ``[row, column]`` on their patch grids, by image.

    Further attributes are those of `zsad.files.scores.ScoreReader`, such as ``image_scores``, ``notes`` and
    ``provenance``. Decisions are in another file, see `read_decisions`. It is a context manager.
    """

    @property
    def maps(self) -> Arrays:
        """The values in the order of ``image_ids``."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        return self.anomaly_map(index)


class Decisions(DecisionReader, ByImage[Decision]):
    """An open file of decisions: the decision on each image and its numbers, by image; labels are not used.

    The same as arrays ``[image]``, in the order of ``image_ids``: ``decided``, ``peaks``, ``region``, ``pixel`` and
    ``significance``. Further attributes are those of `zsad.files.decisions.DecisionReader`, such as ``rule``,
    ``nominal``, ``remarks`` and ``provenance``. It is a context manager.
    """

    def _value(self, index: int) -> Decision:
        return decision_of(index, self, self.peaks)


class Nearest(NamedTuple):
    """The most similar example of a kind.

    Attributes:
        source: ``"test"`` for a test image, or the name of its support.
        image_id: identifier in the list of images of the source.
        similarity: the cosine of the embeddings, in ``[-1, 1]``.
    """

    source: str
    image_id: str
    similarity: float


@dataclass(frozen=True)
class KindAnswer:
    """The prediction of a classifier for an image.

    Attributes:
        role: ``"query"``; images with ``"support"``, ``"calibration"`` and ``"left_out"`` have no prediction.
        kind: the most probable kind; empty for an image that is not a query.
        probabilities, p_values: for each kind.
        prediction_set: the possible kinds of the image.
        nearest: the most similar example of each kind.
    """

    role: str
    kind: str
    probabilities: Mapping[str, float]
    p_values: Mapping[str, float]
    prediction_set: list[str]
    nearest: Mapping[str, Nearest]

    @property
    def abstained(self) -> bool:
        """Whether the prediction set is empty: the image is of none of the known kinds."""
        return self.role == ROLES[QUERY] and not self.prediction_set


class Classification(ClassifiedReader, ByImage[KindAnswer]):
    """An open classification: the prediction for each image from one sample of labelled examples, by image.

    ``draw(index)`` gives the same as arrays, for any sample; ``draws`` lists the samples, and ``index`` is that of the
    mapping. Further attributes are those of `zsad.files.classified.ClassifiedReader`, such as ``kinds``, ``exemplars``,
    ``alpha`` and ``provenance``. It is a context manager.

    Args:
        seed, shots: of the sample; None for the sample that the page shows: the first seed with the most shots.
    """

    def __init__(self, path: str | Path, seed: int | None = None, shots: int | str | None = None) -> None:
        super().__init__(path)
        try:
            self.index = self._index_of(seed, shots)
            self._answers = self.draw(self.index)
        except BaseException:
            self.close()
            raise

    def _index_of(self, seed: int | None, shots: int | str | None) -> int:
        shown = self.draws[self.shown]
        wanted = (shown.seed if seed is None else seed, shown.shots if shots is None else shots)
        known = [(draw.seed, draw.shots) for draw in self.draws]
        if wanted not in known:
            there = ", ".join(f"seed {one} and {count} shots" for one, count in known)
            raise DataError(f"{self.path} has no sample with seed {wanted[0]} and {wanted[1]} shots; it has {there}")
        return known.index(wanted)

    def _value(self, index: int) -> KindAnswer:
        said, role = self._answers, int(self._answers.roles[index])
        if role != QUERY:
            return KindAnswer(ROLES[role], "", {}, {}, [], {})
        examples = [self.exemplars[number] for number in said.nearest[index]]
        similarity = said.similarity[index].tolist()
        return KindAnswer(
            role=ROLES[role],
            kind=self.kinds[int(said.probabilities[index].argmax())],
            probabilities=dict(zip(self.kinds, said.probabilities[index].tolist(), strict=True)),
            p_values=dict(zip(self.kinds, said.p_values[index].tolist(), strict=True)),
            prediction_set=[kind for kind, is_in in zip(self.kinds, said.in_set[index], strict=True) if is_in],
            nearest={
                example.kind: Nearest(example.source, example.image_id, cosine)
                for example, cosine in zip(examples, similarity, strict=True)
            },
        )


class Masks(MaskReader, ArraysByImage):
    """An open mask file: predicted masks, bool ``[height, width]`` at the image's size, by image.

    Further attributes and methods are those of `zsad.files.masks.MaskReader`, such as ``mask_scores``, ``provenance``
    and ``regions(index)``. It is a context manager.
    """

    @property
    def masks(self) -> Arrays:
        """The values in the order of ``image_ids``."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        return self.mask(index)


class Truth(ArraysByImage):
    """The ground truth of test images: masks of defects, bool ``[height, width]`` at the image's size, by image.

    Attributes:
        records: one row of the manifest for each image, in the order of ``image_ids``.
    """

    def __init__(self, records: Sequence[ImageRecord]) -> None:
        self.records = list(records)
        self.image_ids = [record.image_id for record in records]

    @property
    def labels(self) -> np.ndarray:
        """int ``[image]``: 1 defective, 0 good, -1 unlabelled."""
        return np.array([UNKNOWN if record.label is None else record.label for record in self.records], int)

    @property
    def has_mask(self) -> np.ndarray:
        """bool ``[image]``, whether each pixel has ground truth: good images, and defective ones with a mask."""
        return np.array([has_pixel_ground_truth(record) for record in self.records], bool)

    @property
    def masks(self) -> Arrays:
        """The masks in the order of ``image_ids``; the mask of a good image is empty."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        record = self.records[index]
        if not has_pixel_ground_truth(record):
            raise DataError(
                f"{record.image_id} has no mask and is not labelled good; has_mask shows which images have one"
            )
        return pixel_ground_truth(record)


def read_features(path: str | Path) -> Features:
    """Open a feature file, ``results/<name>/<category>/features/...h5``.

    Returns:
        A mapping from the identifier of an image to its patch tokens, float32 ``[layer, row, column, channel]``, which
        are read when they are used; see `Features`. Close it, or open it with ``with``.

    Raises:
        DataError: the file is missing, damaged or of another type.
    """
    return Features(path)


def read_scores(path: str | Path) -> Scores:
    """Open a score file, ``results/<name>/<category>/scores/<method>.h5``.

    Returns:
        A mapping from the identifier of an image to its anomaly map, float32 ``[row, column]``; see `Scores` and
        `read_features`.

    Raises:
        DataError: the file is missing, damaged or of another type.
    """
    return Scores(path)


def read_decisions(path: str | Path) -> Decisions:
    """Open a file of decisions, ``results/<name>/<category>/decisions/<method>.h5``.

    Returns:
        A mapping from the identifier of an image to its `zsad.deciding.decision.Decision`; see `Decisions`. Everything
        is read at once, and stays available when the file is closed.

    Raises:
        DataError: the file is missing, damaged or of another type.
    """
    return Decisions(path)


def read_classification(path: str | Path, *, seed: int | None = None, shots: int | str | None = None) -> Classification:
    """Open a classification, ``results/<name>/<category>/classification/<classifier>.h5``.

    Args:
        seed, shots: of the sample of labelled examples, e.g. ``5`` or ``"all"`` shots; by default the first seed with
            the most shots.

    Returns:
        A mapping from the identifier of an image to its `KindAnswer`; see `Classification`. It stays available
        when the file is closed.

    Raises:
        DataError: the file is missing, damaged or of another type, or there is no such sample.
    """
    return Classification(path, seed, shots)


def read_masks(path: str | Path) -> Masks:
    """Open a file of predicted masks, ``results/<name>/<category>/masks/...h5``.

    Returns:
        A mapping from the identifier of an image to its mask, bool ``[height, width]``; see `Masks` and
        `read_features`.

    Raises:
        DataError: the file is missing, damaged or of another type.
    """
    return Masks(path)


def read_truth(manifest: str | Path, image_ids: Sequence[str] | None = None) -> Truth:
    """Read the ground truth of a category's test images, from ``results/<name>/<category>/manifest.csv``.

    Args:
        manifest: the file, which lists the files of masks; its paths are relative to the folder of the run.
        image_ids: identifiers of the images to read, in order, e.g. of `read_scores`; by default all test images.

    Returns:
        ``labels``, and a mapping from the identifier of an image to its mask; see `Truth`.

    Raises:
        DataError: the file is missing or not a manifest, or an image is not in it.
    """
    records = {record.image_id: record for record in of_split(read_manifest(manifest), "test")}
    wanted = list(records) if image_ids is None else list(image_ids)
    for image_id in wanted:
        if image_id not in records:
            hint = nearest_hint(image_id, records, or_all=False)
            raise DataError(f"{manifest} has no test image '{image_id}'; give the manifest of the same category{hint}")
    return Truth([records[image_id] for image_id in wanted])
