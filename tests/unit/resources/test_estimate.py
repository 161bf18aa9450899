"""What features will take is told beforehand: bytes as they come out, operations as a plain count gives them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel, DINOv3ViTConfig, DINOv3ViTModel

from harness import merged
from zsad.data.inspection import Inspection, SizeCount, inspect_category
from zsad.data.inspection_table import FeatureCost
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.read_images import read_images
from zsad.errors import ConfigError, ModelError
from zsad.features.architecture import ConvNeXt, Transformer, architecture_of, published
from zsad.features.base import Execution
from zsad.features.extract_features import extract_features
from zsad.features.huggingface import HuggingFace
from zsad.features.registry import BACKBONES
from zsad.files.chunks import CHUNK_WASTE
from zsad.models.catalogue import MODELS, ModelFacts
from zsad.resources import feature_files as estimate
from zsad.resources.feature_files import cost_of, expected_cost, operations_of, product_rate
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
HEADER = 10_000  # bytes of a feature file beside its tokens: identifiers, provenance, the format's own
PATCH = 8


@pytest.fixture(autouse=True)
def _brief_measurement(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(estimate, "MEASURED_SECONDS", 0.01)
    monkeypatch.setattr(estimate, "PRODUCT_SIDE", {"cpu": 64})
    product_rate.cache_clear()
    yield
    product_rate.cache_clear()


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("vit")
    sizes = {"hidden_size": 256, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    DINOv3ViTModel(DINOv3ViTConfig(**sizes, patch_size=PATCH, num_register_tokens=4)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("convnext")
    DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 2, 1])).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def root(tmp_path: Path, write_png: Callable[..., Path]) -> Path:
    """Images of one size to train on, and of several to test."""
    names = {f"train/good/{name}.png": (60, 80) for name in "01234"}
    names |= {"test/good/0.png": (60, 80), "test/good/1.png": (120, 60), "test/dent/0.png": (60, 240)}
    for seed, (name, size) in enumerate(names.items()):
        write_png(tmp_path / "set" / "tile" / name, size=size, seed=seed)
    return tmp_path / "set"


def settings(root: Path, params: dict[str, Any], family: str = "transformers", **changes: Any) -> Settings:
    """Test images as they are, and two references at eight angles."""
    methods = dict.fromkeys(DEFAULT["methods"]) | {
        "mutual": {"scorer": "mutual"},
        "memory_bank": {"scorer": "memory_bank", "params": {"shots": 2}},
    }
    section = {"layout": "mvtec", "root": str(root), "name": "t", "categories": "all"}
    return Settings(
        merged(
            DEFAULT,
            dataset={**DEFAULT["dataset"], **section},
            backbone="mine",
            backbones={"mine": {"family": family, "params": params}},
            methods=methods,
            device="cpu",
            **changes,
        )
    )


def costs_of(configured: Settings, root: Path) -> list[FeatureCost]:
    return expected_cost(configured, [inspect_category(MvtecLayout(), root, "tile")])


def file_size(configured: Settings, root: Path, cost: FeatureCost, folder: Path) -> int:
    """Bytes of the file that the extraction really writes."""
    read_images(MvtecLayout(), root, cost.category, folder / "images.csv", folder / "unreadable.csv")
    entry = configured.backbones[cost.source]
    extract_features(
        image_list=folder / "images.csv",
        category=cost.category,
        subset=cost.subset,
        view=cost.view,
        backbone=BACKBONES.build(entry.family, entry.params),
        execution=Execution("cpu"),
        output=folder / "features.h5",
        provenance={},
    )
    return (folder / "features.h5").stat().st_size


NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "a filter bank": ("embedded", {"resolution": 128, "stride": 4}),
    "the last block": ("transformer", {"resolution": 96}),
    "two blocks, padded to a square": ("transformer", {"resolution": 192, "layers": [0, -1], "fit": "pad"}),
    "tiles": ("transformer", {"resolution": 96, "tile": 64, "overlap": 16}),
    "stages of a ConvNeXt": ("convolutional", {"resolution": 256, "layers": [0, 2]}),
}


@pytest.mark.parametrize(("model", "params"), NETWORKS.values(), ids=NETWORKS)
def test_the_bytes_are_those_of_the_file(
    request: pytest.FixtureRequest, root: Path, tmp_path: Path, model: str, params: dict[str, Any]
) -> None:
    family = "embedded" if model == "embedded" else "transformers"
    named = {} if family == "embedded" else {"model": request.getfixturevalue(model), "dtype": "float32"}
    configured = settings(root, params | named, family)
    costs = costs_of(configured, root)
    assert [(cost.source, cost.subset, cost.view, cost.images) for cost in costs] == [
        ("mine", "references-k2-seed0", "rotations", 2 * 8),
        ("mine", "test", "original", 3),
    ]
    for cost in costs:
        size = file_size(configured, root, cost, tmp_path)
        assert cost.bytes <= size <= CHUNK_WASTE * cost.bytes + HEADER
        assert cost.seconds > 0


def test_files_are_counted_once_and_those_without_images_left_out(root: Path) -> None:
    configured = settings(root, {"resolution": 64}, "embedded")
    found = inspect_category(MvtecLayout(), root, "tile")
    untrained = Inspection("bare", sizes=tuple(size for size in found.sizes if size.split == "test"))
    costs = expected_cost(configured, [found, untrained])
    assert [(cost.category, cost.subset) for cost in costs] == [
        ("tile", "references-k2-seed0"),
        ("tile", "test"),
        ("bare", "test"),
    ]
    assert costs[1].bytes == costs[2].bytes


def test_a_draw_is_no_larger_than_what_it_is_drawn_from(root: Path) -> None:
    configured = settings(root, {"resolution": 64}, "embedded", methods__memory_bank__params={"shots": 5})
    assert costs_of(configured, root)[0].images == 5 * 8


def test_of_an_unknown_model_only_the_number_of_images_is_known(root: Path) -> None:
    costs = costs_of(settings(root, {"model": "someone/something"}), root)
    assert [(cost.images, cost.bytes, cost.seconds) for cost in costs] == [(16, None, None), (3, None, None)]


def test_embeddings_are_counted(root: Path) -> None:
    refiner = {"refiner": "sam", "segmenter": "sam-vit-b"}
    configured = settings(root, {"resolution": 64}, "embedded", refiners__sam=refiner)
    assert costs_of(configured, root)[-1] == FeatureCost("tile", "sam-vit-b", "test", "", 3, None, None)


def test_without_the_device_the_time_is_not_known_but_the_bytes_are(root: Path, transformer: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("the device is here")
    configured = settings(root, {"model": transformer, "resolution": 64})
    configured.config["device"] = "cuda"
    for cost in costs_of(configured, root):
        assert cost.seconds is None
        assert cost.bytes > 0


def test_a_layer_that_does_not_exist_is_refused(root: Path, transformer: str) -> None:
    with pytest.raises(ConfigError, match="has no layer 7"):
        costs_of(settings(root, {"model": transformer, "layers": [7]}), root)


def test_what_cannot_be_a_model_is_refused(root: Path) -> None:
    with pytest.raises(ModelError, match=r"the model file 'missing\.pth' does not exist; .*"):
        costs_of(settings(root, {"model": "missing.pth"}), root)


def weights(network: Transformer | ConvNeXt) -> int:
    """In the matrices of all blocks."""
    if isinstance(network, Transformer):
        return network.blocks * network.block_weights
    return sum(depth * (8 * width**2 + 49 * width) for depth, width in zip(network.depths, network.widths, strict=True))


RESOLUTIONS = ("256", "384", "512", "naflex")
OF_TEXT_TOWERS = {  # parameters, the projection or the pooling head, and the temperature included
    **dict.fromkeys(("clip-vitb16", "clip-vitb16-datacomp"), 63_428_097),
    **dict.fromkeys(("clip-vitl14", "clip-vitl14-336", "clip-vitl14-datacomp"), 123_650_305),
    "clip-vitb16-plus-240": 91_163_521,
    **{f"siglip2-vitb16-{trained}": 289_390_850 for trained in RESOLUTIONS},
    **{f"siglip2-vitl16-{trained}": 578_165_762 for trained in RESOLUTIONS},
    **{f"siglip2-so400m16-{trained}": 723_021_250 for trained in RESOLUTIONS},
    "tipsv2-vitb14": 109_632_000,
    "tipsv2-vitl14": 183_924_736,
    "tipsv2-so400m14": 448_332_912,
    "tipsv2-vitg14": 389_133_312,
}


@pytest.mark.parametrize("facts", MODELS.values(), ids=MODELS)
def test_the_published_sizes_account_for_the_parameters(facts: ModelFacts) -> None:
    network = published(facts, HuggingFace(model=facts.name, layers=(-1,)))
    share = weights(network) / (facts.parameters - OF_TEXT_TOWERS.get(facts.name, 0))
    assert 0.94 < share < 1


def test_a_local_folder_says_the_same_as_the_table(tmp_path: Path) -> None:
    sizes = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}
    local = {
        "dinov3-vits16": DINOv3ViTConfig(**sizes, num_register_tokens=4),
        "dinov3-vits16plus": DINOv3ViTConfig(**sizes, num_register_tokens=4, use_gated_mlp=True),
        "dinov3-convnext-tiny": DINOv3ConvNextConfig(depths=[3, 3, 9, 3], hidden_sizes=[96, 192, 384, 768]),
    }
    for name, config in local.items():
        config.save_pretrained(tmp_path / name)
        params = {"layers": (1, -2), "resolution": 448}
        here = architecture_of(HuggingFace(model=str(tmp_path / name), **params))
        assert here == architecture_of(HuggingFace(model=name, **params))


def test_a_local_folder_of_timm_is_known_by_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit_base_patch16_dinov3"}))
    assert architecture_of(HuggingFace(model=str(tmp_path))) == architecture_of(HuggingFace(model="dinov3-vitb16"))


def test_projected_tokens_have_the_width_of_the_space_of_texts() -> None:
    plain, projected = (
        architecture_of(HuggingFace(model="clip-vitl14", projected=projected)) for projected in (False, True)
    )
    assert (plain.channels, projected.channels) == (1024, 768)


def counted(network: torch.nn.Module, *inputs: torch.Tensor) -> float:
    """Operations of the matrix products of a forward pass, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(*inputs)
    return counter.get_total_flops()


