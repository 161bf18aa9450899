"""Defect types that one classifier predicts for the images of a category, in HDF5."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from zsad.files.hdf5 import Reader, Writer

CLASSIFIED_FORMAT = "zsad-classified-1"
QUERY, SUPPORT, CALIBRATION, LEFT_OUT = range(4)  # the roles of images
TEST = "test"  # the source of exemplars that are test images
REGIONS = ("image", "predicted", "ground truth")
NUMBERS = ("scores", "probabilities", "p_values", "similarity")
TYPES: Mapping[str, type] = MappingProxyType(
    {"roles": np.uint8, **dict.fromkeys(NUMBERS, np.float64), "in_set": np.uint8, "nearest": np.int32}
)
ROUNDING = 1e-9  # tolerance of sums of probabilities, of cosines, and of p-values near alpha


class Exemplar(NamedTuple):
    """A labelled image that a classifier learned from.

    Attributes:
        source: ``"test"``, or the name of the support that it comes from.
        image_id: in the list of images of that source.
        kind: its label.
    """

    source: str
    image_id: str
    kind: str


class DrawInfo(NamedTuple):
    """One random sample of the labelled images.

    Attributes:
        shots: examples per kind; ``"all"`` for all examples.
        setting: ``"few-shot-defects-"`` and the shots.
        support, calibration: labelled images of each kind, in the order of the kinds; of support at least one.
        remarks: sentences for the reader, e.g. that a kind has too few calibration images for alpha.
    """

    seed: int
    shots: int | Literal["all"]
    setting: str
    support: list[int]
    calibration: list[int]
    remarks: list[str]


class Classified(NamedTuple):
    """The predictions of a classifier for all test images in one sample. Only queries have numbers; others have NaN.

    Attributes:
        roles: uint8 ``[image]``, `QUERY`, `SUPPORT`, `CALIBRATION` or `LEFT_OUT`; support images that a sample with
            fewer shots does not use are left out.
        scores: float64 ``[image, kind]``, of the classifier; greater is more similar.
        probabilities: float64 ``[image, kind]``, in ``[0, 1]`` with a sum of 1; the kind with the greatest one is
            predicted.
        p_values: float64 ``[image, kind]``, conformal, in ``(0, 1]``.
        in_set: bool ``[image, kind]``, whether the kind is in the prediction set; an empty set is an abstention.
        nearest: int32 ``[image, kind]``, the most similar example of the kind in this sample, as an index into
            `ClassifiedReader.exemplars`; -1 for images that are not queries.
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
        """int ``[query]``, the images whose kind is predicted."""
        return np.flatnonzero(self.roles == QUERY)

    @property
    def predicted(self) -> np.ndarray:
        """int ``[image]``, the most probable kind; -1 for images that are not queries."""
        predicted = np.full(len(self.roles), -1)
        predicted[self.queries] = self.probabilities[self.queries].argmax(axis=1)
        return predicted


