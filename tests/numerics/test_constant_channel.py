"""What a flat ground is to cosine similarity, by the tokens of networks with and without a constant channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zsad.features.base import Execution
from zsad.features.calibration import PATTERNS, SIDE, Appearance, photograph, texture
from zsad.features.constant import with_constant
from zsad.features.efficientnet_lite import EfficientNetLite
from zsad.features.families.base import IMAGENET_MEAN, IMAGENET_STD
from zsad.features.families.dinov3_convnext import StageReader
from zsad.lazy import transformers

RADIUS = 0.3  # of the disc, in sides of the image
STAGES = (0, 1, 2, 3)


def disc_on_flat_ground() -> np.ndarray:
    """uint8 RGB: a disc of woven texture on a flat ground, with the noise of a camera."""
    rng = np.random.default_rng(1)
    woven = texture(SIDE, PATTERNS[2], rng)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    pattern = np.where(np.hypot(rows, columns) > RADIUS, woven.mean(), woven)
    return photograph(pattern, Appearance.draw(rng), rng)


def ground_and_disc(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``rows x rows`` patches lie on the ground, and which in the disc, those at its edge left out."""
    places = (np.arange(rows) + 0.5) / rows - 0.5
    distance = np.hypot(*np.meshgrid(places, places))
    return distance > RADIUS + 0.1, distance < RADIUS - 0.1


def mean_cosine(tokens: torch.Tensor) -> float:
    """Of all pairs of ``[patch, channel]``."""
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    return float((unit @ unit.T).mean())


@pytest.fixture(scope="module")
def standardised() -> torch.Tensor:
    """Tokens ``[row, column, channel]`` of a trained EfficientNet-Lite before its constant channel."""
    extractor = EfficientNetLite().load(Execution("cpu"))
    image = extractor.prepare(disc_on_flat_ground())
    with torch.inference_mode():
        maps = extractor.maps_of(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
        return extractor.tokens_of_maps(maps, *image.shape[:2])[0]


def test_a_constant_holds_a_flat_ground_together(standardised: torch.Tensor) -> None:
    ground, disc = ground_and_disc(len(standardised))
    flat, woven = standardised[ground], standardised[disc]
    assert flat.norm(dim=-1).mean() < 0.9 * woven.norm(dim=-1).mean()  # there is something to keep
    alone = mean_cosine(flat)
    together = mean_cosine(with_constant(flat, 2.0))
    assert together > alone + 0.05
    # What was told by the length is told by the direction: the ground comes no nearer to the disc than to itself.
    both = with_constant(torch.cat([flat.mean(dim=0, keepdim=True), woven.mean(dim=0, keepdim=True)]), 2.0)
    assert float(both[0] @ both[1]) < together


def random_convnext(seed: int) -> torch.nn.Module:
    """A ConvNeXt of DINOv3 with its layers' usual gains, random in all else."""
    torch.manual_seed(seed)
    network = transformers.DINOv3ConvNextModel(
        transformers.DINOv3ConvNextConfig(hidden_sizes=[24, 48, 96, 192], depths=[2, 2, 2, 2])
    ).eval()
    with torch.no_grad():
        for name, values in network.named_parameters():
            if name.endswith("gamma"):
                values.uniform_(0.1, 0.5)
            elif name.endswith("bias"):
                values.normal_(0, 0.2)
            elif values.dim() == 1:
                values.normal_(1, 0.2)
            else:
                values.normal_(0, values[0].numel() ** -0.5)
    return network


@pytest.mark.parametrize("seed", range(3))
def test_the_stages_of_a_convnext_have_no_use_for_a_constant(seed: int) -> None:
    """Its stem ends in a LayerNorm, so that tokens of a flat ground are as long as others, in every stage.

    For tokens of one length a constant maps every cosine c to (c + w^2) / (1 + w^2), which changes no order.
    """
    network = random_convnext(seed)
    reader = StageReader(network, STAGES, widths=network.config.hidden_sizes, patch=32, normed=True)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = torch.from_numpy(disc_on_flat_ground().transpose(2, 0, 1).copy()).float() / 255
    with torch.inference_mode():
        tokens = reader(((pixels - mean) / deviation)[None])[0][0]
    ground, disc = ground_and_disc(tokens.shape[1])
    for stage in tokens:
        flat, textured = (float(stage[where].norm(dim=-1).mean()) for where in (ground, disc))
        assert flat == pytest.approx(textured, rel=0.1)
