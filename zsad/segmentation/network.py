"""A loaded promptable network of either library: batches of images to embeddings, and of prompts to candidates."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from zsad.device import number_format, resolve_device
from zsad.errors import DataError, ModelError
from zsad.models.config_sense import computed_by
from zsad.models.memory import is_out_of_memory, keep_freed_memory, release
from zsad.models.precision import computing_in, in_format
from zsad.segmentation.base import Candidates, Embedding, Prompt, Segmenter
from zsad.segmentation.frames import Frame
from zsad.segmentation.weights import Weights, find_weights

logger = logging.getLogger(__name__)

IMAGES_AT_A_TIME = {"cpu": 1, "mps": 1, "cuda": 4}
PROMPTS_AT_A_TIME = {"cpu": 4, "mps": 16, "cuda": 32}

Item = TypeVar("Item")
Made = TypeVar("Made")


class PromptBatch(NamedTuple):
    """Prompts of the same kind on one image, in pixels of the network's square; unused fields are None.

    Attributes:
        boxes: float32 ``[prompt, 4]``.
        points: float32 ``[prompt, point, 2]``.
        labels: int64 ``[prompt, point]``.
        masks: float32 ``[prompt, 1, row, column]``, logits on the grid of the mask input.
    """

    boxes: torch.Tensor | None
    points: torch.Tensor | None
    labels: torch.Tensor | None
    masks: torch.Tensor | None


class PromptableNetwork(ABC):
    """Base class of promptable networks on a device.

    Attributes:
        module: the whole network.
        image_encoder: the submodule that makes the embedding.
        frame: its square input.
        mask_side: rows and columns of the grid of its mask input.
        shapes: of the arrays of an embedding.
    """

    module: torch.nn.Module
    image_encoder: torch.nn.Module
    frame: Frame
    mask_side: int
    shapes: list[tuple[int, ...]]

    @abstractmethod
    def attend_in_blocks(self, dtype: torch.dtype) -> None:
        """Let the image encoder compute its attention in blocks if that is faster on a CPU in this number format."""

    @abstractmethod
    def embed(self, pixels: torch.Tensor) -> Sequence[torch.Tensor]:
        """Normalised squares ``[image, 3, side, side]`` to tensors whose first axis is the image."""

    @abstractmethod
    def decode(
        self, embedding: Sequence[torch.Tensor], prompts: PromptBatch, *, several: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Candidates of one image.

        Args:
            embedding: its arrays, float32, with an image axis of length 1.

        Returns:
            Logits ``[prompt, candidate, row, column]`` of the square, and qualities ``[prompt, candidate]``.
        """


def load_segmenter(
    build: Callable[[str, Weights], PromptableNetwork],
    *,
    model: str,
    revision: str | None,
    sha256: str | None,
    dtype: str,
    device: str,
    batch: int | None,
) -> NetworkSegmenter:
    """Find the weights, build the network from them, and bring it to a device.

    Args:
        build: makes the network, in float32 on the CPU, from its name and weights.
        dtype: number format of the image encoder; the decoder computes in float32.

    Raises:
        ConfigError: the device or number format does not exist here, or a revision was given where there is none.
        ModelError: the model is absent, damaged, of an unknown kind, or too large for the device.
    """
    device = resolve_device(device)
    number = number_format(dtype, device)
    weights = find_weights(model, revision, sha256)
    network = build(model, weights)
    network.module.eval().requires_grad_(False)
    if device == "cpu":
        keep_freed_memory()
        network.attend_in_blocks(number)
    in_format(network.image_encoder, number)
    _move(network.module, device, model)
    facts = {
        "id": model,
        "revision": weights.commit,
        "weights_sha256": weights.sha256,
        "side": network.frame.side,
        "dtype": str(number).removeprefix("torch."),
    }
    return NetworkSegmenter(network, facts, number, device, batch)


