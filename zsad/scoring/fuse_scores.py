"""The stage that combines the score files of several methods into one."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DataError
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.files.training_facts import TRAINING, trainings_together
from zsad.scoring.fusion import Fusion, MemberScores

logger = logging.getLogger(__name__)


def fuse_scores(*, scores: Sequence[Path], fusion: Fusion, output: Path, provenance: Mapping[str, Any]) -> None:
    """Write the score file of a fusion.

    The seconds of an image are the sum over all members and the fusion.

    Args:
        scores: score files of the members, in the order of ``fusion.methods``.
        output: the score file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.

    Raises:
        DataError: the score files are not of the same images.
    """
    start = time.perf_counter()
    with ExitStack() as stack:
        readers = [stack.enter_context(ScoreReader(path)) for path in scores]
        first = readers[0]
        for reader in readers[1:]:
            if reader.image_ids != first.image_ids:
                raise DataError(f"{reader.path} and {first.path} do not score the same images; delete both, run again")
        fused = fusion.fused([_member(reader) for reader in readers])
        setting = fusion.setting_of([reader.setting for reader in readers])
        localises = any(reader.localises for reader in readers)
        grids = [
            anomaly_map.shape if localises else first.grid_sizes[index] for index, anomaly_map in enumerate(fused.maps)
        ]
        seconds = time.perf_counter() - start
        members = dict(zip(fusion.methods, (reader.provenance for reader in readers), strict=True))
        training = trainings_together({name: member.get(TRAINING) or {} for name, member in members.items()})
        details = {
            "setting": setting,
            "fusion": {"class": type(fusion).__name__, "params": fusion.parameters()},
            "members": members,
            **({TRAINING: training} if training else {}),
            "seconds": seconds,
        }
        with ScoreWriter(
            output,
            first.image_ids,
            {**inherited(first.provenance), **provenance, **details},
            grid_sizes=np.array(grids),
            setting=setting,
            localises=localises,
        ) as writer:
            for index, score in enumerate(fused.image_scores):
                anomaly_map = fused.maps[index] if localises else np.full(grids[index], score)
                spent = seconds / len(first) + sum(float(reader.seconds[index]) for reader in readers)
                writer.write(index, anomaly_map, score, seconds=spent, note=_note(fusion.methods, readers, index))
    logger.info("fused %s on %d images", ", ".join(fusion.methods), len(fused.maps))


def _member(reader: ScoreReader) -> MemberScores:
    maps = [reader.anomaly_map(index) for index in range(len(reader))] if reader.localises else []
    return MemberScores(maps, reader.image_scores, own=bool(reader.provenance.get("own_image_scores")))


def _note(methods: Sequence[str], readers: Sequence[ScoreReader], index: int) -> str:
    """The notes of the members on an image."""
    notes = [(name, reader.notes[index]) for name, reader in zip(methods, readers, strict=True)]
    return "; ".join(f"{name}: {note}" for name, note in notes if note)
