"""The loop over windows that WinCLIP is measured beside: it must be WinCLIP."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from paths import load_script

TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 8,
    "image_size": 40,
    "projection_dim": 24,
}


@pytest.fixture(scope="module")
def text() -> ModuleType:
    """benchmarks/text.py, which is a script and no part of a package."""
    return load_script("benchmarks/text.py")


def test_both_ways_say_the_same_and_are_timed(text: ModuleType, tmp_path: Path) -> None:
    loop, *ours = text.compared(text.saved(tmp_path, TINY), ["float32", "bfloat16"], turns=1, side=40).splitlines()
    assert loop.startswith("| loop, float32 | ")
    for row, dtype, lost in zip(ours, ("float32", "bfloat16"), (1e-3, 2e-2), strict=True):  # float16 in any case
        assert row.startswith(f"| winclip, {dtype} | ")
        assert " times as fast | " in row
        assert float(row.split()[-2]) < lost


def test_the_paths_that_see_an_image_at_once_are_timed(text: ModuleType, tmp_path: Path) -> None:
    plain, values = text.paths(text.saved(tmp_path, TINY), ["float32"], turns=1, side=40, first=-1).splitlines()
    assert plain.startswith("| plain, float32 | ")
    assert values.endswith(" times as long as plain | |")


def test_the_network_is_that_of_the_paper(text: ModuleType) -> None:
    sizes = text.PLUS_240
    assert (sizes["image_size"] // sizes["patch_size"], sizes["projection_dim"]) == (15, 640)
    assert text.formats()[0] == "float32"
