"""What becomes of flat regions, where only noise is: in networks whose responses vanish there, and in those with norms.

A constant channel mends a network whose tokens are short where nothing is to be seen. ConvNeXts and vision transformers
have none such: that is held here for random weights, with biases as trained networks have. Without any, a stem puts out
nothing at the mean colour, and its norm makes noise of full strength; that no constant mends, as lengths tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
)

from paths import load_script
from zsad.features.base import Execution
from zsad.features.constant import CONSTANT_WEIGHT, with_constant
from zsad.features.efficientnet_lite import EfficientNetLite
from zsad.features.huggingface import HuggingFace

calibration = load_script("benchmarks/calibration.py")
SIDE = 128
GREY = (124, 116, 104)  # near the mean colour, at which a stem without biases puts out nothing
COLOURS = (GREY, (40, 40, 40), (200, 200, 200))
CPU = Execution("cpu")

NETWORKS: dict[str, Callable[[], PreTrainedModel]] = {
    "convnext": lambda: DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[24, 48, 96, 192], depths=[2, 2, 3, 2])),
    "dinov3": lambda: DINOv3ViTModel(
        DINOv3ViTConfig(
            hidden_size=96, intermediate_size=192, num_hidden_layers=4, num_attention_heads=2, num_register_tokens=4
        )
    ),
    "dino": lambda: ViTModel(
        ViTConfig(hidden_size=96, intermediate_size=192, num_hidden_layers=4, num_attention_heads=2, image_size=SIDE)
    ),
}
CASES = [
    ("convnext", {"layers": (0,)}),
    ("convnext", {"layers": (1,)}),
    ("convnext", {"layers": (2,)}),
    ("convnext", {"layers": (3,), "normed": False}),
    ("convnext", {"layers": (3,)}),
    ("dinov3", {"layers": (1,), "normed": False}),
    ("dinov3", {"layers": (3,), "normed": False}),
    ("dino", {"layers": (3,), "normed": False}),
]


def flat(seed: int, colour: tuple[int, int, int], noise: float = 2.5) -> np.ndarray:
    values = np.random.default_rng(seed).normal(colour, noise, (SIDE, SIDE, 3))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def textures() -> list[np.ndarray]:
    images = []
    for number, pattern in enumerate(calibration.PATTERNS):
        rng = np.random.default_rng([7, number])
        images.append(
            calibration.photograph(calibration.texture(SIDE, pattern, rng), calibration.Appearance.draw(rng), rng)
        )
    return images


def as_trained(network: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Random weights that keep values at their size, scales of layers and biases of the size that training leaves."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "gamma" in name or "layer_scale" in name:
                parameter.uniform_(0.1, 0.5, generator=generator)
            elif parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.3, generator=generator)
    return network


def tokens_of(backbone: Any, images: list[np.ndarray]) -> list[np.ndarray]:
    """``[token, channel]`` of each image."""
    extractor = backbone.load(CPU)
    each = [extractor.extract(image).patch_tokens[0] for image in images]
    return [tokens.reshape(-1, tokens.shape[-1]).astype(np.float64) for tokens in each]


def distances(tokens: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """Cosine distance of each token to the nearest."""
    unit, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (tokens, bank))
    return 1 - (unit @ others.T).max(axis=1)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("case", "params"), CASES, ids=lambda value: value if isinstance(value, str) else str(value))
def test_networks_that_norm_tokens_need_no_constant(
    case: str, params: dict[str, Any], seed: int, tmp_path: Path
) -> None:
    as_trained(NETWORKS[case](), seed).save_pretrained(tmp_path)
    backbone = HuggingFace(model=str(tmp_path), resolution=SIDE, dtype="float32", **params)
    structures = tokens_of(backbone, textures())
    length = np.median([np.linalg.norm(tokens, axis=1) for tokens in structures])
    usual = np.median([distances(a, b) for a, b in zip(structures, structures[1:] + structures[:1], strict=True)])
    for colour in COLOURS:
        first, second = tokens_of(backbone, [flat(1, colour), flat(2, colour)])
        # Flat regions are as long as structures (0.57 to 1.5 times here), and alike: their noise is drowned.
        assert 0.5 < np.median(np.linalg.norm(first, axis=1)) / length < 2
        assert np.median(distances(first, second)) < 0.25 * usual


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("params", [params for case, params in CASES if case == "convnext"], ids=str)
def test_a_constant_would_hardly_change_the_order_of_a_convnext(
    params: dict[str, Any], seed: int, tmp_path: Path
) -> None:
    as_trained(NETWORKS["convnext"](), seed).save_pretrained(tmp_path)
    backbone = HuggingFace(model=str(tmp_path), resolution=SIDE, dtype="float32", **params)
    *bank, one, other = tokens_of(backbone, [*textures()[:4], flat(2, GREY), flat(1, GREY), textures()[4]])
    tokens = np.concatenate([one, other])
    scale = np.sqrt(np.mean(np.concatenate(bank) ** 2))
    with_it = [
        with_constant(torch.from_numpy(values / scale), CONSTANT_WEIGHT).numpy()
        for values in (tokens, np.concatenate(bank))
    ]
    ranks = [
        np.argsort(np.argsort(values)) for values in (distances(tokens, np.concatenate(bank)), distances(*with_it))
    ]
    assert np.corrcoef(*ranks)[0, 1] > 0.9


def test_a_constant_brings_flat_regions_together_where_batch_norms_centre_the_channels() -> None:
    """Of an EfficientNet-Lite: a faint stain stands out from flat ground, whose noise is what it is compared with."""
    stained = flat(3, GREY)
    stained[48:80, 48:80] = np.clip(stained[48:80, 48:80].astype(int) + 6, 0, 255)
    contrast = {}
    for weight in (0.0, CONSTANT_WEIGHT):
        backbone = EfficientNetLite(resolution=SIDE, constant=weight)
        good, other, defective = tokens_of(backbone, [flat(1, GREY), flat(2, GREY), stained])
        contrast[weight] = distances(defective, good).max() / np.median(distances(other, good))
    assert contrast[CONSTANT_WEIGHT] > 1.2 * contrast[0.0]