class NetworkSegmenter(Segmenter):
    """A network on a device; made by `load_segmenter`."""

    def __init__(
        self,
        network: PromptableNetwork,
        model: dict[str, Any],
        dtype: torch.dtype,
        device: str,
        batch: int | None,
    ) -> None:
        self.model, self.device, self.shapes = model, device, network.shapes
        self.prepare = network.frame.resized  # for other processes, which must not receive the network
        self._network, self._frame = network, network.frame
        self._dtype = dtype
        self._images = batch or IMAGES_AT_A_TIME[device]
        self._prompts = PROMPTS_AT_A_TIME[device]

    def capacity(self) -> int:
        """How many prepared images to embed at a time; fewer after the device ran out of memory."""
        return self._images

    def embed(self, prepared: Sequence[np.ndarray]) -> list[Embedding]:
        """The embeddings of prepared images; in halves, if the device has too little memory for all at once.

        Raises:
            DataError: an embedding is not finite in float16.
            ModelError: the device has too little memory for one image.
        """
        embeddings, self._images = self._in_batches(
            self._embedded, prepared, self._images, "image; use dtype bfloat16, or choose a smaller model"
        )
        return embeddings

    def decode(
        self, embedding: Embedding, height: int, width: int, prompts: Sequence[Prompt], *, several: bool = True
    ) -> list[Candidates]:
        """The candidates of every prompt on one image, in order.

        Args:
            height, width: of the image, pixels.
            several: three candidates a prompt (whole, part, subpart), or a single one.

        Raises:
            DataError: the embedding is not from this model.
            ModelError: the device has too little memory for one prompt.
            ValueError: a prompt has neither box nor points nor mask.
        """
        shapes = [array.shape for array in embedding]
        if shapes != self.shapes:
            raise DataError(
                f"an embedding has shapes {shapes}, but model '{self.model['id']}' makes {self.shapes}; "
                "delete the file of embeddings and run again"
            )
        # A padding point takes part in the attention between tokens, so only prompts of one kind share a batch.
        places_of_kind: dict[Hashable, list[int]] = defaultdict(list)
        for place, prompt in enumerate(prompts):
            places_of_kind[_kind(prompt)].append(place)
        with torch.inference_mode():
            arrays = [torch.tensor(array, dtype=torch.float32, device=self.device)[None] for array in embedding]
        decode = partial(self._decoded, arrays, height, width, several=several)
        candidates: list[Any] = [None] * len(prompts)
        for places in places_of_kind.values():
            made, self._prompts = self._in_batches(
                decode,
                [prompts[place] for place in places],
                self._prompts,
                f"prompt on an image of {width} x {height} pixels; set device to cpu",
            )
            for place, of_prompt in zip(places, made, strict=True):
                candidates[place] = of_prompt
        return candidates

    def _in_batches(
        self, compute: Callable[[Sequence[Item]], list[Made]], items: Sequence[Item], size: int, single: str
    ) -> tuple[list[Made], int]:
        """Process all items in batches; return the results and the batch size that fits the memory."""
        made: list[Made] = []
        while len(made) < len(items):
            part = items[len(made) : len(made) + size]
            of_part = _unless_out_of_memory(compute, part)
            if of_part is not None:
                made.extend(of_part)
                continue
            release(self.device)
            if len(part) == 1:
                raise ModelError(
                    f"model '{self.model['id']}' runs out of memory on {self.device} with a single {single}"
                )
            size = (len(part) + 1) // 2
            logger.info("%s is out of memory: from now on at most %d at a time", self.device, size)
        return made, size

    @torch.inference_mode()
    def _embedded(self, prepared: Sequence[np.ndarray]) -> list[Embedding]:
        pixels = self._frame.pixels(prepared, self.device)
        with computed_by(self.model["id"]), computing_in(self._dtype, self.device):
            tensors = self._network.embed(pixels)
        if (made := [tuple(tensor.shape[1:]) for tensor in tensors]) != self.shapes:
            raise ModelError(
                f"model '{self.model['id']}' makes embeddings of shapes {made} where its config.json says "
                f"{self.shapes}; download it again, or choose another"
            )
        halves = [tensor.half() for tensor in tensors]
        if not all(bool(torch.isfinite(tensor).all()) for tensor in halves):
            raise DataError(
                f"an embedding by model '{self.model['id']}' is not finite (not a number, or too large for float16); "
                "use dtype float32 or another model"
            )
        arrays = [tensor.cpu().numpy() for tensor in halves]
        return [tuple(of_image) for of_image in zip(*arrays, strict=True)]

    @torch.inference_mode()
    def _decoded(
        self, embedding: Sequence[torch.Tensor], height: int, width: int, prompts: Sequence[Prompt], *, several: bool
    ) -> list[Candidates]:
        batch = self._batch(prompts, height, width)
        with computed_by(self.model["id"]):
            logits, quality = self._network.decode(embedding, batch, several=several)
        # One prompt at a time, because the candidates of a large image take far more memory than the decoder.
        upscaled = (self._frame.upscaled(mask[None], height, width)[0] for mask in logits.float())
        return [
            Candidates(*(tensor.cpu().numpy() for tensor in of_prompt))
            for of_prompt in zip(upscaled, quality.float(), strict=True)
        ]

    def _batch(self, prompts: Sequence[Prompt], height: int, width: int) -> PromptBatch:
        """Prompts of one kind as tensors on the device."""
        points, has_box, has_mask = _kind(prompts[0])
        boxes = positions = labels = masks = None
        if has_box:
            corners = np.array([prompt.box for prompt in prompts]).reshape(-1, 2, 2)
            boxes = torch.tensor(self._frame.coordinates(corners, height, width).reshape(-1, 4), device=self.device)
        if points:
            given = np.stack([prompt.points for prompt in prompts])
            positions = torch.tensor(self._frame.coordinates(given, height, width), device=self.device)
            labels = torch.tensor(np.stack([prompt.labels for prompt in prompts]).astype(np.int64), device=self.device)
        if has_mask:
            side = self._network.mask_side
            given_masks = [prompt.mask for prompt in prompts if prompt.mask is not None]
            grids = [self._frame.mask_prompt(mask, height, width, side) for mask in given_masks]
            masks = torch.stack(grids)[:, None].to(self.device)
        return PromptBatch(boxes, positions, labels, masks)


class _Kind(NamedTuple):
    points: int
    has_box: bool
    has_mask: bool


def _kind(prompt: Prompt) -> _Kind:
    """The properties that prompts must share to be decoded together."""
    kind = _Kind(len(prompt.points), prompt.box is not None, prompt.mask is not None)
    if not any(kind):
        raise ValueError("a prompt has neither box nor points nor mask")
    return kind


def _unless_out_of_memory(compute: Callable[[Sequence[Item]], list[Made]], items: Sequence[Item]) -> list[Made] | None:
    """Compute items; None if the device is out of memory, with its memory freed again."""
    try:
        return compute(items)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    return None


def _move(module: torch.nn.Module, device: str, name: str) -> None:
    try:
        module.to(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(
            f"model '{name}' does not fit into the memory of {device}; choose a smaller model, or set device to cpu"
        ) from None
