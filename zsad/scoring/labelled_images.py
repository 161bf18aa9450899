"""The images of all categories of an auxiliary data set together, as input of methods that learn."""

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
    """The images of all categories in one sequence, category by category.

    Args:
        categories: of the auxiliary data set, at least one; their features come from one backbone.
        layers: names of the layers to read; None for all that hold patches.

    Attributes:
        layers: their names.
        channels: width of a token.
        labels: 1 for an anomalous image and 0 for a normal one.

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
        """The name of an image, which does not depend on other categories."""
        category, index = self._places[number]
        return f"{category.name}/{category.images.tokens.image_ids[index]}"

    def shares(self, number: int) -> np.ndarray | None:
        """The anomalous share of each patch, float32 ``[patch]``, row by row.

        None for an anomalous image with unknown anomalous pixels, see `zsad.adaptation.marks.Marks.shares`.
        """
        if number not in self._shares:
            category, index = self._places[number]
            rows, columns = category.images.tokens.grid_sizes[index].tolist()
            shares = category.images.marks.shares(index, rows, columns)
            self._shares[number] = None if shares is None else shares.ravel()
        return self._shares[number]

    def unmarked(self) -> list[int]:
        """Positions of the anomalous images with unknown anomalous pixels."""
        return [number for number, label in enumerate(self.labels) if label and self.shares(number) is None]

    def class_tokens(self) -> torch.Tensor:
        """Unit class tokens of all images, float32 ``[image, layer, channel]``."""
        tokens = [category.images.tokens.cls_tokens()[:, self._indices] for category in self._categories]
        return normalise(torch.from_numpy(np.concatenate(tokens)))

    def half_tokens(self, number: int) -> np.ndarray:
        """The patch tokens of one image from the backbone, float16 ``[layer, patch, channel]``, row by row."""
        category, index = self._places[number]
        tokens = category.images.tokens.half_tokens(index)[self._indices]
        return tokens.reshape(len(self.layers), -1, self.channels)


class TrainingSummary(NamedTuple):
    """Facts and notes about the images that a method learned from.

    Attributes:
        facts: ``"layers"``; the numbers of images, ``"images"``, ``"anomalous"`` and ``"unmarked"``, those with unknown
            anomalous pixels; and whether localisation was learned, ``"localises"``.
        notes: sentences about missing training data.
    """

    facts: dict[str, Any]
    notes: list[str]


def summarise_training_images(images: LabelledImages, consequence: str) -> TrainingSummary:
    """Describe the images for the facts of the weights.

    Args:
        consequence: consequence if no image has known anomalous pixels; completes "..., so that".
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
        notes.append(f"{of_all} have no mask: they were used only as whole images")
    return TrainingSummary(facts, notes)


def learned_layers(
    features: TokenSource, asked: Sequence[str] | None, learned: Sequence[str]
) -> tuple[list[int], list[int]]:
    """The positions of the scored layers, in the features and in the weights.

    Raises:
        ConfigError: the features have no such layer.
        DataError: the weights have no such layer.
    """
    places = layer_indices(features, asked)
    names = [features.layers[place] for place in places]
    if unknown := next((name for name in names if name not in learned), None):
        raise DataError(
            f"the weights were trained on layers {', '.join(learned)}, but {features.path} must be scored by layer "
            f"'{unknown}'; train the method again, or choose 'layers' among those"
        )
    return places, [list(learned).index(name) for name in names]


class LabelledImagesScorer(TrainedScorer):
    """Base class of scorers that learn from `LabelledImages` to score patches and whole images."""

    @property
    def own_image_scores(self) -> bool:
        """True: it also scores whole images."""
        return True

    def foreign_weights(self, facts: Mapping[str, Any]) -> str:
        """Also rejects weights that do not name the layers they were trained on."""
        if reason := super().foreign_weights(facts):
            return reason
        layers, localises = facts.get("layers"), facts.get("localises")
        if isinstance(layers, list) and layers and isinstance(localises, bool):
            return ""
        return "does not name the layers it was trained on"
