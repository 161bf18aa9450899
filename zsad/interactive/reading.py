"""Result files and truth, opened for people: arrays by the name of the image, or one after the other."""

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
UNKNOWN = -1  # label of an image of which nobody has said whether it is good


class UnknownImageError(DataError, KeyError):
    """There is no image of that name."""

    def __str__(self) -> str:
        return str(self.args[0])


class Arrays(Sequence[np.ndarray]):
    """Arrays by the positions of their images, each read when it is asked for.

    Args:
        number: of images.
        read: gives that at a position.
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
    """What is known of images by their identifiers: a mapping, whose values are read when they are asked for.

    Attributes:
        image_ids: in order.
    """

    image_ids: list[str]

    @abstractmethod
    def _value(self, index: int) -> Value:
        """That of the image at a position."""

    def __getitem__(self, image_id: str) -> Value:
        if image_id not in self._places:
            hint = nearest_hint(str(image_id), self._places, or_all=False)
            raise UnknownImageError(f"there is no image {image_id!r}{hint or '; image_ids lists them all'}")
        return self._value(self._places[image_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self.image_ids)

    def __len__(self) -> int:
        return len(self.image_ids)

    __eq__ = object.__eq__  # arrays are not to be read to compare two files
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
    ``grid_sizes``, ``provenance`` and ``cls_tokens()``. It is a context manager, and can be given to `zsad.score`.
    """

    @property
    def tokens(self) -> Arrays:
        """The same in the order of ``image_ids``."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        return self.patch_tokens(index)


class Scores(ScoreReader, ArraysByImage):
    """An open score file: anomaly maps, float32 ``[row, column]`` on their patch grids, by image.

    Further attributes are those of `zsad.files.scores.ScoreReader`, such as ``image_scores``, ``notes`` and
    ``provenance``. What is called defective is in another file, see `read_decisions`. It is a context manager.
    """

    @property
    def maps(self) -> Arrays:
        """The same in the order of ``image_ids``."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        return self.anomaly_map(index)


class Decisions(DecisionReader, ByImage[Decision]):
    """An open file of decisions: what is decided of each image, and by which numbers, by image; no label is seen.

    The same as arrays ``[image]``, in the order of ``image_ids``: ``decided``, ``peaks``, ``region``, ``pixel`` and
    ``significance``. Further attributes are those of `zsad.files.decisions.DecisionReader`, such as ``rule``,
    ``nominal``, ``remarks`` and ``provenance``. It is a context manager.
    """

    def _value(self, index: int) -> Decision:
        return decision_of(index, self, self.peaks)


class Nearest(NamedTuple):
    """The most similar example of a kind.

    Attributes:
        source: ``"test"`` for a test image, or the name of the support that it comes from.
        image_id: in the list of images of that source.
        similarity: the cosine of the embeddings, in ``[-1, 1]``.
    """

    source: str
    image_id: str
    similarity: float


@dataclass(frozen=True)
class KindAnswer:
    """What a classifier says of an image.

    Attributes:
        role: ``"query"``; of others, ``"support"``, ``"calibration"`` and ``"left_out"``, nothing is said.
        kind: the most probable one; empty for an image that is no query.
        probabilities, p_values: of each kind.
        prediction_set: the kinds that the image may be of.
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
        """Whether the classifier says that the image is of none of the kinds that it was shown."""
        return self.role == ROLES[QUERY] and not self.prediction_set


class Classification(ClassifiedReader, ByImage[KindAnswer]):
    """An open classification: what is said of each image in one draw of the labelled examples, by image.

    The same as arrays, of any draw, is ``draw(index)``; ``draws`` lists them, and ``index`` is the one that the mapping
    is of. Further attributes are those of `zsad.files.classified.ClassifiedReader`, such as ``kinds``, ``exemplars``,
    ``alpha`` and ``provenance``. It is a context manager.

    Args:
        seed, shots: of the draw; None for those of the one that is shown, the first seed's with the most shots.
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
            there = ", ".join(f"seed {one} with {count} shots" for one, count in known)
            raise DataError(f"{self.path} has no draw of seed {wanted[0]} with {wanted[1]} shots; it has {there}")
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
        """The same in the order of ``image_ids``."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        return self.mask(index)


class Truth(ArraysByImage):
    """What is known of the test images: masks of defects, bool ``[height, width]`` at the image's size, by image.

    Attributes:
        records: a row of the manifest an image, in the order of ``image_ids``.
    """

    def __init__(self, records: Sequence[ImageRecord]) -> None:
        self.records = list(records)
        self.image_ids = [record.image_id for record in records]

    @property
    def labels(self) -> np.ndarray:
        """int ``[image]``: 1 defective, 0 good, -1 unknown."""
        return np.array([UNKNOWN if record.label is None else record.label for record in self.records], int)

    @property
    def has_mask(self) -> np.ndarray:
        """bool ``[image]``, whether each pixel's truth is known: of good images, and of defective ones with a mask."""
        return np.array([has_pixel_ground_truth(record) for record in self.records], bool)

    @property
    def masks(self) -> Arrays:
        """The masks in the order of ``image_ids``; of a good image it marks nothing."""
        return self._arrays()

    def _value(self, index: int) -> np.ndarray:
        record = self.records[index]
        if not has_pixel_ground_truth(record):
            raise DataError(f"{record.image_id} has no mask and is not known to be good; has_mask says which have one")
        return pixel_ground_truth(record)


