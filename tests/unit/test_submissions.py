"""Names that are too long for the LSF plugin are refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from zsad.config import Settings, load
from zsad.errors import ConfigError
from zsad.submissions import LONGEST, check_folder_names, folder_names


def settings(folder: Path, **changes: object) -> Settings:
    path = folder / "more.yaml"
    path.write_text(yaml.safe_dump(changes))
    return load(path)


def test_usual_names_fit(tmp_path: Path) -> None:
    usual = settings(tmp_path, backbone="facebook/dinov3-vitl16-pretrain-lvd1689m")
    check_folder_names(usual)
    assert max(map(len, folder_names(usual))) < LONGEST


def test_the_folder_is_called_as_the_plugin_calls_it(tmp_path: Path) -> None:
    """As the emulation of LSF records it, but for the order of the steps."""
    small = settings(tmp_path, dataset={"name": "t", "categories": ["ring"]})
    assert (
        "draw_gallery__dataset=t..draw_gallery__category=ring..draw_gallery__method=memory_bank"
        "..draw_plots__dataset=t..draw_plots__category=ring"
    ) in set(folder_names(small))


def test_names_that_are_too_long_together_are_one_sentence(tmp_path: Path) -> None:
    long = settings(tmp_path, dataset={"name": "x" * 110})
    with pytest.raises(ConfigError, match=r"too long for LSF, .* of \d+ characters, where 255 are allowed; give the"):
        check_folder_names(long)
