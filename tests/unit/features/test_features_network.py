"""How a network is run: in batches, in less memory when there is little, in another number format, compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._inductor.config
from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel, DINOv3ViTConfig, DINOv3ViTModel

from closeness import assert_close
from zsad.errors import ConfigError, ModelError
from zsad.features.base import Execution, Tokens
from zsad.features.huggingface import HuggingFace
from zsad.features.network import NetworkExtractor
from zsad.models import held
from zsad.models.held import hold, loaded_here

PATCH = 8


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved_transformer(tmp_path_factory.mktemp("dinov3"), blocks=3)


@pytest.fixture(scope="module")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of one block: compiling takes seconds a block."""
    return saved_transformer(tmp_path_factory.mktemp("shallow"), blocks=1)


def saved_transformer(folder: Path, blocks: int) -> str:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": blocks, "num_attention_heads": 2}
    network = DINOv3ViTModel(DINOv3ViTConfig(**sizes, patch_size=PATCH, num_register_tokens=4))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape))
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("convnext")
    DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1])).save_pretrained(folder)
    return str(folder)


def images(count: int, height: int = 32, width: int = 40) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def loaded(model: str, *, batch: int | None = None, compiled: bool = False, **params: object) -> NetworkExtractor:
    backbone = HuggingFace(model=model, **{"resolution": 32, "dtype": "float32", **params})
    return backbone.load(Execution("cpu", threads=1, batch=batch, compiled=compiled))


def assert_same(tokens: Tokens, expected: Tokens) -> None:
    for ours, theirs in zip(tokens, expected, strict=True):
        assert_close(ours, theirs)


def one_by_one(extractor: NetworkExtractor, prepared: Sequence[np.ndarray]) -> Tokens:
    each = [extractor.begin([image])() for image in prepared]
    return Tokens(*(np.concatenate(arrays) for arrays in zip(*each, strict=True)))


def with_memory_for(monkeypatch: pytest.MonkeyPatch, extractor: NetworkExtractor, most: int) -> list[int]:
    """Make the network fail as a device does on more images than ``most``; returns the list of attempted sizes."""
    attempts: list[int] = []
    run: Callable[[torch.Tensor], object] = extractor.tokens_of

    def limited(pixels: torch.Tensor) -> object:
        attempts.append(len(pixels))
        if len(pixels) > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return run(pixels)

    monkeypatch.setattr(extractor, "tokens_of", limited)
    return attempts


def test_a_batch_gives_what_its_images_give_alone(checkpoint: str) -> None:
    extractor = loaded(checkpoint, layers=[0, -1])
    prepared = images(5)
    tokens = extractor.begin(prepared)()
    assert tokens.patch_tokens.shape == (5, 2, 4, 5, 32)
    assert tokens.cls_tokens.shape == (5, 2, 32)
    assert_same(tokens, one_by_one(extractor, prepared))


def test_small_images_are_computed_many_at_a_time_and_large_ones_alone(checkpoint: str) -> None:
    extractor = loaded(checkpoint)
    assert extractor.capacity(8 * PATCH, 8 * PATCH) == 16
    assert extractor.capacity(100 * PATCH, 100 * PATCH) == 1
    assert loaded(checkpoint, batch=3).capacity(800, 800) == 3
    assert loaded(checkpoint, fit="pad").capacity(2 * PATCH, 16 * PATCH) == 4  # what is computed is the square
    assert loaded(checkpoint, tile=128).capacity(800, 800) == 4


