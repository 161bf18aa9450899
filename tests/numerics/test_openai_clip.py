"""CLIP in OpenAI's own files, against their forward pass in plain words; and files that mean harm."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clip_words import SCRATCH
from closeness import assert_close
from tiny_open_clip import RELEASED
from tiny_openai_clip import Clip, save_archive
from zsad.errors import ModelError
from zsad.features.execution import Execution
from zsad.features.huggingface import HuggingFace
from zsad.features.image_text import ImageText
from zsad.models.checkpoint import find_checkpoint, locate_checkpoint
from zsad.models.pth import load_pth
from zsad.models.texts.loading import TextModel, load_texts
from zsad.models.torchscript import read_torchscript

FILE = "ViT-L-14-336px.pt"
TEXTS = ["scratch", "a cat, at a chat", "b"]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Clip]:
    path = tmp_path_factory.mktemp("openai") / FILE
    return path, save_archive(path)


def pixels() -> Tensor:
    return torch.randn(2, 3, RELEASED.side, RELEASED.side, generator=torch.Generator().manual_seed(2))


# What is in the files.


def test_the_archive_holds_the_state_dict_by_its_names_and_in_its_formats(released: tuple[Path, Clip]) -> None:
    path, _ = released
    state, expected = read_torchscript(path), Clip().state_dict()
    assert state.keys() == expected.keys()
    assert {tensor.dtype for tensor in state.values()} == {torch.float16, torch.float32, torch.int64}
    for key, tensor in expected.items():
        assert state[key].dtype == tensor.dtype
        assert torch.equal(state[key], tensor)


def test_shapes_are_read_without_numbers(released: tuple[Path, Clip]) -> None:
    path, _ = released
    shapes = read_torchscript(path, shapes_only=True)
    assert all(tensor.is_meta for tensor in shapes.values())
    assert {key: tensor.shape for key, tensor in shapes.items()} == {
        key: tensor.shape for key, tensor in Clip().state_dict().items()
    }


def test_tokens_and_vectors_are_those_of_openais_forward_pass(released: tuple[Path, Clip]) -> None:
    path, network = released
    with torch.inference_mode():
        tokens, vectors = network.visual(pixels())
        in_space = network.visual.ln_post(tokens) @ network.visual.proj
    options: dict[str, Any] = {"model": str(path), "resolution": RELEASED.side, "dtype": "float32"}
    with torch.inference_mode():
        patches, classes = HuggingFace(**options, normed=False).load(Execution(device="cpu")).tokens_of(pixels())
        assert_close(patches[:, 0].flatten(1, 2), tokens[:, 1:])
        assert_close(classes[:, 0], tokens[:, 0])
        patches, classes = ImageText(**options).load(Execution(device="cpu")).tokens_of(pixels())
    assert_close(patches[:, 0].flatten(1, 2), in_space[:, 1:])
    assert_close(classes[:, 0], vectors)


def test_texts_are_those_of_openais_forward_pass(released: tuple[Path, Clip], tmp_path: Path) -> None:
    path, network = released
    tower = load_texts(TextModel(str(path), tokenizer=str(SCRATCH.save(tmp_path))), "cpu")
    embeddings = tower.encode(TEXTS)
    for text, embedding in zip(TEXTS, embeddings, strict=True):
        with torch.inference_mode():
            expected = network.encode_text(torch.tensor([tower._tokens(text)]))[0]
        assert_close(embedding, expected)


def test_the_model_is_known_by_its_numbers_and_needs_no_name(released: tuple[Path, Clip], tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(released[0].read_bytes())
    found = find_checkpoint(str(path), None)
    assert found.config.hidden_act == "quick_gelu"
    assert found.config.position_interpolation == "bicubic"


def test_a_state_dict_alone_is_known_by_its_name_and_half_precision(tmp_path: Path) -> None:
    numbers = ("input_resolution", "context_length", "vocab_size")
    state = {key: value for key, value in Clip().state_dict().items() if key not in numbers}
    for content in (state, {"state_dict": state}):
        torch.save(content, tmp_path / FILE)
        config = locate_checkpoint(str(tmp_path / FILE), None).config()
        assert config.vision_config.hidden_act == config.text_config.hidden_act == "quick_gelu"
    torch.save(state, tmp_path / "epoch_5.pt")
    assert "do not state whether their activation is GELU or QuickGELU" in refusal(tmp_path / "epoch_5.pt")
    torch.save({key: value.float() for key, value in state.items()}, tmp_path / FILE)
    assert "do not state whether their activation is GELU or QuickGELU" in refusal(tmp_path / FILE)


def test_a_resnet_is_refused(tmp_path: Path) -> None:
    torch.save({"visual.attnpool.positional_embedding": torch.ones(50, 8)}, tmp_path / "RN50.pt")
    assert "is a CLIP whose image tower is a ResNet (such as RN50), which has no patch tokens" in refusal(
        tmp_path / "RN50.pt"
    )


# What means harm, or is damaged.


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        find_checkpoint(str(path), None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewritten(source: Path, target: Path, changes: dict[str, bytes | None], **options: Any) -> Path:
    """An archive with other parts, by the ends of their names; None for one that is left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **options) as new:
        for info in old.infolist():
            end = info.filename.partition("/")[2]
            content = changes.get(end, old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
    return target


class Touch:
    """Runs something when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = (call, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._reduced


def global_call(module: str, name: str, argument: bytes) -> bytes:
    """A pickle that calls ``module.name``."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + argument + b"\x85R."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.jit._pickle", "__builtins__"),
        ("torch._utils", "_rebuild_parameter"),
        ("__torch__evil", "x"),
    ],
)
def test_no_code_of_a_pickle_is_run(released: tuple[Path, Clip], tmp_path: Path, module: str, name: str) -> None:
    argument = f"touch {tmp_path / 'ran'}".encode()
    pickled = global_call(module, name, b"X" + len(argument).to_bytes(4, "little") + argument)
    path = rewritten(released[0], tmp_path / FILE, {"data.pkl": pickled})
    assert "contains more than tensors, which may be harmful code" in refusal(path)
    assert not (tmp_path / "ran").exists()


