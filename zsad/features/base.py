"""Interface of all backbones: frozen functions from an image to tokens on a patch grid."""

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
            if they come from a GPU, which rounds them to the stored format to halve the transfer.
        cls_tokens: float32 ``[layer, channel]``; the class token, or the mean of the patch tokens if there is none.
    """

    patch_tokens: np.ndarray
    cls_tokens: np.ndarray


class Extractor:
    """A loaded backbone; made by `Backbone.load`.

    Attributes:
        layers: names of the layers, in the order of ``patch_tokens``.
        channels: width of a token.
        cls_source: ``"class token"`` or ``"mean of patch tokens"``.
        model: id, revision and SHA-256 of the weights, for the provenance.
        device: where it runs.
        prepare: converts uint8 RGB ``[height, width, 3]`` to the uint8 input of `begin`; worker processes run it, so it
            can be pickled and has no weights.
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
        """How many patches are computed for such an image: more than in its grid if tiles or a border add some."""
        rows, columns = self.grid_size(height, width)
        return rows * columns

    def capacity(self, height: int, width: int) -> int:
        """How many prepared images of ``height x width`` pixels `begin` should get at a time."""
        return 1

    @abstractmethod
    def begin(self, prepared: Sequence[np.ndarray]) -> Callable[[], Tokens]:
        """Start on prepared images of one size; return a function that waits for their tokens.

        Meanwhile a GPU computes and the caller can prepare the next images.

        Raises:
            ModelError: the device has too little memory for one of them.
        """

    def extract(self, image: np.ndarray) -> Tokens:
        """Tokens of one image, uint8 RGB ``[height, width, 3]``."""
        patch_tokens, cls_tokens = self.begin([self.prepare(image)])()
        return Tokens(patch_tokens[0], cls_tokens[0])


class NamedModel(Protocol):
    """The facts about a model with a name; a NamedTuple, whose other fields are in the JSON lists, too."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def place(self) -> str:
        """The place of its weights: a hub id, a file, or a package."""

    @property
    def parameters(self) -> int | None:
        """Number of weights; None if unknown."""

    @property
    def licence(self) -> str:
        """Licence of the weights."""

    @property
    def gated(self) -> bool:
        """Whether its download needs an account that has accepted the licence."""

    @property
    def patch(self) -> int | None:
        """Sides of the image must be multiples of this, pixels; None for any size."""

    @property
    def resolution(self) -> int | None:
        """Default short side of the resized image, pixels; None for the family's default."""

    @property
    def texts(self) -> str:
        """How texts are encoded: by its ``"own"`` tower, or a ``"head"`` that must be given; empty without texts."""

    def _asdict(self) -> dict[str, Any]:
        """All fields by their names."""


