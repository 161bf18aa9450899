"""Texts and images of one model fit together: same widths, same name and hashes, whatever the family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tiny_siglip import WIDTH, write_siglip2, write_tipsv2
from zsad.features.execution import Execution
from zsad.features.image_text import ImageText

SENTENCE = "a jpeg corrupted photo of the printed circuit board without damage for visual inspection."
WRITERS: dict[str, Callable[[Path], None]] = {
    "siglip2": write_siglip2,
    "siglip2 naflex": lambda folder: write_siglip2(folder, naflex=True),
    "tipsv2": write_tipsv2,
}


@pytest.mark.parametrize("family", WRITERS)
def test_images_and_texts_are_of_one_model_and_one_space(family: str, tmp_path: Path) -> None:
    WRITERS[family](tmp_path)
    backbone = ImageText(model=str(tmp_path), resolution=16, dtype="float32")
    extractor, encoder = backbone.load(Execution()), backbone.load_texts(Execution())
    tokens = extractor.extract(np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8))
    embeddings = encoder.encode([SENTENCE, "a damaged bottle"])

    assert embeddings.shape == (2, WIDTH)
    assert tokens.patch_tokens.shape == (1, 4, 7, WIDTH)
    assert tokens.cls_tokens.shape == (1, WIDTH)
    assert encoder.patch_part == (0, extractor.channels)
    assert encoder.model["id"] == extractor.model["id"]
    assert encoder.model["weights_sha256"] == extractor.model["weights_sha256"]
    assert encoder.count_tokens(SENTENCE) <= encoder.longest
