"""A backbone that describes windows beside patches: what methods of either count and name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from zsad.errors import ConfigError
from zsad.features.registry import BACKBONES
from zsad.resources.run import Run
from zsad.resources.scoring import scored_tokens
from zsad.workflow.settings import DEFAULT_PATH, Settings

METHODS = {
    "batch": {"scorer": "mutual"},
    "named": {"scorer": "self_similarity", "params": {"layers": ["patches"]}},
    "windows": {"scorer": "winclip"},
    "few": {"scorer": "winclip_plus", "params": {"shots": 2}},
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES._entries, "worded", "toy_texts:Worded")


def settings(**changes: Any) -> Settings:
    default = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    seen = {"family": "worded", "params": {"path": "windows"}}
    return Settings(merged(default, backbone="seen", backbones={"seen": seen}, methods=METHODS, **changes))


@pytest.mark.parametrize(("method", "layers"), [("batch", 1), ("named", 1), ("windows", 3), ("few", 3)])
def test_windows_are_counted_where_they_are_compared(method: str, layers: int, tmp_path: Path) -> None:
    counts = scored_tokens(Run(settings(), tmp_path), {"method": method, "category": "ring"})
    assert {count.layers for count in counts.values()} == {layers}


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("window2", r"classifiers\.nearest\.layers: layer 'window2' holds windows of the image, not patches"),
        ("patch", r"classifiers\.nearest\.layers: backbone 'seen' has no layer 'patch'.*patches"),
    ],
)
def test_a_classifier_names_no_layer_of_windows(layer: str, reason: str) -> None:
    classifiers = {"nearest": {"classifier": "nearest_exemplar", "layers": [layer]}}
    with pytest.raises(ConfigError, match=reason):
        settings(classifiers=classifiers).check_models()
    classifiers["nearest"]["layers"] = ["patches"]
    settings(classifiers=classifiers).check_models()
