"""What every family of networks offers: how to load one of its kind, and how to read tokens from it."""

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

SPECIAL_OPTIONS = ("class_norm", "head")  # of `ImageTextOptions`, that mean something to some families


class TokenReader(ABC):
    """A network that turns pixels into the tokens of chosen layers; made by `Family.reader`.

    Attributes:
        patch: what the sides of an input must be multiples of, pixels.
        stride: pixels of the input per token along each side.
        prefix_tokens: class and register tokens before the patch tokens; they never come out as patch tokens.
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
            pixels: ``[image, 3, height, width]``, normalised with the family's mean and deviation; both sides
                multiples of ``patch``.

        Returns:
            Patch tokens ``[image, layer, row, column, channel]`` and class tokens ``[image, layer, channel]``, in the
            number format that the network computes them in.
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
        model_type: what ``config.json`` calls the architecture.
        mean, std: of the colour channels, in [0, 1], as in training.
        layer_noun: what a layer is called in messages.
        shares_space_with_text: whether its tokens can be projected into a space where texts lie as well.
        has_attention: whether it has layers of attention, for which an implementation can be chosen.
        load_arguments: keyword arguments of ``from_pretrained`` besides those that every family takes.
        text_paths: the paths of `zsad.features.image_text.ImageText` that it can be read by; none of what has no texts.
        text_options: which of its parameters ``class_norm`` and ``head`` mean something to it.
        position_ways: the ways in which its positions can be brought to another grid.
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
        """What of a checkpoint's configuration describes the network that is loaded."""
        return config

    @abstractmethod
    def patch(self, config: PretrainedConfig) -> int:
        """What the sides of an input must be multiples of, pixels.

        Raises:
            ModelError: the patches are not square.
        """

    @abstractmethod
    def layer_count(self, config: PretrainedConfig) -> int:
        """How many layers there are to choose from."""

    def optional_weights(self, *, projected: bool) -> tuple[str, ...]:
        """Names of the weights that a checkpoint may lack, as the tokens do not depend on them."""
        return ()

    def chosen_layers(
        self, config: PretrainedConfig, layers: Sequence[int], *, projected: bool, name: str
    ) -> list[int]:
        """The layers asked for, counted from 0, in the order asked for; needs no weights.

        Args:
            config: of the checkpoint, or the part of it from `config_for`.
            layers: counted from 0, or with negative numbers from the last.
            projected: whether the tokens are to lie in a space shared with text.
            name: of the model, for messages.

        Raises:
            ConfigError: a layer does not exist or is named twice, or there is no such space.
        """
        if projected and not self.shares_space_with_text:
            raise ConfigError(
                f"model '{name}' has no space that it shares with text; leave 'projected' out, or choose a CLIP model"
            )
        return chosen_layers(layers, self.layer_count(config), noun=self.layer_noun, name=name)

    def check_positions(self, asked: Positions, name: str) -> None:
        """Refuse a way to bring positions to another grid that means nothing to this family.

        Args:
            name: of the model, for the message.

        Raises:
            ConfigError: it does.
        """
        if asked not in self.position_ways:
            raise ConfigError(f"positions {asked} means nothing to model '{name}'; leave it out")

    def authors_positions(self, config: PretrainedConfig, normalisation: Normalisation) -> Positions:
        """How a model's authors bring its positions to another grid; as ``transformers`` does unless they differ.

        Args:
            config: of the checkpoint, or the part of it from `config_for`.
            normalisation: of its pixels.

        Raises:
            ValueError: the configuration names a way that is not known.
        """
        return "transformers"

    def place_positions(self, network: Network, config: PretrainedConfig, how: Positions) -> None:
        """Have a network bring its positions to other grids in a way of `position_ways`, ``authors`` apart."""

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
        """Make a reader of a loaded network, which belongs to the reader from then on.

        The layers after the last one that is asked for are removed from the network, as they would only cost time.

        Args:
            network: of `model_class`, in evaluation mode.
            config: of the checkpoint, or the part of it from `config_for`.
            layers: counted from 0, or with negative numbers from the last.
            normed: whether the network's final LayerNorm is applied to the tokens.
            projected: whether the tokens are mapped into the space shared with text; final LayerNorm included.
            name: of the model, for messages.

        Raises:
            ConfigError: see `chosen_layers`.
            ModelError: see `patch`.
        """

    def check_texts(self, options: ImageTextOptions, name: str) -> None:
        """Refuse what this family cannot do beside texts; needs neither configuration nor weights.

        Args:
            name: of the model, for the message.

        Raises:
            ConfigError: it has no texts, cannot be read by that path, or knows nothing of a parameter.
        """
        if not self.text_paths:
            raise ConfigError(
                f"model '{name}' has no texts; use it by `family: transformers`, or choose a model of images and texts "
                "such as clip-vitl14-336"
            )
        if options.path not in self.text_paths:
            raise ConfigError(
                f"model '{name}' cannot be read by path {options.path}, which is for CLIP models; choose one, or path "
                f"{' or '.join(self.text_paths)}"
            )
        self.check_positions(options.positions, name)
        for option in SPECIAL_OPTIONS:
            value = getattr(options, option)
            if option not in self.text_options and value != ImageTextOptions._field_defaults[option]:
                raise ConfigError(f"{option} {value} means nothing to model '{name}'; leave it out")

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

        They are not brought to length 1, and the same for all layers. What the reader adds to the network becomes a
        part of it, so that it is moved along with it.

        Args:
            network, config: see `reader`.
            name: of the model, for messages.

        Raises:
            ConfigError: see `text_layers`.
            ModelError: see `patch`.
        """
        raise NotImplementedError


class KeptOutputs:
    """The outputs of chosen modules of a network; they are held only while one call of `of` runs."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._outputs: dict[int, Tensor] = {}
        self._count = len(modules)
        for place, module in enumerate(modules):
            module.register_forward_hook(partial(self._keep, place))

    def of(self, forward: Callable[[], Any]) -> list[Tensor]:
        """Run ``forward`` and return what the modules put out, in their order."""
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
