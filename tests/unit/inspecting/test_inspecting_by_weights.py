"""`zsad inspect --weights`: photographs inspected by what a method has learned from other parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from learning_toys import toys
from zsad.cli import main
from zsad.errors import ConfigError, DataError
from zsad.files.learned import Learned, write_learned
from zsad.inspecting import by_workflow
from zsad.inspecting.selection import select
from zsad.inspecting.written_configuration import understood

pytestmark = pytest.mark.usefixtures("toys")
__all__ = ["toys"]
WritePng = Callable[..., Path]
BACKBONE = {"layers": ["filters"], "backbone": {"resolution": 256, "stride": 8}}


@pytest.fixture
def photograph(tmp_path: Path, write_png: WritePng, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed in range(2):
        write_png(tmp_path / "good" / f"{seed}.png", seed=100 + seed)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return write_png(tmp_path / "IMG_2031.png", seed=0)


def weights(**facts: Any) -> Path:
    path = Path("w.safetensors")
    known = {"method": "direction", "trained_on": "visa", "images_sha256": [64 * "0"], "features": BACKBONE}
    write_learned(path, Learned({"way": np.ones(33, np.float32)}, {**known, **facts}))
    return path


def asked_for(photograph: Path, *references: Path, **asked: Any) -> tuple[Any, dict[str, Any]]:
    """What is understood, and the configuration that is written, as YAML reads it."""
    selection = select([photograph], references)
    found = understood(selection, **{"threshold": None, "method": None, "backbone": "embedded", **asked})
    by_workflow._checked(found, selection)
    text = by_workflow._configuration(found, selection, Path("out"), Path("out/photographs.csv"))
    read: dict[str, Any] = yaml.safe_load(text)
    return found, read


def test_a_photograph_and_a_file_of_weights_are_enough(photograph: Path) -> None:
    given = weights(params={"seed": 0, "length": 2.0, "of_another_version": 1})
    _, written = asked_for(photograph, weights=given)
    params = {"length": 2.0, "weights": str(given.resolve())}
    assert written["methods"]["direction"] == {"scorer": "direction", "params": params}


def test_the_backbone_is_the_one_that_weights_were_learned_by_unless_another_is_named(photograph: Path) -> None:
    finer = {"resolution": 512, "stride": 4}
    given = weights(features={"backbone": finer})
    _, written = asked_for(photograph, weights=given, backbone=None)
    assert written["backbone"] == "learned"
    assert written["backbones"] == {"learned": {"family": "embedded", "params": finer}}
    _, written = asked_for(photograph, weights=weights(features={"backbone": {"of": "another"}}), backbone=None)
    assert "backbones" not in written


def test_all_references_are_used_besides_what_was_learned(photograph: Path, tmp_path: Path) -> None:
    given = weights(method="leaning", params={"shots": 1})
    _, written = asked_for(photograph, tmp_path / "good", weights=given)
    assert written["methods"]["leaning"]["params"] == {"shots": "all", "weights": str(given.resolve())}


def test_a_trained_method_without_weights_is_one_sentence(photograph: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        asked_for(photograph, method="direction")
    assert str(caught.value) == (
        "method 'direction' is trained on other objects; give its trained weights with --weights, e.g. "
        "results/NAME/trained/direction.safetensors of a run with a section 'auxiliary'"
    )


def test_weights_for_a_method_that_reads_none_are_one_sentence(photograph: Path) -> None:
    with pytest.raises(
        ConfigError, match="--weights is for methods that are trained on other objects, and 'mutual' is"
    ):
        asked_for(photograph, method="mutual", weights=weights())


def test_weights_of_an_unknown_method_are_one_sentence(photograph: Path) -> None:
    with pytest.raises(ConfigError, match=r"is of the method 'later', which this version of zsad does not have"):
        asked_for(photograph, weights=weights(method="later"))


def test_weights_of_another_backbone_are_one_sentence(photograph: Path) -> None:
    finer = {"backbone": {"resolution": 512, "stride": 8}}
    with pytest.raises(ConfigError, match=r"backbone 'embedded' is not the one .* \(resolution: 256 and 512\)"):
        asked_for(photograph, weights=weights(features=finer))


@pytest.mark.parametrize("content", [None, b"", b"noise" * 99])
def test_absent_and_damaged_weights_are_one_sentence(photograph: Path, content: bytes | None) -> None:
    if content is not None:
        Path("w.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"w\.safetensors (does not exist|is damaged)"):
        asked_for(photograph, weights=Path("w.safetensors"))


def test_weights_do_not_go_with_a_model(photograph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(photograph), "--model", "m.h5", "--weights", "w.safetensors"]) == 1
    assert (
        "--weights cannot be combined with --model: the model contains the weights that it needs"
        in capsys.readouterr().err
    )
