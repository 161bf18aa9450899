"""Reading ``.pth`` and ``.pt`` files, without running the code that such a file can hold."""

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

WRAPPERS = ("teacher", "model", "state_dict")  # where training scripts put the weights among other things
PREFIXES = ("module.", "backbone.")  # of distributed training, and of a backbone beside its heads


def read_pth(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file of ``torch.save``, on the CPU, freed of what a training script wrapped it in.

    Raises:
        ModelError: see `load_pth`; or it holds no state dict.
    """
    return _without_prefixes(_unwrapped(load_pth(path)), path)


def load_pth(path: Path) -> Any:
    """What a file of ``torch.save`` holds, be it tensors or collections of them, on the CPU.

    Of one of ``torch.jit.save``, with code, it is the state dict. Files of the present format are mapped into memory,
    so that weights are read when they are used.

    Raises:
        ModelError: the file is absent, damaged, or holds more than tensors.
    """
    try:
        if is_torchscript(path):
            return read_torchscript(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        reason = "is damaged, or holds more than tensors, which may be harmful code"
    except OSError as error:
        # A file that was cut off has torch look for its end in front of its beginning.
        cut_off = error.errno == errno.EINVAL
        reason = "is damaged" if cut_off else f"cannot be read ({error.strerror or error})"
    except MemoryError:
        raise
    except Exception:  # over an arbitrary sequence of bytes, archives and unpicklers raise whatever there is
        reason = "is damaged"
    raise ModelError(f"the file of weights {path} {reason}; download it again from its authors")


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _without_prefixes(content: Any, path: Path) -> dict[str, torch.Tensor]:
    if not (isinstance(content, Mapping) and content and all(map(_is_entry, content.items()))):
        raise ModelError(f"the file {path} holds no state dict (names and tensors); give the file of a model's weights")
    state: dict[str, torch.Tensor] = {}
    for key, tensor in content.items():
        for prefix in PREFIXES:
            key = key.removeprefix(prefix)
        if not _is_plain(tensor):
            raise ModelError(
                f"the file {path} holds '{key}' as a sparse or quantised tensor, or without its numbers, which is not "
                "supported; use the weights as their authors published them"
            )
        if key in state:
            raise ModelError(f"the file {path} holds two networks (both have '{key}'); save the one to use by itself")
        state[key] = tensor
    return state


def _is_entry(entry: tuple[Any, Any]) -> bool:
    return isinstance(entry[0], str) and isinstance(entry[1], torch.Tensor)


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
