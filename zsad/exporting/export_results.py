"""The export stage: the results of one method for each image, in files for other programs."""

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
from zsad.deciding.decision import decision_of
from zsad.errors import DataError
from zsad.exporting.exported import Export, ExportedImage
from zsad.exporting.folders import whole_folder
from zsad.exporting.marks import marked
from zsad.exporting.registry import FORMATS
from zsad.exporting.writing import exporting
from zsad.files.decisions import DecisionReader, check_decisions
from zsad.files.json_files import write_json
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader
from zsad.files.training_facts import MEMBERS, TRAINING
from zsad.progress import progress
from zsad.refinement.images import records_of
from zsad.reporting.entries import predicted_masks
from zsad.reporting.overlays import colour_scale

ABOUT = "export.json"
ASKED = ("texts", "learned_files", TRAINING)  # entries of the provenance of scores on text prompts and training
TIMESTAMP = ".snakemake_timestamp"  # Snakemake writes it into folders that a rule makes

logger = logging.getLogger(__name__)


def export_results(
    *,
    image_list: Path,
    scores: Path,
    decisions: Path,
    masks: Path | None,
    formats: Sequence[str],
    colormap: str,
    folder: Path,
    title: str,
    provenance: Mapping[str, Any],
    place_of: Callable[[str], Path] = Path,
) -> None:
    """Export the results of one method for every scored image of a category.

    A method that scores only images has tables and the list of images, but no pictures and no regions.

    Args:
        image_list: list of the images with their digests.
        scores: score file; its images are exported, in its order.
        decisions: file of decisions for the same scores.
        masks: masks of the same images; None for the thresholded map.
        formats: names of `FORMATS`.
        colormap: colour map of the heat maps, a matplotlib name.
        folder: written whole or not at all; its old content is deleted. ``export.json`` lists the content.
        title: e.g. ``"magnetic_tile by memory_bank"``.
        provenance: facts about the job; the stage adds the rest.
        place_of: gives the path of a listed photograph.

    Raises:
        DataError: the files do not belong together, or a photograph is missing or has changed.
    """
    chosen = [FORMATS.build(name) for name in formats]
    records = {record.image_id: record for record in read_image_list(image_list)}
    with ScoreReader(scores) as reader, DecisionReader(decisions) as decider, whole_folder(folder) as temporary:
        check_decisions(reader, decider)
        listed = records_of(reader, records, image_list)
        maps = [reader.anomaly_map(index) for index in range(len(reader))] if reader.localises else []
        scale = colour_scale(maps, colormap) if maps else None
        with exporting(temporary, chosen, Export(folder, title, scale)) as write:
            pixels = [record.pixels for record in listed]
            found = zip(listed, predicted_masks(masks, reader.image_ids, range(len(reader))), strict=True)
            exported = progress(found, total=len(listed), label="exporting", work=pixels)
            for index, (record, mask) in enumerate(exported):
                image = _plain(index, record, reader, decider, place_of(record.path))
                write(_with_marks(image, maps[index], mask) if reader.localises else image)
        made = [name for name, each in zip(formats, chosen, strict=True) if reader.localises or not each.needs_maps]
        about = {
            "title": title,
            "formats": made,
            "images": len(listed),
            "setting": reader.setting,
            "localises": reader.localises,
            "decision": {
                "rule": decider.rule,
                "measure": decider.measure,
                "nominal": decider.nominal,
                "remarks": decider.remarks,
                "called": int(np.count_nonzero(decider.decided)),
            },
            "names": names_digest(temporary),
            "scale": scale and {"low": scale.low, "high": scale.high, "colormap": colormap},
            "provenance": {**inherited(reader.provenance), **_asked(reader.provenance), **provenance},
        }
        write_json(temporary / ABOUT, about)
    logger.info("exported %d images as %s", len(listed), ", ".join(made))


def _asked(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of the provenance of scores on text prompts, published weights, and training.

    For a fusion they come from its members, for a modulation from the method that it modulates.
    """
    own = {key: scores[key] for key in ASKED if key in scores}
    if MEMBERS in own.get(TRAINING, ()):  # the members have their own entries
        del own[TRAINING]
    members = {name: said for name, member in scores.get(MEMBERS, {}).items() if (said := _asked(member))}
    of_modulated = _asked(scores["scores"]) if "scores" in scores else {}
    return {**of_modulated, **own, **({MEMBERS: members} if members else {})}


def names_digest(folder: Path) -> str:
    """A digest of the file names of an export, which shows whether files were added or removed."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    kept = sorted(name for name in names if name not in (ABOUT, TIMESTAMP))
    return hashlib.sha256("\0".join(kept).encode(errors="surrogateescape")).hexdigest()


def _plain(
    index: int, record: ListedImage, scores: ScoreReader, decisions: DecisionReader, photograph: Path
) -> ExportedImage:
    """An image with its decision, without marked regions."""
    return ExportedImage(
        image_id=record.image_id,
        path=photograph,
        height=record.height,
        width=record.width,
        score=float(scores.image_scores[index]),
        decided=decision_of(index, decisions, decisions.peaks),
        photograph=partial(read_image, photograph, record.sha256, record.white),
    )


def _with_marks(image: ExportedImage, anomaly_map: np.ndarray, mask: np.ndarray | None) -> ExportedImage:
    """An image with its marked regions.

    Args:
        anomaly_map: on the patch grid.
        mask: of a refiner; None for the thresholded map.
    """
    found = marked(anomaly_map, image.decided.thresholds, image.height, image.width)
    mask = found.mask if mask is None else mask
    if mask.shape != found.mask.shape:
        raise DataError(
            f"the mask of '{image.image_id}' has {mask.shape[1]} x {mask.shape[0]} pixels, but the image has "
            f"{image.width} x {image.height}; run the refinement again"
        )
    return replace(image, mask=mask, anomaly_map=found.anomaly_map)
