"""The tensors of an original checkpoint, each of which must be used or be known to be unused."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from zsad.errors import ModelError


class OriginalWeights:
    """Tensors by their original names, with a record of which were used.

    Args:
        tensors: the state dict.
        name: of the model, for messages.
        source: the single file that they are from, if it is one.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], name: str, source: Path | None = None) -> None:
        self.name = name
        self.source = source
        self._tensors = tensors
        self._taken: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._tensors

    def take(self, key: str, *shape: int) -> torch.Tensor:
        """Return the tensor ``key``, which counts as used from now on.

        Args:
            shape: required shape; empty for any.

        Raises:
            ModelError: there is no such tensor, or it is of another shape.
        """
        tensor = self._tensor(key)
        if shape and tensor.shape != shape:
            raise self.wrong_shape(key, " x ".join(map(str, shape)))
        self._taken.add(key)
        return tensor

    def shape(self, key: str, axes: int) -> tuple[int, ...]:
        """The shape of the tensor ``key``, without counting it as used.

        Raises:
            ModelError: there is no such tensor, or it has another number of axes.
        """
        tensor = self._tensor(key)
        if tensor.ndim != axes:
            raise self.wrong_shape(key, f"a shape of {axes} axes")
        return tuple(tensor.shape)

    def wrong_shape(self, key: str, expected: str) -> ModelError:
        """The error for a tensor with a wrong shape.

        Args:
            expected: the expected shape, in words.
        """
        shape = " x ".join(map(str, self._tensors[key].shape)) or "a single number"
        return ModelError(
            f"the tensor '{key}' of model '{self.name}' is {shape}, but {expected} is expected; "
            "use the weights as their authors published them"
        )

    def module(self, source: str, target: str) -> dict[str, torch.Tensor]:
        """Weight and bias of the module ``source``, under the name ``target``.

        Raises:
            ModelError: one of them is missing.
        """
        return {f"{target}.{part}": self.take(f"{source}.{part}") for part in ("weight", "bias")}

    def linear(self, source: str, target: str) -> dict[str, torch.Tensor]:
        """As `module`, but the bias may be missing."""
        if f"{source}.bias" in self:
            return self.module(source, target)
        return {f"{target}.weight": self.take(f"{source}.weight")}

    def parts(self, key: str, count: int) -> tuple[torch.Tensor, ...]:
        """The tensor ``key``, which counts as used, in ``count`` equal parts along its first axis.

        Raises:
            ModelError: there is no such tensor, or it cannot be divided so.
        """
        tensor = self.take(key)
        if tensor.ndim == 0 or len(tensor) == 0 or len(tensor) % count:
            raise self.wrong_shape(key, f"a multiple of {count} rows")
        return tensor.chunk(count)

    def fused(self, source: str, targets: Sequence[str]) -> dict[str, torch.Tensor]:
        """As `linear`, for a module that computes the outputs of all ``targets`` at once, in this order.

        Raises:
            ModelError: the weight is missing, or cannot be divided among them.
        """
        split: dict[str, torch.Tensor] = {}
        for part in ("weight", "bias") if f"{source}.bias" in self else ("weight",):
            tensors = self.parts(f"{source}.{part}", len(targets))
            split |= {f"{target}.{part}": tensor for target, tensor in zip(targets, tensors, strict=True)}
        return split

    def grid_side(self, key: str, axis: int) -> int:
        """Side of the square grid of positions in the tensor ``key`` along ``axis``, after the class token's position.

        Raises:
            ModelError: there is no such tensor, or the grid is not square.
        """
        positions = self._tensor(key).shape[axis] - 1 if self._tensor(key).ndim > axis else 0
        side = math.isqrt(max(positions, 0))
        if side == 0 or side * side != positions:
            raise self.wrong_shape(key, "a square grid of positions besides that of the class token")
        return side

    def count(self, prefix: str) -> int:
        """Number of modules with numbers after ``prefix``, such as ``"blocks."``; one more than the largest number."""
        numbered = re.compile(re.escape(prefix) + r"(\d+)\.")
        return 1 + max((int(match[1]) for match in map(numbered.match, self._tensors) if match), default=-1)

    def drop(self, patterns: Iterable[str]) -> None:
        """Count known unused tensors as used: all whose full name matches one of ``patterns``."""
        for pattern in patterns:
            self._taken.update(key for key in self._tensors if re.fullmatch(pattern, key))

    def check_all_used(self) -> None:
        """Reject weights with unexpectedly unused tensors.

        Raises:
            ModelError: a tensor was neither taken nor dropped.
        """
        left = [key for key in self._tensors if key not in self._taken]
        if left:
            raise ModelError(
                f"the weights of model '{self.name}' contain {len(left)} unknown tensors (the first is "
                f"'{left[0]}'), so that it is another model than it seems; use one of the published models"
            )

    def _tensor(self, key: str) -> torch.Tensor:
        if key not in self._tensors:
            raise ModelError(f"the weights of model '{self.name}' lack the tensor '{key}'; download them again")
        return self._tensors[key]
