"""What every backbone is: a frozen function from an image to tokens on a patch grid."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zsad.grids import TokenLayout
from zsad.registry import Part


class Tokens(NamedTuple):
    """The features of one image, or of several with the image as first axis of both arrays.

    Attributes:
        patch_tokens: ``[layer, row, column, channel]``; patches only, no class or register tokens. float32, or float16
            where they come from a GPU, which rounds them as they will be stored to halve what it sends.
        cls_tokens: float32 ``[layer, channel]``; the class token, or the mean of the patch tokens where there is none.
    """

    patch_tokens: np.ndarray
    cls_tokens: np.ndarray


class Extractor:
    """A backbone that is loaded and ready; made by `Backbone.load`.

    Attributes:
        layers: names of the layers, in the order of ``patch_tokens``.
        channels: width of a token.
        cls_source: ``"class token"`` or ``"mean of patch tokens"``.
        model: id, revision and SHA-256 of the weights, for the provenance.
        device: where it runs.
        prepare: uint8 RGB ``[height, width, 3]`` to what `begin` takes, uint8 too; worker processes run it, so it can
            be pickled, and holds no weights.
    """

    layers: list[str]
    channels: int
    cls_source: str
    model: dict[str, Any]
    device: str
    prepare: Callable[[np.ndarray], np.ndarray]

    @abstractmethod
    def grid_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patch grid of an image of ``height x width`` pixels."""

    def computed_patches(self, height: int, width: int) -> int:
        """How many patches are computed for such an image: more than its grid has where tiles or a border add some."""
        rows, columns = self.grid_size(height, width)
        return rows * columns

    def capacity(self, height: int, width: int) -> int:
        """How many prepared images of ``height x width`` pixels `begin` should be given at a time."""
        return 1

    @abstractmethod
    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        """Start on prepared images of one size; return a function that waits for their tokens.

        Between the two, a GPU computes and the caller is free to bring the next images.

        Raises:
            ModelError: the device has too little memory for one of them.
        """

    def extract(self, image: np.ndarray) -> Tokens:
        """Tokens of one image, uint8 RGB ``[height, width, 3]``."""
        patch_tokens, cls_tokens = self.begin([self.prepare(image)])()
        return Tokens(patch_tokens[0], cls_tokens[0])


class Execution(NamedTuple):
    """How a backbone is run, which changes its speed but not what it computes (beyond rounding).

    Attributes:
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        threads: processor cores that may be used.
        workers: processes that read images; None for as many as suit device and threads, 0 for none.
        batch: images at a time; None for as many as suit the device.
        compiled: whether the network is translated by ``torch.compile`` first.
    """

    device: str = "auto"
    threads: int = 1
    workers: int | None = 0
    batch: int | None = None
    compiled: bool = False


class Backbone(Part):
    """A named source of patch features; its fields are its parameters (resolution, layers, ...).

    Class attributes:
        summary: one sentence for listings and the page.
        is_network: whether it profits from several threads or a GPU, and needs the memory of one.
    """

    summary: ClassVar[str]
    is_network: ClassVar[bool] = True

    def check_model(self) -> None:
        """Compare the parameters with the model, as far as it is known without loading or downloading it.

        Raises:
            ConfigError: they do not fit.
            ModelError: it is on this machine, and damaged or of an unknown family.
        """

    def known_layout(self) -> TokenLayout | None:
        """How its tokens will lie; None where only loading the model tells, as for a model that is downloaded yet.

        Nothing is looked for in the hub's cache: what is found must not depend on what has been downloaded.

        Raises:
            ConfigError, ModelError: the parameters do not fit the model, or it is damaged.
        """
        return None

    @abstractmethod
    def load(self, execution: Execution) -> Extractor:
        """Load the weights, if any, onto the device.

        Raises:
            ModelError: the model is absent, gated, or not of a kind that is known here.
        """
