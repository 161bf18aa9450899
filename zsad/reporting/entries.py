"""The entries of a gallery: the chosen images of one category and method, with their pictures and captions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.images import read_image
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.data.masks import read_mask
from zsad.errors import DataError
from zsad.files.decisions import DecisionReader, check_decisions
from zsad.files.evaluations import read_evaluation
from zsad.files.masks import MaskReader
from zsad.files.scores import ScoreReader
from zsad.maps import Thresholds, standing_out
from zsad.reporting import overlays
from zsad.reporting.decisions import common_value, explain_decision
from zsad.reporting.evaluations import EVALUATION_KEYS
from zsad.reporting.options import ReportOptions
from zsad.reporting.selection import choose_images, ranks

PANEL_TITLES = {"photograph": "photograph", "truth": "ground truth", "map": "anomaly map", "mask": "mask"}


@dataclass(frozen=True)
class Entry:
    """One image of a gallery.

    Attributes:
        label: 1 defective, 0 good, None unlabelled.
        decision: 1 called defective, 0 called good.
        decided_by: the reason, in words.
        marked_regions: number of marked regions of the map, before any refiner; None from a method that scores only
            images.
        rank: 1 for the highest score of the category.
        truth: what the picture of the ground truth shows, in words.
        pictures: uint8 ``[height, width, 3]`` (RGB) or ``[height, width]`` (grey), by the keys of `PANEL_TITLES`.
        bare: the photograph without outlines, which is the same for all methods; an array as the pictures.
        outlines: of the predicted mask (``photograph``) and of the ground truth (``truth``), see
            `zsad.reporting.overlays.outline_path`.
    """

    image_id: str
    label: int | None
    defect_type: str
    score: float
    decision: int
    decided_by: str
    marked_regions: int | None
    rank: int
    note: str
    truth: str
    pictures: dict[str, np.ndarray]
    bare: np.ndarray
    outlines: dict[str, str]


@dataclass(frozen=True)
class Gallery:
    """The chosen images of one category and method.

    Attributes:
        heading: dataset, category, method, backbone, setting and refiner.
        ranked: number of ranked images.
        thresholds: common to all images, in the unit of the map; NaN if each image has its own.
        scale: the common colour scale of all maps.
        groups: entries, by the keys of `zsad.reporting.selection.GROUP_TITLES`.
    """

    heading: dict[str, str]
    ranked: int
    thresholds: Thresholds
    scale: overlays.ColourScale
    groups: dict[str, list[Entry]]


def collect_gallery(
    manifest: Path,
    scores: Path,
    decisions: Path,
    masks: Path | None,
    refiner: str,
    evaluation: Path,
    options: ReportOptions,
) -> Gallery:
    """Choose the images of one category and method and draw their pictures; arguments as in `draw_gallery`."""
    records = {record.image_id: record for record in read_manifest(manifest)}
    evaluated = read_evaluation(evaluation, EVALUATION_KEYS)
    verdicts = {image["image_id"]: image for image in evaluated["images"]}
    with ScoreReader(scores) as reader, DecisionReader(decisions) as decided:
        check_known(reader, records, "the manifest")
        check_decisions(reader, decided)
        check_known(reader, verdicts, "the evaluation")
        maps = [reader.anomaly_map(index) for index in range(len(reader))]
        scale = overlays.colour_scale(maps, options.colormap)
        labels = [verdicts[image_id]["label"] for image_id in reader.image_ids]
        groups = choose_images(reader.image_scores, labels, options.gallery)
        all_ranks = ranks(reader.image_scores)

        entries: dict[int, Entry] = {}
        shown = [index for indices in groups.values() for index in indices]
        for index, predicted in zip(shown, predicted_masks(masks, reader.image_ids, shown), strict=True):
            record, verdict = records[reader.image_ids[index]], verdicts[reader.image_ids[index]]
            if predicted is None:
                predicted = marked_mask(record, maps[index], decided.thresholds(index))
            drawn = _draw(record, maps[index], predicted, scale, options.panel)
            entries[index] = Entry(
                image_id=record.image_id,
                label=verdict["label"],
                defect_type=verdict["defect_type"],
                score=float(reader.image_scores[index]),
                decision=int(decided.decided[index]),
                decided_by=explain_decision(
                    float(decided.peaks[index]),
                    float(decided.region[index]),
                    float(decided.significance[index]),
                    decided.measure,
                    localises=decided.localises,
                ),
                marked_regions=verdict["marked_regions"],
                rank=all_ranks[index],
                note=verdict["note"],
                **drawn,
            )
    heading = {key: evaluated[key] for key in ("dataset", "category", "method", "backbone", "setting")}
    return Gallery(
        heading={**heading, "refiner": refiner},
        ranked=len(maps),
        thresholds=Thresholds(common_value(decided.pixel.tolist()), common_value(decided.region.tolist())),
        scale=scale,
        groups={name: [entries[index] for index in indices] for name, indices in groups.items()},
    )


def check_known(scores: ScoreReader, known: Mapping[str, Any], where: str) -> None:
    """Raise a `DataError` if an image is scored that ``where`` does not list."""
    for image_id in scores.image_ids:
        if image_id not in known:
            raise DataError(f"{scores.path} scores '{image_id}', which is missing in {where}; run both steps again")


def marked_mask(record: ImageRecord, anomaly_map: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """The marked regions of a map, bool ``[height, width]`` at the size of the image."""
    marked: np.ndarray = standing_out(anomaly_map, thresholds, record.height, record.width) > np.float32(
        thresholds.pixel
    )
    return marked


def predicted_masks(masks: Path | None, image_ids: Sequence[str], shown: Sequence[int]) -> Iterator[np.ndarray | None]:
    """Yield the predicted mask of each image to be shown; None if the thresholded map is used instead.

    Raises:
        DataError: the file has no mask of one.
    """
    if masks is None:
        yield from (None for _ in shown)
        return
    with MaskReader(masks) as reader:
        positions = {image_id: position for position, image_id in enumerate(reader.image_ids)}
        for index in shown:
            if image_ids[index] not in positions:
                raise DataError(f"{masks} has no mask of '{image_ids[index]}'; run the refinement again")
            yield reader.mask(positions[image_ids[index]])


def _draw(
    record: ImageRecord,
    anomaly_map: np.ndarray,
    predicted: np.ndarray,
    scale: overlays.ColourScale,
    longer_side: int,
) -> dict[str, Any]:
    """The ground truth in words, and the pictures of one image, by the attributes of `Entry`."""
    size = overlays.panel_size(record.height, record.width, longer_side)
    photograph = overlays.photograph(read_image(record.path, record.sha256, record.white), size)
    truth, truth_picture, truth_outline = _truth(record, photograph)
    return {
        "truth": truth,
        "pictures": {
            "photograph": overlays.outlined(photograph, predicted, overlays.PREDICTION_COLOUR),
            "truth": truth_picture,
            "map": overlays.heat_map(anomaly_map, size, scale),
            "mask": overlays.mask_picture(predicted, size),
        },
        "bare": photograph,
        "outlines": {"photograph": overlays.outline_path(predicted, size), "truth": truth_outline},
    }


def _truth(record: ImageRecord, photograph: np.ndarray) -> tuple[str, np.ndarray, str]:
    if record.mask_path:
        mask = read_mask(record.mask_path, record.height, record.width, record.mask_sha256)
        filled = overlays.filled(photograph, mask, overlays.TRUTH_COLOUR)
        return "marked", filled, overlays.outline_path(mask, photograph.shape[:2])
    words = {0: "good", 1: "no mask", None: "unknown"}[record.label]
    return words, overlays.tagged(photograph, words), ""
