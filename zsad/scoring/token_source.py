"""Sources of tokens for scorers: a feature file, a model file, or arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from zsad.errors import DataError
from zsad.files.features import to_halves

if TYPE_CHECKING:
    from zsad.adaptation.marks import Marks


class ForegroundMasks(Protocol):
    """Interface of foreground masks of images, e.g. `zsad.files.masks.MaskReader`."""

    @property
    def path(self) -> Path:
        """Their name in messages."""

    @property
    def image_ids(self) -> list[str]:
        """Identifiers of the images."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Their provenance."""

    def mask(self, index: int) -> np.ndarray:
        """bool ``[height, width]`` of one image."""

    def regions(self, index: int) -> list[dict[str, Any]]:
        """The region of one image: whether it was ``"accepted"``, and the ``"reason"``."""


class Texts(Protocol):
    """Interface of sentences about the object with their embeddings, e.g. `zsad.files.texts.TextReader`."""

    @property
    def path(self) -> Path:
        """Their name in messages."""

    @property
    def sentences(self) -> list[str]:
        """Word by word."""

    @property
    def states(self) -> np.ndarray:
        """int8 ``[sentence]``, 0 for a normal object and 1 for an anomalous one."""

    @property
    def embeddings(self) -> np.ndarray:
        """float32 ``[sentence, channel]`` as the output of the text tower, of any length."""

    @property
    def patch_part(self) -> tuple[int, int]:
        """The channels that patches are compared with, from the first to before the last."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Their provenance: ``"part_name"``, ``"prompts"``, ``"model"``."""


class PatchSource(Protocol):
    """Interface of sources of patch tokens only."""

    @property
    def channels(self) -> int:
        """Width of a token."""

    @property
    def grid_sizes(self) -> np.ndarray:
        """int32 ``[image, 2]``, rows and columns of each image's patch grid."""

    def half_tokens(self, index: int) -> np.ndarray:
        """float16 ``[layer, row, column, channel]`` of one image."""


class LabelledTokens(NamedTuple):
    """Tokens of labelled images, for methods that learn from anomalies.

    Attributes:
        tokens: of the images.
        marks: their labels and masks, in the same order.
    """

    tokens: TokenSource
    marks: Marks


class TokenSource(PatchSource, Protocol):
    """Interface of sources of patch and class tokens, e.g. `zsad.files.features.FeatureReader`."""

    @property
    def path(self) -> Path:
        """Its name in messages."""

    @property
    def image_ids(self) -> list[str]:
        """Identifiers; an image at several angles has one for each."""

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""

    @property
    def cls_source(self) -> str:
        """The meaning of `cls_tokens`, ``"class token"`` or ``"mean of patch tokens"``."""

    @property
    def provenance(self) -> dict[str, Any]:
        """The provenance of the tokens; ``"view"`` is the view of the images."""

    @property
    def foreground(self) -> ForegroundMasks | None:
        """Masks of the foreground object, for a scorer that uses them."""

    @property
    def texts(self) -> Texts | None:
        """Sentences about the object, for a scorer that uses them."""

    @property
    def synthetic(self) -> LabelledTokens | None:
        """Synthetic images made from these images, for a scorer that learns from them."""

    def __len__(self) -> int:
        """Number of images."""

    def patch_tokens(self, index: int) -> np.ndarray:
        """float32 ``[layer, row, column, channel]`` of one image."""

    def cls_tokens(self) -> np.ndarray:
        """float32 ``[image, layer, channel]``."""

    def cls_tokens_of(self, index: int) -> np.ndarray:
        """The same of one image, float32 ``[layer, channel]``."""


