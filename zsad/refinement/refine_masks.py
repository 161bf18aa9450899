"""The refinement stage: from a score file to a mask file, image by image."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.image_list import ListedImage, read_image_list
from zsad.data.images import read_image
from zsad.errors import DataError
from zsad.files.decisions import DecisionReader
from zsad.files.embeddings import EmbeddingReader
from zsad.files.masks import MaskReader, MaskWriter
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader
from zsad.progress import progress
from zsad.refinement.base import Refiner
from zsad.refinement.images import records_of
from zsad.refinement.marked import MarkedMaps
from zsad.refinement.prompted import PromptedImage
from zsad.segmentation.base import Segmenter, SegmenterConfig
from zsad.segmentation.registry import SEGMENTERS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompting:
    """Inputs of a refiner that prompts a segmentation model.

    Attributes:
        segmenter: the model, as configured.
        device: device to run on.
        embeddings: file of the whole images.
        foregrounds: file of masks of the foreground object; None if the refiner does not use them.
        crops: file of embeddings of windows; None if the refiner has none.
    """

    segmenter: SegmenterConfig
    device: str
    embeddings: Path
    foregrounds: Path | None = None
    crops: Path | None = None


def prompting_of(segmenter: Mapping[str, Any] | None, device: str, files: Mapping[str, str]) -> Prompting | None:
    """The inputs for prompting from a job's parameters and inputs; None for a refiner without a segmentation model.

    Args:
        segmenter: family and parameters of the model.
        files: the job's inputs by name.
    """
    if segmenter is None:
        return None
    given = {name: Path(files[name]) for name in ("embeddings", "foregrounds", "crops") if name in files}
    return Prompting(SEGMENTERS.build(segmenter["family"], segmenter["params"]), device, **given)


def refine_masks(
    *,
    image_list: Path,
    scores: Path,
    decisions: Path,
    refiner: Refiner,
    output: Path,
    provenance: Mapping[str, Any],
    prompting: Prompting | None = None,
) -> None:
    """Outline the defects of every image that is called defective, at its own resolution; other masks are empty.

    The provenance has the threshold rule, and the least and the greatest of each threshold among the images.

    Args:
        image_list: names the images and their digests.
        scores: score file of the method; its images get masks, in its order.
        decisions: its decision file, with each image's thresholds.
        output: the mask file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.
        prompting: for a refiner that uses a segmentation model.

    Raises:
        DataError: a scored image is not in the list, or one to be outlined is missing or has changed; the decisions
            belong to other scores; or the embeddings to another model.
        ModelError: the segmentation model cannot be used.
    """
    _check_prompting(refiner, prompting)
    records = {record.image_id: record for record in read_image_list(image_list)}
    start = time.perf_counter()
    with (
        ScoreReader(scores) as reader,
        DecisionReader(decisions) as decided,
        _Prompter.open(prompting) as prompter,
    ):
        marked = MarkedMaps(reader, decided)
        chosen = records_of(reader, records, image_list)
        details = {
            "refiner": {"class": type(refiner).__name__, "params": refiner.parameters()},
            **_provenance_of(decided),
            "localises": reader.localises,
            **prompter.provenance(),
        }
        found = accepted = 0
        with MaskWriter(output, reader.image_ids, {**inherited(reader.provenance), **provenance, **details}) as writer:
            pixels = [record.pixels for record in chosen]
            for index, record in progress(enumerate(chosen), total=len(chosen), label="refining", work=pixels):
                mask, score, regions = _refined(marked, index, record, refiner, prompter)
                writer.append(mask, score, regions)
                found += len(regions)
                accepted += sum(bool(region["accepted"]) for region in regions)
            writer.provenance["seconds"] = time.perf_counter() - start
    logger.info("found %d regions in %d images, accepted %d outlines", found, len(chosen), accepted)


def _check_prompting(refiner: Refiner, prompting: Prompting | None) -> None:
    """Reject a job without the inputs that its refiner needs."""
    if (prompting is not None) != refiner.uses_segmenter:
        raise ValueError("a segmentation model must be given if and only if the refiner prompts one")
    if prompting is not None and refiner.uses_foreground and prompting.foregrounds is None:
        raise ValueError("the refiner uses masks of the foreground object, but none are given")


class _Prompter:
    """The loaded model and the open files for prompts; without them it does not prompt."""

    def __init__(
        self,
        segmenter: Segmenter | None = None,
        embeddings: EmbeddingReader | None = None,
        crops: EmbeddingReader | None = None,
        foregrounds: MaskReader | None = None,
    ) -> None:
        self._segmenter = segmenter
        self._embeddings = embeddings
        self._crops = crops
        self._foregrounds = foregrounds
        ids = [] if foregrounds is None else foregrounds.image_ids
        self._places = {image_id: place for place, image_id in enumerate(ids)}

    @classmethod
    @contextmanager
    def open(cls, prompting: Prompting | None) -> Iterator[_Prompter]:
        """Load the model and open the files.

        Raises:
            DataError: a file belongs to another model.
        """
        if prompting is None:
            yield cls()
            return
        with ExitStack() as stack:
            embeddings = stack.enter_context(EmbeddingReader(prompting.embeddings))
            crops = stack.enter_context(EmbeddingReader(prompting.crops)) if prompting.crops else None
            foregrounds = stack.enter_context(MaskReader(prompting.foregrounds)) if prompting.foregrounds else None
            segmenter = prompting.segmenter.load(prompting.device)
            for reader in (embeddings, crops, foregrounds):
                if reader is not None:
                    segmenter.check_made(reader.path, reader.provenance)
            yield cls(segmenter, embeddings, crops, foregrounds)

    def of(self, image_id: str, height: int, width: int) -> PromptedImage | None:
        """An image ready for prompts; None if there is no model."""
        if self._segmenter is None or self._embeddings is None:
            return None
        return PromptedImage(
            self._segmenter, image_id, height, width, self._embeddings, self._crops, self._part(image_id)
        )

    def provenance(self) -> dict[str, Any]:
        """Facts about the model, if there is one."""
        return {} if self._segmenter is None else self._segmenter.provenance()

    def _part(self, image_id: str) -> np.ndarray | None:
        if self._foregrounds is None:
            return None
        if image_id not in self._places:
            raise DataError(f"{self._foregrounds.path} has no mask of {image_id}; delete it and run again")
        return self._foregrounds.mask(self._places[image_id])


def _provenance_of(decisions: DecisionReader) -> dict[str, Any]:
    """The threshold rule, and the least and the greatest of its thresholds among the images."""
    thresholds = {"pixel": decisions.pixel, "region": decisions.region}
    return {
        "threshold_rule": decisions.provenance["threshold_rule"],
        "thresholds": {name: [values.min(), values.max()] for name, values in thresholds.items()},
    }


def _refined(
    marked: MarkedMaps, index: int, record: ListedImage, refiner: Refiner, prompter: _Prompter
) -> tuple[np.ndarray, float, Sequence[Mapping[str, Any]]]:
    """Mask, score of the mask and regions of an image; the image is read only if there is something to outline."""
    if not marked.has_marks(index):
        return np.zeros((record.height, record.width), dtype=bool), 0.0, []
    image = read_image(record.path, record.sha256, record.white)
    height, width = image.shape[:2]
    anomaly_map, threshold = marked.at_size(index, height, width)
    prompted = prompter.of(record.image_id, height, width)
    mask, regions = refiner.refine(image, anomaly_map, threshold, prompted)
    return mask, _mask_score(anomaly_map, mask), regions


def _mask_score(anomaly_map: np.ndarray, mask: np.ndarray) -> float:
    return float(anomaly_map[mask].max()) if mask.any() else 0.0
