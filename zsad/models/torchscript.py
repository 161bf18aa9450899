"""Read the weights of TorchScript archives, as published by OpenAI for CLIP, without running their code.

An archive of ``torch.jit.save`` is a zip file. Its ``code/`` contains the networks' source, which is not used; its
``data.pkl`` contains a tree of modules, a pickle of few opcodes, in which tensors name the storages ``data/0``,
``data/1`` and so on. Here modules become inert objects and tensors views of the file; everything else that a pickle
could call is rejected. Source of the format: https://github.com/pytorch/pytorch,
``torch/csrc/jit/serialization/pickler.h`` and ``torch/csrc/jit/docs/serialization.md``.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Never

import torch

CODE = "/code/"  # in the names of an archive's parts
LARGEST_PICKLE = 2**26  # bytes; OpenAI's have about 10^5
MOST_PARTS = 100_000  # modules and tensors
DEEPEST = 32  # modules within one another
LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a part of a zip file: signature, lengths of name and extra field
OPCODES = re.compile(  # that TorchScript writes
    r"PROTO|STOP|MARK|GLOBAL|NEWOBJ|REDUCE|BUILD|BINPERSID|(LONG_)?BIN(PUT|GET)|BININT[12]?|LONG1|BINFLOAT|BINUNICODE|"
    r"NEWTRUE|NEWFALSE|NONE|EMPTY_(TUPLE|DICT|LIST)|TUPLE[123]?|(SETITEM|APPEND)S?"
)
DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}
OF_LISTS = frozenset(f"build_{kind}list" for kind in ("int", "double", "bool", "tensor")) | {"restore_type_tag"}


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(CODE in name for name in archive.namelist())


def read_torchscript(path: Path, *, shapes_only: bool = False) -> dict[str, torch.Tensor]:
    """The tensors of all modules, by the names that they have in the state dict.

    Args:
        shapes_only: return tensors without numbers (of torch's device ``meta``); else they are memory-mapped, so that
            they are read when they are used.

    Raises:
        pickle.UnpicklingError: it contains more than modules and tensors, which may be harmful code.
        Exception: any exception on a damaged archive.
    """
    with zipfile.ZipFile(path) as archive:
        parts = _Parts(path, archive, shapes_only=shapes_only)
        root = _Reader(parts.pickled(), parts).load()
    if not isinstance(root, _Module):
        raise ValueError("it contains no module")
    tensors = dict(_named_tensors(root))
    if sum(tensor.numel() for tensor in tensors.values()) > 2 * parts.elements:  # some may be shared
        raise ValueError("its tensors are larger than its storages")
    return tensors


class _Module:
    """A module of the archive: its attributes without its methods."""

    attributes: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise pickle.UnpicklingError("a module has no attributes")
        self.attributes = state


class _Known:
    """A function that the pickle may call but cannot change."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> Never:
        raise pickle.UnpicklingError("it changes a function")


class _Type(NamedTuple):
    """The type of a storage."""

    dtype: torch.dtype


class _Storage(NamedTuple):
    """A storage ``[number]``; the pickle never gets a tensor itself, which has methods."""

    numbers: torch.Tensor


class _View(NamedTuple):
    """A tensor, for the same reason."""

    tensor: torch.Tensor


class _Reader(pickle.Unpickler):
    """Unpickles modules and tensors, and nothing else.

    Args:
        content: of ``data.pkl``.
        parts: of the archive.
    """

    def __init__(self, content: bytes, parts: _Parts) -> None:
        super().__init__(io.BytesIO(content))
        self._parts = parts

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Known(_tensor)
        if (module, name) == ("collections", "OrderedDict"):
            return _Known(dict)
        if module == "torch.jit._pickle" and name in OF_LISTS:
            return _Known(lambda content, *_: content)
        if module == "torch" and name in DTYPES:
            return _Type(DTYPES[name])
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage; its original device does not matter."""
        kind, stored, key, _, count = pid
        if kind != "storage" or not isinstance(stored, _Type) or not isinstance(key, str):
            raise pickle.UnpicklingError("it refers to something other than a storage")
        return _Storage(self._parts.storage(key, stored.dtype, _whole(count)))


class _Parts:
    """The files of an archive, all below one folder.

    Attributes:
        elements: total number of elements of the requested storages.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, *, shapes_only: bool) -> None:
        self.elements = 0
        self._path, self._archive, self._shapes_only = path, archive, shapes_only
        self._bytes = path.stat().st_size
        self._root = next(name for name in archive.namelist() if CODE in name).partition(CODE)[0]
        self._content: torch.Tensor | None = None
        self._storages: dict[str, torch.Tensor] = {}

    def pickled(self) -> bytes:
        """The pickle of the modules, checked to contain only what TorchScript writes.

        A memo number makes the unpickler allocate memory for all smaller numbers.
        """
        info = self._stored("data.pkl")
        if info.file_size > LARGEST_PICKLE:
            raise ValueError(f"its data.pkl has {info.file_size} bytes")
        content = self._archive.read(info)
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if not OPCODES.fullmatch(opcode.name) or (opcode.name == "LONG_BINPUT" and int(argument or 0) > count):
                raise pickle.UnpicklingError(f"its data.pkl has the opcode {opcode.name}")
        return content

    def storage(self, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        """A storage with ``count`` numbers, ``[number]``."""
        if key not in self._storages:
            start, length = self._place(self._stored(f"data/{key}"))
            if length != count * dtype.itemsize:
                raise ValueError(f"its storage {key} has {length} bytes for {count} numbers")
            self._storages[key] = self._numbers(start, length, dtype)
            self.elements += count
        storage = self._storages[key]
        if storage.dtype != dtype or len(storage) != count:
            raise ValueError(f"its storage {key} has two types")
        return storage

    def _numbers(self, start: int, length: int, dtype: torch.dtype) -> torch.Tensor:
        if self._shapes_only:
            return torch.empty(length // dtype.itemsize, dtype=dtype, device="meta")
        if self._content is None:
            self._content = torch.from_file(str(self._path), shared=False, size=self._bytes, dtype=torch.uint8)
        numbers = self._content[start : start + length]
        return (numbers if start % dtype.itemsize == 0 else numbers.clone()).view(dtype)

    def _stored(self, name: str) -> zipfile.ZipInfo:
        """A file that is not compressed, as torch stores all files but the code."""
        info = self._archive.getinfo(f"{self._root}/{name}")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self._bytes:
            raise ValueError(f"its {name} is compressed")
        return info

    def _place(self, info: zipfile.ZipInfo) -> tuple[int, int]:
        """Position and size in bytes of a file in the archive."""
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            signature, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
        start = info.header_offset + LOCAL_HEADER.size + name + extra
        if signature != b"PK\x03\x04" or start + info.file_size > self._bytes:
            raise ValueError(f"its {info.filename} is truncated")
        return start, info.file_size


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
    """A view of a storage that is inside it and not larger."""
    if not isinstance(storage, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise pickle.UnpicklingError("it makes a tensor from something other than a storage")
    start, shape, steps = _whole(offset), tuple(map(_whole, size)), tuple(map(_whole, stride))
    last = start + sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
    count = 1
    for length in shape:
        count *= length
    held = len(storage.numbers)
    if count > held or (count and last >= held):
        raise ValueError("a tensor reaches beyond its storage")
    begin = storage.numbers.storage_offset() + start  # as_strided counts from the beginning of the file
    return _View(storage.numbers.as_strided(shape, steps, begin))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.60} is not a count")
    return value


def _named_tensors(root: _Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a module and of those within it, in the order of the archive."""
    seen = 0
    waiting: list[tuple[Sequence[str], Any]] = [((), root)]
    while waiting:
        place, value = waiting.pop()
        seen += 1
        if seen > MOST_PARTS or len(place) > DEEPEST:
            raise ValueError("it has too many modules")
        if isinstance(value, _View):
            yield ".".join(place), value.tensor
        elif isinstance(value, _Module):
            own = getattr(value, "attributes", {})
            waiting.extend(((*place, key), part) for key, part in reversed(own.items()))
