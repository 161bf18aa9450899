"""Read ``.pth`` and ``.pt`` files without running the code that such a file can contain."""

from __future__ import annotations

import errno
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zsad.errors import ModelError
from zsad.models.torchscript import is_torchscript, read_torchscript

WRAPPERS = ("teacher", "model", "state_dict")  # keys of the weights in the files of training scripts
PREFIXES = ("module.", "backbone.")  # of distributed training, and of a backbone with heads


def read_pth(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file of ``torch.save``, on the CPU, without wrappers of training scripts.

    Raises:
        ModelError: see `load_pth`; or it contains no state dict.
    """
    return _without_prefixes(_unwrapped(load_pth(path)), path)


def load_pth(path: Path) -> Any:
    """The content of a file of ``torch.save``, tensors or collections of them, on the CPU.

    For a file of ``torch.jit.save``, with code, it is the state dict. Files of the current format are memory-mapped, so
    that weights are read when they are used.

    Raises:
        ModelError: the file does not exist, is damaged, or contains more than tensors.
    """
    try:
        if is_torchscript(path):
            return read_torchscript(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        reason = "is damaged, or contains more than tensors, which may be harmful code"
    except OSError as error:
        # In a truncated file, torch searches for its end before its beginning.
        cut_off = error.errno == errno.EINVAL
        reason = "is damaged" if cut_off else f"cannot be read ({error.strerror or error})"
    except MemoryError:
        raise
    except Exception:  # on arbitrary bytes, archives and unpicklers raise any exception
        reason = "is damaged"
    raise ModelError(f"the weights file {path} {reason}; download it again from its authors")


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _without_prefixes(content: Any, path: Path) -> dict[str, torch.Tensor]:
    if not (isinstance(content, Mapping) and content and all(map(_is_entry, content.items()))):
        raise ModelError(
            f"the file {path} contains no state dict (names and tensors); give the weights file of a model"
        )
    state: dict[str, torch.Tensor] = {}
    for key, tensor in content.items():
        for prefix in PREFIXES:
            key = key.removeprefix(prefix)
        if not _is_plain(tensor):
            raise ModelError(
                f"the file {path} contains '{key}' as a sparse or quantised tensor, or without its numbers, which is "
                "not supported; use the weights as their authors published them"
            )
        if key in state:
            raise ModelError(f"the file {path} contains two networks (both have '{key}'); save only the one to use")
        state[key] = tensor
    return state


def _is_entry(entry: tuple[Any, Any]) -> bool:
    return isinstance(entry[0], str) and isinstance(entry[1], torch.Tensor)


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
