"""Training examples of the residual head: labelled images with their nearest normal patches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zsad.data.subsets import base_id
from zsad.errors import DataError
from zsad.lazy import torch
from zsad.scoring.nearest_patches import Nearest, NearestPatches
from zsad.scoring.tokens import unit_tokens

if TYPE_CHECKING:
    from zsad.adaptation.marks import Marks
    from zsad.scoring.labelled import AuxiliaryCategory
    from zsad.scoring.token_source import TokenSource

ANOMALOUS_SHARE = 0.5  # of a cell, above which it counts as anomalous


class Example(NamedTuple):
    """One image.

    Attributes:
        tokens: source of its tokens.
        place: position in that source.
        label: 1 if anomalous.
        known: patches of the references that it is compared with.
        without: positions of references that are left out.
        marks: source of its mask, and its position there; None for a normal image.
    """

    tokens: TokenSource
    place: int
    label: int
    known: NearestPatches
    without: Collection[int] = ()
    marks: tuple[Marks, int] | None = None


class ResidualExamples:
    """Labelled images and the normal patches nearest to theirs, an `zsad.adaptation.residual_head.Examples`.

    The nearest patches are found once for each image and stored as positions; tokens are read on demand.

    Args:
        examples: of one backbone.
        layers: positions of the layers.
        finer: cells along a side of a patch.
    """

    def __init__(self, examples: Sequence[Example], layers: Sequence[int], finer: int, device: str) -> None:
        self._examples, self._positions, self._finer, self._device = list(examples), list(layers), finer, device
        self._nearest: dict[int, Nearest] = {}
        self.layers = len(self._positions)
        self.labels = [example.label for example in self._examples]
        self.grids = [_grid(example.tokens, example.place) for example in self._examples]

    def __len__(self) -> int:
        return len(self._examples)

    @property
    def are_marked(self) -> bool:
        """Whether the anomalous pixels of any anomalous image are known."""
        marks = [example.marks for example in self._examples if example.label == 1 and example.marks is not None]
        return any(each.shares(place, 1, 1) is not None for each, place in marks)

    def pair(self, index: int, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit tokens of one image and layer and their nearest normal tokens, ``[row, column, channel]`` each."""
        example = self._examples[index]
        if index not in self._nearest:
            unit = unit_tokens(example.tokens, example.place, self._positions, self._device)
            (self._nearest[index],) = example.known.find([unit], [example.without])
        tokens = unit_tokens(example.tokens, example.place, [self._positions[layer]], self._device)[0]
        return tokens, example.known.tokens(self._nearest[index], layer).reshape(tokens.shape)

    def cells(self, index: int) -> torch.Tensor:
        """int64 ``[finer row, finer column]``: 1 for an anomalous cell, 0 for a normal one, -1 for neither."""
        example, (rows, columns) = self._examples[index], self.grids[index]
        shape = (self._finer * rows, self._finer * columns)
        if example.marks is None:
            return torch.zeros(shape, dtype=torch.int64)
        marks, place = example.marks
        return torch.from_numpy(cell_marks(marks.shares(place, *shape), shape))


def cell_marks(shares: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    """int64 of cells: 1 if more than half is anomalous, 0 if nothing is, else -1; all -1 if shares are unknown."""
    if shares is None:
        return np.full(shape, -1, dtype=np.int64)
    return np.where(shares > ANOMALOUS_SHARE, 1, np.where(shares == 0, 0, -1)).astype(np.int64)


def synthetic_examples(
    references: TokenSource, indices: Sequence[int], known: NearestPatches, rng: torch.Generator
) -> list[Example]:
    """Synthetic images with the references that they were not made from, and references with all others.

    For a fit to some of the references, synthetic images made from others are not used. From many references, as many
    are sampled as there are synthetic images.

    Args:
        indices: of the references to fit to.
        known: their patches.
        rng: random number generator for the sample of references.

    Raises:
        DataError: there are no synthetic images, or none of them can be compared with another reference.
    """
    if references.synthetic is None:
        raise DataError(f"{references.path} has no synthetic anomalies, which the method learns from; make some")
    tokens, marks = references.synthetic
    owners = {index: base_id(references.image_ids[index]) for index in indices}
    found = []
    for place, sources in enumerate(marks.made_from):
        of = set(map(base_id, sources))
        without = {index for index, owner in owners.items() if owner in of}
        if of and of <= set(owners.values()) and without != set(owners):
            found.append(Example(tokens, place, int(marks.labels[place]), known, without, (marks, place)))
    if not any(example.label for example in found):
        raise DataError(
            f"none of the {len(marks.made_from)} synthetic images of {tokens.path} is made from one of {len(owners)} "
            "references and can be compared with another of them; raise 'synthetic_images' or 'shots'"
        )
    order = torch.randperm(len(indices), generator=rng)[: len(found)].tolist()
    chosen = [indices[place] for place in sorted(order)]
    return found + [
        Example(references, index, 0, known, {other for other, name in owners.items() if name == owners[index]})
        for index in chosen
    ]


def auxiliary_examples(categories: Sequence[AuxiliaryCategory], known: Sequence[NearestPatches]) -> list[Example]:
    """The labelled images of an auxiliary data set, each compared with the references of its category.

    Args:
        known: the patches of the references of each category.
    """
    return [
        Example(category.images.tokens, index, int(label), patches, (), (category.images.marks, index))
        for category, patches in zip(categories, known, strict=True)
        for index, label in enumerate(category.images.marks.labels)
    ]


def _grid(tokens: TokenSource, index: int) -> tuple[int, int]:
    rows, columns = tokens.grid_sizes[index].tolist()
    return rows, columns
