"""WinCLIP+: WinCLIP combined with distances of windows and patches to those of a few reference images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from zsad.data.subsets import FeatureSet
from zsad.grids import PATCHES
from zsad.lazy import torch
from zsad.scoring.bank import FreeBank
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.class_embeddings import STATES
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount, pair_operations
from zsad.scoring.references import REFERENCES, ReferenceScorer
from zsad.scoring.score_by_texts import score_by_texts
from zsad.scoring.stored import StoredTokens, as_array, as_tensor, store_tokens
from zsad.scoring.text_scorer import TextScorer
from zsad.scoring.tokens import unit_tokens
from zsad.scoring.windows import Scales, over_patches, window_layers, window_refusal, windows_of

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter
    from zsad.scoring.token_source import PatchSource, TokenSource

NEAREST_SHARE = 0.25  # of the memory, for the nearest so far
MAP_BYTES = 16  # a patch of an image and layer: its nearest so far, and its sum
PATCH = 1  # side of a patch, in place of a window


class OfOneLayer:
    """One layer of images, cropped to its windows; a `PatchSource`."""

    def __init__(self, source: PatchSource, layer: int, side: int) -> None:
        self.channels = source.channels
        self.grid_sizes: np.ndarray = source.grid_sizes - (side - 1)
        self._source, self._layer, self._side = source, layer, side

    def half_tokens(self, index: int) -> np.ndarray:
        """float16 ``[1, row, column, channel]`` of one image."""
        return windows_of(self._source.half_tokens(index)[self._layer], self._side)[None]


class Known(NamedTuple):
    """The fitted model.

    Attributes:
        classes: unit vectors ``[state, channel]`` of the sentences.
        source, indices, layers: source, images and layers of the tokens of the references.
        banks: banks of windows by their side; patches, as windows of side 1, are last.
    """

    classes: torch.Tensor
    source: PatchSource
    indices: Sequence[int]
    layers: Sequence[int]
    banks: Sequence[tuple[int, FreeBank]]


class WinClipPlus(ReferenceScorer, TextScorer):
    """Score windows and patches by WinCLIP and by their distance to those of a few normal images.

    Let ``s_0`` and ``S_text`` be the image score and the map of `WinClip`. With unit vectors ``f`` of the image and
    ``R`` of all references, of windows of one scale or of plain patches,

        ``d(f) = 1/2 min over r in R of (1 - <f, r>)``,

    which for windows is spread over the patches by a harmonic mean, as in `WinClip`. The map ``S_seen`` is the mean of
    ``d`` over the scales and the patches, the raw tokens of the last block. The map of the image is ``S_text +
    S_seen``, or their mean with ``combine: mean``, and the image score is ``(s_0 + max S_seen) / 2``.

    There is no official code: the sum is that of zqhang/Accurate-WinCLIP-pytorch, the mean that of anomalib; both give
    the same ranking. With a recent open_clip, anomalib's patches go through the network's last LayerNorm, unlike those
    of the other code and those here. A bank that does not fit the memory is read in pieces, each compared with all
    images.
    """

    fitted_roles: ClassVar[tuple[str, ...]] = (REFERENCES,)
    text_role: ClassVar[str] = REFERENCES
    reads_windows: ClassVar[bool] = True
    summary: ClassVar[str] = "WinCLIP, and windows and patches against those of a few normal reference images."
    reference: ClassVar[str] = "WinCLIP+: Jeong et al., CVPR 2023 (arXiv 2303.14814), section 4.3."
    blind_to: ClassVar[str] = (
        "what sentences about a damaged object do not describe and what is similar to the references, such as a normal "
        "component in a wrong place, as positions are not compared"
    )

    combine: Literal["sum", "mean"] = Field(
        "sum", description="Combination of both maps: sum (zqhang/Accurate-WinCLIP-pytorch) or mean (anomalib)."
    )
    scales: Scales = None

    @property
    def setting(self) -> str:
        """``few-shot-K`` or ``full-shot``, and the training data set of learned prompts."""
        return self.with_trained(super().setting)

    def feature_sets(self) -> dict[str, FeatureSet]:
        """The test images and the references."""
        return ReferenceScorer.feature_sets(self)

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for two cosines of each window, and for all pairs with windows and patches of references."""
        test, references = tokens["test"], tokens[REFERENCES]
        queries = float(test.images) * test.patches * test.layers
        cosines = pair_operations(len(STATES) * queries, test.channels, finding=0)
        pairs = pair_operations(queries * references.images * references.patches, test.channels)
        return super().operations(tokens) + cosines + pairs

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """The banks."""
        return 4.0 * tokens[REFERENCES].values

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if the features lack windows or the wanted scales, or if an image is smaller than a window."""
        if reason := window_refusal(references, self.scales) or window_refusal(scored, self.scales):
            return reason
        if references.layers is not None and PATCHES not in references.layers:
            return f"the features have no layer '{PATCHES}' beside windows, which the method compares; add it"
        return ""

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Known:
        """The embeddings of the sentences, and the windows and patches of the references at ``indices``."""
        self.check_fit(references, indices)
        classes = self.classes(self.texts_of(references), compute.device)
        compared = self._compared(references.layers)
        layers = [place for _, place in compared]
        return Known(classes, references, list(indices), layers, _banks(references, indices, compared, compute))

    def store(self, model: Known, writer: FittedWriter) -> None:
        """Store the embeddings of both states, and the tokens of the references."""
        writer.write("classes", as_array(model.classes))
        store_tokens(writer, model.source, model.indices, model.layers)

    def restore(self, reader: FittedReader, compute: Compute) -> Known:
        """Restore the result of `fit`, read in pieces if it does not fit the memory."""
        compared = [(side, place) for place, (side, _) in enumerate(self._compared(reader.layers))]
        tokens = StoredTokens(reader, len(compared))
        if tokens.grid_sizes.min() < max(side for side, _ in compared):
            raise reader.foreign("its patch grids are smaller than a window")
        classes = as_tensor(reader.array("classes", np.float32, (len(STATES), None)), compute.device)
        if classes.shape[1] > reader.channels:
            raise reader.foreign("its texts are wider than its tokens")
        indices = range(len(tokens))
        return Known(classes, tokens, indices, indices, _banks(tokens, indices, compared, compute))

    def score_by(
        self, model: Known, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield the map and the score of each image, in order."""
        layers = [place for _, place in self._compared(features.layers)]
        for some in _groups(model, features, indices, compute):
            seen = _seen(model.banks, features, some, layers, compute.device)
            for index in some:
                whole, by_texts = score_by_texts(features, index, model.classes, self.scales, self.temperature)
                together = by_texts + seen[index]
                anomaly_map = together / 2 if self.combine == "mean" else together
                score = (whole + float(seen[index].max())) / 2
                yield ImageScore(index, anomaly_map.astype(np.float32), image_score=score)

    def _compared(self, names: Sequence[str]) -> list[tuple[int, int]]:
        """The sides of windows and the positions of their layers to compare with the references; patches last."""
        return [*window_layers(names, self.scales).items(), (PATCH, list(names).index(PATCHES))]