class ListedModel(NamedTuple):
    """The simplest `NamedModel`: a name and known facts."""

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

    A subclass defines its facts (`summary`, `is_network`) and its loading (`load`). All other methods serve the
    configuration, the requests of jobs and `zsad check`, have defaults, and import no framework: the rules call them
    before any job. No result depends on them except through `known_layout`, which is used to reject unsuitable images
    before anything is computed.

    Class attributes:
        is_network: whether it profits from several threads or a GPU, and needs the memory of one.
        sees_images: whether it is loaded and processes images, instead of joining features of others.
        takes_any: whether `params_of` accepts every hub id or path, so that it is called after all other families.
        has_texts: whether its class tokens are in a space shared with texts; see `load_texts`.
        for_texts: the parameters that only concern texts.
    """

    is_network: ClassVar[bool] = True
    sees_images: ClassVar[bool] = True
    takes_any: ClassVar[bool] = False
    has_texts: ClassVar[bool] = False
    for_texts: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def params_of(cls, reference: str) -> dict[str, Any] | None:
        """The parameters that a reference in the configuration stands for; None if it does not belong to this family.

        If an entry of ``backbones`` uses the reference for one of these parameters, the others complete it.

        Args:
            reference: a model's name, a hub id, a folder or a file.
        """
        return None

    @classmethod
    def models(cls) -> Sequence[NamedModel]:
        """The models with names, for `zsad backbones` and for hints."""
        return ()

    @classmethod
    def has(cls, name: str) -> bool:
        """Whether the weights of one of `models` are on this machine; uses no network connection."""
        return True

    def check_model(self) -> None:
        """Check the parameters against the model, as far as it is known without loading or downloading it.

        Raises:
            ConfigError: they do not fit.
            ModelError: it is on this machine, and damaged or of an unknown family.
        """

    def weights_megabytes(self) -> int | None:
        """Size of the weights in float32, 10^6 bytes; 0 for none, None for a model of unknown size."""
        return 0

    def local_files(self) -> list[str]:
        """Files of a model on this machine that the tokens depend on, sorted; jobs run again when one changes.

        Weights in a package are not included: the code pins their SHA-256.
        """
        return []

    def known_layout(self) -> TokenLayout | None:
        """The layout of its tokens; None if it is only known after loading, as for a model that is not downloaded yet.

        The hub's cache is not searched: the result must not depend on earlier downloads.

        Raises:
            ConfigError, ModelError: the parameters do not fit the model, or it is damaged.
        """
        return None

    def layout_here(self) -> TokenLayout | None:
        """`known_layout`, also for a model that has been downloaded to this machine; only for `zsad check`.

        Raises:
            ConfigError, ModelError: see `known_layout`.
        """
        return self.known_layout()

    def assumed_megabytes(self) -> int:
        """`weights_megabytes`, or the size of a ViT-L."""
        known = _told(self.weights_megabytes)
        return UNKNOWN_WEIGHTS if known is None else known

    def assumed_layout(self) -> TokenLayout:
        """`known_layout` with all layer names, or an assumption: a ViT of the size of the weights."""
        layout = _told(self.known_layout)
        if layout is None:
            layout = TokenLayout(GridRule(USUAL_SIDE), None, assumed_width(self.assumed_megabytes() or UNKNOWN_WEIGHTS))
        return layout if layout.layers is not None else layout._replace(layers=("last",))

    def operations(self, height: int, width: int) -> float | None:
        """Multiplications and additions for one image of ``height x width`` pixels.

        Returns:
            None if they are unknown, or do not dominate the time. Then `zsad check` measures the time of an image if
            `is_network` is false, and else shows none.

        Raises:
            ConfigError, ModelError: see `known_layout`.
        """
        return None

    def assumed_operations(self, height: int, width: int) -> float | None:
        """`operations`, or those of a ViT with the same number of weights; None without weights."""
        operations = _told(lambda: self.operations(height, width))
        megabytes = self.assumed_megabytes()
        if operations is not None or megabytes == 0:
            return operations
        return assumed_operations(assumed_width(megabytes), self.assumed_layout().rule.computed(height, width))

    def number_format(self, device: str) -> str:
        """The format of its matrix products, by its name in torch.

        Args:
            device: ``"cpu"``, ``"cuda"`` or ``"mps"``.

        Raises:
            ConfigError: the device does not support the requested format.
        """
        return "float32"

    def working_bytes(self, height: int, width: int) -> float:
        """Peak memory for one image of ``height x width`` pixels besides the weights; an upper estimate."""
        layout = self.assumed_layout()
        rows, columns = layout.rule.seen_at_once(height, width)
        return ACTIVATION_BYTES * rows * columns * layout.channels + PIXEL_BYTES * height * width

    def seconds_an_image(self, height: int, width: int) -> float:
        """Seconds for one image of ``height x width`` pixels on this machine, measured.

        It is only called for backbones that are not networks and count no operations.

        Raises:
            ConfigError, ModelError: see `load`.
        """
        extractor, image = self.load(Execution()), np.zeros((height, width, 3), dtype=np.uint8)
        extractor.extract(image[:64, :64])  # the first call of a library is slow
        start = time.perf_counter()
        extractor.extract(image)
        return time.perf_counter() - start

    def text_parameters(self) -> dict[str, Any]:
        """Its parameters that text embeddings depend on; equal ones give equal embeddings."""
        return {}

    def text_files(self) -> list[str]:
        """The files of a model on this machine that text embeddings depend on, sorted."""
        return self.local_files()

    def load_texts(self, execution: Execution) -> TextEncoder:
        """Load the text encoder for the space of the class tokens.

        Raises:
            ConfigError: it has no text tower.
            ModelError: the model is missing, gated, or has no text tower or tokenizer.
        """
        raise ConfigError(
            "this backbone has no text tower; a method with text prompts needs one of `family: image_text`, such as "
            "{family: image_text, params: {model: clip-vitl14-336}}"
        )

    @abstractmethod
    def load(self, execution: Execution) -> Extractor:
        """Load the weights, if any, onto the device.

        Raises:
            ModelError: the model is missing, gated, or of an unsupported kind.
        """


def _told(answer: Callable[[], Answer | None]) -> Answer | None:
    """Return a backbone's answer; None if its model is invalid, which the check and the job report."""
    try:
        return answer()
    except (ZsadError, OSError):
        return None
