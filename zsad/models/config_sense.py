"""Validate a checkpoint's ``config.json``, before and while a library builds its network.

Libraries trust it: too large a number makes them build layers, or allocate memory, until the machine fails. Here the
numbers are limited to those of real networks, and the built network to the size of the weights.
"""

from __future__ import annotations

import logging
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.modules.module import register_module_parameter_registration_hook

from zsad.errors import ModelError, ZsadError, first_line
from zsad.errors.boundary import known_sentence
from zsad.models.memory import is_out_of_memory
from zsad.models.torchscript import is_torchscript, read_torchscript

logger = logging.getLogger(__name__)

COMPILERS = ("torch._dynamo", "torch._inductor")  # modules with compilation errors
LARGEST = 2**31 - 1  # of any number
MOST = 100_000  # of layers, heads, registers and the like, and of tensors
COUNTS = re.compile(r"^(num|n)_|layers|blocks|depth|stages|heads|registers|groups")
DEEPEST = 20  # levels
SLACK = 1.25  # most size of a network relative to its weights ...
SPARE_TENSORS, SPARE = 100, 2**22  # ... plus these tensors and elements
QUANTIZED = "quantization_config"
OTHERS_FILES = ("adapter_config.json",)  # which make a library load other weights than those in the folder


def check_content(name: str, folder: Path, content: Mapping[str, Any]) -> None:
    """Reject an impossible ``config.json``.

    Args:
        name: of the model, for messages.
        folder: where it is.

    Raises:
        ModelError: its weights are quantised, or a number in it is not finite or larger than in any network.
    """
    for file in OTHERS_FILES:
        if (folder / file).exists():
            raise ModelError(
                f"model '{name}' is an adapter of another model ({folder / file}), which is not supported; merge it "
                "into that model and save both as one"
            )
    for place, value in _values(content):
        key = place.rpartition(".")[2]
        if key == QUANTIZED:
            method = value.get("quant_method", "unknown") if isinstance(value, Mapping) else value
            raise ModelError(
                f"the weights of model '{name}' are quantised ({place} in {folder / 'config.json'}: {method!s:.40}), "
                "which is not supported; use the original weights"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise _senseless(name, f"{place} is {value}")
        if abs(value) > (MOST if COUNTS.search(key) else LARGEST):
            raise _senseless(name, f"{place} is {value:.6g}, more than in any network")


@contextmanager
def sense_of_config(name: str, source: Path) -> Iterator[None]:
    """Turn all errors about a configuration into a `ModelError`."""
    try:
        yield
    except ZsadError:
        raise
    except Exception as error:
        raise ModelError(_reason(name, error) or f"{_unusable(name)} ({_said(error)}, in {source}); fix it") from None


@contextmanager
def sense_of_weights(name: str, source: Path) -> Iterator[None]:
    """Turn all errors about weights into a `ModelError`."""
    try:
        yield
    except ZsadError:
        raise
    except Exception as error:
        reason = _said(error)
        if type(error).__name__ == "UnpicklingError":
            reason = "they are damaged, or contain more than tensors, which may be harmful code"
        raise ModelError(
            _reason(name, error)
            or f"the weights of model '{name}' in {source} cannot be loaded ({reason}); download them again"
        ) from None


@contextmanager
def computed_by(name: str) -> Iterator[None]:
    """Turn a network's failures into a `ModelError`, with the traceback in the log.

    Problems of the machine pass unchanged: too little memory, a missing compiler, a failing device.

    Args:
        name: of the model, for messages.
    """
    try:
        yield
    except (ZsadError, MemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        if is_out_of_memory(error) or type(error).__module__.startswith(COMPILERS) or "CUDA" in str(error):
            raise
        logger.info("the failure of model '%s'", name, exc_info=True)
        raise ModelError(
            f"model '{name}' cannot process its input ({_said(error)}), most likely because its configuration does "
            "not match its weights; download it again, or choose another"
        ) from None


@contextmanager
def built_within(files: Iterable[Path], name: str) -> Iterator[None]:
    """While a network is built, stop as soon as it is larger than its weights.

    Args:
        files: of the weights.
        name: of the model, for messages.

    Raises:
        ModelError: it would have far more tensors, or elements, than the files.
    """
    tensors, elements = _held(files)
    places: set[tuple[int, str]] = set()  # a parameter is registered when created, and again with its weights
    size = 0

    def register(module: torch.nn.Module, key: str, parameter: torch.nn.Parameter | None) -> None:
        nonlocal size
        if parameter is None or (id(module), key) in places:
            return
        places.add((id(module), key))
        count, size = len(places), size + parameter.numel()
        if count > SLACK * tensors + SPARE_TENSORS or size > SLACK * elements + SPARE:
            raise ModelError(
                f"the config.json of model '{name}' describes a larger network than its weights (with {key}, {count} "
                f"tensors and {size:.3g} elements, but they have {tensors} and {elements:.3g}); correct it, or "
                "download the model again"
            )

    hook = register_module_parameter_registration_hook(register)
    try:
        yield
    finally:
        hook.remove()


def whole_number(value: Any, what: str, name: str) -> int:
    """Return a count or a length from a configuration.

    Raises:
        ModelError: it is not a whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _senseless(name, f"{what} is {value!r}, not a whole number above 0")
    return value


def _held(files: Iterable[Path]) -> tuple[int, int]:
    """Numbers of tensors and elements in weights files; no weights are read."""
    shapes = [shape for file in files for shape in _shapes(file)]
    return len(shapes), sum(map(math.prod, shapes))


def _shapes(file: Path) -> list[Sequence[int]]:
    if file.suffix == ".safetensors":
        with safe_open(file, "pt") as weights:
            return [weights.get_slice(key).get_shape() for key in weights.keys()]  # noqa: SIM118
    if is_torchscript(file):
        return [tensor.shape for tensor in read_torchscript(file, shapes_only=True).values()]
    return list(_shapes_in(torch.load(file, map_location="meta", weights_only=True, mmap=zipfile.is_zipfile(file))))


def _shapes_in(content: Any, depth: int = 0) -> Iterator[Sequence[int]]:
    """The shapes of all tensors, including those that a training script wrapped."""
    if isinstance(content, torch.Tensor):
        yield content.shape
    elif isinstance(content, Mapping) and depth <= DEEPEST:
        for value in content.values():
            yield from _shapes_in(value, depth + 1)


def _values(content: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """All values that are not null, by dotted names; those of a list have the list's name."""
    if depth > DEEPEST or content is None:
        return
    if place:
        yield place, content
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _values(value, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(content, list):
        for value in content:
            yield from _values(value, place, depth + 1)


def _senseless(name: str, reason: str) -> ModelError:
    return ModelError(f"{_unusable(name)} ({reason}); fix it, or download the model again")


def _unusable(name: str) -> str:
    return f"the config.json of model '{name}' is not usable"


def _reason(name: str, error: Exception) -> str | None:
    """The message for problems other than the checkpoint: memory, a missing package, a disk."""
    if isinstance(error, ImportError) or is_out_of_memory(error) or getattr(error, "errno", None) is not None:
        said = known_sentence(error)
        return said and f"model '{name}' cannot be loaded: {said}"
    return None


def _said(error: Exception) -> str:
    said = " ".join(first_line(error).split())
    return said if said == type(error).__name__ or " " in said else f"{type(error).__name__}: {said}"
