"""What kind of defect each image of a category is said to show by one classifier, in HDF5."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from zsad.files.hdf5 import Reader, Writer

CLASSIFIED_FORMAT = "zsad-classified-1"
QUERY, SUPPORT, CALIBRATION, LEFT_OUT = range(4)  # the roles of images
NUMBERS = ("scores", "probabilities", "p_values", "similarity")


class Exemplar(NamedTuple):
    """A labelled image that a classifier has learnt from.

    Attributes:
        source: ``"test"``, or the name of the support that it comes from.
        image_id: in the list of images of that source.
        kind: as it was shown.
    """

    source: str
    image_id: str
    kind: str


class DrawInfo(NamedTuple):
    """One draw of the labelled images.

    Attributes:
        shots: examples a kind; ``"all"`` for all that there are.
        setting: ``"few-shot-defects-"`` and the shots.
        support, calibration: labelled images of each kind, in the order of the kinds.
        remarks: sentences for the reader, e.g. that a kind has too few calibration images for alpha.
    """

    seed: int
    shots: int | Literal["all"]
    setting: str
    support: list[int]
    calibration: list[int]
    remarks: list[str]


class Classified(NamedTuple):
    """What a classifier says of all test images in one draw. Only queries have numbers; of others there is NaN.

    Attributes:
        roles: uint8 ``[image]``, `QUERY`, `SUPPORT`, `CALIBRATION` or `LEFT_OUT`.
        scores: float64 ``[image, kind]``, of the classifier; greater is more alike.
        probabilities: float64 ``[image, kind]``, in ``[0, 1]`` with a sum of 1; the greatest one is what is predicted.
        p_values: float64 ``[image, kind]``, conformal, in ``(0, 1]``.
        in_set: bool ``[image, kind]``, whether the kind is in the prediction set; none is for an abstention.
        nearest: int32 ``[image, kind]``, the most similar example of the kind in this draw, as an index into
            `ClassifiedReader.exemplars`; -1 for images that are no queries.
        similarity: float64 ``[image, kind]``, its cosine.
    """

    roles: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    p_values: np.ndarray
    in_set: np.ndarray
    nearest: np.ndarray
    similarity: np.ndarray

    @property
    def queries(self) -> np.ndarray:
        """int ``[query]``, the images whose kind is to be found out."""
        return np.flatnonzero(self.roles == QUERY)

    @property
    def predicted(self) -> np.ndarray:
        """int ``[image]``, the most probable kind; -1 for images that are no queries."""
        predicted = np.full(len(self.roles), -1)
        predicted[self.queries] = self.probabilities[self.queries].argmax(axis=1)
        return predicted


class ClassifiedWriter(Writer):
    """Write what a classifier says, draw by draw.

    Args:
        image_ids: of all test images of the category.
        kinds: their names, sorted.
        exemplars: every labelled image of any draw.
        draws: seed by seed, and for each the shots in the order of the configuration.
        alpha: share of images whose prediction set may lack their kind.
        regions: where the embeddings look: ``"image"``, ``"predicted"`` or ``"ground truth"``.
    """

    _format = CLASSIFIED_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        kinds: Sequence[str],
        exemplars: Sequence[Exemplar],
        draws: Sequence[DrawInfo],
        alpha: float,
        regions: str,
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.kinds, self.exemplars, self.draws = list(kinds), list(exemplars), list(draws)
        self.alpha, self.regions = alpha, regions
        self._written: set[int] = set()

    def _create(self) -> None:
        attributes = self._file.attrs
        attributes["kinds"] = json.dumps(self.kinds)
        attributes["exemplars"] = json.dumps(self.exemplars)
        attributes["draws"] = json.dumps([draw._asdict() for draw in self.draws])
        attributes["alpha"], attributes["regions"] = self.alpha, self.regions
        whole = (len(self.draws), len(self.image_ids), len(self.kinds))
        for name in NUMBERS:
            self._file.create_dataset(name, shape=whole, dtype=np.float64, fillvalue=np.nan)
        self._file.create_dataset("in_set", shape=whole, dtype=np.uint8)
        self._file.create_dataset("nearest", shape=whole, dtype=np.int32, fillvalue=-1)
        self._file.create_dataset("roles", shape=whole[:2], dtype=np.uint8)

    def write(self, draw: int, classified: Classified) -> None:
        """Store one draw.

        Raises:
            ValueError: the arrays are not those of all images and kinds, or contradict each other.
        """
        _check(classified, len(self.image_ids), len(self.kinds), len(self.exemplars))
        for name, values in classified._asdict().items():
            self._file[name][draw] = values
        self._written.add(draw)

    def _finish(self) -> None:
        if self._written != set(range(len(self.draws))):
            raise ValueError("not every draw was written")
        super()._finish()


class ClassifiedReader(Reader):
    """Read what a classifier says.

    Attributes:
        kinds, exemplars, draws, alpha, regions: see `ClassifiedWriter`.
    """

    _format = CLASSIFIED_FORMAT
    _noun = "classification"

    def _load(self) -> None:
        attributes = self._file.attrs
        self.kinds: list[str] = [str(kind) for kind in json.loads(attributes["kinds"])]
        self.exemplars = [Exemplar(*map(str, exemplar)) for exemplar in json.loads(attributes["exemplars"])]
        self.draws = [DrawInfo(**draw) for draw in json.loads(attributes["draws"])]
        self.alpha, self.regions = float(attributes["alpha"]), str(attributes["regions"])
        whole = (len(self.draws), len(self.image_ids), len(self.kinds))
        if not all(whole) or any(self._file[name].shape != whole for name in (*NUMBERS, "in_set", "nearest")):
            raise ValueError("its numbers are not those of its draws, images and kinds")
        for draw in range(len(self.draws)):
            _check(self._draw(draw), len(self.image_ids), len(self.kinds), len(self.exemplars))

    def draw(self, index: int) -> Classified:
        """What the classifier says in one draw, by its index in ``draws``."""
        with self._damage_told():
            return self._draw(index)

    @property
    def shown(self) -> int:
        """The draw that is shown where one must stand for all: the first seed's with the most shots."""
        first = [index for index, draw in enumerate(self.draws) if draw.seed == self.draws[0].seed]
        return max(first, key=lambda index: sum(self.draws[index].support))

    def _draw(self, index: int) -> Classified:
        values = {name: self._file[name][index] for name in Classified._fields}
        return Classified(**{**values, "in_set": values["in_set"].astype(bool)})


