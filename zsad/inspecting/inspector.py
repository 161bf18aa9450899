"""Inspect photographs with a stored model.

Photographs are read, prepared and scored by the functions of the workflow, so that a photograph gets the same score as
a test image there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from zsad.errors import DamagedFileError, DataError
from zsad.exporting.marks import Marked, marked
from zsad.exporting.regions import find_regions
from zsad.inspecting.encoder import loaded_backbones
from zsad.inspecting.inspection import Failure, Inspection
from zsad.inspecting.model_file import backbone_of, explaining_foreign_files, provenance_of, white_of
from zsad.inspecting.photograph_encoder import EncodedPhotograph, PhotographEncoder, ReadPhotograph
from zsad.inspecting.reading import read_ahead
from zsad.inspecting.verdict import Decide, decide_by
from zsad.scoring.base import ImageScore
from zsad.scoring.compute import ScoringOptions, compute_of
from zsad.scoring.registry import SCORERS

if TYPE_CHECKING:
    from zsad.scoring.fitted import Fitted

SCORED_TOGETHER = 64_000_000  # approximate bytes of tokens of photographs that are scored together


def load(path: str | Path, *, threshold: float | str | None = None, device: str = "auto") -> Inspector:
    """Load a model that the workflow has stored, to inspect photographs with it.

    Args:
        path: ``results/<name>/<category>/models/<method>.h5``.
        threshold: a photograph is called defective if the highest value of its map exceeds this: a number, in the unit
            of the scores; the name of a rule; or None for a suitable rule: conformal p-values by the references or, if
            the model has fewer than two of their scores, the number of false alarms by each photograph's own patches.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises:
        DataError: the file is missing, damaged or not a model.
    """
    return Inspector(path, threshold=threshold, device=device)


class Inspector:
    """A model that inspects photographs; made by `load`. A context manager; it is also closed when it is deleted.

    The references are restored in a thread while the first photograph is read.

    Attributes:
        path: path of the model file.
        provenance: origin of the model.
    """

    def __init__(self, path: str | Path, *, threshold: float | str | None = None, device: str = "auto") -> None:
        self.path = Path(path)
        self.provenance = provenance_of(self.path)
        self._threshold, self._device = threshold, device
        self._backbone = backbone_of(self.provenance)
        with ThreadPoolExecutor(1, thread_name_prefix="restore model") as thread:
            self._restored = thread.submit(self._restore)
            thread.shutdown(wait=False)

    @property
    def needs_weights(self) -> bool:
        """Whether the backbone, or the model that finds the object, has weights that may be in a cache."""
        backbones = loaded_backbones("", self._backbone).values()
        return bool(self.provenance.get("segmenter")) or any(each.is_network for each in backbones)

    def good_maps(self) -> list[np.ndarray]:
        """The anomaly maps of the references, float32 ``[row, column]``, each scored by the others; may be empty."""
        return list(self._fitted.reference_maps)

    def inspect(self, image: str | Path | np.ndarray) -> Inspection:
        """Inspect one photograph.

        Args:
            image: a file; or an array, uint8 or uint16, grey ``[height, width]`` or RGB ``[height, width, 3]``.

        Raises:
            ConfigError: the threshold or the device is invalid.
            DataError: the photograph cannot be inspected, or the model is damaged.
            ModelError: the weights of the backbone are missing, or differ from those that made the model.
        """
        (result,) = self._inspections([self._encoder.read(image)])
        if isinstance(result, Failure):
            raise result.error
        return result

    def inspect_all(self, paths: Iterable[str | Path]) -> Iterator[Inspection | Failure]:
        """Inspect many photographs, in order; some of them together, which is faster.

        A photograph that cannot be inspected becomes a `Failure`, and the others are still inspected. For other errors
        see `inspect`.
        """
        return self._inspections(read_ahead(map(Path, paths), self._encoder.read))

    def close(self) -> None:
        """Close the model file."""
        if self._restored.exception() is None:
            self._restored.result().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _encoder(self) -> PhotographEncoder:
        """The loaded backbone; loaded with the first photograph."""
        return PhotographEncoder(self.provenance, self._backbone, self._device, white_of(self.provenance))

    @cached_property
    def _decide(self) -> Decide:
        setting = str(self.provenance.get("setting", ""))
        return decide_by(self._threshold, self._fitted, localises=self._fitted.scorer.localises, setting=setting)

    @property
    def _fitted(self) -> Fitted:
        return self._restored.result()

    def _restore(self) -> Fitted:
        """The fitted method; importing torch takes most of the time of a single photograph."""
        from zsad.scoring.fitted import load_fitted

        if (name := self.provenance["scorer"].get("name")) in SCORERS.names():
            SCORERS.load(name)  # while torch is imported
        options = ScoringOptions()
        compute = compute_of(device=self._device, memory_mb=options.memory_mb, precision=options.precision)
        with explaining_foreign_files():
            return load_fitted(self.path, compute)

    def _inspections(self, photographs: Iterable[ReadPhotograph | Failure]) -> Iterator[Inspection | Failure]:
        for group in _groups(self._encoder.encode(photographs)):
            encoded = [item for item in group if isinstance(item, EncodedPhotograph)]
            inspections = iter(self._scored(encoded))
            for item in group:
                yield item if isinstance(item, Failure) else next(inspections)

    def _scored(self, encoded: Sequence[EncodedPhotograph]) -> Iterator[Inspection | Failure]:
        if not encoded:
            return
        try:
            scores = self._scores(encoded)
        except DamagedFileError:
            raise
        except DataError as error:
            if len(encoded) > 1:  # perhaps only one photograph cannot be compared with the references
                for each in encoded:
                    yield from self._scored([each])
            elif encoded[0].path is None:
                raise
            else:
                yield Failure(encoded[0].path, error)
            return
        for each, score in zip(encoded, scores, strict=True):
            yield self._inspection(each, score)

    def _scores(self, encoded: Sequence[EncodedPhotograph]) -> list[ImageScore]:
        source = self._encoder.source(encoded)
        self._fitted.check(source)
        scores = {score.index: score for score in self._fitted.score(source, range(len(encoded)))}
        return [scores[index] for index in range(len(encoded))]

    def _inspection(self, encoded: EncodedPhotograph, found: ImageScore) -> Inspection:
        if found.image_score is None:
            raise ValueError("a model returned no score for a photograph")
        score = np.float32(found.image_score)  # as the workflow stores it
        decision, source, remarks = self._decide(found.anomaly_map, float(found.image_score))
        localises = found.anomaly_map is not None
        if found.anomaly_map is None:
            size = (encoded.height, encoded.width)
            shown = Marked(np.full(size, score), np.zeros(size, bool))
        else:
            shown = marked(found.anomaly_map, decision.thresholds, encoded.height, encoded.width)
        return Inspection(
            path=encoded.path,
            score=float(score),
            peak=decision.peak,
            decision=decision.defective,
            threshold=decision.region_threshold,
            pixel_threshold=decision.pixel_threshold,
            threshold_from=source,
            p_value=decision.p_value,
            false_alarms=decision.false_alarms,
            anomaly_map=shown.anomaly_map,
            mask=shown.mask,
            regions=find_regions(shown.mask, shown.anomaly_map),
            note=found.note,
            remarks=remarks,
            localises=localises,
        )


def _groups(items: Iterable[EncodedPhotograph | Failure]) -> Iterator[list[EncodedPhotograph | Failure]]:
    """Photographs in groups of about `SCORED_TOGETHER`."""
    group: list[EncodedPhotograph | Failure] = []
    held = 0
    for item in items:
        group.append(item)
        held += item.halves.nbytes if isinstance(item, EncodedPhotograph) else 0
        if held >= SCORED_TOGETHER:
            yield group
            group, held = [], 0
    yield group
