"""Which device is used, and in which format it computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from zsad import device as device_module
from zsad.device import number_format, processor_has_bfloat16, resolve_device
from zsad.errors import ConfigError
from zsad.features.efficientnet_lite import EfficientNetLite
from zsad.features.huggingface import HuggingFace
from zsad.scoring.compute import Compute
from zsad.workflow import emulated


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
    with pytest.raises(ConfigError, match=f"device '{device}' is requested, but torch does not find it here"):
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


@pytest.fixture
def _not_warned_yet() -> None:
    device_module._warn_of_emulation.cache_clear()


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.usefixtures("_not_warned_yet")
def test_bfloat16_that_is_emulated_is_told_once(
    native: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    for asked in ("auto", "float32", "bfloat16", "bfloat16"):
        number_format(asked, "cpu")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (0 if native else 1)
    assert native or "device 'cpu' only emulates it: products take 3 to 12 times" in told[0]


# Each that can be told to compute in bfloat16, and what it computes in if it is told nothing.
FORMATS: dict[str, Callable[[str], str]] = {
    "scores": lambda asked: str(Compute(precision=asked).format).removeprefix("torch."),
    "convolutions": lambda asked: EfficientNetLite(dtype=asked).number_format("cpu"),
    "transformer": lambda asked: HuggingFace(model="facebook/dinov2-small", dtype=asked).number_format("cpu"),
}


@pytest.mark.parametrize("what", FORMATS)
@pytest.mark.usefixtures("_not_warned_yet")
def test_nothing_computes_in_emulated_bfloat16_untold(
    what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert FORMATS[what]("auto") == "float32"
    assert not caplog.records
    assert FORMATS[what]("bfloat16") == "bfloat16"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("flags\t: fpu avx2 amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t: fpu avx2 avx512f\nbugs\t: avx512_bf16\n", False),
        ("model name\t: avx512_bf16\n", None),
        (None, None),
    ],
)
def test_the_operating_system_says_whether_the_processor_has_bfloat16(
    described: str | None, expected: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "cpuinfo"
    if described is not None:
        place.write_text(described, encoding="utf-8")
    monkeypatch.setattr("zsad.device.PROCESSOR", place)
    assert processor_has_bfloat16() is expected


@pytest.mark.parametrize(
    ("device", "native", "gpu", "told"),
    [
        ("cpu", False, True, 3),
        ("auto", False, False, 3),
        ("auto", False, True, 0),
        ("cuda", False, True, 0),
        ("cpu", True, False, 0),
        ("cpu", None, False, 0),
    ],
)
def test_whoever_asks_for_emulated_bfloat16_is_told_when_the_workflow_is_read(
    device: str, native: bool | None, gpu: bool, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulated, "processor_has_bfloat16", lambda: native)
    monkeypatch.setattr(emulated.shutil, "which", lambda _: "nvidia-smi" if gpu else None)
    entries = {"b": SimpleNamespace(params={"dtype": "bfloat16"}), "c": SimpleNamespace(params={"dtype": "auto"})}
    settings = SimpleNamespace(
        config={"device": device},
        scoring=SimpleNamespace(precision="bfloat16"),
        backbones=entries,
        segmenters={"s": entries["b"], "filters": SimpleNamespace(params={})},
    )
    sentences = emulated.emulation_sentences(settings)
    asking = [sentence.split(":")[0] for sentence in sentences]
    assert asking == ["scoring.precision", "backbone 'b'", "segmenter 's'"][:told]
