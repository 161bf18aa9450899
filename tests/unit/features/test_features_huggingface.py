"""What can go wrong with a checkpoint, and what is recorded of one."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import Dinov2Config, Dinov2Model, SwinConfig

from closeness import assert_close
from warm import warm_python
from zsad.errors import ConfigError, ModelError, ZsadError
from zsad.features.base import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.registry import BACKBONES
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD

CONFIG = Dinov2Config(
    hidden_size=8, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=1, patch_size=14, image_size=28
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("dinov2")
    Dinov2Model(CONFIG).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def sentence(backbone: HuggingFace, kind: type[ZsadError]) -> str:
    with pytest.raises(kind) as caught:
        backbone.load(Execution("cpu"))
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_the_provenance_names_folder_weights_and_prefix(checkpoint: Path) -> None:
    extractor = HuggingFace(model=str(checkpoint), resolution=28, dtype="float32").load(Execution("cpu"))
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    assert extractor.model == {
        "id": str(checkpoint),
        "revision": None,
        "weights_sha256": {"model.safetensors": digest},
        "patch_size": 14,
        "prefix_tokens": 1,
        "dtype": "float32",
        "pixels": {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD), "source": "usual of its family"},
        "positions": "offset",
    }
    assert (extractor.channels, extractor.cls_source, extractor.device) == (8, "class token", "cpu")


def test_a_hub_model_is_read_from_the_cache_and_its_commit_recorded(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "models--someone--small"
    shutil.copytree(checkpoint, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    extractor = HuggingFace(model="someone/small", resolution=28).load(Execution("cpu"))
    assert extractor.model["id"] == "someone/small"
    assert extractor.model["revision"] == commit


def test_pickled_weights_are_read_as_tensors_only(copy: Path) -> None:
    torch.save(Dinov2Model.from_pretrained(copy).state_dict(), copy / "pytorch_model.bin")
    image = np.full((28, 28, 3), 99, dtype=np.uint8)
    backbone = HuggingFace(model=str(copy), resolution=28)
    expected = backbone.load(Execution("cpu")).extract(image).patch_tokens
    (copy / "model.safetensors").unlink()
    assert_close(backbone.load(Execution("cpu")).extract(image).patch_tokens, expected)


def test_pickled_code_is_never_run(copy: Path, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    (copy / "model.safetensors").unlink()
    torch.save({"embeddings.cls_token": Malicious()}, copy / "pytorch_model.bin")
    message = sentence(HuggingFace(model=str(copy), resolution=28), ModelError)
    assert "cannot be loaded (they are damaged, or contain more than tensors" in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("resolution", "valid"), [(30, "28 or 42"), (10, "14 or 28"), (450, "448 or 462")])
def test_a_resolution_between_patches_names_the_nearest_valid_ones(
    checkpoint: Path, resolution: int, valid: str
) -> None:
    message = sentence(HuggingFace(model=str(checkpoint), resolution=resolution), ConfigError)
    assert f"resolution {resolution} is not a multiple of the patch size 14" in message
    assert message.endswith(f"use {valid}")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [((3,), "has no layer 3; its 3 blocks are 0 to 2, or -3 to -1"), ((-4,), "has no layer -4"), ((2, -1), "twice")],
)
def test_layers_that_the_model_does_not_have_are_refused(
    checkpoint: Path, layers: tuple[int, ...], expected: str
) -> None:
    assert expected in sentence(HuggingFace(model=str(checkpoint), resolution=28, layers=layers), ConfigError)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"model": ""},
        {"model": "m", "layers": ()},
        {"model": "m", "dtype": "float64"},
        {"model": "m", "sha256": "xyz"},
    ],
)
def test_unusable_parameters_are_refused_when_the_configuration_is_read(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HuggingFace(**params)
    with pytest.raises(ConfigError):
        BACKBONES.build("transformers", params)


def test_a_model_of_another_family_is_named_with_its_type(tmp_path: Path) -> None:
    SwinConfig(embed_dim=8, depths=[1], num_heads=[1]).save_pretrained(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    message = sentence(HuggingFace(model=str(tmp_path)), ModelError)
    assert "has type 'swin', which is not supported; use one of vit, dinov2, dinov2_with_registers" in message


def test_remote_code_is_never_trusted(copy: Path) -> None:
    content = json.loads((copy / "config.json").read_text())
    content["model_type"] = "mine"
    content["auto_map"] = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    (copy / "config.json").write_text(json.dumps(content))
    (copy / "code.py").write_text("raise SystemExit('ran')")
    assert "has type 'mine'" in sentence(HuggingFace(model=str(copy)), ModelError)


def test_a_folder_without_a_configuration_is_refused(copy: Path) -> None:
    (copy / "config.json").unlink()
    assert "has no config.json" in sentence(HuggingFace(model=str(copy)), ModelError)


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "dinov2", "hidden_size": "many"}'])
def test_a_damaged_configuration_is_refused(copy: Path, content: str) -> None:
    (copy / "config.json").write_text(content)
    sentence(HuggingFace(model=str(copy)), ModelError)


def test_a_folder_without_weights_is_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert "has no weights (model.safetensors)" in sentence(HuggingFace(model=str(copy), resolution=28), ModelError)


@pytest.mark.parametrize("size", [0, 7, 2000])
def test_truncated_weights_are_refused(copy: Path, size: int) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    message = sentence(HuggingFace(model=str(copy), resolution=28), ModelError)
    assert "cannot be loaded" in message
    assert message.endswith("download them again")


@pytest.mark.parametrize("change", [{"num_hidden_layers": 4}, {"hidden_size": 16}])
def test_the_weights_of_another_model_are_refused(copy: Path, change: dict[str, int]) -> None:
    content = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(content | change))
    sentence(HuggingFace(model=str(copy), resolution=28), ModelError)


def test_a_folder_that_does_not_exist_is_no_hub_id(tmp_path: Path) -> None:
    assert "does not exist" in sentence(HuggingFace(model=str(tmp_path / "none")), ModelError)
    assert "neither an existing folder nor a hub id" in sentence(HuggingFace(model="models/dino/small"), ModelError)


def test_a_revision_of_a_local_folder_is_refused(checkpoint: Path) -> None:
    assert "remove it" in sentence(HuggingFace(model=str(checkpoint), revision="main"), ConfigError)


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_a_network_a_hub_model_fails_soon_and_in_silence(tmp_path: Path, offline: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from zsad.errors import ModelError\n"
        "from zsad.features.base import Execution\n"
        "from zsad.features.huggingface import HuggingFace\n"
        "try:\n    HuggingFace(model='someone/unknown').load(Execution('cpu'))\n"
        "except ModelError as error:\n    print(error)\n"
    )
    environment = {
        "PATH": "",
        "PYTHONPATH": ":".join(sys.path),
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": offline,
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nothing listens there
    }
    start = time.monotonic()
    run = subprocess.run([warm_python(), program], env=environment, capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 120
    assert "download it first" in run.stdout
    assert "point 'model' at a local folder" in run.stdout
    assert run.stderr == ""


def test_declaring_a_backbone_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys\n"
        "from zsad.features.base import Execution\n"
        "from zsad.features.registry import BACKBONES\n"
        "for name in BACKBONES.names(): BACKBONES.load(name)\n"
        "BACKBONES.build('embedded').load(Execution())\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
