"""From a photograph to tokens through the whole backbone, for every family in every form that is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_conversion import (
    REGISTERS,
    Random,
    Weights,
    convnext_outputs,
    convnext_state,
    dinov2_outputs,
    dinov2_state,
    dinov3_outputs,
    dinov3_vit_state,
    timm_convnext_state,
    timm_vit_state,
)
from test_families import MODELS

from closeness import assert_close
from zsad.errors import ModelError
from zsad.features.base import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.network import NetworkExtractor
from zsad.files.provenance import file_sha256

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


def extractor_of(model: Path, **params: Any) -> NetworkExtractor:
    return HuggingFace(model=str(model), **{"dtype": "float32", **params}).load(Execution("cpu"))


def photograph(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def normalised(image: np.ndarray, statistics: tuple[list[float], list[float]] = IMAGENET) -> torch.Tensor:
    """uint8 ``[height, width, 3]`` to float64 ``[3, height, width]``."""
    return torch.from_numpy((image / 255 - statistics[0]) / statistics[1]).permute(2, 0, 1)


@pytest.mark.parametrize("case", [case for case in MODELS if case != "clip tower"])
@pytest.mark.parametrize(("resolution", "size"), [(32, (32, 32)), (64, (90, 90)), (32, (41, 80))])
def test_tokens_are_what_transformers_gives_for_the_resized_and_normalised_image(
    case: str, resolution: int, size: tuple[int, int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = MODELS[case]().eval()
    network.save_pretrained(tmp_path)
    extractor = extractor_of(tmp_path, resolution=resolution, positions="transformers")
    image = photograph(*size)
    pixels = normalised(extractor.prepare(image), CLIP if case == "clip" else IMAGENET).float()[None]
    with torch.no_grad():
        if case == "clip":
            tower = network.vision_model
            states = tower(pixels, interpolate_pos_encoding=True).last_hidden_state
            expected = tower.post_layernorm(states)[0]
        elif case == "dino":
            expected = network(pixels, interpolate_pos_encoding=True).last_hidden_state[0]
        else:
            expected = network(pixels).last_hidden_state[0]
    rows, columns = extractor.grid_size(*size)
    patch_tokens, _ = extractor.extract(image)
    assert patch_tokens.shape == (1, rows, columns, expected.shape[1])
    assert_close(patch_tokens[0].reshape(rows * columns, -1), expected[-rows * columns :])


def pth(name: str) -> Callable[[dict[str, torch.Tensor], Path], Path]:
    def save(state: dict[str, torch.Tensor], folder: Path) -> Path:
        torch.save(state, folder / name)
        return folder / name

    return save


def timm(architecture: str) -> Callable[[dict[str, torch.Tensor], Path], Path]:
    def save(state: dict[str, torch.Tensor], folder: Path) -> Path:
        save_file(state, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"architecture": architecture, "pretrained_cfg": {}}))
        return folder

    return save


PUBLISHED = {
    "dinov3 of torch.hub": (dinov3_vit_state, dinov3_outputs, pth("dinov3_vits16.pth"), 16, 1 + REGISTERS),
    "dinov2 of torch.hub": (
        dinov2_state,
        partial(dinov2_outputs, offset=0.1),
        pth("dinov2_vits14_pretrain.pth"),
        14,
        1,
    ),
    "convnext of torch.hub": (convnext_state, convnext_outputs, pth("dinov3_convnext.pth"), 32, 0),
    "dinov3 of timm": (timm_vit_state, dinov3_outputs, timm("vit_small_patch16_dinov3"), 16, 1 + REGISTERS),
    "convnext of timm": (timm_convnext_state, convnext_outputs, timm("convnext_tiny"), 32, 0),
}


@pytest.mark.parametrize(("make", "outputs", "save", "patch", "prefix"), PUBLISHED.values(), ids=PUBLISHED)
@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 3)])
def test_checkpoints_of_other_formats_give_the_tokens_of_the_authors_network(
    make: Callable[..., dict[str, torch.Tensor]],
    outputs: Callable[[Weights, torch.Tensor], list[torch.Tensor]],
    save: Callable[[dict[str, torch.Tensor], Path], Path],
    patch: int,
    prefix: int,
    height: int,
    width: int,
    tmp_path: Path,
) -> None:
    state = make(Random())
    path = save(state, tmp_path)
    image = photograph(patch * height, patch * width)
    expected = outputs(Weights(state), normalised(image))[-1][prefix:].numpy()
    extractor = extractor_of(path, resolution=2 * patch)
    assert_close(extractor.extract(image).patch_tokens[0], expected.reshape(height, width, -1))
    (digest,) = extractor.model["weights_sha256"].values()
    assert digest == file_sha256(path if path.is_file() else path / "model.safetensors")


def test_a_file_of_torch_hub_is_checked_against_the_hash_in_its_name(tmp_path: Path) -> None:
    path = pth("weights.pth")(dinov3_vit_state(Random()), tmp_path)
    digest = file_sha256(path)
    right = path.rename(tmp_path / f"dinov3_vits16-{digest[:8]}.pth")
    assert extractor_of(right, resolution=32).model["weights_sha256"] == {right.name: digest}
    wrong = right.rename(tmp_path / "dinov3_vits16-00000000.pth")
    with pytest.raises(ModelError, match=r"damaged: the SHA-256 of .* begins with .*, contrary to its name"):
        extractor_of(wrong, resolution=32)
    with pytest.raises(ModelError, match="not those of the configuration"):
        extractor_of(wrong.rename(tmp_path / "weights.pth"), resolution=32, sha256="0" * 8)


def test_a_published_file_whose_weights_are_cut_short_is_a_sentence(tmp_path: Path) -> None:
    path = pth("weights.pth")(dinov3_vit_state(Random()), tmp_path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelError, match="weights") as caught:
        extractor_of(path, resolution=32)
    assert "\n" not in str(caught.value)
