"""The images of an auxiliary data set, of all categories together, as what learns from them reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zsad.errors import DataError
from zsad.lazy import torch
from zsad.scoring.tokens import layer_indices, normalise, patch_layers
from zsad.scoring.trained import TrainedScorer

if TYPE_CHECKING:
    from zsad.scoring.labelled import AuxiliaryCategory
    from zsad.scoring.token_source import TokenSource


class LabelledImages:
    """The images of all categories in one row, category by category.

    Args:
        categories: of the auxiliary data set, at least one; their features come from one backbone.
        layers: names of those that are read; None for all that hold patches.

    Attributes:
        layers: their names.
        channels: width of a token.
        labels: 1 of an anomalous image and 0 of a normal one.

    Raises:
        ConfigError: there is no such layer.
    """

    def __init__(self, categories: Sequence[AuxiliaryCategory], layers: Sequence[str] | None) -> None:
        self._categories = list(categories)
        first = self._categories[0].images.tokens
        self._indices = layer_indices(first, layers)
        self.layers = list(patch_layers(first.layers) if layers is None else layers)
        self.channels = first.channels
        self._places = [
            (category, index) for category in self._categories for index in range(len(category.images.tokens))
        ]
        self.labels = [category.images.marks.labels[index] for category, index in self._places]
        self._shares: dict[int, np.ndarray | None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def name(self, number: int) -> str:
        """What an image is called, the same whatever other categories there are."""
        category, index = self._places[number]
        return f"{category.name}/{category.images.tokens.image_ids[index]}"

    def shares(self, number: int) -> np.ndarray | None:
        """How much of each patch is anomalous, float32 ``[patch]``, row by row.

        None of an anomalous image of which nobody knows where, see `zsad.adaptation.marks.Marks.shares`.
        """
        if number not in self._shares:
            category, index = self._places[number]
            rows, columns = category.images.tokens.grid_sizes[index].tolist()
            shares = category.images.marks.shares(index, rows, columns)
            self._shares[number] = None if shares is None else shares.ravel()
        return self._shares[number]

    def unmarked(self) -> list[int]:
        """Positions of the anomalous images of which nobody knows where they are anomalous."""
        return [number for number, label in enumerate(self.labels) if label and self.shares(number) is None]

    def class_tokens(self) -> torch.Tensor:
        """Unit class tokens of all images, float32 ``[image, layer, channel]``."""
        tokens = [category.images.tokens.cls_tokens()[:, self._indices] for category in self._categories]
        return normalise(torch.from_numpy(np.concatenate(tokens)))

    def half_tokens(self, number: int) -> np.ndarray:
        """The patch tokens of one image as the backbone gave them, float16 ``[layer, patch, channel]``, row by row."""
        category, index = self._places[number]
        tokens = category.images.tokens.half_tokens(index)[self._indices]
        return tokens.reshape(len(self.layers), -1, self.channels)


class LearnedFrom(NamedTuple):
    """What is to be told of the images that were learned from.

    Attributes:
        facts: ``"layers"``; how many images there were, ``"images"``, ``"anomalous"`` and ``"unmarked"``, those of
            which nobody knows where they are anomalous; and whether anything was learned about where, ``"localises"``.
        notes: sentences about what could not be learned.
    """

    facts: dict[str, Any]
    notes: list[str]


def told_of(images: LabelledImages, consequence: str) -> LearnedFrom:
    """What is to be told of the images.

    Args:
        consequence: what follows where no image says where it is anomalous; completes "..., so that".
    """
    anomalous, unmarked = sum(images.labels), len(images.unmarked())
    facts = {
        "layers": images.layers,
        "images": len(images),
        "anomalous": anomalous,
        "unmarked": unmarked,
        "localises": unmarked < anomalous,
    }
    notes = []
    if unmarked == anomalous:
        notes.append(f"no anomalous image of the auxiliary data set has a mask, so that {consequence}")
    elif unmarked:
        of_all = f"{unmarked} of {anomalous} anomalous images of the auxiliary data set"
        notes.append(f"{of_all} have no mask: only what images look like as a whole was learned from them")
    return LearnedFrom(facts, notes)


def learned_layers(
    features: TokenSource, asked: Sequence[str] | None, learned: Sequence[str]
) -> tuple[list[int], list[int]]:
    """The places of the layers that are scored, in the features and in what was learned.

    Raises:
        ConfigError: the features have no such layer.
        DataError: nothing was learned about it.
    """
    places = layer_indices(features, asked)
    names = [features.layers[place] for place in places]
    if unknown := next((name for name in names if name not in learned), None):
        raise DataError(
            f"the weights were trained on layers {', '.join(learned)}, and {features.path} has to be scored by layer "
            f"'{unknown}'; train the method anew, or choose 'layers' among those"
        )
    return places, [list(learned).index(name) for name in names]


class LabelledImagesScorer(TrainedScorer):
    """Base of scorers that learn from `LabelledImages` what patches look like, and whole images."""

    @property
    def own_image_scores(self) -> bool:
        """It looks at the whole image too."""
        return True

    def foreign_weights(self, facts: Mapping[str, Any]) -> str:
        """Also: weights that do not say which layers they were trained on."""
        if reason := super().foreign_weights(facts):
            return reason
        layers, localises = facts.get("layers"), facts.get("localises")
        if isinstance(layers, list) and layers and isinstance(localises, bool):
            return ""
        return "does not say which layers it was trained on"