def read_features(path: str | Path) -> Features:
    """Open a feature file, ``results/<name>/<category>/features/...h5``.

    Returns:
        A mapping from the identifier of an image to its patch tokens, float32 ``[layer, row, column, channel]``, which
        are read when they are asked for; see `Features`. Close it, or open it by ``with``.

    Raises:
        DataError: absent, damaged or of another kind.
    """
    return Features(path)


def read_scores(path: str | Path) -> Scores:
    """Open a score file, ``results/<name>/<category>/scores/<method>.h5``.

    Returns:
        A mapping from the identifier of an image to its anomaly map, float32 ``[row, column]``; see `Scores` and
        `read_features`.

    Raises:
        DataError: absent, damaged or of another kind.
    """
    return Scores(path)


def read_decisions(path: str | Path) -> Decisions:
    """Open a file of decisions, ``results/<name>/<category>/decisions/<method>.h5``.

    Returns:
        A mapping from the identifier of an image to its `zsad.deciding.decision.Decision`; see `Decisions`. All of it
        is read at once, and stays when the file is closed.

    Raises:
        DataError: absent, damaged or of another kind.
    """
    return Decisions(path)


def read_classification(path: str | Path, *, seed: int | None = None, shots: int | str | None = None) -> Classification:
    """Open a classification, ``results/<name>/<category>/classification/<classifier>.h5``.

    Args:
        seed, shots: of the draw of labelled examples that the mapping is of, e.g. ``5`` or ``"all"`` shots; by default
            the first seed's with the most shots.

    Returns:
        A mapping from the identifier of an image to its `KindAnswer`; see `Classification`. It stays when the file is
        closed.

    Raises:
        DataError: absent, damaged or of another kind, or there is no such draw.
    """
    return Classification(path, seed, shots)


def read_masks(path: str | Path) -> Masks:
    """Open a file of predicted masks, ``results/<name>/<category>/masks/...h5``.

    Returns:
        A mapping from the identifier of an image to its mask, bool ``[height, width]``; see `Masks` and
        `read_features`.

    Raises:
        DataError: absent, damaged or of another kind.
    """
    return Masks(path)


def read_truth(manifest: str | Path, image_ids: Sequence[str] | None = None) -> Truth:
    """Read what is known of a category's test images, from ``results/<name>/<category>/manifest.csv``.

    Args:
        manifest: the file, which names the masks' files; paths in it are relative to the folder of the run.
        image_ids: those of the images to be read, in order, e.g. of `read_scores`; by default all test images.

    Returns:
        ``labels``, and a mapping from the identifier of an image to its mask; see `Truth`.

    Raises:
        DataError: absent, or no manifest, or an image is not in it.
    """
    records = {record.image_id: record for record in of_split(read_manifest(manifest), "test")}
    wanted = list(records) if image_ids is None else list(image_ids)
    for image_id in wanted:
        if image_id not in records:
            hint = nearest_hint(image_id, records, or_all=False)
            raise DataError(f"{manifest} has no test image '{image_id}', give that of the same category{hint}")
    return Truth([records[image_id] for image_id in wanted])
