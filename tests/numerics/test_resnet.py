"""ResNets against transformers and against a plain forward pass, and where their cells look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from closeness import assert_close
from plain_resnet import plain_stages
from tiny_resnet import BASIC, BOTTLENECK, WIDE, filled, saved, state_of
from zsad.features.base import Execution
from zsad.features.cnn.residual import PUBLISHED, ResNetShape
from zsad.features.cnn.resnet import ResNet as Network
from zsad.features.cnn.resnet import rectified, trunk_of
from zsad.features.cnn.resnet_weights import read_weights
from zsad.features.resnet import ResNet

CONFIGS: dict[str, dict[str, Any]] = {
    "basic": {"layer_type": "basic", "hidden_sizes": [8, 12, 16, 20], "depths": [2, 1, 2, 1]},
    "bottleneck": {"layer_type": "bottleneck", "hidden_sizes": [16, 32, 48, 64], "depths": [1, 2, 1, 2]},
    "stride in the first convolution": {"hidden_sizes": [16, 32], "depths": [2, 2], "downsample_in_bottleneck": True},
    "strided first stage": {"hidden_sizes": [16, 32, 48], "depths": [1, 1, 1], "downsample_in_first_stage": True},
}
SHAPES = {"basic": BASIC, "bottleneck": BOTTLENECK, "wide": WIDE}


def pixels_of(height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, height, width))).to(dtype)


@pytest.mark.parametrize("case", CONFIGS)
@pytest.mark.parametrize("size", [(64, 64), (75, 101)])
def test_stages_of_a_folder_are_those_of_transformers(case: str, size: tuple[int, int], tmp_path: Path) -> None:
    config = ResNetConfig(embedding_size=8, **CONFIGS[case])
    network = filled(ResNetModel(config))
    network.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = network(pixels_of(*size), output_hidden_states=True).hidden_states[1:]
    weights = read_weights(str(tmp_path), tmp_path)
    ours = Network(weights.shape).eval()
    ours.load_state_dict(weights.state)
    kept = list(range(1, len(expected) + 1))
    with torch.no_grad():
        for found, theirs in zip(ours.maps(pixels_of(*size), kept), expected, strict=True):
            assert_close(found, theirs)


def test_a_classifier_of_transformers_is_read_as_well(tmp_path: Path) -> None:
    config = ResNetConfig(embedding_size=8, num_labels=3, **CONFIGS["basic"])
    network = filled(ResNetForImageClassification(config))
    network.save_pretrained(tmp_path)
    weights = read_weights(str(tmp_path), tmp_path)
    assert weights.shape == BASIC
    assert torch.equal(weights.state["conv1.weight"], network.resnet.embedder.embedder.convolution.weight)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_the_network_is_that_of_a_plain_forward_pass(case: str, size: tuple[int, int]) -> None:
    network = filled(Network(SHAPES[case]))
    exact = {key: value.double() for key, value in network.state_dict().items()}
    expected = plain_stages(exact, pixels_of(*size, torch.float64))
    with torch.no_grad():
        for found, theirs in zip(network.maps(pixels_of(*size), [1, 2, 3, 4]), expected, strict=True):
            assert_close(found, theirs)


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("kept", [(2, 3), (3, 1), (4,)])
def test_maps_of_the_fused_network_are_those_of_the_plain_one(case: str, kept: tuple[int, ...], tmp_path: Path) -> None:
    state = state_of(SHAPES[case])
    path = saved(SHAPES[case], tmp_path / "own.pth")
    trunk = trunk_of(SHAPES[case], read_weights(str(path), path).state, kept)
    expected = plain_stages({k: v.double() for k, v in state.items()}, pixels_of(64, 96, torch.float64), "replicate")
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.network.modules())
    assert trunk.multiple == 4 * 2 ** (max(kept) - 1)
    with torch.no_grad():
        for layer, stage, found in zip(trunk.layers, kept, trunk.network(pixels_of(64, 96)), strict=True):
            assert (layer.name, layer.cells.stride) == (f"layer{stage}", 2 ** (stage + 1))
            assert layer.channels == expected[stage - 1].shape[1]
            assert_close(found, expected[stage - 1])


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_cells_look_where_their_layer_says(case: str, stage: int) -> None:
    """The pixels that a cell depends on: a NaN among them, and nowhere else, makes a NaN of it."""
    width, network = 320, filled(Network(SHAPES[case]))
    pixels = torch.zeros(width, 3, 1, width)
    pixels[torch.arange(width), :, :, torch.arange(width)] = torch.nan
    with torch.no_grad():
        reached = network.maps(pixels, [stage])[0].isnan().any(dim=1)[:, 0]  # [column of the NaN, cell]
    stride, first = SHAPES[case].layers([stage])[0].cells
    cell = width // stride // 2
    columns = reached[:, cell].nonzero().flatten()
    assert 0 < columns.min() < columns.max() < width - 1
    assert float(columns.min() + columns.max()) / 2 + 0.5 == first + stride * cell


def test_moments_are_those_of_rectified_normal_variables() -> None:
    means, deviations = np.array([-2.0, -0.5, 0.0, 1.0, 4.0]), np.array([1.0, 0.5, 2.0, 1.0, 0.7])
    values = np.maximum(np.random.default_rng(0).normal(means, deviations, (400_000, 5)), 0)
    found = rectified(torch.tensor(means), torch.tensor(deviations))
    np.testing.assert_allclose(found.mean, values.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.deviation, np.maximum(values.std(axis=0), 0.1 * deviations), atol=0.01)


def test_channels_are_near_a_mean_of_0_and_a_deviation_of_1_where_batch_norms_are_correct() -> None:
    """Batch norms of a network that are fitted to noise: what its stages put out is as its moments say."""
    network = filled(Network(BOTTLENECK)).train()
    pixels = torch.from_numpy(np.random.default_rng(5).normal(size=(8, 3, 128, 128))).float()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.maps(pixels, [4])
        maps = network.eval().maps(pixels, [2, 3])
    for moments, values in zip(network.moments([2, 3]), maps, strict=True):
        standardised = (values - moments.mean[:, None, None]) / moments.deviation[:, None, None]
        assert abs(float(standardised.mean())) < 0.2
        assert 0.6 < float(standardised.std()) < 1.5


def test_tokens_of_an_image_and_of_its_mirror_image_are_mirrored_for_a_network_that_is(tmp_path: Path) -> None:
    state = state_of(BASIC)
    symmetric = {k: (v + v.flip(3)) / 2 if v.ndim == 4 else v for k, v in state.items()}
    torch.save(symmetric, tmp_path / "own.pth")
    extractor = ResNet(model=str(tmp_path / "own.pth"), resolution=96).load(Execution("cpu"))
    # Smooth; with cells read where they are not, by 3 px, the two would be 6 of 8 px apart.
    ramp = np.linspace(0, 1, 96)
    image = (255 * np.stack([np.add.outer(0 * ramp, ramp**2)] * 3, axis=-1)).round().astype(np.uint8)
    tokens = extractor.extract(image).patch_tokens[0]
    mirrored = extractor.extract(image[:, ::-1].copy()).patch_tokens[0][:, ::-1]
    shifted = np.abs(tokens[:, 3:-3] - mirrored[:, 2:-4]).mean()
    assert np.abs(tokens - mirrored)[:, 3:-3].mean() < 0.5 * shifted


def test_sizes_by_name_are_those_of_the_published_networks() -> None:
    """Weights of the convolutions; the classifier's and the batch norms' make up the rest of the known totals."""
    totals = {"resnet18": 11.69, "resnet50": 25.56, "wide_resnet50_2": 68.88, "resnet152": 60.19}
    for name, millions in totals.items():
        shape: ResNetShape = PUBLISHED[name]
        with torch.device("meta"):
            network = Network(shape)
        convolutions = sum(p.numel() for p in network.parameters() if p.ndim == 4)
        assert shape.parameters() == convolutions
        classifier = 1001 * shape.stages[-1].width - shape.stages[-1].width + 1000
        norms = sum(p.numel() for p in network.parameters() if p.ndim == 1)
        assert (convolutions + classifier + norms) / 1e6 == pytest.approx(millions, abs=0.006)
