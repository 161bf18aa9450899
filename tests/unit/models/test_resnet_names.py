"""ResNets by name: what a name stands for, downloaded from a hub as timm keeps them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from hub_server import Hub, Repository, running_hub, use_hub
from tiny_resnet import BASIC, BOTTLENECK, WIDE, saved, state_of
from zsad.cli import main
from zsad.errors import ConfigError, ModelError
from zsad.features.base import Execution
from zsad.features.cnn.residual import PUBLISHED, ResNetShape
from zsad.features.cnn.resnet import ResNet as Network
from zsad.features.huggingface import HuggingFace
from zsad.features.registry import completed, find_family, listed
from zsad.features.resnet import ResNet
from zsad.models.catalogue import RESNETS, network_of
from zsad.models.published.resnet import file_of

HUB_ID = "timm/resnet18.tv_in1k"
FILE = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
CPU = Execution("cpu")
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 90, 3), dtype=np.uint8)


def timm_folder(path: Path, shape: ResNetShape = BASIC, architecture: str = "resnet18", **pixels: object) -> Path:
    """A network as timm's folders on the hub have it, with the weights twice."""
    path.mkdir()
    save_file(state_of(shape), path / "model.safetensors")
    torch.save(state_of(shape), path / "pytorch_model.bin")
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    content = {
        "architecture": architecture,
        "num_classes": 7,
        "num_features": shape.stages[-1].width,
        "pretrained_cfg": {"tag": "tv_in1k", "input_size": [3, 224, 224], **imagenet, **pixels},
    }
    (path / "config.json").write_text(json.dumps(content))
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a tiny network for a ResNet-18, which is said to be one, and an empty cache."""
    monkeypatch.setitem(PUBLISHED, "resnet18", BASIC)
    with running_hub() as hub:
        hub.models[HUB_ID] = Repository.of_folder(timm_folder(tmp_path / "timm"))
        use_hub(monkeypatch, hub.endpoint, tmp_path / "cache")
        yield hub


def by_name(**params: object) -> ResNet:
    """The backbone that an entry of the configuration with the name becomes."""
    return ResNet(**completed("resnet", {"model": "resnet18", "resolution": 64, **params}))


@pytest.mark.parametrize("embedding", ["stages", "padim"])
def test_a_name_gives_the_tokens_of_the_file_with_the_same_weights(hub: Hub, tmp_path: Path, embedding: str) -> None:
    backbone = by_name(embedding=embedding)
    backbone.check_model()
    layout, megabytes = backbone.known_layout(), backbone.weights_megabytes()
    assert (hub.requests, backbone.local_files()) == ([], [])
    extractor = backbone.load(CPU)
    of_file = ResNet(model=str(saved(BASIC, tmp_path / "own.pth")), resolution=64, embedding=embedding)
    tokens, expected = extractor.extract(IMAGE), of_file.load(CPU).extract(IMAGE)
    np.testing.assert_array_equal(tokens.patch_tokens, expected.patch_tokens)
    assert (layout, megabytes) == (of_file.known_layout(), of_file.weights_megabytes())
    assert sorted(hub.sent_files()) == ["config.json", "model.safetensors"]
    assert (extractor.model["id"], extractor.model["revision"]) == (HUB_ID, hub.models[HUB_ID].commit)
    assert list(extractor.model["weights_sha256"]) == ["model.safetensors"]
    hub.requests.clear()
    by_name(revision=hub.models[HUB_ID].commit).load(CPU)
    assert hub.requests == []
    with pytest.raises(ModelError, match="has no revision 'v9'"):
        by_name(revision="v9").load(CPU)


def test_a_network_is_downloaded_ahead_and_listed_as_here(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert not ResNet.has("resnet18")
    assert main(["download", "resnet18"]) == 0
    assert f"commit {hub.models[HUB_ID].commit}" in capsys.readouterr().out
    assert ResNet.has("resnet18")
    assert main(["backbones"]) == 0
    (line,) = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  resnet18 ")]
    assert line == ["resnet18", HUB_ID, "11.7", "M", "0.05", "BSD-3-Clause", "-", "8", "256", "-", "yes"]


def test_a_folder_of_timm_on_this_machine_is_taken_too(hub: Hub, tmp_path: Path) -> None:
    folder = str(tmp_path / "timm")
    assert find_family(folder) == ("resnet", {"model": folder})
    found = ResNet(model=folder, resolution=64)
    found.check_model()
    np.testing.assert_array_equal(
        found.load(CPU).extract(IMAGE).patch_tokens, by_name().load(CPU).extract(IMAGE).patch_tokens
    )
    with pytest.raises(ConfigError, match=r"revision 'v1' is set but model '.*timm' is a local folder"):
        ResNet(model=folder, revision="v1").check_model()


def test_another_network_under_the_name_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.models[HUB_ID] = Repository.of_folder(timm_folder(tmp_path / "wide", WIDE))
    with pytest.raises(ModelError, match=r"states architecture resnet18, which does not match its weights"):
        by_name().load(CPU)
    monkeypatch.setitem(PUBLISHED, "resnet50", BOTTLENECK)
    hub.models[HUB_ID] = Repository.of_folder(timm_folder(tmp_path / "other", BOTTLENECK, "resnet50"))
    hub.models[HUB_ID].commit = "f" * 40
    with pytest.raises(ModelError, match=rf"'{HUB_ID}' are not of a resnet18, contrary to its name; set another rev"):
        by_name(revision="f" * 40).load(CPU)


@pytest.mark.usefixtures("hub")
def test_other_networks_and_pixels_of_timm_are_refused(tmp_path: Path) -> None:
    for architecture in ("resnet50d", "resnetblur18", "convnext_tiny"):  # blurred ones have the same tensors
        folder = timm_folder(tmp_path / architecture, architecture=architecture)
        with pytest.raises(ModelError, match=f"timm's architecture '{architecture}', which is not supported; use one"):
            ResNet(model=str(folder)).check_model()
        assert ResNet.params_of(str(folder)) is None
    centred = timm_folder(tmp_path / "centred", mean=[0.5, 0.5, 0.5])
    with pytest.raises(
        ModelError, match=r"the config\.json of model '.*centred' states another normalisation of pixels than that of"
    ):
        ResNet(model=str(centred)).check_model()


@pytest.mark.parametrize("ahead", [False, True])
def test_without_a_hub_both_ways_are_told(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ahead: bool
) -> None:
    use_hub(monkeypatch, "http://127.0.0.1:9", Path(constants.HF_HUB_CACHE))
    if ahead:
        assert main(["download", "resnet18"]) == 1
        said = capsys.readouterr().err.strip()
    else:
        with pytest.raises(ModelError) as caught:
            by_name().load(CPU)
        said = str(caught.value)
        assert f"`zsad download {HUB_ID}`" in said
    assert said.endswith(
        f"or point 'model' at a local folder or file, such as {FILE}, which has the same weights as {HUB_ID}"
    )
    assert "\n" not in said
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=rf"HF_HUB_OFFLINE forbids .*{FILE}"):
        by_name().load(CPU)


@pytest.mark.parametrize("facts", RESNETS.values(), ids=list(RESNETS))
def test_a_name_and_an_id_stand_for_a_network_of_as_many_parameters(facts: object) -> None:
    expected = ("resnet", {"model": facts.hub_id, "resolution": 256})
    assert find_family(facts.name) == find_family(facts.hub_id) == expected
    assert listed(facts.name) == ("resnet", facts)
    shape = PUBLISHED[network_of(facts)]
    with torch.device("meta"):
        network = Network(shape)
    classifier = 1000 * (shape.stages[-1].width + 1)
    assert sum(tensor.numel() for tensor in network.parameters()) + classifier == facts.parameters
    assert ResNet.params_of(file_of(facts).rpartition("/")[2]) is not None
    backbone = ResNet(**expected[1])
    assert backbone.known_layout() == ResNet(model=file_of(facts).rpartition("/")[2]).known_layout()
    assert backbone.layers == facts.layers


def test_every_network_of_torchvision_that_is_known_has_a_name() -> None:
    assert [network_of(facts) for facts in RESNETS.values()] == list(PUBLISHED)


def test_other_ids_are_refused_with_the_names() -> None:
    with pytest.raises(ModelError, match=r"'timm/resnet26\.bt_in1k' does not exist.* a name \(resnet18, .*wide-resnet"):
        ResNet(model="timm/resnet26.bt_in1k").check_model()


def test_the_family_of_transformers_says_whose_it_is(hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"timm's architecture 'resnet18'.*or `family: resnet` for a ResNet"):
        HuggingFace(model=HUB_ID).load(CPU)