@pytest.mark.parametrize("most", [1, 2, 3])
def test_batches_are_halved_until_they_fit_and_nothing_is_lost(
    checkpoint: str, most: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extractor = loaded(checkpoint)
    prepared = images(8)
    expected = one_by_one(extractor, prepared)
    attempts = with_memory_for(monkeypatch, extractor, most)
    with caplog.at_level(logging.INFO):
        assert_same(extractor.begin(prepared)(), expected)
    assert attempts[0] == 8
    assert extractor.capacity(32, 40) <= most
    assert "out of memory: from now on at most" in caplog.text


def test_too_little_memory_for_one_image_is_a_sentence(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = loaded(checkpoint)
    with_memory_for(monkeypatch, extractor, most=0)
    with pytest.raises(
        ModelError, match=r"out of memory on cpu with a single image of 40 x 32 pixels; lower resolution.*tile"
    ) as caught:
        extractor.begin(images(4))
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_other_failures_of_the_network_are_not_taken_for_want_of_memory(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = loaded(checkpoint)

    def broken(_: torch.Tensor) -> object:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(extractor, "tokens_of", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        extractor.begin(images(2))


def test_a_compiled_network_gives_the_same(shallow: str) -> None:
    """By torch's own compiler; tests/numerics/test_families.py has the other families, without it."""
    prepared = images(1, 32, 32)
    assert_same(loaded(shallow, compiled=True).begin(prepared)(), loaded(shallow).begin(prepared)())


def test_a_machine_without_a_compiler_is_told_so(
    shallow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("/nonexistent",))
    torch.compiler.reset()
    try:
        with pytest.raises(ConfigError) as error:
            loaded(shallow, compiled=True).extract(images(1, 32, 32)[0])
    finally:
        torch.compiler.reset()
    assert "cannot be compiled here" in str(error.value)
    assert "set extraction.compile to false" in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_model_that_does_not_fit_onto_the_device_is_a_sentence(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DINOv3ViTModel, "to", full)
    with pytest.raises(ModelError, match="does not fit into the memory of cpu; use dtype bfloat16"):
        loaded(checkpoint)


def test_a_padded_image_keeps_its_shape_in_the_grid(checkpoint: str) -> None:
    extractor = loaded(checkpoint, fit="pad", resolution=64)
    assert extractor.grid_size(100, 200) == (4, 8)
    tokens = extractor.extract(images(1, 100, 200)[0])
    assert tokens.patch_tokens.shape == (1, 4, 8, 32)


def test_padding_is_a_border_of_the_mean_colour_whose_tokens_are_dropped(checkpoint: str) -> None:
    padded = loaded(checkpoint, fit="pad", resolution=64)
    grey = np.full((64, 64, 3), 0, np.uint8)
    picture = images(1, 32, 64)[0]
    grey[16:48] = picture
    tokens = padded.extract(picture).patch_tokens
    # The border is exactly the mean, which no uint8 image is: put it into the normalised pixels instead.
    plain = loaded(checkpoint, resolution=64)
    canvas = torch.zeros(1, 3, 64, 64)
    statistics = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    canvas[0, :, 16:48] = (torch.from_numpy(picture).permute(2, 0, 1) / 255 - statistics[0]) / statistics[1]
    with torch.inference_mode():
        expected, _ = plain.tokens_of(canvas)
    assert_close(tokens, expected[0, :, 2:6].numpy())


def test_tiles_have_the_tokens_of_their_own_crop(checkpoint: str) -> None:
    whole = images(1, 64, 96)[0]
    tiled = loaded(checkpoint, resolution=64, tile=32).extract(whole).patch_tokens
    crop = loaded(checkpoint, resolution=32).extract(np.ascontiguousarray(whole[32:64, 64:96])).patch_tokens
    assert_close(tiled[:, 4:8, 8:12], crop)


def test_overlapping_tiles_are_blended(checkpoint: str) -> None:
    whole = images(1, 32, 64)[0]
    sharp = loaded(checkpoint, tile=32).extract(whole).patch_tokens
    blended = loaded(checkpoint, tile=32, overlap=16).extract(whole).patch_tokens
    assert blended.shape == sharp.shape
    assert_close(blended[:, :, :2], sharp[:, :, :2])
    assert np.abs(blended - sharp).max() > 1e-3


def test_an_image_that_is_no_larger_than_a_tile_is_not_cut(checkpoint: str) -> None:
    image = images(1, 32, 32)[0]
    assert_same(loaded(checkpoint, tile=64).extract(image), loaded(checkpoint).extract(image))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"tile": 36}, "tile 36 is not a multiple of the patch size 8 .*; use 32 or 40"),
        ({"tile": 32, "overlap": 12}, "overlap 12 is not a multiple of the patch size 8"),
        ({"overlap": 8}, "overlap requires tiles"),
        ({"tile": 32, "overlap": 32}, "overlap 32 is not smaller than tile 32"),
        ({"tile": 32, "fit": "pad"}, "tiles need no border"),
        ({"debias": 400}, "debias"),
        ({"projected": True}, "no space with texts"),
        ({"sha256": "0" * 64}, "are not those of the configuration"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(checkpoint: str, params: dict[str, object], expected: str) -> None:
    with pytest.raises((ConfigError, ModelError, ValueError), match=expected):
        loaded(checkpoint, **params).extract(images(1)[0])


def test_debiasing_takes_the_position_out_of_an_empty_image(checkpoint: str) -> None:
    black = np.zeros((32, 64, 3), np.uint8)
    plain, clean = (loaded(checkpoint, debias=count).extract(black).patch_tokens[0] for count in (0, 5))

    def spread(tokens: np.ndarray) -> float:
        directions = tokens / np.linalg.norm(tokens, axis=-1, keepdims=True)
        return float(np.linalg.norm(directions - directions.mean(axis=(0, 1))))

    assert spread(clean) < 0.2 * spread(plain)


def test_the_positions_of_a_size_are_looked_at_once(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = loaded(checkpoint, debias=3)
    runs = []
    read = extractor._read

    def counted(pixels: torch.Tensor) -> object:
        runs.append(tuple(pixels.shape))
        return read(pixels)

    counted.patch, counted.stride = read.patch, read.stride  # type: ignore[attr-defined]
    monkeypatch.setattr(extractor, "_read", counted)
    for image in images(3):
        extractor.extract(image)
    extractor.extract(images(1, 32, 32)[0])
    assert runs == [(1, 3, 32, 40)] * 4 + [(1, 3, 32, 32)] * 2


def test_a_network_that_is_held_gives_the_same_bytes_whatever_is_read_of_it_and_no_gpu_is_asked_for(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "SETTLED_NS", 0)
    expected = loaded(checkpoint, layers=(2, 0))
    assert loaded(checkpoint, layers=(0,)).layers == ["0"]  # removes the others from its network
    for name in ("is_available", "device_count", "_lazy_init"):  # after which no fork can use one
        monkeypatch.setattr(torch.cuda, name, lambda name=name: pytest.fail(name))
    hold(loaded_here())
    _, network = held._Process.held
    monkeypatch.undo()
    taken = loaded(checkpoint, layers=(2, 0))
    assert taken._read._network is network
    assert taken.model == expected.model
    for ours, theirs in zip(tokens_of(taken), tokens_of(expected), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def tokens_of(extractor: NetworkExtractor) -> Tokens:
    return extractor.begin([extractor.prepare(image) for image in images(2)])()
