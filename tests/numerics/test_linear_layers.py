"""APRIL-GAN's linear layers: read from its authors' layout as what maps tokens, and faults of their file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_texts
from closeness import assert_close
from tiny_texts import linear_state, write_linear_layers
from zsad.errors import ModelError
from zsad.models.texts.linear_layers import LinearLayers, read_linear_layers


class TrainableLayers(torch.nn.Module):
    """What APRIL-GAN trains and saves: a linear map for each of some layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.ModuleList(torch.nn.Linear(6, 4) for _ in range(3))


def test_layers_map_tokens_as_those_that_were_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = TrainableLayers()
    layers = read_linear_layers(write_linear_layers(tmp_path / "a.pth", trained.state_dict()))
    assert isinstance(layers, LinearLayers)
    assert layers.weights.shape == (3, 4, 6)
    assert layers.biases.shape == (3, 4)
    assert layers.weights.dtype == layers.biases.dtype == torch.float32
    tokens = torch.randn(3, 5, 6)
    with torch.no_grad():
        expected = [layer(token) for layer, token in zip(trained.fc, tokens, strict=True)]
    for layer in range(3):
        mapped = np.stack(
            [layers.weights[layer].numpy() @ token + layers.biases[layer].numpy() for token in tokens[layer].numpy()]
        )
        assert_close(mapped, expected[layer])


def test_more_than_ten_layers_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    state = linear_state(layers=12)
    layers = read_linear_layers(write_linear_layers(tmp_path / "a.pth", dict(sorted(state.items()))))
    for layer in range(12):
        torch.testing.assert_close(layers.weights[layer], state[f"fc.{layer}.weight"], rtol=0, atol=0)
        torch.testing.assert_close(layers.biases[layer], state[f"fc.{layer}.bias"], rtol=0, atol=0)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_linear_layers(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def changed(key: str, change: Callable[[torch.Tensor], Any]) -> dict[str, Any]:
    state: dict[str, Any] = linear_state()
    state[key] = change(state[key])
    return state


def without(*keys: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in linear_state().items() if key not in keys}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "has no 'fc.0.weight'; give one as its authors publish it"),
        (without("fc.1.weight"), "has no 'fc.1.weight'"),
        (without("fc.0.bias"), "has no 'fc.0.bias'"),
        (without("fc.3.bias"), "has weights to 4 x 24 channels of layers and biases of 3 x 24; they must agree"),
        (changed("fc.2.weight", lambda t: t[:, :8]), "has 24 x 32 values in 'fc.0.weight' and 24 x 8 in 'fc.2.weight'"),
        (changed("fc.2.bias", lambda t: t[:8]), "has 24 values in 'fc.0.bias' and 8 in 'fc.2.bias'"),
        (changed("fc.0.weight", lambda t: t[:0]), "has no numbers in 'fc.0.weight'"),
        (changed("fc.0.weight", lambda t: t.int()), "has no numbers in 'fc.0.weight'"),
        (changed("fc.0.bias", lambda t: t / 0), "has values in 'fc.0.bias' that are not finite; download it again"),
        (changed("fc.0.bias", lambda t: "text"), "has no tensor in 'fc.0.bias'"),
        ({**linear_state(), "fc.0.scale": torch.ones(2)}, "has 'fc.0.scale', which such a file has not"),
        (
            {f"fc.{layer}.{kind}": torch.ones(3) for layer in range(2) for kind in ("weight", "bias")},
            "has 3 values in 'fc.0.weight' instead of those of a linear layer",
        ),
        (
            {"fc.0.weight": torch.ones(4, 3), "fc.0.bias": torch.ones(5)},
            "has weights to 1 x 4 channels of layers and",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_one_sentence(tmp_path: Path, state: dict[str, torch.Tensor], message: str) -> None:
    assert message in refusal(write_linear_layers(tmp_path / "a.pth", state))


@pytest.mark.parametrize(
    ("content", "there"),
    [
        ({"prompt_learner": tiny_texts.learned_state()}, " ('prompt_learner')"),
        (linear_state(), " ('fc.0.weight', 'fc.0.bias', ...)"),
        (torch.ones(3), ""),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: Any, there: str) -> None:
    path = tmp_path / "a.pth"
    torch.save(content, path)
    assert refusal(path).startswith(
        f"{path}{there} is no file of APRIL-GAN's linear layers, which has a state dict under"
    )


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "a.pth"
    torch.save({"trainable_linearlayer": {**linear_state(), "fc.0.bias": Malicious()}}, path)
    assert "is damaged, or contains more than tensors, which may be harmful code" in refusal(path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the code would have run"
