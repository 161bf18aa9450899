"""The results of one method for every test image, small enough for a page: grey maps, and regions as polygons."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zsad.data.manifest import read_manifest
from zsad.files.decisions import DecisionReader, check_decisions
from zsad.files.evaluations import read_evaluation
from zsad.files.json_values import without_nan
from zsad.files.pictures import LayerWriter
from zsad.files.scores import ScoreReader
from zsad.progress import progress
from zsad.reporting import overlays
from zsad.reporting.entries import check_known, marked_mask, predicted_masks
from zsad.reporting.evaluations import EVALUATION_KEYS


def draw_layers(
    *,
    manifest: Path,
    scores: Path,
    decisions: Path,
    masks: Path | None,
    refiner: str,
    evaluation: Path,
    colormap: str,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Draw the maps and outlines of all images of one category and method.

    Maps have the size of the patch grid and the scale of the gallery. A method that does not localise has neither.

    Args:
        decisions: of the same images; their thresholds give the outlines.
        masks: predicted masks; None for the thresholded map.
        refiner: name of the refiner of the masks; ``"none"`` for the thresholded map.
        output: see `zsad.files.pictures.LayerWriter`.

    Raises:
        DataError: the files do not belong together, or one cannot be read.
    """
    records = {record.image_id: record for record in read_manifest(manifest)}
    evaluated = read_evaluation(evaluation, EVALUATION_KEYS)
    with ScoreReader(scores) as reader, DecisionReader(decisions) as decided:
        check_known(reader, records, "the manifest")
        check_decisions(reader, decided)
        maps = [reader.anomaly_map(index) for index in range(len(reader))]
        scale = overlays.colour_scale(maps, colormap)
        heading = {
            **{key: evaluated[key] for key in ("category", "method", "backbone", "setting")},
            **{"refiner": refiner, "low": scale.low, "high": scale.high},
            "colours": scale.stops(overlays.COLOUR_STOPS),
        }
        chosen = [records[image_id] for image_id in reader.image_ids]
        predictions = predicted_masks(masks if reader.localises else None, reader.image_ids, range(len(reader)))
        with LayerWriter(output, reader.image_ids, provenance, heading=without_nan(heading)) as writer:
            drawn = zip(chosen, maps, predictions, range(len(reader)), strict=True)
            work = [record.pixels for record in chosen]
            for record, anomaly_map, mask, index in progress(drawn, total=len(chosen), label="drawing maps", work=work):
                if not reader.localises:
                    writer.write(b"", [])
                    continue
                if mask is None:
                    mask = marked_mask(record, anomaly_map, decided.thresholds(index))
                writer.write(_png(scale.shades(anomaly_map)), overlays.polygons(mask))


def _png(grey: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
