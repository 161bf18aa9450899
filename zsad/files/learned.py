"""Weights that a method has learned, with all facts about them, in one safetensors file.

A file holds tensors and, in its metadata, one JSON object of facts: what was trained, on what, how, and for which
readers. Reading a file never runs code. A file from another user can be used by its path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from zsad.errors import DamagedFileError, DataError
from zsad.files.atomic import atomic_path
from zsad.files.json_values import canonical_json

LEARNED_FORMAT: Final = "zsad-learned-1"
_FORMAT, _FACTS, _DIGEST = "format", "facts", "sha256"  # keys of the metadata


class Learned(NamedTuple):
    """Learned weights.

    Attributes:
        tensors: by name, of any number format of numpy.
        facts: plain JSON: the method and its parameters, what it was trained on, seed, steps, ...
    """

    tensors: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]


def weights_sha256(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and values, in hexadecimal: two trainings with one seed have the same."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(canonical_json([name, tensor.dtype.str, list(tensor.shape)]).encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def to_bytes(learned: Learned) -> bytes:
    """A file's content; equal weights and facts give equal bytes."""
    tensors = {name: np.ascontiguousarray(learned.tensors[name]) for name in sorted(learned.tensors)}
    facts = canonical_json(dict(learned.facts))
    digest = hashlib.sha256((weights_sha256(tensors) + facts).encode()).hexdigest()
    return _ordered(save(tensors, {_FORMAT: LEARNED_FORMAT, _FACTS: facts, _DIGEST: digest}))


def from_bytes(content: bytes, path: Path) -> Learned:
    """Read the output of `to_bytes`.

    Args:
        path: of the file, for messages.

    Raises:
        DamagedFileError: it is damaged, or another kind of file.
    """
    metadata = _metadata(content, path)
    try:
        tensors = load(content)
        facts = json.loads(metadata[_FACTS])
        digest = hashlib.sha256((weights_sha256(tensors) + metadata[_FACTS]).encode()).hexdigest()
    except (SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"is damaged ({type(error).__name__})") from None
    if digest != metadata.get(_DIGEST) or not isinstance(facts, dict):
        raise DamagedFileError(path, "is damaged (its digest does not match)")
    if odd := next((name for name, tensor in tensors.items() if not np.isfinite(tensor).all()), None):
        raise DamagedFileError(path, f"is damaged ('{odd}' has numbers that are not finite)")
    return Learned(tensors, facts)


def write_learned(path: Path, learned: Learned) -> None:
    """Write a file completely or not at all.

    Raises:
        DataError: see `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(to_bytes(learned))


def read_learned(path: Path) -> Learned:
    """Read a whole file.

    Raises:
        DataError: it does not exist or cannot be read.
        DamagedFileError: it is damaged, or not a file of learned weights.
    """
    return from_bytes(_content(path), path)


def read_facts(path: Path) -> dict[str, Any]:
    """Read only the facts, without checking the digest: no tensor is read.

    Raises:
        DataError: it does not exist or cannot be read.
        DamagedFileError: it is damaged, or not a file of learned weights.
    """
    if not path.is_file():
        raise _absent(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); make it readable") from None
    except SafetensorError:
        raise DamagedFileError(path, "is damaged, or not a safetensors file") from None
    try:
        _check_format(metadata, path)
        facts = json.loads(metadata[_FACTS])
    except (KeyError, ValueError, RecursionError):
        raise DamagedFileError(path, "is damaged (its facts cannot be read)") from None
    if not isinstance(facts, dict):
        raise DamagedFileError(path, "is damaged (its facts cannot be read)")
    return facts


def _ordered(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file by key; the library writes them in random order."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[start:]


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise _absent(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); make it readable") from None


def _absent(path: Path) -> DataError:
    what = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "does not exist"
    return DataError(f"the learned weights {path} {what}; correct the path, or put the file there")


def _metadata(content: bytes, path: Path) -> dict[str, str]:
    """The metadata of a file's content; only the header is parsed."""
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        metadata = header.get("__metadata__", {})
        metadata = {str(key): str(value) for key, value in metadata.items()}
    except (ValueError, AttributeError, RecursionError, MemoryError, OverflowError):
        raise DamagedFileError(path, "is damaged, or not a safetensors file") from None
    _check_format(metadata, path)
    return metadata


def _check_format(metadata: Mapping[str, str], path: Path) -> None:
    if metadata.get(_FORMAT) != LEARNED_FORMAT:
        found = metadata.get(_FORMAT, "")
        what = f"has the format '{found}'" if found else "is not a file of weights learned by zsad"
        raise DamagedFileError(path, f"{what}, and this version reads '{LEARNED_FORMAT}'")
