"""The name of a shared file changes with everything that its content depends on, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zsad.data.image_list import ListedImage
from zsad.files.provenance import library_versions
from zsad.sharing import content_key as module
from zsad.sharing.content_key import content_key, images_sha256

RECORDS = [
    ListedImage("test/good/0.png", "/home/anna/0.png", "test", 40, 50, "ab" * 32),
    ListedImage("test/hole/0.png", "/home/anna/1.png", "test", 40, 50, "cd" * 32),
]
MODEL = {"id": "a/b", "revision": "c0ffee", "weights_sha256": {"model.safetensors": "ef" * 32}, "dtype": "float32"}
PROVENANCE = {
    "stage": "extract_features",
    "params": {"family": "transformers", "params": {"resolution": 224, "normed": True, "projected": False}},
    "code": {"zsad/features/network.py": "0123456789ab"},
    "versions": {"torch": "2.13.0", "numpy": "2.3.0"},
}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """What the key of a file of features is made of; the model lies in a local folder."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("tensors")
    return {
        "provenance": PROVENANCE,
        "records": RECORDS,
        "file_format": "zsad-features-1",
        "model": MODEL,
        "model_files": [tmp_path / "config.json", tmp_path / "model.safetensors"],
        "device": "cuda",
        "subset": "test",
        "view": "original",
    }


def key(given: dict[str, Any]) -> str:
    rest = dict(given)
    return content_key(rest.pop("provenance"), rest.pop("records"), **rest)


def with_provenance(name: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda given: {**given, "provenance": {**PROVENANCE, name: value}}


def with_parameters(**parameters: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return with_provenance("params", {"family": "transformers", "params": parameters})


def with_record(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda given: {**given, "records": [replace(RECORDS[0], **changes), RECORDS[1]]}


def with_model(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda given: {**given, "model": MODEL | changes}


def edit_config(given: dict[str, Any]) -> dict[str, Any]:
    given["model_files"][0].write_text('{"layer_norm_eps": 1}')
    return given


CHANGES = {
    "format": lambda given: {**given, "file_format": "zsad-features-2"},
    "stage": with_provenance("stage", "embed_images"),
    "number": with_parameters(resolution=448, normed=True, projected=False),
    "flipped boolean": with_parameters(resolution=224, normed=False, projected=False),
    "swapped booleans": with_parameters(resolution=224, normed=False, projected=True),
    "code": with_provenance("code", {"zsad/features/network.py": "ba9876543210"}),
    "one module more": with_provenance("code", {**PROVENANCE["code"], "zsad/features/new.py": "0123456789ab"}),
    "version of torch": with_provenance("versions", {"torch": "2.14.0", "numpy": "2.3.0"}),
    "pixels": with_record(sha256="ba" * 32),
    "name of an image": with_record(image_id="test/good/1.png"),
    "height": with_record(height=41),
    "width": with_record(width=51),
    "order of the images": lambda given: {**given, "records": RECORDS[::-1]},
    "an image fewer": lambda given: {**given, "records": RECORDS[:1]},
    "subset": lambda given: {**given, "subset": "train"},
    "view": lambda given: {**given, "view": "hflip"},
    "model": with_model(id="a/c"),
    "revision": with_model(revision="decade"),
    "weights": with_model(weights_sha256={"model.safetensors": "fe" * 32}),
    "number format": with_model(dtype="bfloat16"),
    "config.json of a local model": edit_config,
    "kind of device": lambda given: {**given, "device": "cpu"},
}
NO_CHANGES = {
    "folder of the images": with_record(path="/home/bert/0.png"),
    "split, as the subset tells it": with_record(split="train"),
    "which of two GPUs": lambda given: {**given, "device": "cuda:1"},
    "order of the parameters": with_parameters(projected=False, normed=True, resolution=224),
    "other provenance": with_provenance("host", "node7"),
}


def test_each_ingredient_changes_the_key(given: dict[str, Any]) -> None:
    keys = {"nothing": key(given)}
    for name, change in CHANGES.items():
        keys[name] = key(change(given))
    assert len(set(keys.values())) == len(keys), keys
    assert all(len(found) == 64 for found in keys.values())


@pytest.mark.parametrize("name", NO_CHANGES)
def test_what_does_not_matter_does_not_change_it(given: dict[str, Any], name: str) -> None:
    assert key(NO_CHANGES[name](given)) == key(given)


def test_weights_are_hashed_once_by_whoever_loads_them(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(module, "known_sha256", lambda path: hashed.append(path.name) or "")
    key(given)
    assert hashed == ["config.json"]


def test_the_versions_of_a_stage_name_all_that_reads_and_changes_an_image() -> None:
    assert {"pillow", "opencv-python-headless", "numpy", "torch", "transformers"} <= set(library_versions())


def test_the_digest_of_the_images_knows_no_folder() -> None:
    digest = images_sha256(RECORDS)
    assert digest == images_sha256([replace(record, path="x") for record in RECORDS])
    assert digest != images_sha256(RECORDS[:1])
