"""ResNets as a backbone: how files are recognised, what is refused and how, and what is told before loading."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import ResNetConfig, ResNetModel

from closeness import assert_close
from tiny_resnet import BASIC, BOTTLENECK, WIDE, filled, saved, state_of
from zsad.errors import ConfigError, ModelError
from zsad.features.base import Execution
from zsad.features.cnn.resnet_weights import read_weights, shape_of_model
from zsad.features.registry import BACKBONES
from zsad.features.resnet import ResNet
from zsad.models import held
from zsad.models.held import hold, loaded_here

CPU = Execution("cpu")
State = dict[str, Tensor]
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 90, 3), dtype=np.uint8)


def folder_of(path: Path, **changes: object) -> Path:
    config = ResNetConfig(embedding_size=8, layer_type="basic", hidden_sizes=[8, 12, 16, 20], depths=[2, 1, 2, 1])
    filled(ResNetModel(config)).save_pretrained(path)
    content = json.loads((path / "config.json").read_text()) | changes
    (path / "config.json").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("shape", [BASIC, BOTTLENECK, WIDE], ids=["basic", "bottleneck", "wide"])
def test_a_file_becomes_tokens_of_the_layout_that_was_told(tmp_path: Path, shape: object) -> None:
    backbone = ResNet(model=str(saved(shape, tmp_path / "own.pth")), resolution=64)
    backbone.check_model()
    layout = backbone.known_layout()
    extractor = backbone.load(CPU)
    tokens = extractor.extract(IMAGE)
    rows, columns = layout.rule.size(*IMAGE.shape[:2])
    assert tokens.patch_tokens.shape == (1, rows, columns, layout.channels)
    assert tokens.cls_tokens.shape == (1, layout.channels)
    assert extractor.layers == list(layout.layers) == ["layer2+layer3"]
    np.testing.assert_allclose(np.linalg.norm(tokens.patch_tokens, axis=-1), 1, rtol=1e-5)
    assert list(extractor.model["weights_sha256"]) == ["own.pth"]
    assert backbone.operations(64, 90) > 0
    assert backbone.working_bytes(64, 90) > 1e6
    assert backbone.local_files() == [str(tmp_path / "own.pth")]


@pytest.mark.parametrize("embedding", ["stages", "patchcore"])
def test_a_network_that_is_held_is_taken_and_gives_the_same_bytes(
    embedding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "SETTLED_NS", 0)
    backbone = ResNet(model=str(saved(BASIC, tmp_path / "own.pth")), resolution=64, embedding=embedding)
    loaded = backbone.load(CPU)
    hold(loaded_here())
    _, trunk = held._Process.held
    taken = backbone.load(CPU)
    assert taken._network is trunk.network
    assert held._Process.held is None
    assert taken.model == loaded.model
    for ours, theirs in zip(taken.extract(IMAGE), loaded.extract(IMAGE), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def wrapped(state: State) -> object:
    return {"epoch": torch.zeros(()), "state_dict": {f"module.{key}": value for key, value in state.items()}}


def half(state: State) -> State:
    return {key: value.half() if value.is_floating_point() else value for key, value in state.items()}


FORMS: dict[str, Callable[[State], object]] = {
    "of distributed training": wrapped,
    "with the name of a backbone": lambda state: {f"backbone.{key}": value for key, value in state.items()},
    "with another classifier": lambda state: state | {"fc.weight": torch.ones(3, 20), "fc.bias": torch.ones(3)},
    "without a classifier": lambda state: {k: v for k, v in state.items() if not k.startswith("fc.")},
    "without counters": lambda state: {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_zip", [True, False])
def test_files_are_read_in_every_form(form: str, is_zip: bool, tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save(FORMS[form](state_of(BASIC)), path, _use_new_zipfile_serialization=is_zip)
    weights = read_weights(str(path), path)
    assert weights.shape == BASIC
    assert torch.equal(weights.state["layer2.0.conv1.weight"], state_of(BASIC)["layer2.0.conv1.weight"])


def test_weights_in_half_precision_are_computed_with_in_float32(tmp_path: Path) -> None:
    torch.save(half(state_of(BASIC)), tmp_path / "half.pth")
    expected = ResNet(model=str(saved(BASIC, tmp_path / "own.pth")), resolution=32).load(CPU).extract(IMAGE)
    found = ResNet(model=str(tmp_path / "half.pth"), resolution=32).load(CPU).extract(IMAGE)
    assert_close(found.patch_tokens, expected.patch_tokens, share=0.01)


def test_a_folder_and_a_file_of_the_same_weights_give_the_same(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "folder")
    torch.save(read_weights(str(folder), folder).state, tmp_path / "own.pth")
    first, second = (
        ResNet(model=str(model), resolution=32).load(CPU).extract(IMAGE) for model in (folder, tmp_path / "own.pth")
    )
    np.testing.assert_array_equal(first.patch_tokens, second.patch_tokens)


def without(key: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name != key}


def changed(key: str, value: Callable[[Tensor], Tensor]) -> Callable[[State], State]:
    return lambda state: state | {key: value(state.get(key, torch.zeros(())))}


WRONG: dict[str, tuple[Callable[[State], object], str]] = {
    "a tensor is missing": (without("layer3.1.bn2.weight"), r"lack the tensor 'layer3\.1\.bn2\.weight'"),
    "a statistic is missing": (without("bn1.running_mean"), r"lack the tensor 'bn1\.running_mean'"),
    "a tensor is left over": (
        changed("layer1.0.se.fc1.weight", lambda _: torch.ones(2)),
        r"contain 1 unknown tensors \(the first is 'layer1\.0\.se\.fc1\.weight'\)",
    ),
    "a stage is cut out": (without("layer2.0.conv1.weight"), r"unknown tensors"),
    "a shape is wrong": (
        changed("layer2.0.bn1.bias", lambda bias: bias[:-1]),
        r"'layer2\.0\.bn1\.bias' of model '.*' is 11, but 12 is expected",
    ),
    "the stem is of another variant": (
        changed("conv1.weight", lambda kernel: kernel[..., :3, :3]),
        r"is 8 x 3 x 3 x 3, but 8 x 3 x 7 x 7 is expected",
    ),
    "grey images": (changed("conv1.weight", lambda kernel: kernel[:, :1]), "8 x 1 x 7 x 7, but 8 x 3 x 7 x 7"),
    "an axis is missing": (changed("layer1.0.conv2.weight", lambda kernel: kernel[0]), "a shape of 4 axes"),
    "integers": (
        changed("layer1.0.conv1.weight", lambda kernel: kernel.to(torch.int8)),
        r"are quantised \('layer1\.0\.conv1\.weight' is int8\), which is not supported",
    ),
    "a NaN": (
        changed("layer2.0.bn1.bias", lambda bias: bias / 0),
        r"are damaged \('layer2\.0\.bn1\.bias' has impossible values",
    ),
    "a negative variance": (
        changed("bn1.running_var", lambda variance: -variance),
        r"are damaged \('bn1\.running_var'",
    ),
    "another network": (lambda _: {"cls_token": torch.ones(1, 1, 8)}, r"not of a ResNet .*'cls_token'"),
    "no tensors": (lambda _: {"epoch": 3}, "contains no state dict"),
    "quantised by torch": (lambda state: state | {"fc._packed_params": (1, None)}, "contains no state dict"),
}


@pytest.mark.parametrize("case", WRONG)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    damage, said = WRONG[case]
    torch.save(damage(state_of(BASIC)), tmp_path / "own.pth")
    with pytest.raises(ModelError, match=said) as caught:
        ResNet(model=str(tmp_path / "own.pth"), resolution=32).load(CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut", b"\x80\x02"])
def test_files_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "resnet18.pth").write_bytes(content)
    with pytest.raises(ModelError, match="is damaged"):
        ResNet(model=str(tmp_path / "resnet18.pth")).check_model()


CONFIGS: dict[str, tuple[dict[str, object], str]] = {
    "another type": ({"model_type": "convnext"}, "has type 'convnext', not 'resnet'"),
    "another activation": ({"hidden_act": "gelu"}, "has the activation 'gelu'"),
    "other depths": ({"depths": [3, 4, 6, 3]}, r"states depths \[3, 4, 6, 3\], but its weights have \[2, 1, 2, 1\]"),
    "other widths": ({"hidden_sizes": [1, 2]}, r"states hidden_sizes \[1, 2\]"),
    "another block": ({"layer_type": "bottleneck"}, "states layer_type bottleneck, but its weights have basic"),
    "a flag that is none": ({"downsample_in_bottleneck": "no"}, "is neither true nor false"),
    "quantised": ({"quantization_config": {"quant_method": "bnb"}}, "are quantised"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_folders_whose_description_does_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    changes, said = CONFIGS[case]
    folder = folder_of(tmp_path / "folder", **changes)
    for act in (ResNet(model=str(folder)).check_model, lambda: ResNet(model=str(folder)).load(CPU)):
        with pytest.raises(ModelError, match=said):
            act()


def test_layers_that_there_are_not_are_refused(tmp_path: Path) -> None:
    model = str(saved(BASIC, tmp_path / "own.pth"))
    with pytest.raises(ConfigError, match="has no layer 5; its stages are layers 1 to 4"):
        ResNet(model=model, layers=(2, 5)).check_model()
    with pytest.raises(ConfigError, match=r"contain a stage of model .* twice"):
        ResNet(model=model, layers=(2, 2)).known_layout()
    for layers in ((0,), (-1,), ()):
        with pytest.raises(ConfigError, match="layers"):
            BACKBONES.build("resnet", {"model": model, "layers": layers})


def test_absent_and_unfit_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ModelError, match=r"neither a \.pth file nor a folder"):
        ResNet(model=str(tmp_path / "notes.txt")).check_model()
    with pytest.raises(ModelError, match="does not exist"):
        ResNet(model=str(tmp_path / "nowhere.pth")).check_model()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        ResNet(model=str(tmp_path / "empty")).check_model()


def test_a_hash_of_the_configuration_and_one_in_the_name_are_checked(tmp_path: Path) -> None:
    model = str(saved(BASIC, tmp_path / "own.pth"))
    with pytest.raises(ModelError, match="not those of the configuration"):
        ResNet(model=model, sha256="0" * 64).load(CPU)
    named = saved(BASIC, tmp_path / "resnet18-00000000.pth")
    with pytest.raises(ModelError, match="damaged: the SHA-256"):
        ResNet(model=str(named)).load(CPU)


def test_a_published_name_with_another_network_is_refused(tmp_path: Path) -> None:
    model = str(saved(BASIC, tmp_path / "wide_resnet50_2-95faca4d.pth"))
    with pytest.raises(ModelError, match="are not of a wide_resnet50_2, contrary to its name"):
        ResNet(model=model).check_model()


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = saved(BASIC, tmp_path / "own.pth")
    assert shape_of_model(str(path), path) == BASIC
    saved(WIDE, path)
    assert shape_of_model(str(path), path) == WIDE


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("resnet18-f37072fd.pth", True),
        ("wide_resnet50_2-95faca4d.pth", True),
        ("resnet50.pt", True),
        ("resnet101_own.pth", True),
        ("dinov2_vits14_pretrain.pth", False),
        ("my_resnet.pth", False),
        ("resnet18.txt", False),
        ("resnet-18", False),
    ],
)
def test_files_are_claimed_by_their_names(name: str, is_one: bool) -> None:
    assert ResNet.params_of(f"models/{name}") == ({"model": f"models/{name}"} if is_one else None)


def test_folders_are_claimed_by_their_type(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "folder")
    assert ResNet.params_of(str(folder)) == {"model": str(folder)}
    folder_of(tmp_path / "other", model_type="dinov2")
    assert ResNet.params_of(str(tmp_path / "other")) is None
    (tmp_path / "other" / "config.json").write_text("[")
    assert ResNet.params_of(str(tmp_path / "other")) is None


def test_asking_of_a_published_network_imports_no_framework() -> None:
    program = (
        "import sys\n"
        "from zsad.features.resnet import ResNet\n"
        "for name in ('/nowhere/wide_resnet50_2-95faca4d.pth', 'timm/wide_resnet50_2.tv_in1k', 'wide-resnet50-2'):\n"
        "    backbone = ResNet(model=name)\n"
        "    channels, megabytes = backbone.known_layout().channels, backbone.weights_megabytes()\n"
        "    print(channels, backbone.operations(900, 900) > 1e9, megabytes)\n"
        "backbone.check_model()\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == 3 * "1537 True 267\n" + "[]\n"
