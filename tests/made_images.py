"""Images made from references with anomalies in them, in memory and as files, for tests of what learns from such."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from zsad.adaptation.marks import MemoryMarks
from zsad.adaptation.origins import write_origins
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.masks import mask_sha256
from zsad.data.subsets import base_id, is_upright
from zsad.interactive.written_tokens import written_tokens
from zsad.scoring.fit_method import SyntheticFiles
from zsad.scoring.token_source import LabelledTokens, MemoryTokens, TokenSource

IMAGES = 6
CELL = 2  # px of a patch's side
SQUARE = 2  # patches along the side of an anomaly, in the upper left corner


def made_of(references: TokenSource) -> LabelledTokens:
    """Images made of one reference each: its tokens, turned around in a corner."""
    upright = [index for index, image_id in enumerate(references.image_ids) if is_upright(image_id)]
    sources = [upright[number % len(upright)] for number in range(IMAGES)]
    tokens = [references.patch_tokens(index).copy() for index in sources]
    for image in tokens:
        image[:, :SQUARE, :SQUARE] *= -1
    owners = [(base_id(references.image_ids[index]),) for index in sources]
    marks = MemoryMarks([1] * IMAGES, [_mask(*image.shape[1:3]) for image in tokens], owners)
    names = [f"{number:04d}.cutpaste.png" for number in range(IMAGES)]
    means = np.stack([image.mean(axis=(1, 2)) for image in tokens])
    origin = {"cls_source": references.cls_source, "provenance": references.provenance}
    return LabelledTokens(MemoryTokens(tokens, means, names, references.layers, **origin), marks)


def made_files(folder: Path, references: TokenSource) -> SyntheticFiles:
    """The same as the workflow keeps them, with the provenance of the references' features."""
    folder.mkdir(parents=True, exist_ok=True)
    made = made_of(references)
    names, records = made.tokens.image_ids, []
    for name, (rows, columns) in zip(names, made.tokens.grid_sizes.tolist(), strict=True):
        path = folder / f"mask-{name}"
        cv2.imwrite(str(path), 255 * _mask(rows, columns).astype(np.uint8))
        size, digest = (CELL * rows, CELL * columns), hashlib.sha256(name.encode()).hexdigest()
        records.append(
            ImageRecord(name, f"/made/{name}", "test", 1, "cutpaste", str(path), *size, digest, mask_sha256(path))
        )
    files = SyntheticFiles(folder / "synthetic.h5", folder / "manifest.csv", folder / "made_from.csv")
    written_tokens(made.tokens, files.features)
    write_manifest(files.manifest, records)
    write_origins(files.origins, dict(zip(names, made.marks.made_from, strict=True)))
    return files


def _mask(rows: int, columns: int) -> np.ndarray:
    mask = np.zeros((CELL * rows, CELL * columns), dtype=bool)
    mask[: CELL * SQUARE, : CELL * SQUARE] = True
    return mask
