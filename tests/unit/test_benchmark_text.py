"""The loop over windows that WinCLIP is measured beside: it must be WinCLIP."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

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
    table = text.compared(text.saved(tmp_path, TINY), torch.float32, turns=1, side=40)
    loop, winclip, _, apart = table.splitlines()
    assert loop.startswith("| loop | ")
    assert winclip.endswith(" times as fast |")
    assert float(apart.split()[3]) < 1e-3  # what features lose as float16


def test_the_paths_that_see_an_image_at_once_are_timed(text: ModuleType, tmp_path: Path) -> None:
    plain, values = text.paths(text.saved(tmp_path, TINY), torch.float32, turns=1, side=40, first=-1).splitlines()
    assert plain.startswith("| plain | ")
    assert values.endswith(" times as long |")


def test_the_network_is_that_of_the_paper(text: ModuleType) -> None:
    sizes = text.PLUS_240
    assert (sizes["image_size"] // sizes["patch_size"], sizes["projection_dim"]) == (15, 640)
