"""Search for the reference patch that is nearest to each patch of an image, not only its distance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from zsad.lazy import torch
from zsad.scoring.bank import BANK_SHARE
from zsad.scoring.compute import Compute
from zsad.scoring.similarity import Metric
from zsad.scoring.token_source import PatchSource
from zsad.scoring.tokens import normalise, unit_tokens

FOUND_SHARE = 0.25  # of the memory, for the images compared together


class Nearest(NamedTuple):
    """Positions of the nearest patches of an image.

    Attributes:
        images: positions among the source's images, int64 ``[layer, patch]``.
        places: positions of the patch in that image, row by row, int64 ``[layer, patch]``.
    """

    images: torch.Tensor
    places: torch.Tensor


class NearestPatches:
    """The patches of reference images, for nearest-neighbour search.

    Of equally near patches, the one of the first image is used. Operands that fit half of the memory are kept; other
    images are read again for each group of images that is compared with them. All computations are in float32, whatever
    the number format: a training would give other results with another choice among similar neighbours.

    Args:
        source: the references.
        indices: positions of its images.
        layers: positions of the layers.
    """

    def __init__(self, source: PatchSource, indices: Sequence[int], layers: Sequence[int], compute: Compute) -> None:
        compute = compute._replace(precision="float32")
        self._source, self._layers, self._compute = source, list(layers), compute
        self.indices = list(indices)
        centres = unit_tokens(source, self.indices[0], self._layers, compute.device).flatten(1, 2).mean(dim=1)
        self._metrics = [Metric(compute, centre) for centre in centres]
        self._kept: dict[int, list[torch.Tensor]] = {}
        bytes_a_patch = self._metrics[0].point_bytes * len(self._layers)
        self._free = int(compute.memory * BANK_SHARE) // bytes_a_patch  # patches that can still be kept

    def together(self, patches: int) -> int:
        """How many images of so many patches to compare at once: one, unless the references do not fit the memory."""
        total = sum(int(self._source.grid_sizes[index].prod()) for index in self.indices)
        if total <= self._free + sum(len(points[0]) for points in self._kept.values()):
            return 1
        return self._compute.count(2 * self._metrics[0].point_bytes * len(self._layers) * patches, FOUND_SHARE)

    def find(self, images: Sequence[torch.Tensor], without: Sequence[Collection[int]] | None = None) -> list[Nearest]:
        """Find the positions of the nearest patches of images.

        Args:
            images: unit tokens ``[layer, row, column, channel]`` of the selected layers, one tensor for each image.
            without: for each image, positions of source images to leave out; None for none.

        Raises:
            ValueError: no reference is left to compare an image with.
        """
        left_out = without or [()] * len(images)
        if any(set(self.indices) <= set(some) for some in left_out):
            raise ValueError("no reference is left to compare an image with")
        # float32 [layer, patch] and positions, for each image
        best = [image.new_full((len(image), image[0, ..., 0].numel()), torch.inf) for image in images]
        found = [Nearest(*(torch.zeros(each.shape, dtype=torch.int64, device=each.device),) * 2) for each in best]
        queries = [
            [metric.queries(metric.points(layer)) for metric, layer in zip(self._metrics, image, strict=True)]
            for image in images
        ]
        for index in self.indices:
            points = self._points(index)
            for number, asked in enumerate(queries):
                if index in left_out[number]:
                    continue
                each = [metric.nearest_place(*pair) for metric, *pair in zip(self._metrics, asked, points, strict=True)]
                h, places = (torch.stack(list(part)) for part in zip(*each, strict=True))
                nearer = h < best[number]
                best[number] = best[number].where(~nearer, h)
                found[number] = Nearest(
                    found[number].images.masked_fill(nearer, index), found[number].places.where(~nearer, places)
                )
        return found

    def tokens(self, nearest: Nearest, layer: int) -> torch.Tensor:
        """The nearest patches themselves, unit vectors float32 ``[patch, channel]``.

        Args:
            layer: which of the selected layers, counted from 0.
        """
        images, places = nearest.images[layer], nearest.places[layer]
        metric = self._metrics[layer]
        tokens = torch.empty(len(images), metric.channels, device=images.device)
        for index in images.unique().tolist():
            here = images == index
            tokens[here] = metric.vectors(self._rows(index, layer, places[here]))
        return tokens

    def _points(self, index: int) -> list[torch.Tensor]:
        """Right operands of one image, a tensor ``[patch, width]`` for each layer; kept while there is memory."""
        if index not in self._kept:
            unit = unit_tokens(self._source, index, self._layers, self._compute.device)
            points = [metric.points(tokens) for metric, tokens in zip(self._metrics, unit, strict=True)]
            if len(points[0]) > self._free:
                return points
            self._free -= len(points[0])
            self._kept[index] = points
        return self._kept[index]

    def _rows(self, index: int, layer: int, places: torch.Tensor) -> torch.Tensor:
        """Right operands of some patches of one image and layer."""
        if index in self._kept:
            return self._kept[index][layer][places]
        tokens = torch.from_numpy(self._source.half_tokens(index)[self._layers[layer]]).to(places.device)
        return self._metrics[layer].points(normalise(tokens.flatten(0, 1)[places].float()))
