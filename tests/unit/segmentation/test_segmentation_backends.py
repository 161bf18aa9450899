"""The two back-ends of the segmentation models: what they declare, refuse, and do when something is missing."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import tiny_sam
from zsad.errors import ConfigError, DataError, ModelError, ZsadError
from zsad.segmentation import network
from zsad.segmentation.base import Prompt
from zsad.segmentation.families import FAMILIES
from zsad.segmentation.network import NetworkSegmenter
from zsad.segmentation.segment_anything import SegmentAnything
from zsad.segmentation.segment_anything_network import _difference, _module, _Sizes
from zsad.segmentation.torchvision_standin import (
    batched_nms,
    box_area,
    resize,
    segment_anything_modeling,
    to_pil_image,
)
from zsad.segmentation.transformers_sam import TransformersSam

NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, int)
BOX = Prompt((2, 3, 20, 30), NO_POINTS, NO_LABELS)


@pytest.fixture(scope="module")
def pth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam.write_segment_anything(tmp_path_factory.mktemp("segment_anything") / "sam.pth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam.write_transformers(tmp_path_factory.mktemp("transformers") / "sam")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A folder of transformers that may be spoilt."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


@pytest.fixture
def segmenter(pth: Path) -> NetworkSegmenter:
    return SegmentAnything(model=str(pth), dtype="float32").load("cpu")


def photograph(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sentence_of(kind: type[ZsadError], action: Callable[[], object]) -> str:
    """What is said to the user: one sentence."""
    with pytest.raises(kind) as raised:
        action()
    message = str(raised.value)
    assert "\n" not in message
    return message


# What is declared


def test_declaring_a_model_imports_no_framework() -> None:
    code = (
        "import sys; from zsad.segmentation.registry import SEGMENTERS\n"
        "for name in SEGMENTERS.names(): SEGMENTERS.build(name, {})\n"
        "print([name for name in ('torch', 'transformers', 'segment_anything') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_provenance_says_what_was_loaded(pth: Path, folder: Path) -> None:
    for part, path in ((SegmentAnything, pth), (TransformersSam, folder)):
        model = part(model=str(path), dtype="float32").load("cpu").model
        assert model["id"] == str(path)
        assert model["revision"] is None
        assert model["dtype"] == "float32"
        assert model["side"] == 64
        assert all(len(digest) == 64 for digest in model["weights_sha256"].values())
        assert json.loads(json.dumps(model)) == model


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_the_published_sizes_are_read_from_the_weights(size: str) -> None:
    segment_anything_modeling()
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        published = sam_model_registry[size]()
        state = published.state_dict()
        module = _module(_Sizes.of(state, size))
    assert not _difference(state, module.state_dict())
    windows = [block.window_size for block in module["image_encoder"].blocks]
    assert windows == [block.window_size for block in published.image_encoder.blocks]
    assert module["image_encoder"].img_size == 1024


@pytest.mark.parametrize("side", [32, 96])
def test_a_model_of_another_side_loads(side: int, tmp_path: Path) -> None:
    path = tiny_sam.write_segment_anything(tmp_path / "sam.pth", side=side)
    segmenter = SegmentAnything(model=str(path), dtype="float32").load("cpu")
    assert segmenter.prepare(photograph(30, 60)).shape == (side // 2, side, 3)
    embedding = segmenter.embed([segmenter.prepare(photograph(30, 60))])[0]
    assert embedding[0].shape == (32, side // 8, side // 8)
    assert segmenter.decode(embedding, 30, 60, [BOX])[0].logits.shape == (3, 30, 60)


# What is refused


def test_a_truncated_file_is_refused(pth: Path, tmp_path: Path) -> None:
    (tmp_path / "sam.pth").write_bytes(pth.read_bytes()[:-1000])
    part = SegmentAnything(model=str(tmp_path / "sam.pth"))
    assert "is damaged" in sentence_of(ModelError, lambda: part.load("cpu"))


class Harmful:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch harmed",)


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, write in (
        ("zip.pth", torch.save),
        ("pickle.pth", lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))),
    ):
        write({"weight": Harmful()}, tmp_path / name)
        part = SegmentAnything(model=str(tmp_path / name))
        assert "harmful code" in sentence_of(ModelError, lambda part=part: part.load("cpu"))
    assert not (tmp_path / "harmed").exists()


def without(key: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda state: state.pop(key)


def changed(key: str, tensor: torch.Tensor) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda state: state.update({key: tensor})


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (without("image_encoder.pos_embed"), "no image_encoder.pos_embed"),
        (without("image_encoder.patch_embed.proj.weight"), "no image_encoder.patch_embed.proj.weight"),
        (without("image_encoder.blocks.2.attn.qkv.bias"), "no image_encoder.blocks.2.attn.qkv.bias"),
        (without("image_encoder.blocks.2.norm1.weight"), "image_encoder.blocks.2.norm1.bias is unexpected"),
        (without("mask_decoder.iou_token.weight"), "no mask_decoder.iou_token.weight"),
        (changed("image_encoder.pos_embed", torch.zeros(3)), "1 axes in place of 4"),
        (changed("image_encoder.neck.0.weight", torch.zeros(20, 16, 1, 1)), "multiple of 16"),
        (changed("image_encoder.blocks.0.attn.rel_pos_w", torch.zeros(5, 7)), "do not share its width"),
        (changed("image_encoder.blocks.0.attn.rel_pos_h", torch.zeros(9, 8)), r"is \(5, 8\) in place of \(9, 8\)"),
        (changed("mask_decoder.hf_token.weight", torch.zeros(1, 32)), "mask_decoder.hf_token.weight is unexpected"),
    ],
)
def test_weights_of_something_else_are_refused(
    spoil: Callable[[dict[str, torch.Tensor]], None], named: str, pth: Path, tmp_path: Path
) -> None:
    state = torch.load(pth, weights_only=True)
    spoil(state)
    torch.save(state, tmp_path / "other.pth")
    part = SegmentAnything(model=str(tmp_path / "other.pth"))
    message = sentence_of(ModelError, lambda: part.load("cpu"))
    assert "not those of a Segment Anything model" in message
    assert re.search(named, message)


@pytest.mark.parametrize("content", [{"model_type": "sam9"}, {"model_type": "edgetam"}, {"model_type": ["sam"]}, {}])
def test_a_model_type_that_is_not_known_is_refused(content: dict[str, object], copied: Path) -> None:
    (copied / "config.json").write_text(json.dumps(content))
    message = sentence_of(ModelError, lambda: TransformersSam(model=str(copied)).load("cpu"))
    assert all(known in message for known in FAMILIES)


def test_weights_that_are_missing_are_an_error(copied: Path) -> None:
    state = load_file(copied / "model.safetensors")
    del state["mask_decoder.iou_token.weight"]
    save_file(state, copied / "model.safetensors", metadata={"format": "pt"})
    message = sentence_of(ModelError, lambda: TransformersSam(model=str(copied)).load("cpu"))
    assert "lack 1 of its tensors (mask_decoder.iou_token.weight" in message


def test_weights_of_another_size_are_an_error(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["mask_decoder_config"]["mlp_dim"] += 8
    (copied / "config.json").write_text(json.dumps(config))
    assert "cannot be loaded" in sentence_of(ModelError, lambda: TransformersSam(model=str(copied)).load("cpu"))


def test_a_truncated_folder_is_an_error(copied: Path) -> None:
    content = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert "cannot be loaded" in sentence_of(ModelError, lambda: TransformersSam(model=str(copied)).load("cpu"))


def test_the_library_stays_silent(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    TransformersSam(model=str(folder), dtype="float32").load("cpu")
    assert capfd.readouterr() == ("", "")


def test_each_library_names_the_other_for_its_files(pth: Path, folder: Path) -> None:
    wrong = SegmentAnything(model=str(folder))
    assert "family 'transformers'" in sentence_of(ModelError, lambda: wrong.load("cpu"))
    wrong = TransformersSam(model=str(pth))
    assert "family 'segment_anything'" in sentence_of(ModelError, lambda: wrong.load("cpu"))


def test_what_the_machine_or_the_model_has_not_is_a_sentence(pth: Path, folder: Path) -> None:
    assert "float16" in sentence_of(ConfigError, lambda: SegmentAnything(model=str(pth), dtype="float16").load("cpu"))
    assert "no device 'tpu'" in sentence_of(ConfigError, lambda: SegmentAnything(model=str(pth)).load("tpu"))
    revised = TransformersSam(model=str(folder), revision="main")
    assert "revision 'main'" in sentence_of(ConfigError, lambda: revised.load("cpu"))
    for part in (SegmentAnything(model=str(pth), sha256="0" * 8), TransformersSam(model=str(folder), sha256="0" * 8)):
        assert "SHA-256" in sentence_of(ModelError, lambda part=part: part.load("cpu"))


def test_a_prompt_needs_a_box_points_or_a_mask(segmenter: NetworkSegmenter) -> None:
    embedding = segmenter.embed([segmenter.prepare(photograph())])[0]
    with pytest.raises(ValueError, match="neither box nor points nor mask"):
        segmenter.decode(embedding, 40, 60, [BOX, Prompt(None, NO_POINTS, NO_LABELS)])
    assert segmenter.decode(embedding, 40, 60, []) == []


def test_an_embedding_of_another_model_is_refused(segmenter: NetworkSegmenter) -> None:
    other = (np.zeros((32, 4, 4), np.float16),)
    message = sentence_of(DataError, lambda: segmenter.decode(other, 40, 60, [BOX]))
    assert "(32, 4, 4)" in message
    assert "(32, 8, 8)" in message


# What happens when something runs out


def limited(
    segmenter: NetworkSegmenter, method: str, most: int, monkeypatch: pytest.MonkeyPatch, *, of: Callable[..., int]
) -> list[int]:
    """Let the network have memory for ``most`` items; the sizes of the batches that are tried."""
    tried: list[int] = []
    real = getattr(segmenter._network, method)

    def run(*args: object, **options: object) -> object:
        tried.append(of(*args))
        if tried[-1] > most:
            raise torch.OutOfMemoryError("out of memory")
        return real(*args, **options)

    monkeypatch.setattr(segmenter._network, method, run)
    return tried


def test_embedding_goes_on_in_halves_when_memory_runs_out(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = SegmentAnything(model=str(pth), dtype="float32").load("cpu", batch=8)
    prepared = [segmenter.prepare(photograph(seed=seed)) for seed in range(6)]
    expected = segmenter.embed(prepared)
    tried = limited(segmenter, "embed", 2, monkeypatch, of=len)
    found = segmenter.embed(prepared)
    assert tried == [6, 3, 2, 2, 2]
    assert segmenter.capacity() == 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one[0], other[0], atol=2e-3)


def test_decoding_goes_on_in_halves_when_memory_runs_out(
    segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = segmenter.embed([segmenter.prepare(photograph())])[0]
    prompts = [Prompt((left, 0, left + 9, 20), NO_POINTS, NO_LABELS) for left in range(5)]
    expected = segmenter.decode(embedding, 40, 60, prompts)
    tried = limited(segmenter, "decode", 1, monkeypatch, of=lambda _, batch: len(batch.boxes))
    found = segmenter.decode(embedding, 40, 60, prompts)
    assert tried == [4, 2, 1, 1, 1, 1, 1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-3)


def test_too_little_memory_for_one_is_a_sentence(segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    embedding = segmenter.embed([segmenter.prepare(photograph())])[0]
    limited(segmenter, "embed", 0, monkeypatch, of=len)
    limited(segmenter, "decode", 0, monkeypatch, of=lambda *_: 1)
    prepared = segmenter.prepare(photograph())
    assert "a single image" in sentence_of(ModelError, lambda: segmenter.embed([prepared]))
    assert "60 x 40 pixels" in sentence_of(ModelError, lambda: segmenter.decode(embedding, 40, 60, [BOX]))


def test_other_errors_of_the_network_are_not_taken_for_too_little_memory(
    segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: torch.Tensor) -> None:
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(segmenter._network, "embed", fail)
    with pytest.raises(ModelError, match=r"its input .sizes do not match"):
        segmenter.embed([segmenter.prepare(photograph())])


def test_a_model_that_does_not_fit_the_device_is_a_sentence(pth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    part = SegmentAnything(model=str(pth), dtype="float32")
    assert "does not fit into the memory of cpu" in sentence_of(ModelError, lambda: part.load("cpu"))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_an_embedding_that_is_not_finite_is_refused(
    value: float, segmenter: NetworkSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = segmenter._network.embed

    def spoilt(pixels: torch.Tensor) -> Sequence[torch.Tensor]:
        tensor = real(pixels)[0].clone()
        tensor[0, 3, 4, 5] = value
        return [tensor]

    monkeypatch.setattr(segmenter._network, "embed", spoilt)
    message = sentence_of(DataError, lambda: segmenter.embed([segmenter.prepare(photograph())]))
    assert "not finite" in message


def test_a_batch_by_default_suits_the_device(pth: Path) -> None:
    assert SegmentAnything(model=str(pth)).load("cpu").capacity() == network.IMAGES_AT_A_TIME["cpu"]
    assert SegmentAnything(model=str(pth)).load("cpu", 3).capacity() == 3


# The stand-in for torchvision


def imported_with(torchvision: Path) -> str:
    """What ``segment_anything`` uses, imported by a process that finds a torchvision of its own."""
    code = (
        "import sys; from zsad.segmentation.torchvision_standin import segment_anything_modeling\n"
        "segment_anything_modeling()\n"
        "from segment_anything.utils import transforms; from segment_anything import automatic_mask_generator as made\n"
        "print(transforms.resize.__module__, made.batched_nms.__module__, 'torchvision' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(torchvision), *sys.path])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return run.stdout.strip()


def write_torchvision(folder: Path, at_import: str) -> Path:
    modules = {
        "torchvision/__init__.py": at_import,
        "torchvision/ops/__init__.py": "",
        "torchvision/ops/boxes.py": "def batched_nms(): ...\ndef box_area(): ...\n",
        "torchvision/transforms/__init__.py": "",
        "torchvision/transforms/functional.py": "def resize(): ...\ndef to_pil_image(): ...\n",
    }
    for name, content in modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def unimported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ``segment_anything`` nor torchvision has been imported."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("segment_anything", "torchvision"):
            monkeypatch.delitem(sys.modules, name)


def assert_standing_in() -> None:
    """The stand-in is used by ``segment_anything``, and seen by nobody else."""
    segment_anything_modeling()
    assert sys.modules["segment_anything.utils.transforms"].resize is resize
    assert sys.modules["segment_anything.automatic_mask_generator"].batched_nms is batched_nms
    assert not [name for name in sys.modules if name.partition(".")[0] == "torchvision"]


def test_a_whole_torchvision_is_used(tmp_path: Path) -> None:
    used = imported_with(write_torchvision(tmp_path, ""))
    assert used == "torchvision.transforms.functional torchvision.ops.boxes True"


@pytest.mark.usefixtures("unimported")
@pytest.mark.parametrize(
    "failure",
    [
        "import torchvision.ops\nraise RuntimeError('operator torchvision::nms does not exist')",
        "import torchvision.ops\nraise AttributeError('no such attribute')",
        "import torchvision._C",
    ],
)
def test_a_torchvision_that_fails_is_replaced_and_leaves_nothing_behind(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(write_torchvision(tmp_path, failure))
    assert_standing_in()


@pytest.mark.usefixtures("unimported")
def test_an_absent_torchvision_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # as if it were not installed
    with pytest.raises(ImportError):
        importlib.import_module("torchvision.ops.boxes")
    segment_anything_modeling()
    assert sys.modules["segment_anything.utils.transforms"].resize is resize


def test_images_are_resized_as_torchvision_resizes_images_of_pillow() -> None:
    image = photograph(31, 47)
    resized = resize(to_pil_image(image), (20, 90))
    expected = Image.fromarray(image).resize((90, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(np.array(resized), np.array(expected))


def suppressed_by_loops(boxes: np.ndarray, scores: np.ndarray, groups: np.ndarray, limit: float) -> list[int]:
    kept: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda place: -scores[place]):
        left, top, right, bottom = boxes[place]
        for other in kept:
            width = max(min(right, boxes[other][2]) - max(left, boxes[other][0]), 0)
            height = max(min(bottom, boxes[other][3]) - max(top, boxes[other][1]), 0)
            areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (boxes[place], boxes[other])]
            if groups[place] == groups[other] and width * height / (sum(areas) - width * height) > limit:
                break
        else:
            kept.append(place)
    return kept


@pytest.mark.parametrize("count", [0, 1, 60])
def test_the_best_of_overlapping_boxes_are_kept(count: int) -> None:
    rng = np.random.default_rng(count)
    near = rng.random((count, 2)) * 40
    boxes = np.concatenate([near, near + 1 + rng.random((count, 2)) * 30], axis=1)
    scores, groups = rng.random(count), rng.integers(0, 3, count)
    tensors = [torch.tensor(array) for array in (boxes, scores, groups)]
    kept = batched_nms(*tensors, 0.3)
    assert kept.dtype == torch.int64
    assert kept.tolist() == suppressed_by_loops(boxes, scores, groups, 0.3)
    np.testing.assert_allclose(box_area(tensors[0]), (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
