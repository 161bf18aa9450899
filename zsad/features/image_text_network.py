"""The sizes of a model of images and texts, by the path of its tokens; see `zsad.features.architecture`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zsad.features.architecture import Architecture, Transformer
from zsad.models.dinotxt.facts import HEAD_BLOCKS
from zsad.models.families.clip_windows import window_tokens
from zsad.models.image_text.options import ImageTextOptions, first_value_block, window_layers


@dataclass(frozen=True)
class ImageTextNetwork:
    """A vision transformer with all blocks running, since the image's vector comes from the last.

    Attributes:
        network: the transformer itself.
        options: options for reading it.
    """

    network: Transformer
    options: ImageTextOptions

    @property
    def patch(self) -> int:
        """See `zsad.features.architecture.Architecture`, as for all others."""
        return self.network.patch

    @property
    def stride(self) -> int:
        """One token per patch."""
        return self.network.stride

    @property
    def layers(self) -> int:
        """Number of kept layers."""
        options = self.options
        return len(window_layers(options.windows) if options.path == "windows" else options.layers)

    @property
    def channels(self) -> int:
        """Width of a token in the file."""
        text_channels = self.network.text_channels or self.network.width
        if self.options.head is not None:  # class token and mean of the patches
            text_channels = 2 * self.network.width
        return self.options.token_channels(self.network.width, text_channels)

    @property
    def width(self) -> int:
        """Width of a token inside the network."""
        return self.network.width

    def operations(self, height: int, width: int) -> float:
        """Operations of all blocks, and of the second path, the windows or the head, with blocks of the same size."""
        blocks = self.network.depth + (HEAD_BLOCKS if self.options.head is not None else 0)
        whole = replace(self.network, blocks=blocks).operations(height, width)
        rows, columns = height // self.patch, width // self.patch
        if self.options.path == "values":
            return whole + self._second_path(rows * columns + self.network.prefix_tokens)
        if self.options.path == "windows":
            alone = 6.0 * self.width**2 * (rows * columns + 1)  # queries, keys and values of the first block
            return whole + alone + sum(self._windows(rows, columns, side) for side in self.options.windows)
        return whole

    def tokens(self, rows: int, columns: int) -> int:
        """Number of tokens computed for a grid of ``rows x columns`` patches, including those of windows."""
        sides = self.options.windows if self.options.path == "windows" else ()
        return rows * columns + sum(window_tokens(rows, columns, side) for side in sides if side <= min(rows, columns))

    def _second_path(self, tokens: int) -> float:
        """Operations of values and output projection of each of its blocks, and of attention."""
        depth, channels = self.network.depth, self.network.width
        first = first_value_block(self.options.first_value_block, depth) % depth
        blocks = max(layer % depth for layer in self.options.layers) + 1 - first
        return max(blocks, 0) * (4.0 * channels**2 * tokens + 4.0 * channels * tokens**2)

    def _windows(self, rows: int, columns: int, side: int) -> float:
        """Operations of all blocks for the tokens of all windows, without what `WindowsReader` does once or omits."""
        if side > min(rows, columns):
            return 0.0
        length, width = 1 + side**2, self.width
        tokens = window_tokens(rows, columns, side)
        block = 2.0 * self.network.block_weights + 4.0 * width * length
        left_out = tokens - tokens // length  # all but the class tokens in the last block, except keys and values
        return (self.network.depth * block - 6.0 * width**2) * tokens - (block - 4.0 * width**2) * left_out


def in_space_of_texts(network: Architecture, options: ImageTextOptions) -> Architecture:
    """A network as a model of images and texts; one without texts, which will be rejected, is unchanged."""
    return ImageTextNetwork(network, options) if isinstance(network, Transformer) else network
