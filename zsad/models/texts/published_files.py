"""Reading the files that authors publish beside their code: one state dict under one key, of named parts."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from zsad.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = (".pth", ".pt")


def is_learned(reference: str) -> bool:
    """Whether prompts are, by their ending, a file of what others have trained, and no sentences."""
    return PurePath(reference).suffix.lower() in ENDINGS


class PublishedFile(NamedTuple):
    """A state dict of known keys.

    Attributes:
        path: of the file.
        kind: what it is called in messages.
        tensors: by their keys.
    """

    path: Path
    kind: str
    tensors: Mapping[str, Tensor]

    def refuse(self, fault: str) -> ModelError:
        """The error of a fault, given as what follows the file in a sentence."""
        return ModelError(f"the {self.kind} {self.path} {fault}")

    def stacked(self, pattern: str) -> Tensor:
        """The tensors of the keys that a pattern has for 0, 1, ... one after the other, float32 ``[key, ...]``.

        Raises:
            ModelError: one is missing among them, or they are not of one size.
        """
        from torch import stack

        start, _, end = pattern.partition("{}")
        count = sum(key.startswith(start) and key.endswith(end) for key in self.tensors)
        keys = [pattern.format(index) for index in range(max(1, count))]
        tensors = [self.floats(key) for key in keys]
        for key, tensor in zip(keys, tensors, strict=True):
            if tensor.shape != tensors[0].shape:
                raise self.refuse(
                    f"has {size_of(tensors[0])} values in '{keys[0]}' and {size_of(tensor)} in '{key}', which belong "
                    "together"
                )
        return stack(tensors)

    def floats(self, key: str) -> Tensor:
        """A tensor that must be there, in float32, a copy.

        Raises:
            ModelError: it is missing, empty, no floating-point numbers, or not finite.
        """
        from torch import strided

        if key not in self.tensors:
            raise self.refuse(f"has no '{key}'; give one as its authors publish it")
        tensor = self.tensors[key]
        is_plain = tensor.layout == strided and tensor.device.type == "cpu"
        if not (is_plain and tensor.is_floating_point() and tensor.numel()):
            raise self.refuse(f"has no numbers in '{key}'; give one as its authors publish it")
        if not tensor.isfinite().all():
            raise self.refuse(f"has values in '{key}' that are not finite; download it again")
        return tensor.detach().float().clone()  # the file may be mapped into memory


def read_published(path: Path, kind: str, outer: str, known: str) -> PublishedFile:
    """Read such a file; nothing that is pickled in it is run.

    Args:
        kind: what it is called in messages, e.g. ``"file of learned tokens"``.
        outer: the one key under which the state dict lies.
        known: the keys that it may have, a regular expression.

    Raises:
        ModelError: the file is absent, damaged, holds more than tensors, or is another one.
    """
    from torch import Tensor

    from zsad.models.pth import load_pth

    content = load_pth(path)
    if zipfile.is_zipfile(path) and _damaged(path):  # torch compares no checksums
        raise ModelError(f"the {kind} {path} is damaged; download it again from its authors")
    inner = content.get(outer) if isinstance(content, Mapping) else None
    if not isinstance(inner, Mapping):
        there = f" ({_listed(content)})" if isinstance(content, Mapping) and content else ""
        raise ModelError(
            f"{path}{there} is no {kind}, which has a state dict under '{outer}'; give one as its authors publish it"
        )
    file = PublishedFile(path, kind, inner)
    for key, value in inner.items():
        if not isinstance(key, str) or not re.fullmatch(known, key):
            raise file.refuse(f"has '{key!s:.60}', which such a file has not; give one as its authors publish it")
        if not isinstance(value, Tensor):
            raise file.refuse(f"has no tensor in '{key}'; give one as its authors publish it")
    return file


def _damaged(path: Path) -> bool:
    """Whether a part of an archive has another checksum than it says, or is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError):
        return True


def size_of(tensor: Tensor) -> str:
    """The shape of a tensor as messages have it."""
    return " x ".join(map(str, tensor.shape)) or "single"


def _listed(content: Mapping[object, object]) -> str:
    """The first keys of a state dict."""
    names = [f"'{key!s:.40}'" for key in list(content)[:2]]
    return ", ".join(names) + (", ..." if len(content) > len(names) else "")
