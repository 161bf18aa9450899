"""Interface of the families of networks: loading a network, and reading tokens from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from zsad.errors import ConfigError, ModelError
from zsad.models.image_text.options import ImageTextOptions, window_layers
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zsad.models.layers import chosen_layers
from zsad.models.positions import Positions

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PretrainedConfig, PreTrainedModel

    from zsad.models.colours import Normalisation

Network = TypeVar("Network", bound="PreTrainedModel")

SPECIAL_OPTIONS = ("class_norm", "head")  # of `ImageTextOptions`, used only by some families


class TokenReader(ABC):
    """A network that computes the tokens of chosen layers from pixels; made by `Family.reader`.

    Attributes:
        patch: the sides of an input must be multiples of this, pixels.
        stride: pixels of the input per token along each side.
        prefix_tokens: class and register tokens before the patch tokens; they are never returned as patch tokens.
        layers: names of the layers, in the order of the tokens.
        channels: width of a token.
        cls_source: ``"class token"`` or ``"mean of patch tokens"``.
    """

    patch: int
    stride: int
    prefix_tokens: int
    layers: list[str]
    channels: int
    cls_source: str

    @abstractmethod
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Read the tokens of a batch of images.

        Args:
            pixels: ``[image, 3, height, width]``, normalised with the family's mean and standard deviation; both sides
                multiples of ``patch``.

        Returns:
            Patch tokens ``[image, layer, row, column, channel]`` and class tokens ``[image, layer, channel]``, in the
            number format of the network's computation.
        """

    @abstractmethod
    def compile(self, **options: Any) -> None:
        """Compile the network in place with ``torch.compile``, which takes ``options``."""

    def computed(self, rows: int, columns: int) -> int:
        """How many patches are computed for an input of ``rows x columns`` patches."""
        return rows * columns


