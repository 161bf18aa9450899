"""The stage of exports: from the scores and masks of one method to files for other programs, image by image."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.image_list import ListedImage, read_image_list
from zsad.data.images import read_image
from zsad.errors import DataError
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.folders import whole_folder
from zsad.exporting.registry import FORMATS
from zsad.exporting.writing import exporting
from zsad.files.json_files import write_json
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader
from zsad.maps import at_image_size
from zsad.progress import progress
from zsad.refinement.images import records_of
from zsad.reporting.entries import predicted_masks
from zsad.reporting.overlays import colour_scale

ABOUT = "export.json"
TIMESTAMP = ".snakemake_timestamp"  # what Snakemake leaves in folders that a rule makes

logger = logging.getLogger(__name__)


def export_results(
    *,
    image_list: Path,
    scores: Path,
    masks: Path | None,
    formats: Sequence[str],
    colormap: str,
    folder: Path,
    title: str,
    provenance: Mapping[str, Any],
    place_of: Callable[[str], Path] = Path,
) -> None:
    """Write what one method found in every scored image of a category.

    Of a method that scores images alone there are tables and the list of images, and neither pictures nor regions.

    Args:
        image_list: names the images and their digests.
        scores: score file; its images are exported, in its order.
        masks: masks of the same images; None for the thresholded map.
        formats: names of `FORMATS`.
        colormap: of the heat maps, a matplotlib name.
        folder: written whole or not at all; what was in it is gone. ``export.json`` says what it holds.
        title: what it is of, e.g. ``"magnetic_tile by memory_bank"``.
        provenance: what is known of the job; the stage adds the rest.
        place_of: where a photograph lies that the list names.

    Raises:
        DataError: the files do not belong together, or a photograph is missing or has changed.
    """
    chosen = [FORMATS.build(name) for name in formats]
    records = {record.image_id: record for record in read_image_list(image_list)}
    with ScoreReader(scores) as reader, whole_folder(folder) as temporary:
        listed = records_of(reader, records, image_list)
        maps = [reader.anomaly_map(index) for index in range(len(reader))] if reader.localises else []
        scale = colour_scale(maps, colormap) if maps else None
        with exporting(temporary, chosen, Export(folder, title, scale)) as write:
            pixels = [record.pixels for record in listed]
            found = zip(listed, predicted_masks(masks, reader.image_ids, range(len(reader))), strict=True)
            exported = progress(found, total=len(listed), label="exporting", work=pixels)
            for index, (record, mask) in enumerate(exported):
                write(_image(index, record, reader, mask, place_of(record.path)))
        made = [name for name, each in zip(formats, chosen, strict=True) if reader.localises or not each.needs_maps]
        about = {
            "title": title,
            "formats": made,
            "images": len(listed),
            "localises": reader.localises,
            "threshold": reader.threshold,
            "image_threshold": reader.image_threshold,
            "names": names_digest(temporary),
            "scale": scale and {"low": scale.low, "high": scale.high, "colormap": colormap},
            "provenance": {**inherited(reader.provenance), **provenance},
        }
        write_json(temporary / ABOUT, about)
    logger.info("exported %d images as %s", len(listed), ", ".join(made))


def names_digest(folder: Path) -> str:
    """A digest of what the files of an export are called, which tells whether some were added or taken away."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    kept = sorted(name for name in names if name not in (ABOUT, TIMESTAMP))
    return hashlib.sha256("\0".join(kept).encode(errors="surrogateescape")).hexdigest()


def _image(
    index: int,
    record: ListedImage,
    scores: ScoreReader,
    mask: np.ndarray | None,
    photograph: Path,
) -> ExportedImage:
    """An image with what was found in it.

    Args:
        mask: None for the thresholded map.
    """
    image = ExportedImage(
        image_id=record.image_id,
        path=photograph,
        height=record.height,
        width=record.width,
        score=float(scores.image_scores[index]),
        decision=bool(scores.image_scores[index] > scores.image_threshold),
        photograph=partial(read_image, photograph, record.sha256, record.white),
    )
    if not scores.localises:
        return image
    anomaly_map = at_image_size(scores.anomaly_map(index), record.height, record.width)
    above = anomaly_map > scores.threshold
    mask = above if mask is None else mask
    if mask.shape != above.shape:
        raise DataError(
            f"the mask of '{record.image_id}' is of {mask.shape[1]} x {mask.shape[0]} pixels, but the image of "
            f"{record.width} x {record.height}; run the refinement again"
        )
    decision = bool(above.any()) if np.isnan(scores.image_threshold) else image.decision
    return replace(image, decision=decision, mask=mask, anomaly_map=anomaly_map)