def test_objects_that_run_when_they_are_unpickled_are_refused(released: tuple[Path, Clip], tmp_path: Path) -> None:
    for protocol in (0, 2, 4):
        pickled = pickle.dumps(Touch(os.mkdir, str(tmp_path / "ran")), protocol=protocol)
        path = rewritten(released[0], tmp_path / FILE, {"data.pkl": pickled})
        assert "download it again" in refusal(path)
    assert not (tmp_path / "ran").exists()


def test_the_code_of_an_archive_is_never_read(released: tuple[Path, Clip], tmp_path: Path) -> None:
    with zipfile.ZipFile(released[0]) as archive:
        code = [name.partition("/")[2] for name in archive.namelist() if "/code/" in name]
    path = rewritten(released[0], tmp_path / FILE, dict.fromkeys(code, b"\xff no source"))
    assert read_torchscript(path).keys() == Clip().state_dict().keys()


def pickled_tensor(
    size: tuple[int, ...] = (2,), stride: tuple[int, ...] = (1,), offset: int = 0, count: int = 4, key: str = "0"
) -> bytes:
    """The pickle of a module with one tensor, as TorchScript writes it."""

    def whole(value: int) -> bytes:
        return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def several(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(whole, values)) + b"t"

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cuda:0") + whole(count) + b"tQ"
    rest = whole(offset) + several(size) + several(stride) + b"\x89ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"
    return b"\x80\x02c__torch__\nM\n)\x81}(" + text("w") + tensor + b"ub."


def archive_of(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/code/__torch__.py", b"")
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", torch.arange(4.0).numpy().tobytes(), compress_type=compression)
    return path


def test_a_tensor_is_where_the_pickle_says(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.pt", pickled_tensor((2, 2), (1, 2)))
    assert torch.equal(read_torchscript(path)["w"], torch.tensor([[0.0, 2.0], [1.0, 3.0]]))
    assert torch.equal(read_torchscript(archive_of(path, pickled_tensor((2,), (2,), 1)))["w"], torch.tensor([1.0, 3.0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (5,)},
        {"offset": 3},
        {"stride": (4,)},
        {"size": (-1,)},
        {"offset": -1},
        {"size": (2, 2)},  # with one stride
        {"size": (10**9,), "stride": (0,)},  # one number, many times
        {"count": 2**40},
        {"count": 3},
        {"key": "1"},
        {"key": "../code/__torch__.py"},
    ],
)
def test_tensors_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = archive_of(tmp_path / "a.pt", pickled_tensor(**changes))
    with pytest.raises(ModelError, match=r"is damaged; download it again from its authors"):
        load_pth(path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x02}.",  # no module
        b"\x80\x02]q\x00h\x00a",  # no end
        b"\x80\x02]r\xff\xff\xff\x7f.",  # recalls as number 2 ** 31 - 1
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",  # a frame of 2 ** 63 bytes
        b"\x80\x02c__torch__\nM\n)\x81q\x00}(X\x01\x00\x00\x00mh\x00ub.",  # a module within itself
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}(X\x01\x00\x00\x00a)ub.",  # sets something of a function
    ],
)
def test_pickles_that_are_none_of_modules_are_refused(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(ModelError, match="download it again from its authors"):
        load_pth(archive_of(tmp_path / "a.pt", pickled))


def test_compressed_parts_are_refused(tmp_path: Path) -> None:
    bomb = archive_of(tmp_path / "a.pt", pickled_tensor(), zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="is damaged"):
        load_pth(bomb)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/code/__torch__.py", b"")
        archive.writestr("a/data.pkl", bytes(10**7))
    with pytest.raises(ModelError, match="is damaged"):
        load_pth(bomb)


@pytest.mark.parametrize("part", ["data.pkl", "data/3"])
def test_archives_that_lack_a_part_are_refused(released: tuple[Path, Clip], tmp_path: Path, part: str) -> None:
    assert "is damaged" in refusal(rewritten(released[0], tmp_path / FILE, {part: None}))
    assert "is damaged" in refusal(rewritten(released[0], tmp_path / FILE, {part: b"\x80"}))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_archives_that_are_cut_off_are_refused(released: tuple[Path, Clip], tmp_path: Path, share: float) -> None:
    content = released[0].read_bytes()
    (tmp_path / FILE).write_bytes(content[: int(share * len(content))])
    assert "download" in refusal(tmp_path / FILE)
