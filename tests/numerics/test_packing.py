"""Packed linear layers against the plain ones that they stand for."""

from __future__ import annotations

import copy

import pytest
import torch
from test_families import MODELS, random_pixels
from transformers.activations import ACT2FN

from zsad.features.packing import PackedLinear, packed
from zsad.features.precision import computing_in, in_format

BFLOAT16_STEP = 2.0**-8


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 24), (2, 7, 24), (1, 3, 4, 24)])
@pytest.mark.parametrize("with_gelu", [True, False])
def test_a_packed_layer_gives_what_the_plain_one_gives(bias: bool, shape: tuple[int, ...], with_gelu: bool) -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(24, 40, bias=bias).bfloat16()
    values = torch.randn(shape)
    with torch.inference_mode():
        exact = torch.nn.functional.linear(
            values.bfloat16().double(), linear.weight.double(), linear.bias.double() if bias else None
        )
        exact = torch.nn.functional.gelu(exact) if with_gelu else exact
        result = PackedLinear(linear, with_gelu=with_gelu)(values)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), exact, rtol=BFLOAT16_STEP, atol=BFLOAT16_STEP)


@pytest.mark.parametrize("case", list(MODELS))
def test_every_family_keeps_its_tokens(case: str) -> None:
    torch.manual_seed(0)
    network = in_format(MODELS[case]().eval(), torch.bfloat16)
    network = getattr(network, "vision_model", network)
    exact, packed_network = network, packed(copy.deepcopy(network))
    assert not [module for module in packed_network.modules() if isinstance(module, torch.nn.Linear)]
    with torch.inference_mode(), computing_in(torch.bfloat16, "cpu"):
        pixels = random_pixels(64, 64) if case == "convnext" else random_pixels(16, 16)
        before, after = (model(pixels).last_hidden_state.float() for model in (exact, packed_network))
    assert torch.nn.functional.cosine_similarity(before, after, dim=-1).min() > 0.9995
    assert (before - after).abs().max() < 0.1 * before.abs().max()


@pytest.mark.parametrize("activation", ["gelu_new", "quick_gelu", "silu", "relu", "gelu_python"])
def test_no_other_activation_is_taken_for_gelu(activation: str) -> None:
    network = torch.nn.Module()
    network.fc1, network.activation_fn = torch.nn.Linear(8, 8).bfloat16(), ACT2FN[activation]
    kept = packed(network).activation_fn
    assert not isinstance(kept, torch.nn.Identity)


def test_a_gelu_after_the_layer_is_computed_with_it_and_not_twice() -> None:
    torch.manual_seed(0)
    network = torch.nn.Module()
    network.fc1, network.activation_fn = torch.nn.Linear(8, 8).bfloat16(), ACT2FN["gelu"]
    values = torch.randn(4, 8).bfloat16()
    with torch.inference_mode():
        expected = network.activation_fn(network.fc1(values))
        packed(network)
        result = network.activation_fn(network.fc1(values))
    torch.testing.assert_close(result, expected, rtol=2 * BFLOAT16_STEP, atol=BFLOAT16_STEP)


def test_the_activation_of_a_gate_stays_with_the_gate() -> None:
    network = torch.nn.Module()
    network.gate_proj, network.up_proj = torch.nn.Linear(8, 8).bfloat16(), torch.nn.Linear(8, 8).bfloat16()
    network.act_fn = ACT2FN["gelu"]
    assert packed(network).act_fn is not None
    assert not isinstance(network.act_fn, torch.nn.Identity)
