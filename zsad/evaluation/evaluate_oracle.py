"""Upper bound of box prompts: a segmentation model that is prompted by the ground-truth boxes.

This is not a method, since it reads the ground truth: one box around every ground-truth region, the candidate that the
model itself rates highest, and the union of all of them. Nor is it a strict bound: points, or another choice among the
candidates, may do better. The mean image IoU over defective images is the figure that is published elsewhere (SAM ViT-H
on MVTec AD, 65.9 %, in github.com/jinwwo/SAM-Anomaly-Segmentation, which also equalises the histograms of the images
and opens the masks; nothing of that is done here).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from zsad.data.manifest import ImageRecord
from zsad.evaluation.bootstrap import Sampler
from zsad.evaluation.ground_truth import (
    empty_mask_note,
    ground_truth_notes,
    pixel_ground_truth,
    records_with_ground_truth,
)
from zsad.evaluation.options import EvaluationOptions
from zsad.evaluation.protocols import Protocol
from zsad.evaluation.refinement import Comparison, Marked, effects, measured_masks, region_counts
from zsad.evaluation.writing import write_evaluation
from zsad.files.embeddings import EmbeddingReader
from zsad.files.provenance import inherited
from zsad.names import MASK_METRICS, ORACLE
from zsad.progress import progress
from zsad.refinement.prompted import PromptedImage
from zsad.segmentation.base import Prompt, Segmenter, SegmenterConfig

MIN_REGION_PIXELS = 9  # a smaller ground-truth region is an annotation or resampling error, and gets no box
TOO_SMALL = f"smaller than {MIN_REGION_PIXELS} pixels"


class TrueRegion(NamedTuple):
    """An 8-connected region of a ground-truth mask.

    Attributes:
        box: the tight ``(left, top, right, bottom)`` around it in pixels, right and bottom exclusive.
        area: pixels.
    """

    box: tuple[int, int, int, int]
    area: int

    @property
    def is_prompted(self) -> bool:
        """Whether it is large enough for a box."""
        return self.area >= MIN_REGION_PIXELS


def evaluate_oracle(
    *,
    manifest: Path,
    embeddings: Path,
    segmenter: SegmenterConfig,
    name: str,
    device: str,
    dataset: str,
    category: str,
    options: EvaluationOptions,
    output: Path,
    draws: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Prompt a model with the ground-truth boxes of every test image that has a mask, and measure the resulting masks.

    The result has the shape of a refiner's, without a "before". Where no image has a mask the model is not loaded, and
    every figure is null.

    Args:
        embeddings: of the whole test images, by this model.
        name: name of the model in the tables, as backbone and as refiner.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        output, draws: JSON and HDF5.
        provenance: facts about this stage; those of the input and of the model are added.

    Raises:
        DataError: embeddings, model and manifest do not belong together, or a ground-truth mask is unusable.
        ConfigError, ModelError: the model cannot be used; see `SegmenterConfig.load`.
    """
    start = time.perf_counter()
    with EmbeddingReader(embeddings) as reader:
        records = records_with_ground_truth(manifest, list(dict.fromkeys(reader.image_ids)), embeddings)
        with_mask = [record for record in records if record.label == 1 and record.mask_path]
        model = _loaded(segmenter, device, reader) if with_mask else None
        pixels = [record.pixels for record in with_mask]
        comparisons = [
            _comparison(model, reader, record, options.measured_at)
            for record in progress(
                with_mask, total=len(with_mask), label=f"ground-truth boxes of {category}", work=pixels
            )
            if model is not None
        ]
        made_of = {**inherited(reader.provenance), "embeddings": reader.provenance}
    run_by = {} if model is None else {"segmenter": model.model, "device": model.device}
    regions = region_counts(region for one in comparisons for region in one.regions)
    empty = [one.record.image_id for one in comparisons if one.lacks_ground_truth]
    measured = measured_masks((one.after for one in comparisons), Sampler(options.bootstrap, options.seed, category))
    result = {
        "dataset": dataset,
        "category": category,
        "backbone": name,
        "method": ORACLE,
        "setting": ORACLE,
        "refiner": name,
        "protocol": options.measured_at.name,
        **measured.document(MASK_METRICS),
        "mask": {name: measured.values[f"mask_{name}"] for name in ("precision", "recall", "f1", "iou")},
        "effects": effects(comparisons),
        "regions": regions,
        "images": [one.row() for one in comparisons],
        "notes": ground_truth_notes(records) + empty_mask_note(empty) + _crumbs_note(regions, name),
        "provenance": {**made_of, **provenance, **run_by, "seconds": time.perf_counter() - start},
    }
    write_evaluation(output, result, draws, measured.known_replicates(MASK_METRICS))


def true_regions(ground_truth: np.ndarray) -> list[TrueRegion]:
    """The 8-connected regions of a ground-truth mask, bool ``[height, width]``."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(ground_truth.astype(np.uint8), connectivity=8)
    return [
        TrueRegion((left, top, left + width, top + height), area)
        for left, top, width, height, area in statistics[1:].tolist()
    ]


def outline(image: PromptedImage, regions: Sequence[TrueRegion]) -> np.ndarray:
    """The union of the model's outlines for the boxes of ``regions``; bool ``[height, width]``.

    The model's own quality, not the ground truth, chooses among the candidates of a box.
    """
    prompts = [Prompt.of_box(region.box) for region in regions]
    mask = np.zeros((image.height, image.width), dtype=bool)
    for candidates in image.candidates(image.whole, prompts):
        mask |= candidates.logits[int(np.argmax(candidates.quality))] > 0
    return mask


def _loaded(segmenter: SegmenterConfig, device: str, embeddings: EmbeddingReader) -> Segmenter:
    model = segmenter.load(device)
    model.check_made(embeddings.path, embeddings.provenance)
    return model


def _comparison(model: Segmenter, embeddings: EmbeddingReader, record: ImageRecord, protocol: Protocol) -> Comparison:
    ground_truth = pixel_ground_truth(record)
    regions = true_regions(ground_truth)
    image = PromptedImage(model, record.image_id, record.height, record.width, embeddings)
    mask = outline(image, [region for region in regions if region.is_prompted])
    marked = Marked.of(protocol.mask(mask), protocol.true_mask(ground_truth))
    return Comparison(record, after=marked, regions=[_region_record(region) for region in regions])


def _region_record(region: TrueRegion) -> dict[str, Any]:
    """A record like those of a refiner; the model's answer is not changed."""
    if not region.is_prompted:
        return {"box": list(region.box), "accepted": False, "cause": TOO_SMALL}
    return {"box": list(region.box), "prompt": {"box": list(region.box)}, "accepted": True, "cause": ""}


def _crumbs_note(regions: Mapping[str, Any], name: str) -> list[str]:
    left_out = regions["found"] - regions["prompted"]
    if not left_out:
        return []
    return [
        f"Oracle {name}: {left_out} of {regions['found']} ground-truth regions are {TOO_SMALL}; they get no box, but "
        "their pixels count."
    ]