class ClassifiedWriter(Writer):
    """Write the predictions of a classifier, one sample after the other.

    Args:
        image_ids: of all test images of the category.
        kinds: their names, sorted.
        exemplars: every labelled image that a classifier learned from in any sample; either all or none are test
            images.
        draws: the samples, seed by seed, and for each seed the shots in the order of the configuration.
        alpha: share of images whose prediction set may miss their kind.
        regions: what the embeddings are computed from: ``"image"``, ``"predicted"`` or ``"ground truth"``.

    Raises:
        ValueError: these contradict each other.
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
        self._frame = _Frame(self.image_ids, self.kinds, self.exemplars, self.draws, alpha, regions)
        self._written: dict[int, np.ndarray] = {}

    def _create(self) -> None:
        attributes = self._file.attrs
        attributes["kinds"] = json.dumps(self.kinds)
        attributes["exemplars"] = json.dumps(self.exemplars)
        attributes["draws"] = json.dumps([draw._asdict() for draw in self.draws])
        attributes["alpha"], attributes["regions"] = self.alpha, self.regions
        for name, kind in TYPES.items():
            self._file.create_dataset(name, shape=self._frame.shape_of(name), dtype=kind)

    def write(self, draw: int, classified: Classified) -> None:
        """Store one sample.

        Raises:
            ValueError: the arrays do not match all images and kinds, or contradict each other.
        """
        self._frame.check(draw, classified)
        for name, values in classified._asdict().items():
            self._file[name][draw] = values
        self._written[draw] = classified.roles == QUERY

    def _finish(self) -> None:
        if set(self._written) != set(range(len(self.draws))):
            raise ValueError("not every sample was written")
        self._frame.check_queries([self._written[draw] for draw in range(len(self.draws))])
        super()._finish()


class ClassifiedReader(Reader):
    """Read the predictions of a classifier.

    Attributes:
        kinds, exemplars, draws, alpha, regions: see `ClassifiedWriter`.
    """

    _format = CLASSIFIED_FORMAT
    _noun = "classification"

    def _load(self) -> None:
        attributes = self._file.attrs
        self.kinds: list[str] = [_text(kind) for kind in json.loads(attributes["kinds"])]
        self.exemplars = [Exemplar(*map(_text, exemplar)) for exemplar in json.loads(attributes["exemplars"])]
        self.draws = [DrawInfo(**draw) for draw in json.loads(attributes["draws"])]
        self.alpha, self.regions = float(attributes["alpha"]), _text(attributes["regions"])
        frame = _Frame(self.image_ids, self.kinds, self.exemplars, self.draws, self.alpha, self.regions)
        for name, kind in TYPES.items():
            if self._file[name].dtype != kind or self._file[name].shape != frame.shape_of(name):
                raise ValueError(f"{name} does not match its samples, images and kinds")
        queries = []
        for index in range(len(self.draws)):
            draw = self._draw(index)
            frame.check(index, draw)
            queries.append(draw.roles == QUERY)
        frame.check_queries(queries)

    def draw(self, index: int) -> Classified:
        """The predictions in one sample, by its index in ``draws``."""
        with self._damage_told():
            return self._draw(index)

    @property
    def shown(self) -> int:
        """The sample that represents all: that of the first seed with the most shots."""
        first = [index for index, draw in enumerate(self.draws) if draw.seed == self.draws[0].seed]
        return max(first, key=lambda index: sum(self.draws[index].support))

    def _draw(self, index: int) -> Classified:
        values = {name: self._file[name][index] for name in Classified._fields}
        if (values["in_set"] > 1).any():
            raise ValueError("its prediction sets hold other values than 0 and 1")
        return Classified(**{**values, "in_set": values["in_set"].astype(bool)})


class _Frame:
    """The common facts of all samples of a file, which each sample must match, since readers rely on them.

    Raises:
        ValueError: they contradict each other.
    """

    def __init__(
        self,
        image_ids: Sequence[str],
        kinds: Sequence[str],
        exemplars: Sequence[Exemplar],
        draws: Sequence[DrawInfo],
        alpha: float,
        regions: str,
    ) -> None:
        self.image_ids, self.kinds, self.exemplars, self.draws = image_ids, kinds, exemplars, draws
        self.alpha = alpha
        if not image_ids or len(set(image_ids)) != len(image_ids):
            raise ValueError("it lists an image twice, or no image")
        if not kinds or list(kinds) != sorted(set(kinds)) or "" in kinds:
            raise ValueError("its kinds are not sorted names")
        if not 0 < alpha < 1 or regions not in REGIONS:
            raise ValueError("its alpha is not a share, or its regions are unknown")
        places = {image_id: place for place, image_id in enumerate(image_ids)}
        number = {kind: place for place, kind in enumerate(kinds)}
        if len({exemplar[:2] for exemplar in exemplars}) != len(exemplars):
            raise ValueError("an exemplar is listed twice")
        if {exemplar.kind for exemplar in exemplars} != set(kinds):
            raise ValueError("its exemplars have other kinds")
        sources = {exemplar.source for exemplar in exemplars}
        if TEST in sources and len(sources) > 1:
            raise ValueError("its exemplars have several sources")
        self.is_drawn = sources == {TEST}  # whether the labelled images are test images
        self.kind_of = np.array([number[exemplar.kind] for exemplar in exemplars], int)
        if self.is_drawn and any(exemplar.image_id not in places for exemplar in exemplars):
            raise ValueError("an exemplar is not one of the images")
        self.place_of = np.array([places[exemplar.image_id] for exemplar in exemplars] if self.is_drawn else [], int)
        self._check_draws()

    def _check_draws(self) -> None:
        if not self.draws or len({(draw.seed, draw.shots) for draw in self.draws}) != len(self.draws):
            raise ValueError("a sample exists twice, or there is none")
        for draw in self.draws:
            counts = [*draw.support, *draw.calibration]
            is_counted = all(type(count) is int for count in (draw.seed, *counts)) and min(counts, default=-1) >= 0
            if len(draw.support) != len(self.kinds) or len(draw.calibration) != len(self.kinds) or not is_counted:
                raise ValueError("a sample does not count its labelled images by kind")
            if draw.shots != "all" and (type(draw.shots) is not int or draw.shots < 1):
                raise ValueError("a sample has no number of shots")
            if draw.setting != f"few-shot-defects-{draw.shots}" or min(draw.support) < 1:
                raise ValueError("the setting of a sample contradicts its shots, or a kind has no example")
            if draw.shots != "all" and max(draw.support) > draw.shots:
                raise ValueError("a sample has more examples of a kind than shots")
            if not isinstance(draw.remarks, list) or not all(isinstance(remark, str) for remark in draw.remarks):
                raise ValueError("the remarks of a sample are not text")

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Shape of the dataset of all samples with this name."""
        whole = (len(self.draws), len(self.image_ids), len(self.kinds))
        return whole[:2] if name == "roles" else whole

    def check_queries(self, queries: Sequence[np.ndarray]) -> None:
        """Check that samples with the same seed have the same queries, so that their shots can be compared.

        Args:
            queries: bool ``[image]``, one per sample.
        """
        first: dict[int, np.ndarray] = {}
        for draw, is_query in zip(self.draws, queries, strict=True):
            if not np.array_equal(first.setdefault(draw.seed, is_query), is_query):
                raise ValueError("samples with the same seed have different queries")

    def check(self, index: int, classified: Classified) -> None:
        """Check the predictions in one sample.

        Raises:
            ValueError: they contradict each other, or the rest of the file.
        """
        if any(values.shape != self.shape_of(name)[1:] for name, values in classified._asdict().items()):
            raise ValueError(
                f"a sample does not have numbers for {len(self.image_ids)} images and {len(self.kinds)} kinds"
            )
        is_query = classified.roles == QUERY
        self._check_roles(self.draws[index], classified.roles)
        for name in NUMBERS:
            values = getattr(classified, name)
            if not np.isfinite(values[is_query]).all() or not np.isnan(values[~is_query]).all():
                raise ValueError(f"{name} is not given exactly for the queries")
        self._check_answers(*(values[is_query] for values in classified[1:]))
        if classified.in_set[~is_query].any() or (classified.nearest[~is_query] != -1).any():
            raise ValueError("sets and nearest exemplars are not given exactly for the queries")
        if self.is_drawn:
            examples = classified.roles[self.place_of[classified.nearest[is_query]]]
            if (examples != SUPPORT).any():
                raise ValueError("a nearest exemplar is not an example of its sample")

    def _check_roles(self, draw: DrawInfo, roles: np.ndarray) -> None:
        if (roles > LEFT_OUT).any() or not (roles == QUERY).any():
            raise ValueError("a sample has no queries, or unknown roles")
        for role, counts in ((SUPPORT, draw.support), (CALIBRATION, draw.calibration)):
            if np.count_nonzero(roles == role) != (sum(counts) if self.is_drawn else 0):
                raise ValueError("the number of labelled images of a sample is wrong")

    def _check_answers(
        self,
        scores: np.ndarray,
        probabilities: np.ndarray,
        p_values: np.ndarray,
        in_set: np.ndarray,
        nearest: np.ndarray,
        similarity: np.ndarray,
    ) -> None:
        """Check the predictions for the queries, ``[query, kind]``."""
        if (probabilities < 0).any() or (np.abs(probabilities.sum(axis=1) - 1) > ROUNDING).any():
            raise ValueError("its probabilities do not add up to 1")
        if (p_values <= 0).any() or (p_values > 1).any():
            raise ValueError("its p-values are not in (0, 1]")
        is_clear = np.abs(p_values - self.alpha) > ROUNDING
        if ((p_values > self.alpha) != in_set)[is_clear].any():
            raise ValueError("its prediction sets do not match its p-values")
        if (nearest < 0).any() or (nearest >= len(self.exemplars)).any():
            raise ValueError("its nearest exemplars do not exist")
        if (self.kind_of[nearest] != np.arange(len(self.kinds))).any():
            raise ValueError("a nearest exemplar has another kind")
        if (np.abs(similarity) > 1 + ROUNDING).any():
            raise ValueError("its similarities are not cosines")


def _text(value: Any) -> str:
    """Return a text unchanged.

    Raises:
        ValueError: it is not a text.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value