def _banks(
    source: PatchSource, indices: Sequence[int], compared: Sequence[tuple[int, int]], compute: Compute
) -> list[tuple[int, FreeBank]]:
    """The bank of each layer, which share the memory."""
    share = compute._replace(memory=compute.memory // len(compared))
    return [(side, FreeBank(OfOneLayer(source, place, side), indices, [0], share)) for side, place in compared]


def _groups(model: Known, features: TokenSource, indices: Sequence[int], compute: Compute) -> Iterator[list[int]]:
    """Images that are compared together: one by one, or if a bank is in pieces, as many as the memory holds maps of."""
    if all(bank.piece_count == 1 for _, bank in model.banks):
        yield from ([index] for index in indices)
        return
    largest = int(features.grid_sizes.prod(axis=1)[list(indices)].max())
    most = compute.count(MAP_BYTES * largest * len(model.banks), NEAREST_SHARE)
    yield from (list(indices[start : start + most]) for start in range(0, len(indices), most))


def _seen(
    banks: Sequence[tuple[int, FreeBank]],
    features: TokenSource,
    indices: Sequence[int],
    layers: Sequence[int],
    device: str,
) -> dict[int, np.ndarray]:
    """``S_seen`` of each image, float64 ``[row, column]``.

    Args:
        layers: positions of the layers of the features, one for each bank.
    """
    sums = {index: np.zeros(features.grid_sizes[index]) for index in indices}
    for (side, bank), layer in zip(banks, layers, strict=True):
        of_layer = OfOneLayer(features, layer, side)
        nearest: dict[int, torch.Tensor] = {}
        for piece in bank.pieces():
            for index in indices:
                (unit,) = unit_tokens(of_layer, index, [0], device)
                found = piece.nearest(unit, 0, 1).squeeze(-1)
                nearest[index] = torch.minimum(nearest.get(index, found), found)
        for index, distances in nearest.items():
            sums[index] += over_patches(distances.cpu().numpy() / 2, side)
    return {index: total / len(banks) for index, total in sums.items()}
