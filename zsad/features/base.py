"""What every backbone is: a frozen function from an image to tokens on a patch grid."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np

from zsad.errors import ConfigError, ZsadError
from zsad.features.assumed import (
    ACTIVATION_BYTES,
    PIXEL_BYTES,
    UNKNOWN_WEIGHTS,
    USUAL_SIDE,
    assumed_operations,
    assumed_width,
)
from zsad.features.execution import Execution
from zsad.grids import GridRule, TokenLayout
from zsad.registry import Choice

if TYPE_CHECKING:
    from zsad.models.texts.base import TextEncoder

Answer = TypeVar("Answer")


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


class NamedModel(Protocol):
    """What a family says of a model that it knows by name; a NamedTuple, whose other fields are listed in JSON, too."""

    @property
    def name(self) -> str:
        """What the configuration may call it."""

    @property
    def place(self) -> str:
        """Where its weights are: a hub id, a file, or a package."""

    @property
    def parameters(self) -> int | None:
        """How many weights it has; None if that is not known."""

    @property
    def licence(self) -> str:
        """Of the weights."""

    @property
    def gated(self) -> bool:
        """Whether an account that has accepted the licence is needed."""

    @property
    def patch(self) -> int | None:
        """What sides of the image must be a multiple of, pixels; None for anything."""

    @property
    def resolution(self) -> int | None:
        """Short side of the resized image unless the configuration says otherwise, pixels; None for its own."""

    @property
    def texts(self) -> str:
        """By what its texts are read: ``"own"`` text tower, a ``"head"`` that must be named; empty for none."""

    def _asdict(self) -> dict[str, Any]:
        """All fields by their names."""


class ListedModel(NamedTuple):
    """The plainest `NamedModel`: a name, and what else is known."""

    name: str
    place: str = ""
    parameters: int | None = None
    licence: str = ""
    gated: bool = False
    patch: int | None = None
    resolution: int | None = None
    texts: str = ""


class Backbone(Choice):
    """A named source of patch features; its fields are its parameters (resolution, layers, ...).

    A subclass says what it is (`summary`, `is_network`) and how it is loaded (`load`). All else answers what the
    configuration, the requests of jobs and `zsad check` ask, has a default, and imports no framework: the rules ask
    before any job. No result depends on the answers but by `known_layout`, which refuses images that a method cannot
    take before anything is computed.

    Class attributes:
        is_network: whether it profits from several threads or a GPU, and needs the memory of one.
        sees_images: whether it is loaded and shown images, and not joined from the features of others.
        takes_any: whether `params_of` takes every hub id or path, so that it is asked after all other families.
        has_texts: whether its class tokens lie in a space where texts lie as well; see `load_texts`.
        for_texts: the parameters that concern texts alone, and no image.
    """

    is_network: ClassVar[bool] = True
    sees_images: ClassVar[bool] = True
    takes_any: ClassVar[bool] = False
    has_texts: ClassVar[bool] = False
    for_texts: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """The parameters that a word of the configuration stands for; None if it is nothing of this family's.

        Where an entry of ``backbones`` has the word for one of these parameters, the others complete it.

        Args:
            reference: a model's name, a hub id, a folder or a file.
        """
        return None

    @classmethod
    def models(cls) -> Sequence[NamedModel]:
        """The models that it knows by name, for `zsad backbones` and for hints."""
        return ()

    @classmethod
    def has(cls, name: str) -> bool:
        """Whether the weights of one of `models` are on this machine; asks no network."""
        return True

    def check_model(self) -> None:
        """Compare the parameters with the model, as far as it is known without loading or downloading it.

        Raises:
            ConfigError: they do not fit.
            ModelError: it is on this machine, and damaged or of an unknown family.
        """

    def weights_megabytes(self) -> int | None:
        """Size of the weights in float32, 10^6 bytes; 0 for none, None for a model of unknown size."""
        return 0

    def local_files(self) -> list[str]:
        """Files of a model on this machine that the tokens depend on, sorted; jobs run again when one changes.

        Weights that a package brings are none of them: the code pins their SHA-256.
        """
        return []

    def known_layout(self) -> TokenLayout | None:
        """How its tokens will lie; None where only loading the model tells, as for a model that is downloaded yet.

        Nothing is looked for in the hub's cache: what is found must not depend on what has been downloaded.

        Raises:
            ConfigError, ModelError: the parameters do not fit the model, or it is damaged.
        """
        return None

    def layout_here(self) -> TokenLayout | None:
        """`known_layout`, or what a model says that has been downloaded to this machine; for `zsad check` alone.

        Raises:
            ConfigError, ModelError: see `known_layout`.
        """
        return self.known_layout()

    def assumed_megabytes(self) -> int:
        """`weights_megabytes`, or those of a ViT-L."""
        known = _told(self.weights_megabytes)
        return UNKNOWN_WEIGHTS if known is None else known

    def assumed_layout(self) -> TokenLayout:
        """`known_layout` with as many names of layers as there are, or a guess: a ViT of the size of the weights."""
        layout = _told(self.known_layout)
        if layout is None:
            layout = TokenLayout(GridRule(USUAL_SIDE), None, assumed_width(self.assumed_megabytes() or UNKNOWN_WEIGHTS))
        return layout if layout.layers is not None else layout._replace(layers=("last",))

    def operations(self, height: int, width: int) -> float | None:
        """Multiplications and additions for one image of ``height x width`` pixels.

        Returns:
            None if they are not known, or not what takes the time. Then `zsad check` measures the time of an image
            where `is_network` is false, and says nothing of it otherwise.

        Raises:
            ConfigError, ModelError: see `known_layout`.
        """
        return None

    def assumed_operations(self, height: int, width: int) -> float | None:
        """`operations`, or those of a ViT with as many weights; None where there are no weights either."""
        operations = _told(lambda: self.operations(height, width))
        megabytes = self.assumed_megabytes()
        if operations is not None or megabytes == 0:
            return operations
        return assumed_operations(assumed_width(megabytes), self.assumed_layout().rule.computed(height, width))

    def number_format(self, device: str) -> str:
        """The format of its matrix products, as torch calls it.

        Args:
            device: ``"cpu"``, ``"cuda"`` or ``"mps"``.

        Raises:
            ConfigError: the device does not compute in the format that is asked for.
        """
        return "float32"

    def working_bytes(self, height: int, width: int) -> float:
        """Memory at the peak for one image of ``height x width`` pixels beside the weights; rather more than less."""
        layout = self.assumed_layout()
        rows, columns = layout.rule.seen_at_once(height, width)
        return ACTIVATION_BYTES * rows * columns * layout.channels + PIXEL_BYTES * height * width

    def seconds_an_image(self, height: int, width: int) -> float:
        """Seconds for one image of ``height x width`` pixels on this machine, measured.

        It is asked only of what is no network and counts no operations.

        Raises:
            ConfigError, ModelError: see `load`.
        """
        extractor, image = self.load(Execution()), np.zeros((height, width, 3), dtype=np.uint8)
        extractor.extract(image[:64, :64])  # the first call of a library is slow
        start = time.perf_counter()
        extractor.extract(image)
        return time.perf_counter() - start

    def text_parameters(self) -> dict[str, Any]:
        """Its parameters that embeddings of texts depend on; equal ones give equal embeddings."""
        return {}

    def text_files(self) -> list[str]:
        """The files of a model on this machine that embeddings of texts depend on, sorted."""
        return self.local_files()

    def load_texts(self, execution: Execution) -> TextEncoder:
        """Load what turns sentences into vectors in the space of the class tokens.

        Raises:
            ConfigError: it has no texts.
            ModelError: the model is absent, gated, or has no text tower or tokenizer.
        """
        raise ConfigError(
            "this backbone has no texts; a method that asks about them needs one of `family: image_text`, such as "
            "{family: image_text, params: {model: clip-vitl14-336}}"
        )

    @abstractmethod
    def load(self, execution: Execution) -> Extractor:
        """Load the weights, if any, onto the device.

        Raises:
            ModelError: the model is absent, gated, or not of a kind that is known here.
        """


def _told(answer: Callable[[], Answer | None]) -> Answer | None:
    """What a backbone answers; None where its model is not as it should be, which the check and the job say."""
    try:
        return answer()
    except (ZsadError, OSError):
        return None
