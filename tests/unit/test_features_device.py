"""Which device is used."""

from __future__ import annotations

import pytest
import torch

from zsad.device import number_format, resolve_device
from zsad.errors import ConfigError


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in request.param)


@pytest.mark.parametrize(
    ("present", "expected"),
    [(("cuda", "mps"), "cuda"), (("cuda",), "cuda"), (("mps",), "mps"), ((), "cpu")],
    indirect=["present"],
)
@pytest.mark.usefixtures("present")
def test_auto_takes_the_fastest_that_there_is(expected: str) -> None:
    assert resolve_device("auto") == expected
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("present", [()], indirect=True)
@pytest.mark.usefixtures("present")
def test_a_device_that_is_absent_is_no_silent_fall_back(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' is asked for but torch finds none here"):
        resolve_device(device)


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"there is no device 'cud'; did you mean 'cuda'\?"):
        resolve_device("cud")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"architecture": "aarch64", "bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({"avx2": True, "avx512_f": False}, torch.float32),
        ({"architecture": "aarch64", "bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_computes_in_bfloat16_only_where_the_processor_does(
    capabilities: dict[str, object], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert number_format("auto", "cpu") == expected
    assert number_format("float32", "cpu") == torch.float32
    assert number_format("bfloat16", "cpu") == torch.bfloat16