def _check(classified: Classified, images: int, kinds: int, exemplars: int) -> None:
    """Refuse what contradicts itself: whoever reads a part of it relies on the rest.

    Raises:
        ValueError: it does.
    """
    if classified.roles.shape != (images,) or any(
        getattr(classified, name).shape != (images, kinds) for name in (*NUMBERS, "in_set", "nearest")
    ):
        raise ValueError(f"a draw has not the numbers of {images} images and {kinds} kinds")
    is_query = classified.roles == QUERY
    if (classified.roles > LEFT_OUT).any() or not is_query.any():
        raise ValueError("a draw has no queries, or unknown roles")
    for name in NUMBERS:
        if not np.array_equal(np.isfinite(getattr(classified, name)).all(axis=1), is_query):
            raise ValueError(f"not just the queries have {name}")
    probabilities, p_values = classified.probabilities[is_query], classified.p_values[is_query]
    if (probabilities < 0).any() or (np.abs(probabilities.sum(axis=1) - 1) > 1e-9).any():
        raise ValueError("its probabilities do not add up to 1")
    if (p_values <= 0).any() or (p_values > 1).any() or classified.in_set[~is_query].any():
        raise ValueError("its p-values or sets are none")
    nearest = classified.nearest
    if (nearest[is_query] < 0).any() or (nearest >= exemplars).any() or (nearest[~is_query] != -1).any():
        raise ValueError("its nearest exemplars are none")
