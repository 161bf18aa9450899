"""Photographs of a made-up part, their scores by the stages of the workflow, and the model that those scores are by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from zsad.data.image_list import ListedImage, write_images
from zsad.data.images import read_image
from zsad.deciding.decide_images import decide_images
from zsad.deciding.suitable import Suitable
from zsad.features.execution import Execution
from zsad.features.extract_features import extract_features
from zsad.features.join_features import join_features
from zsad.features.joint import Joint
from zsad.features.registry import BACKBONES
from zsad.files.provenance import file_sha256
from zsad.scoring.compute import Compute
from zsad.scoring.fit_method import fit_method
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.registry import SCORERS
from zsad.scoring.score_images import score_images
from zsad.segmentation.embed_images import embed_images
from zsad.segmentation.foreground import ForegroundOptions
from zsad.segmentation.registry import SEGMENTERS
from zsad.segmentation.segment_foreground import segment_foreground

SIZES = ((48, 64), (64, 48), (56, 56), (48, 64))  # height and width, in turn
ORIENTATION = 0x0112
PARTS = {"least_value": 0.01}  # so low that weights of no sense find something
EMBEDDED = {"name": "embedded", "family": "embedded", "params": {"resolution": 32}}


class Inspected(NamedTuple):
    """What the workflow makes of a category.

    Attributes:
        photographs: the test images, in the order of their scores.
        scores: score file of the workflow.
        decisions: file of decisions of the workflow, by the rule that suits.
        model: model file.
    """

    photographs: list[Path]
    scores: Path
    decisions: Path
    model: Path


def draw_part(seed: int, size: tuple[int, int], *, defect: bool = False) -> np.ndarray:
    """A brushed surface, uint8 RGB ``[height, width, 3]``, perhaps with a dark hole in it."""
    rng = np.random.default_rng(seed)
    height, width = size
    rows = 140 + 20 * np.sin(np.arange(height) / 3)[:, None, None] + rng.normal(0, 6, (height, width, 3))
    if defect:
        rows[height // 3 : height // 3 + 12, width // 2 : width // 2 + 14] = 20
    return rows.clip(0, 255).astype(np.uint8)


def write_parts(folder: Path, *, deep: bool = False) -> list[ListedImage]:
    """Good and defective parts of several sizes under messy names, one of them turned by EXIF; as they are listed."""
    records = []
    names = {
        **{f"train/good/{number}.png": number for number in range(4)},
        "test/good/Prüfling Ä.png": 10,
        "test/good/a {x} [1].PNG": 11,
        "test/hole/turned.jpg": 12,
        "test/hole/b.png": 13,
        "test/hole/c.png": 14,
    }
    for place, (name, seed) in enumerate(names.items()):
        pixels = draw_part(seed, SIZES[place % len(SIZES)], defect="hole" in name)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if deep and path.suffix.lower() == ".png":
            Image.fromarray(pixels[..., 0].astype(np.uint16) * 16).save(path)
        elif path.suffix == ".jpg":
            exif = Image.Exif()
            exif[ORIENTATION] = 6
            Image.fromarray(pixels).save(path, exif=exif, quality=95)
        else:
            Image.fromarray(pixels).save(path)
        white = 4095.0 if deep else None
        height, width = read_image(path, white=white).shape[:2]
        split = "train" if name.startswith("train") else "test"
        records.append(ListedImage(name, str(path), split, height, width, file_sha256(path), white))
    return sorted(records, key=lambda record: record.image_id)


def inspected(
    folder: Path,
    scorer: str = "memory_bank",
    params: Mapping[str, Any] | None = None,
    backbone: Mapping[str, Any] = EMBEDDED,
    *,
    image_score: Mapping[str, Any] | None = None,
    deep: bool = False,
    segmenter: Mapping[str, Any] | None = None,
) -> Inspected:
    """Photographs in ``folder / "parts"``, scores and model beside them; ``segmenter`` finds the part, if any."""
    records = write_parts(folder / "parts", deep=deep)
    write_images(folder / "images.csv", records)
    built = SCORERS.build(scorer, {"shots": 4, **(params or {})})
    files = {
        role: _features(folder, role, backbone, wanted.subset, wanted.view)
        for role, wanted in built.feature_sets().items()
    }
    masks = {
        role: _masks(folder, role, segmenter, wanted.subset)
        for role, wanted in built.feature_sets().items()
        if segmenter is not None
    }
    compute, image_scoring = Compute(), ImageScoring(**(image_score or {}))
    model = folder / "results" / "line" / "part" / "models" / f"{scorer}.h5"
    fit_method(
        references=files["references"],
        scorer=built,
        image_scoring=image_scoring,
        compute=compute,
        output=model,
        provenance={"stage": "fit_method"},
        dataset="line",
        category="part",
        method=scorer,
        backbone=backbone,
        segmenter=segmenter,
        segmentation=PARTS,
        foregrounds={role: path for role, path in masks.items() if role == "references"},
    )
    score_images(
        features={"test": files["test"]},
        scorer=built,
        image_scoring=image_scoring,
        compute=compute,
        output=folder / "scores.h5",
        provenance={"stage": "score_images"},
        model=model,
        foregrounds={role: path for role, path in masks.items() if role == "test"},
    )
    decide_images(
        scores=folder / "scores.h5",
        rule=Suitable(),
        output=folder / "decisions.h5",
        provenance={"stage": "decide_images"},
        model=model,
    )
    photographs = [Path(record.path) for record in records if record.split == "test"]
    return Inspected(photographs, folder / "scores.h5", folder / "decisions.h5", model)


def _features(folder: Path, role: str, backbone: Mapping[str, Any], subset: str, view: str) -> Path:
    """The feature file of a role, joined where the backbone is a joint."""
    output = folder / f"{role}.{backbone['name']}.h5"
    built = BACKBONES.build(backbone["family"], backbone["params"])
    if isinstance(built, Joint):
        members = [_features(folder, role, member.model_dump(), subset, view) for member in built.members]
        join_features(features=members, joint=built, output=output, provenance={"stage": "join_features"})
        return output
    extract_features(
        image_list=folder / "images.csv",
        category="part",
        subset=subset,
        view=view,
        backbone=built,
        execution=Execution(),
        output=output,
        provenance={"stage": "extract_features"},
    )
    return output


def _masks(folder: Path, role: str, segmenter: Mapping[str, Any], subset: str) -> Path:
    """The mask file of the part of a role."""
    built = SEGMENTERS.build(segmenter["family"], segmenter["params"])
    listed = {"image_list": folder / "images.csv", "segmenter": built}
    embeddings, output = folder / f"{role}.embeddings.h5", folder / f"{role}.part.h5"
    embed_images(**listed, category="part", subset=subset, execution=Execution("cpu"), output=embeddings, provenance={})
    options = ForegroundOptions(**PARTS)
    segment_foreground(**listed, embeddings=embeddings, device="cpu", output=output, provenance={}, options=options)
    return output
