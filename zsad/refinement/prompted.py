"""One image with its cached embeddings, ready for prompts of a segmentation model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zsad.errors import DataError
from zsad.files.embeddings import EmbeddingReader
from zsad.refinement.regions import Box
from zsad.segmentation.base import Candidates, Prompt, Segmenter, in_calls


@dataclass(frozen=True)
class PromptedImage:
    """An image that can be prompted, as a whole or in windows.

    Attributes:
        segmenter: the loaded model.
        image_id: identifier, for the files.
        height, width: of the image, pixels.
        embeddings: the open file of whole images.
        crops: the open file of windows at full resolution; None if there are none.
        part: bool ``[height, width]``, mask of the foreground object; None if it is not used.
    """

    segmenter: Segmenter
    image_id: str
    height: int
    width: int
    embeddings: EmbeddingReader
    crops: EmbeddingReader | None = None
    part: np.ndarray | None = None

    @property
    def whole(self) -> Box:
        """The window that is the whole image."""
        return 0, 0, self.width, self.height

    @property
    def foreground_area(self) -> int:
        """Pixels of the foreground object, or of the image if no mask is used."""
        return self.height * self.width if self.part is None else int(np.count_nonzero(self.part))

    def candidates(self, window: Box, prompts: Sequence[Prompt]) -> Iterator[Candidates]:
        """The candidates of each prompt, in order.

        Args:
            window: the whole image, or one of the crops.
            prompts: in pixels of the window.

        Raises:
            DataError: the window has no embedding.
        """
        left, top, right, bottom = window
        embedding = self._file_of(window).find(self.image_id, window)
        height, width = bottom - top, right - left
        for some in in_calls(prompts, height, width):
            yield from self.segmenter.decode(embedding, height, width, some)

    def _file_of(self, window: Box) -> EmbeddingReader:
        if window == self.whole:
            return self.embeddings
        if self.crops is None:
            raise DataError(f"there are no embeddings of crops of {self.image_id}; run rule embed_crops again")
        return self.crops
