"""The reading of a network: its layers and path, checked before loading; the reader is made after loading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.errors import ConfigError
from zsad.models.families import FAMILIES, PUBLISHED_FAMILIES, Family, TokenReader
from zsad.models.image_text.options import ImageTextOptions
from zsad.models.layers import chosen_layers

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from zsad.models.catalogue import ModelFacts
    from zsad.models.positions import Positions


class Reading(ABC):
    """Base class of readings of a network.

    Attributes:
        projected: whether the weights of the projection to the space of texts are needed.
    """

    projected: bool

    @property
    def more_files(self) -> tuple[Path, ...]:
        """Weights files besides those of the network."""
        return ()

    @abstractmethod
    def check(self, family: Family[Any], config: PretrainedConfig, name: str) -> None:
        """Check it against a model whose configuration is known.

        Args:
            name: of the model, for messages.

        Raises:
            ConfigError: the model does not support it.
        """

    @abstractmethod
    def check_published(self, facts: ModelFacts, count: int, noun: str, name: str) -> None:
        """Check it against a published model, of which only facts are known.

        Args:
            count, noun: its number of layers, and the word for a layer.
            name: of the model in the configuration, for messages.

        Raises:
            ConfigError: the model does not support it.
        """

    @abstractmethod
    def reader(self, family: Family[Any], network: PreTrainedModel, config: PretrainedConfig, name: str) -> TokenReader:
        """Make the reader of a loaded network, which it takes over.

        Raises:
            ConfigError, ModelError: see `zsad.models.families.Family.reader`.
        """


class TokensOfLayers(Reading):
    """The tokens of chosen layers, class tokens included; see `zsad.features.network_options.NetworkOptions`."""

    def __init__(self, *, layers: tuple[int, ...], normed: bool, projected: bool, positions: Positions) -> None:
        self._layers, self._normed, self.projected, self._positions = layers, normed, projected, positions

    def check(self, family: Family[Any], config: PretrainedConfig, name: str) -> None:
        """See `Reading.check`."""
        family.check_positions(self._positions, name)
        family.chosen_layers(config, self._layers, projected=self.projected, name=name)

    def check_published(self, facts: ModelFacts, count: int, noun: str, name: str) -> None:
        """See `Reading.check_published`."""
        chosen_layers(self._layers, count, noun=noun, name=name)
        family = family_of_published(facts, noun)
        family.check_positions(self._positions, name)
        if self.projected and not family.shares_space_with_text:
            raise ConfigError(f"model '{name}' shares no space with texts; remove 'projected', or choose a CLIP model")

    def reader(self, family: Family[Any], network: PreTrainedModel, config: PretrainedConfig, name: str) -> TokenReader:
        """See `Reading.reader`."""
        return family.reader(
            network, config, layers=self._layers, normed=self._normed, projected=self.projected, name=name
        )


class ImageTextTokens(Reading):
    """Tokens of a model of images and texts; see `zsad.features.image_text.ImageText`.

    Args:
        resolution: side of the image for the shorter side of its grid, pixels.
    """

    projected = True

    def __init__(self, options: ImageTextOptions, resolution: int) -> None:
        self._options, self._resolution = options, resolution

    @property
    def more_files(self) -> tuple[Path, ...]:
        """See `Reading.more_files`."""
        return () if self._options.head is None else (Path(self._options.head),)

    def check(self, family: Family[Any], config: PretrainedConfig, name: str) -> None:
        """See `Reading.check`."""
        family.text_layers(family.layer_count(config), self._options, name)
        self._check_windows(family.patch(config), name)

    def check_published(self, facts: ModelFacts, count: int, noun: str, name: str) -> None:
        """See `Reading.check_published`."""
        family_of_published(facts, noun).text_layers(count, self._options, name)
        self._check_windows(facts.patch, name)

    def reader(self, family: Family[Any], network: PreTrainedModel, config: PretrainedConfig, name: str) -> TokenReader:
        """See `Reading.reader`."""
        return family.text_reader(network, config, self._options, name)

    def _check_windows(self, patch: int, name: str) -> None:
        """Reject windows larger than a grid, whose shorter side follows from the resolution."""
        side, largest = self._resolution // patch, max(self._options.windows)
        if self._options.path == "windows" and largest > side:
            raise ConfigError(
                f"a window of {largest} patches is larger than the grid of model '{name}' at resolution "
                f"{self._resolution}, which is {side} wide; set resolution to {largest * patch} or more, or remove it "
                "from windows"
            )


def family_of_published(facts: ModelFacts, noun: str) -> Family[Any]:
    """The family of a published model.

    Args:
        noun: the word for a layer.
    """
    if noun == "stage":
        return FAMILIES["dinov3_convnext"]
    return FAMILIES[PUBLISHED_FAMILIES[facts.family]]
