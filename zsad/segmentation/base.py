"""Interface of promptable segmentation models, which embed an image once and decode many prompts from the embedding.

"Promptable" and "prompt" are the terms of Kirillov et al., Segment Anything, ICCV 2023.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zsad.errors import DataError
from zsad.registry import Choice

Embedding = tuple[np.ndarray, ...]
"""The embedding of one image, float16 arrays; equal bit by bit when read from a file."""

CANDIDATES = 3  # number of candidates for a prompt
CANDIDATE_MEMORY = 256 * 2**20  # bytes of candidates at the size of the image, of all prompts of one call
MASK_PROMPT_RANGE = 10.0  # logits of a mask prompt, about the range of the models' own low-resolution masks


class Prompt(NamedTuple):
    """A prompt for an outline, in pixels of the image.

    Attributes:
        box: ``(left, top, right, bottom)``, or None.
        points: float ``[point, 2]``, ``(x, y)``; may be empty.
        labels: int ``[point]``, 1 for inside, 0 for outside.
        mask: float logits ``[row, column]`` of a first guess, on any grid that covers the image, in
            ``[-MASK_PROMPT_RANGE, MASK_PROMPT_RANGE]``; or None.
    """

    box: tuple[float, float, float, float] | None
    points: np.ndarray
    labels: np.ndarray
    mask: np.ndarray | None = None

    @classmethod
    def of_box(cls, box: Sequence[float]) -> Prompt:
        """A box alone."""
        left, top, right, bottom = (float(side) for side in box)
        return cls((left, top, right, bottom), np.empty((0, 2)), np.empty(0, dtype=np.int64))

    @classmethod
    def of_points(cls, points: np.ndarray) -> Prompt:
        """A prompt with only points inside, ``[point, 2]``."""
        return cls(None, points, np.ones(len(points), dtype=np.int64))


class Candidates(NamedTuple):
    """The masks that a model proposes for one prompt.

    Attributes:
        logits: float32 ``[candidate, height, width]`` at the image's size; positive inside.
        quality: float32 ``[candidate]``, the model's own estimate of the IoU.
    """

    logits: np.ndarray
    quality: np.ndarray


def in_calls(prompts: Sequence[Prompt], height: int, width: int) -> Iterator[Sequence[Prompt]]:
    """Split the prompts on an image into groups whose candidates take little memory, in order."""
    step = max(1, CANDIDATE_MEMORY // (CANDIDATES * np.dtype(np.float32).itemsize * height * width))
    for start in range(0, len(prompts), step):
        yield prompts[start : start + step]


class Segmenter:
    """A loaded model; made by `SegmenterConfig.load`.

    Attributes:
        model: id, revision and SHA-256 of the weights, for the provenance.
        device: device of the model.
        shapes: shapes of the arrays of an embedding.
        prepare: resizes uint8 RGB ``[height, width, 3]`` to the input of `embed`, also uint8; worker processes run it,
            so it can be pickled and holds no weights.
    """

    model: dict[str, Any]
    device: str
    shapes: list[tuple[int, ...]]
    prepare: Callable[[np.ndarray], np.ndarray]

    def provenance(self) -> dict[str, Any]:
        """Facts about the model to store with its results."""
        return {"segmenter": self.model, "device": self.device}

    def check_made(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Check that a file of embeddings was made by this model; the number format may differ.

        Args:
            path: path of the file.
            provenance: provenance of the file.

        Raises:
            DataError: another model made it.
        """
        made_by = provenance.get("segmenter") or {}
        if {**made_by, "dtype": None} != {**self.model, "dtype": None}:
            raise DataError(f"{path} was made by another segmentation model; delete it and run again")

    def capacity(self) -> int:
        """How many prepared images to pass to `embed` at a time; it may shrink when memory runs out."""
        return 1

    @abstractmethod
    def embed(self, prepared: Sequence[np.ndarray]) -> list[Embedding]:
        """The embeddings of prepared images.

        Raises:
            DataError: an embedding is not finite in float16.
            ModelError: the device has too little memory for one image.
        """

    @abstractmethod
    def decode(
        self, embedding: Embedding, height: int, width: int, prompts: Sequence[Prompt], *, several: bool = True
    ) -> list[Candidates]:
        """The candidates of every prompt on one image, in order.

        Args:
            height, width: of the image, pixels.
            several: three candidates a prompt (whole, part, subpart), or a single one.
        """


class SegmenterConfig(Choice):
    """Base class of configured promptable segmentation models; the fields are the parameters.

    Class attributes:
        reference: the paper.
    """

    reference: ClassVar[str]

    @abstractmethod
    def load(self, device: str, batch: int | None = None) -> Segmenter:
        """Load the weights onto the device.

        Args:
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
            batch: images per batch; None for a number that suits the device.

        Raises:
            ConfigError: the device or number format does not exist here.
            ModelError: the model is absent, damaged, or of an unknown kind.
        """
