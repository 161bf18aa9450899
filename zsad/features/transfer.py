"""Transfers between host and device: in page-locked memory and parallel to the computation if the device is a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from zsad.features.base import Tokens


class Transfer:
    """Brings images to a device and tokens back.

    On CUDA both directions have their own stream, so that batch ``i + 1`` is sent and batch ``i - 1`` fetched while
    batch ``i`` is computed. On other devices it is a plain copy.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._asynchronous = device == "cuda"
        if self._asynchronous:
            self._inward, self._outward = torch.cuda.Stream(), torch.cuda.Stream()

    def upload(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """uint8 images ``[height, width, 3]`` of one size to a tensor ``[image, 3, height, width]`` on the device."""
        stacked = torch.empty((len(images), *images[0].shape), dtype=torch.uint8, pin_memory=self._asynchronous)
        np.stack(images, out=stacked.numpy())
        if not self._asynchronous:
            return stacked.to(self._device).permute(0, 3, 1, 2)
        computing = torch.cuda.current_stream()
        with torch.cuda.stream(self._inward):
            sent = stacked.to(self._device, non_blocking=True)
        computing.wait_stream(self._inward)
        sent.record_stream(computing)  # its memory must not be reused before the computation has read it
        return sent.permute(0, 3, 1, 2)

    def download(self, patch_tokens: torch.Tensor, cls_tokens: torch.Tensor) -> Callable[[], Tokens]:
        """Start to fetch tokens; return a function that waits for them.

        Patch tokens of a GPU are rounded to float16 there: an overflow becomes infinity, which the writer rejects.
        """
        if not self._asynchronous:
            tokens = Tokens(patch_tokens.cpu().numpy(), cls_tokens.float().cpu().numpy())
            return lambda: tokens
        fetched = [patch_tokens.half(), cls_tokens.float()]
        self._outward.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._outward):
            arrived = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in fetched]
            for target, source in zip(arrived, fetched, strict=True):
                target.copy_(source, non_blocking=True)
                source.record_stream(self._outward)
            done = torch.cuda.Event()
            done.record(self._outward)

        def wait() -> Tokens:
            done.synchronize()
            return Tokens(*(tensor.numpy() for tensor in arrived))

        return wait
