"""What a configuration asks of a model is compared with the model before the first expensive step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from zsad.errors import ZsadError
from zsad.features.huggingface import HuggingFace
from zsad.workflow.settings import load

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "image_size": 28}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    transformers.Dinov2Model(transformers.Dinov2Config(**TINY)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the format of facebookresearch/dinov2, of one block and patches of 14 pixels."""
    width = 64
    shapes = {
        "cls_token": (1, 1, width),
        "mask_token": (1, width),
        "pos_embed": (1, 5, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "blocks.0.attn.qkv.weight": (3 * width, width),
        "blocks.0.attn.qkv.bias": (3 * width,),
        "blocks.0.attn.proj.weight": (width, width),
        "blocks.0.attn.proj.bias": (width,),
        "blocks.0.mlp.fc1.weight": (4 * width, width),
        "blocks.0.mlp.fc1.bias": (4 * width,),
        "blocks.0.mlp.fc2.weight": (width, 4 * width),
        "blocks.0.mlp.fc2.bias": (width,),
        **{f"blocks.0.{name}.gamma": (width,) for name in ("ls1", "ls2")},
        **{f"{norm}.{part}": (width,) for norm in ("blocks.0.norm1", "blocks.0.norm2") for part in ("weight", "bias")},
        **{f"norm.{part}": (width,) for part in ("weight", "bias")},
    }
    path = tmp_path_factory.mktemp("file") / "tiny.pth"
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    return path


def refused(**params: Any) -> str:
    with pytest.raises(ZsadError) as caught:
        HuggingFace(**params).check_model()
    return str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"model": "dinov2-small", "resolution": 450},
            "resolution 450 is not a multiple of the patch size 14 of model",
        ),
        ({"model": "facebook/dinov2-small", "resolution": 450}, "use 448 or 462"),
        ({"model": "dinov3-convnext-tiny", "resolution": 336 + 16}, ""),
        ({"model": "dinov3-vits16-timm", "resolution": 450}, "patch size 16"),
        ({"model": "dinov2-small", "tile": 100}, "tile 100 is not a multiple"),
        ({"model": "dinov2-small", "tile": 224, "overlap": 10}, "overlap 10 is not a multiple"),
        ({"model": "dinov2-small", "layers": [12]}, "has no layer 12; its 12 blocks are 0 to 11, or -12 to -1"),
        ({"model": "dinov3-convnext-tiny", "layers": [4]}, "has no layer 4; its 4 stages are 0 to 3"),
        ({"model": "dinov2-small", "layers": [11, -1]}, "contain a block of model 'dinov2-small' twice"),
        ({"model": "dinov2-small", "projected": True}, "no space with texts"),
        ({"model": "./nowhere"}, "the model folder './nowhere' does not exist"),
    ],
)
def test_what_does_not_fit_a_published_model_is_found_without_it(params: dict[str, Any], message: str) -> None:
    if message:
        assert message in refused(**params)
    else:
        HuggingFace(**params).check_model()


def test_a_local_folder_is_compared_by_its_configuration(folder: Path) -> None:
    HuggingFace(model=str(folder), resolution=28, layers=[0, 1]).check_model()
    assert "resolution 32 is not a multiple of the patch size 14" in refused(model=str(folder), resolution=32)
    assert "has no layer 2; its 2 blocks" in refused(model=str(folder), resolution=28, layers=[2])


def test_a_file_of_weights_is_compared_by_its_shapes(pth: Path) -> None:
    HuggingFace(model=str(pth), resolution=28, layers=[0]).check_model()
    assert "resolution 32 is not a multiple of the patch size 14" in refused(model=str(pth), resolution=32)
    assert "has no layer 1; its 1 blocks" in refused(model=str(pth), resolution=28, layers=[1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", {"model_type": "bert"}, "has type 'bert', which is not supported; use one of"),
        ("config.json", None, "has no config.json"),
        ("model.safetensors", None, "has no weights (model.safetensors)"),
    ],
)
def test_a_folder_that_is_no_such_model_is_told_at_the_start(
    folder: Path, tmp_path: Path, name: str, content: dict[str, Any] | None, message: str
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(json.dumps(content))
    assert message in refused(model=str(tmp_path))


def test_the_check_of_a_configuration_compares_all_backbones(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"backbone: mine\nbackbones:\n  mine: {{family: transformers, params: {{model: {folder}}}}}\n")
    load(mine).check_models()  # 448 is 32 patches of 14
    mine.write_text(mine.read_text().replace("}}", ", resolution: 450}}"))
    with pytest.raises(ZsadError, match="resolution 450 is not a multiple"):
        load(mine).check_models()
