"""The stage that modulates a method's maps by a refiner's masks, from a score file and a mask file to a score file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DataError
from zsad.files.decisions import DecisionReader
from zsad.files.masks import MaskReader
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.files.training_facts import TRAINING
from zsad.progress import progress
from zsad.refinement.marked import MarkedMaps
from zsad.refinement.modulation import Modulation

logger = logging.getLogger(__name__)

IMAGES_ALONE = "scored without a map, so that masks do not change it"


def modulate_scores(
    *, scores: Path, decisions: Path, masks: Path, modulation: Modulation, output: Path, provenance: Mapping[str, Any]
) -> None:
    """Write the score file of a modulation, image by image.

    Setting, image scores and notes are those of the method; the seconds of an image are the method's and the
    modulation's together. The scores of a method that does not localise stay as they are, with a note. Decisions use
    the method's thresholds, applied to these maps (`zsad.deciding.decide_images.adopt_decisions`).

    Args:
        scores: score file of ``modulation.method``.
        decisions: decision file of the same method, with each image's pixel threshold.
        masks: mask file of the same method, by ``modulation.refiner``.
        output: the score file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.

    Raises:
        DataError: the files do not show the same images in the same order, or the decisions belong to other scores.
    """
    with ScoreReader(scores) as source, DecisionReader(decisions) as decided, MaskReader(masks) as outlines:
        marked = MarkedMaps(source, decided)
        if outlines.image_ids != source.image_ids:
            raise DataError(
                f"{masks} and {scores} do not show the same images in the same order; delete both, run again"
            )
        details = {
            "setting": source.setting,
            "modulation": {"class": type(modulation).__name__, "params": modulation.parameters()},
            "scores": source.provenance,
            "decisions": decided.provenance,
            "masks": outlines.provenance,
            **({TRAINING: training} if (training := source.provenance.get(TRAINING)) else {}),
        }
        with ScoreWriter(
            output,
            source.image_ids,
            {**inherited(outlines.provenance), **inherited(source.provenance), **provenance, **details},
            grid_sizes=_grid_sizes(modulation, source, outlines),
            setting=source.setting,
            localises=source.localises,
        ) as writer:
            own = 0.0
            pixels = np.prod(outlines.sizes, axis=1).tolist()
            for index in progress(range(len(source)), total=len(source), label="modulating", work=pixels):
                start = time.perf_counter()
                anomaly_map = _map(modulation, source, marked, outlines, index)
                spent = time.perf_counter() - start
                own += spent
                writer.write(
                    index,
                    anomaly_map,
                    source.image_scores[index],
                    seconds=float(source.seconds[index]) + spent,
                    note=_note(source, index),
                )
            writer.provenance["seconds"] = own
    logger.info("modulated %s by %s on %d images", modulation.method, modulation.refiner, len(source))


def _grid_sizes(modulation: Modulation, source: ScoreReader, outlines: MaskReader) -> np.ndarray:
    """int ``[image, 2]``."""
    if not source.localises:
        return source.grid_sizes
    sizes = zip(outlines.sizes, source.grid_sizes, strict=True)
    return np.array([modulation.grid_size(image_size, map_size) for image_size, map_size in sizes])


def _map(
    modulation: Modulation, source: ScoreReader, marked: MarkedMaps, outlines: MaskReader, index: int
) -> np.ndarray:
    anomaly_map = marked.grid_map(index)
    if not source.localises:
        return anomaly_map
    return modulation.modulated(anomaly_map, outlines.mask(index), marked.thresholds(index))


def _note(source: ScoreReader, index: int) -> str:
    """The note of the method on an image, and whether the image stays as it was."""
    own = "" if source.localises else IMAGES_ALONE
    return "; ".join(note for note in (source.notes[index], own) if note)
