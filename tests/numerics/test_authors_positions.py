"""Positions on other grids than that of training, against the formulas of DINO's and DINOv2's authors.

Both authors' `interpolate_pos_encoding` leaves a square grid of as many patches as were trained alone, and else has
torch resample by the factors (rows + 0.1) / side and (columns + 0.1) / side, bicubically: patch i of the new grid lies
at (i + 0.5) / factor - 0.5 of the old one, where the cubic kernel of a = -0.75 reaches two patches to each side, and
the border goes on beyond itself. Written here without torch.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_conversion import Random, dinov2_state
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, PreTrainedModel, ViTConfig, ViTModel

from closeness import assert_close
from random_weights import randomise
from zsad.errors import ConfigError
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.image_text import ImageText
from zsad.features.network import NetworkExtractor
from zsad.models.families import FAMILIES

PATCH, SIDE = 4, 4
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": PATCH,
    "image_size": PATCH * SIDE,
}
OFFSET = 0.1
GRIDS = [(4, 4), (6, 6), (3, 3), (4, 7), (7, 4), (2, 8), (5, 3), (13, 10)]  # one has the trained number, another shape


def saved(network: PreTrainedModel, folder: Path) -> PreTrainedModel:
    randomise(network, scale=0.3, seed=5)
    network.save_pretrained(folder)
    return network.eval()


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreTrainedModel]:
    folder = tmp_path_factory.mktemp("dino")
    return folder, saved(ViTModel(ViTConfig(**SIZES, intermediate_size=64), add_pooling_layer=False), folder)


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreTrainedModel]:
    folder = tmp_path_factory.mktemp("dinov2")
    return folder, saved(Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=2)), folder)


def extractor(model: Path, resolution: int = 32, **params: Any) -> NetworkExtractor:
    backbone = HuggingFace(model=str(model), resolution=resolution, **{"dtype": "float32", **params})
    return backbone.load(Execution(device="cpu"))


def pixels_for(rows: int, columns: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows * 100 + columns)
    return torch.randn(1, 3, rows * PATCH, columns * PATCH, generator=generator)


def tokens(network: NetworkExtractor, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        patches, classes = network.tokens_of(pixels)
    return torch.cat([classes[0, 0][None], patches[0, 0].flatten(0, 1)])


def cubic(distance: float) -> float:
    x = abs(distance)
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3 if x < 2 else 0.0


def resampling(wanted: int, offset: float, side: int = SIDE) -> np.ndarray:
    """``[new, old]``: what each new place takes of the old ones."""
    weights = np.zeros((wanted, side))
    for place in range(wanted):
        centre = (place + 0.5) * side / (wanted + offset) - 0.5
        for near in range(math.floor(centre) - 1, math.floor(centre) + 3):
            weights[place, min(max(near, 0), side - 1)] += cubic(centre - near)
    return weights


def positions(network: PreTrainedModel, rows: int, columns: int, offset: float = OFFSET) -> torch.Tensor:
    """``[1, 1 + patch, channel]``."""
    learned = network.embeddings.position_embeddings[0].detach().double().numpy()
    if (rows, columns) == (SIDE, SIDE):
        return torch.from_numpy(learned)[None].float()
    plane = learned[1:].reshape(SIDE, SIDE, -1)
    moved = np.einsum("ai,bj,ijc->abc", resampling(rows, offset), resampling(columns, offset), plane)
    return torch.from_numpy(np.concatenate([learned[:1], moved.reshape(rows * columns, -1)]))[None].float()


def expected(network: PreTrainedModel, pixels: torch.Tensor, offset: float = OFFSET) -> torch.Tensor:
    """The network's own forward pass with the positions above."""
    grid = (pixels.shape[2] // PATCH, pixels.shape[3] // PATCH)
    embeddings = network.embeddings
    embeddings.interpolate_pos_encoding = lambda *_: positions(network, *grid, offset)
    try:
        with torch.inference_mode():
            arguments = {"interpolate_pos_encoding": True} if isinstance(network, ViTModel) else {}
            return network(pixels, **arguments).last_hidden_state[0]
    finally:
        del embeddings.interpolate_pos_encoding


@pytest.mark.parametrize("model", ["dino", "dinov2"])
def test_the_default_is_the_authors_formula_on_every_grid(model: str, request: pytest.FixtureRequest) -> None:
    folder, network = request.getfixturevalue(model)
    ours = extractor(folder)
    assert ours.model["positions"] == "offset"
    differing = 0
    for grid in GRIDS:
        pixels = pixels_for(*grid)
        result = tokens(ours, pixels)
        assert_close(result, expected(network, pixels))
        differing += not torch.allclose(result, expected(network, pixels, offset=0), atol=1e-3)
    assert differing == len(GRIDS) - 1  # all but the trained grid


@pytest.mark.parametrize("model", ["dino", "dinov2"])
def test_the_way_of_transformers_can_be_asked_for(model: str, request: pytest.FixtureRequest) -> None:
    folder, network = request.getfixturevalue(model)
    ours = extractor(folder, positions="transformers")
    assert ours.model["positions"] == "transformers"
    for grid in GRIDS:
        pixels = pixels_for(*grid)
        assert_close(tokens(ours, pixels), expected(network, pixels, offset=0))


def test_a_single_file_of_the_authors_is_read_as_they_do(tmp_path: Path) -> None:
    torch.save(dinov2_state(Random()), tmp_path / "dinov2_vits14_pretrain.pth")
    assert extractor(tmp_path / "dinov2_vits14_pretrain.pth", resolution=28).model["positions"] == "offset"


def test_other_plain_transformers_are_not_given_dinos_offset(
    dino: tuple[Path, PreTrainedModel], tmp_path: Path
) -> None:
    _, network = dino
    network.save_pretrained(tmp_path)
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(half))
    assert extractor(tmp_path).model["positions"] == "transformers"
    assert extractor(tmp_path, positions="offset").model["positions"] == "offset"  # asked for outright
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(imagenet))
    assert extractor(tmp_path).model["positions"] == "offset"