class MemoryTokens:
    """Tokens in memory, rounded as a feature file rounds them, so that scores are the same.

    Args:
        patch_tokens: ``[layer, row, column, channel]``, one array for each image; grids may differ.
        cls_tokens: ``[image, layer, channel]``; None for the mean of each image's patch tokens.
        image_ids: by default ``"0"``, ``"1"``, ...; an image rotated by 45 degrees ends in ``@045``.
        layers: names of the layers, by default ``"0"``, ``"1"``, ...
        cls_source: meaning of ``cls_tokens``.
        provenance: see `TokenSource.provenance`.
        foreground: see `TokenSource.foreground`.
        texts: see `TokenSource.texts`.
        synthetic: see `TokenSource.synthetic`.
        path: name in messages.

    Raises:
        DataError: there are no images, their tokens are not numbers or differ in shape other than the grid, the number
            of names is wrong, or a value is not finite in float16.
    """

    def __init__(
        self,
        patch_tokens: Sequence[np.ndarray],
        cls_tokens: np.ndarray | None = None,
        image_ids: Sequence[str] | None = None,
        layers: Sequence[str | int] | None = None,
        *,
        cls_source: str = "class token",
        provenance: Mapping[str, Any] | None = None,
        foreground: ForegroundMasks | None = None,
        texts: Texts | None = None,
        synthetic: LabelledTokens | None = None,
        path: str | Path = "tokens in memory",
    ) -> None:
        patch_tokens = [_numbers(tokens, f"{path}, image {place},") for place, tokens in enumerate(patch_tokens)]
        shapes = [tokens.shape for tokens in patch_tokens]
        if not shapes or any(len(shape) != 4 or 0 in shape for shape in shapes):
            raise DataError(f"{path} must be arrays [layer, row, column, channel] of one or more images, none empty")
        depth, channels = shapes[0][0], shapes[0][3]
        if differing := next((shape for shape in shapes if (shape[0], shape[3]) != (depth, channels)), None):
            raise DataError(
                f"{path} have {depth} layers of {channels} channels in one image and {differing} in another"
            )
        self.path = Path(path)
        self.image_ids = list(map(str, range(len(shapes)) if image_ids is None else image_ids))
        self.layers = list(map(str, range(depth) if layers is None else layers))
        for named, names, count in (("images", self.image_ids, len(shapes)), ("layers", self.layers, depth)):
            if len(names) != count:
                raise DataError(f"{path} have {count} {named}, but {len(names)} names were given")
        self.channels = channels
        self.grid_sizes = np.array([shape[1:3] for shape in shapes], dtype=np.int32)
        self.provenance = dict(provenance or {})
        self.foreground = foreground
        self.texts = texts
        self.synthetic = synthetic
        self._halves = [
            to_halves(tokens, image_id) for tokens, image_id in zip(patch_tokens, self.image_ids, strict=True)
        ]
        if cls_tokens is None:
            self.cls_source = "mean of patch tokens"
            cls_tokens = np.stack([np.mean(tokens, axis=(1, 2), dtype=np.float64) for tokens in patch_tokens])
        else:
            self.cls_source = cls_source
        self._cls_tokens = _numbers(cls_tokens, f"{path}, the class tokens,").astype(np.float32)
        if self._cls_tokens.shape != (len(shapes), depth, channels):
            expected = (len(shapes), depth, channels)
            raise DataError(f"{path} have class tokens of shape {self._cls_tokens.shape}, expected {expected}")
        if not np.isfinite(self._cls_tokens).all():
            raise DataError(f"{path} have class tokens that are not finite")

    def __len__(self) -> int:
        return len(self.image_ids)

    def half_tokens(self, index: int) -> np.ndarray:
        """float16 ``[layer, row, column, channel]`` of one image."""
        return self._halves[index]

    def patch_tokens(self, index: int) -> np.ndarray:
        """The same in float32."""
        return self._halves[index].astype(np.float32)

    def cls_tokens(self) -> np.ndarray:
        """float32 ``[image, layer, channel]``."""
        return self._cls_tokens

    def cls_tokens_of(self, index: int) -> np.ndarray:
        """The same of one image, float32 ``[layer, channel]``."""
        tokens: np.ndarray = self._cls_tokens[index]
        return tokens


def _numbers(values: ArrayLike, what: str) -> np.ndarray:
    """Real numbers as an array.

    Raises:
        DataError: they are not real numbers.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what} cannot be read as one array ({error}); make them one") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} are {array.dtype}, not real numbers; make them floating point")
    return array