def test_the_operations_of_a_transformer_are_those_that_torch_counts(transformer: str) -> None:
    network = DINOv3ViTModel.from_pretrained(transformer, attn_implementation="eager")
    ours = architecture_of(HuggingFace(model=transformer)).operations(64, 96)
    embedding = 2 * (8 * 12) * 3 * PATCH**2 * 256
    assert ours + embedding == pytest.approx(counted(network, torch.zeros(1, 3, 64, 96)), rel=0.01)


def test_the_operations_of_a_convnext_are_those_that_torch_counts(convolutional: str) -> None:
    network = DINOv3ConvNextModel.from_pretrained(convolutional)
    ours = architecture_of(HuggingFace(model=convolutional, layers=(-1,))).operations(64, 96)
    between = sum(
        2 * before * after * kernel**2 * (64 // stride) * (96 // stride)
        for before, after, kernel, stride in ((3, 8, 4, 4), (8, 12, 2, 8), (12, 16, 2, 16), (16, 20, 2, 32))
    )
    assert ours + between == pytest.approx(counted(network, torch.zeros(1, 3, 64, 96)), rel=0.01)


@pytest.mark.parametrize(
    ("params", "shapes"),
    [
        ({}, [(64, 128)]),
        ({"fit": "pad"}, [(64, 64)]),
        ({"tile": 128}, [(64, 128)]),
        ({"tile": 64, "overlap": 16}, [(64, 64), (64, 64), (64, 64)]),
    ],
)
def test_what_a_network_sees_of_an_image(params: dict[str, Any], shapes: Sequence[tuple[int, int]]) -> None:
    backbone = HuggingFace(model="dinov3-vits16", resolution=64, **params)
    network = architecture_of(backbone)
    counted = sum(network.operations(*shape) for shape in shapes)
    assert backbone.operations(100, 200) == backbone.assumed_operations(100, 200) == counted


def test_the_time_is_operations_by_rate_for_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "product_rate", lambda device, dtype: {("cpu", "float32"): 1e9}[device, dtype])
    backbone = HuggingFace(model="dinov3-vits16", resolution=64, dtype="float32")
    network = architecture_of(backbone)
    sizes = [SizeCount("test", 64, 64, 3), SizeCount("test", 64, 128, 2)]
    operations = 3 * network.operations(64, 64) + 2 * network.operations(64, 128)
    assert operations_of(backbone, sizes) == operations
    assert cost_of(backbone, "cpu").seconds(sizes) == pytest.approx(operations / 1e9)


def test_the_rate_is_measured_once_and_briefly() -> None:
    start = time.perf_counter()
    rate = product_rate("cpu", "float32")
    assert time.perf_counter() - start < 5
    assert 1e6 < rate < 1e15
    assert product_rate("cpu", "float32") == rate