class Family(ABC, Generic[Network]):
    """Networks of one architecture, a class of ``transformers``, and one way of training; it has no state.

    Class attributes:
        model_type: name of the architecture in ``config.json``.
        mean, std: of the colour channels, in [0, 1], as in training.
        layer_noun: the word for a layer in messages.
        shares_space_with_text: whether its tokens can be projected into a space shared with texts.
        has_attention: whether it has attention layers, for which an implementation can be chosen.
        load_arguments: keyword arguments of ``from_pretrained`` besides those that every family takes.
        text_paths: the paths of `zsad.features.image_text.ImageText` that it supports; empty without texts.
        text_options: which of the parameters ``class_norm`` and ``head`` it uses.
        position_ways: the supported interpolations of its positions to another grid.
    """

    model_type: ClassVar[str]
    mean: ClassVar[tuple[float, float, float]] = IMAGENET_MEAN
    std: ClassVar[tuple[float, float, float]] = IMAGENET_STD
    layer_noun: ClassVar[str] = "block"
    shares_space_with_text: ClassVar[bool] = False
    has_attention: ClassVar[bool] = True
    load_arguments: ClassVar[Mapping[str, Any]] = {}
    text_paths: ClassVar[tuple[str, ...]] = ()
    text_options: ClassVar[frozenset[str]] = frozenset()
    position_ways: ClassVar[frozenset[Positions]] = frozenset({"authors", "transformers"})

    @abstractmethod
    def model_class(self) -> type[Network]:
        """The class of ``transformers`` whose ``from_pretrained`` loads the network."""

    def config_for(self, config: PretrainedConfig) -> PretrainedConfig:
        """The part of a checkpoint's configuration that describes the loaded network."""
        return config

    @abstractmethod
    def patch(self, config: PretrainedConfig) -> int:
        """The sides of an input must be multiples of this, pixels.

        Raises:
            ModelError: the patches are not square.
        """

    @abstractmethod
    def layer_count(self, config: PretrainedConfig) -> int:
        """Number of layers to choose from."""

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """Names of the weights that a checkpoint may lack, since the tokens do not depend on them."""
        return ()

    def chosen_layers(
        self, config: PretrainedConfig, layers: Sequence[int], *, projected: bool, name: str
    ) -> list[int]:
        """The requested layers, counted from 0, in the requested order; needs no weights.

        Args:
            config: of the checkpoint, or the part of it from `config_for`.
            layers: counted from 0, or with negative numbers from the last.
            projected: whether the tokens must be in a space shared with texts.
            name: of the model, for messages.

        Raises:
            ConfigError: a layer does not exist or is named twice, or there is no such space.
        """
        if projected and not self.shares_space_with_text:
            raise ConfigError(f"model '{name}' shares no space with texts; remove 'projected', or choose a CLIP model")
        return chosen_layers(layers, self.layer_count(config), noun=self.layer_noun, name=name)

    def check_positions(self, asked: Positions, name: str) -> None:
        """Reject an interpolation of positions that this family does not support.

        Args:
            name: of the model, for the message.

        Raises:
            ConfigError: it is not supported.
        """
        if asked not in self.position_ways:
            raise ConfigError(f"positions {asked} is not supported by model '{name}'; remove it")

    def authors_positions(self, config: PretrainedConfig, normalisation: Normalisation) -> Positions:
        """The authors' interpolation of positions to another grid; that of ``transformers`` unless they differ.

        Args:
            config: of the checkpoint, or the part of it from `config_for`.
            normalisation: of its pixels.

        Raises:
            ValueError: the configuration names an unknown interpolation.
        """
        return "transformers"

    def place_positions(self, network: Network, config: PretrainedConfig, how: Positions) -> None:
        """Set a network's interpolation of positions to one of `position_ways`, except ``authors``."""

    @abstractmethod
    def reader(
        self,
        network: Network,
        config: PretrainedConfig,
        *,
        layers: Sequence[int],
        normed: bool,
        projected: bool,
        name: str,
    ) -> TokenReader:
        """Make a reader of a loaded network, which the reader takes over.

        The layers after the last requested one are removed from the network to save time.

        Args:
            network: of `model_class`, in evaluation mode.
            config: of the checkpoint, or the part of it from `config_for`.
            layers: counted from 0, or with negative numbers from the last.
            normed: whether the network's final LayerNorm is applied to the tokens.
            projected: whether the tokens are mapped into the space shared with texts, including the final LayerNorm.
            name: of the model, for messages.

        Raises:
            ConfigError: see `chosen_layers`.
            ModelError: see `patch`.
        """

    def check_texts(self, options: ImageTextOptions, name: str) -> None:
        """Reject options that this family does not support for texts; needs neither configuration nor weights.

        Args:
            name: of the model, for the message.

        Raises:
            ConfigError: it has no texts, or does not support the path or a parameter.
        """
        if not self.text_paths:
            raise ConfigError(
                f"model '{name}' has no texts; use it with `family: transformers`, or choose a model of images and "
                "texts such as clip-vitl14-336"
            )
        if options.path not in self.text_paths:
            raise ConfigError(
                f"model '{name}' does not support path {options.path}, which is for CLIP models; choose one, or path "
                f"{' or '.join(self.text_paths)}"
            )
        self.check_positions(options.positions, name)
        for option in SPECIAL_OPTIONS:
            value = getattr(options, option)
            if option not in self.text_options and value != ImageTextOptions._field_defaults[option]:
                raise ConfigError(f"{option} {value} is not supported by model '{name}'; remove it")

    def text_layers(self, count: int, options: ImageTextOptions, name: str) -> tuple[str, ...]:
        """The names of the layers that `text_reader` reads; needs neither configuration nor weights.

        Args:
            count: of layers, see `layer_count`.
            name: of the model, for messages.

        Raises:
            ConfigError: see `check_texts`; or a layer does not exist or is named twice.
        """
        self.check_texts(options, name)
        if options.path == "windows":
            return window_layers(options.windows)
        return tuple(str(layer) for layer in chosen_layers(options.layers, count, noun=self.layer_noun, name=name))

    def text_channels(self, config: PretrainedConfig, options: ImageTextOptions) -> int:
        """Width of the vector of an image in the space of texts."""
        raise NotImplementedError

    def text_reader(
        self, network: Network, config: PretrainedConfig, options: ImageTextOptions, name: str
    ) -> TokenReader:
        """Make a reader whose class tokens are the vectors of whole images in the space of texts.

        They are not normalised, and equal for all layers. Modules added by the reader become a part of the network, so
        that they are moved with it.

        Args:
            network, config: see `reader`.
            name: of the model, for messages.

        Raises:
            ConfigError: see `text_layers`.
            ModelError: see `patch`.
        """
        raise NotImplementedError


class KeptOutputs:
    """The outputs of chosen modules of a network; they are kept only during one call of `of`."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._outputs: dict[int, Tensor] = {}
        self._count = len(modules)
        for place, module in enumerate(modules):
            module.register_forward_hook(partial(self._keep, place))

    def of(self, forward: Callable[[], Any]) -> list[Tensor]:
        """Run ``forward`` and return the outputs of the modules, in their order."""
        try:
            forward()
            return [self._outputs[place] for place in range(self._count)]
        finally:
            self._outputs.clear()

    def _keep(self, place: int, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        self._outputs[place] = output


def square_patch(config: PretrainedConfig) -> int:
    """Side of the patches of a vision transformer, pixels.

    Raises:
        ModelError: they are not square.
    """
    size = config.patch_size
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ModelError(
            f"a model of type '{config.model_type}' has patches that are not square ({size}); choose another"
        )
    side: int = sides.pop()
    return side