def test_compiled_and_in_sixteen_bits_positions_are_the_same(dinov2: tuple[Path, PreTrainedModel]) -> None:
    folder, network = dinov2
    pixels = pixels_for(5, 7)
    whole = extractor(folder)
    embeddings = whole._read._network.embeddings
    embeddings.compile(backend="eager", dynamic=False, fullgraph=True)
    assert_close(tokens(whole, pixels), expected(network, pixels))
    short = tokens(extractor(folder, dtype="bfloat16"), pixels)
    cosines = torch.nn.functional.cosine_similarity(short, expected(network, pixels))
    assert cosines.min() > 0.999


@pytest.mark.parametrize("model", ["dino-vits16", "dinov2-small", "dinov2-reg-small", "dinov3-vits16", "clip-vitl14"])
def test_a_way_that_means_nothing_to_a_published_model_is_refused_before_it_is_downloaded(model: str) -> None:
    def check(way: str) -> None:
        HuggingFace(model=model, positions=way).check_model()

    own = {"offset"} if model in ("dino-vits16", "dinov2-small") else set()
    own |= {"bicubic", "bilinear", "antialiased"} if model.startswith("clip") else set()
    for way in ("offset", "bicubic", "bilinear", "antialiased"):
        if way in own:
            check(way)
            continue
        with pytest.raises(ConfigError, match=f"positions {way} is not supported by model '{model}'; remove it"):
            check(way)
    check("transformers")
    check("authors")


def test_every_family_knows_the_authors_way_and_that_of_transformers() -> None:
    assert all({"authors", "transformers"} <= family.position_ways for family in FAMILIES.values())


@pytest.mark.parametrize("way", ["authors", "transformers", "bicubic", "bilinear", "antialiased"])
def test_clip_is_read_alike_with_texts_and_without(way: str, tmp_path: Path) -> None:
    vision = SIZES | {"intermediate_size": 48}
    text = {
        "vocab_size": 9,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    saved(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)), tmp_path)
    pixels = pixels_for(6, 5)
    with_texts = ImageText(model=str(tmp_path), resolution=32, positions=way, dtype="float32")
    plain = extractor(tmp_path, positions=way, projected=True)
    assert plain.model["positions"] == ("bicubic" if way == "authors" else way)
    assert_close(tokens(with_texts.load(Execution(device="cpu")), pixels)[1:], tokens(plain, pixels)[1:])


def test_null_is_the_authors_way() -> None:
    assert ImageText(model="clip-vitl14", positions=None).positions == "authors"
