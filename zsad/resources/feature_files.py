"""Estimate the cost of the features that a configuration needs: exact disk space and approximate time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from zsad.data.inspection import Inspection, SizeCount
from zsad.data.inspection_table import FeatureCost
from zsad.data.subsets import FeatureSet, references_count, support_named, synthetic_named
from zsad.device import resolve_device
from zsad.errors import ConfigError
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.features.views import variants
from zsad.lazy import torch

if TYPE_CHECKING:
    from zsad.workflow.settings import Settings

PATCH_TOKEN_BYTES, CLS_TOKEN_BYTES = 2, 4  # per channel, as stored by `zsad.files.features.FeatureWriter`
MEASURED_SECONDS = 0.2
PRODUCT_SIDE = {"cpu": 768, "mps": 2048, "cuda": 8192}  # of the matrices whose product is timed


class Cost(NamedTuple):
    """The cost of a backbone; None for unknown facts.

    Attributes:
        grid_size: maps height and width of an image in pixels to rows and columns of its patch grid.
        values: number of values of a patch's tokens: layers times channels.
        seconds: maps sizes of images to the time for all their images.
    """

    grid_size: Callable[[int, int], tuple[int, int]] | None
    values: int
    seconds: Callable[[Sequence[SizeCount]], float | None]


def expected_cost(
    settings: Settings, inspections: Sequence[Inspection], auxiliary: Sequence[Inspection] = ()
) -> list[FeatureCost]:
    """The cost of every file of features that the configured methods read, and of embeddings as far as known.

    Bytes are those of the tokens, which the files store without compression; a file's header adds some kB, and images
    of different sizes up to a quarter (`zsad.files.chunks`). For a sample of references from training images of several
    sizes, bytes are the expected value.

    Seconds are the operations of a backbone divided by the rate at which this machine multiplies two matrices. For a
    backbone that counts no operations and is not a network, they are the time of one image of the most frequent size
    times the number of images. So they are a lower bound of the right order: on two cores, a ViT-S/16 takes 1.1 times
    as long in float32, and 1.8 times in bfloat16.

    Args:
        inspections: of the wanted categories.
        auxiliary: of the categories of the auxiliary data set.

    Returns:
        By category, in the order of the inspections, then by name. Files without images are left out.

    Raises:
        ConfigError, ModelError: see `Backbone.layout_here`, and `Backbone.load` for a backbone that is not a network.
    """
    device = settings.config["device"]
    read = dict([*settings.feature_sets, *settings.training_features])
    known = {name: cost_of(settings.backbones[name].backbone, device) for name in read}
    costs = [
        cost
        for inspection in inspections
        for cost in (
            *(_feature_cost(inspection, name, features, known[name]) for name, features in settings.feature_sets),
            *(_embedding_cost(inspection, file) for file in _embedding_files(settings)),
        )
    ]
    learned_from = settings.auxiliary.name if settings.auxiliary is not None else ""
    costs += [
        replace(_feature_cost(inspection, name, features, known[name]), dataset=learned_from)
        for inspection in auxiliary
        for name, features in settings.training_features
    ]
    return [cost for cost in costs if cost.images]


def cost_of(backbone: Backbone, device: str) -> Cost:
    """The cost of a backbone on a device of the configuration; one that is not a network is loaded and timed.

    Raises:
        ConfigError, ModelError: see `expected_cost`.
    """
    layout = backbone.layout_here()
    seconds: Callable[[Sequence[SizeCount]], float | None]
    if backbone.is_network:
        seconds = partial(_counted_seconds, backbone, device)
        if layout is None:
            return Cost(None, 0, seconds)
        depth = (layout if layout.layers else backbone.assumed_layout()).depth
        return Cost(layout.rule.size, depth * layout.channels, seconds)
    seconds = partial(_seconds, backbone, cache(backbone.seconds_an_image))
    if layout is not None and layout.layers is not None:
        return Cost(layout.rule.size, layout.depth * layout.channels, seconds)
    if not backbone.sees_images:
        return Cost(None, 0, lambda sizes: None)
    extractor = backbone.load(Execution())
    return Cost(extractor.grid_size, len(extractor.layers) * extractor.channels, seconds)


def operations_of(backbone: Backbone, sizes: Sequence[SizeCount]) -> float | None:
    """Multiplications and additions of a backbone for images of some sizes; None if unknown."""
    total = 0.0
    for size in sizes:
        operations = backbone.operations(size.height, size.width)
        if operations is None:
            return None
        total += size.images * operations
    return total


def _counted_seconds(backbone: Backbone, device: str, sizes: Sequence[SizeCount]) -> float | None:
    operations = operations_of(backbone, sizes)
    if operations is None:
        return None
    try:
        there = resolve_device(device)
        return operations / product_rate(there, backbone.number_format(there))
    except ConfigError:  # this machine does not have the device
        return None


def _seconds(backbone: Backbone, measured: Callable[[int, int], float], sizes: Sequence[SizeCount]) -> float:
    """The time of a backbone that is not a network, and so runs on the CPU."""
    counted = _counted_seconds(backbone, "cpu", sizes)
    if counted is not None:
        return counted
    usual = max(sizes, key=lambda size: size.images)
    return sum(size.images for size in sizes) * measured(usual.height, usual.width)


@cache
def product_rate(device: str, dtype: str) -> float:
    """Multiplications and additions per second in the product of two square matrices, measured for a fifth of a second.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        dtype: name of a number format of torch.
    """
    side = PRODUCT_SIDE[device]
    matrix = torch.ones(side, side, device=device, dtype=getattr(torch, dtype))

    def product() -> None:
        (matrix @ matrix)[0, 0].item()  # which waits for a GPU

    product()
    start, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < MEASURED_SECONDS:
        product()
        count += 1
    return 2 * side**3 * count / seconds


def _embedding_files(settings: Settings) -> list[tuple[str, str]]:
    """Segmentation model and subset of all embeddings of whole images, without repetitions."""
    refined = {(refiner.segmenter, "test") for refiner in settings.refiners.values() if refiner.segmenter}
    outlined = {
        (method.segmenter, subset) for method in settings.methods.values() for subset in method.foregrounds.values()
    }
    return sorted(refined | outlined)


def _feature_cost(inspection: Inspection, backbone: str, features: FeatureSet, known: Cost) -> FeatureCost:
    subset, view = features
    sizes, share = _sizes_of(inspection, subset)
    shown = len(variants(view))
    images = round(share * sum(size.images for size in sizes)) * shown
    size_bytes = seconds = None
    if images and known.grid_size is not None:
        grids = [known.grid_size(size.height, size.width) for size in sizes]
        each = sum(size.images * rows * columns for size, (rows, columns) in zip(sizes, grids, strict=True))
        patches = round(share * each) * shown
        size_bytes = known.values * (PATCH_TOKEN_BYTES * patches + CLS_TOKEN_BYTES * images)
    if images and (of_all := known.seconds(sizes)) is not None:
        seconds = of_all * shown * share
    return FeatureCost(inspection.category, backbone, subset, view, images, size_bytes, seconds)


def _embedding_cost(inspection: Inspection, file: tuple[str, str]) -> FeatureCost:
    """Only the number of embeddings: their size depends on the model in too many ways for a table."""
    segmenter, subset = file
    sizes, share = _sizes_of(inspection, subset)
    images = round(share * sum(size.images for size in sizes))
    return FeatureCost(inspection.category, segmenter, subset, "", images, bytes=None, seconds=None)


def _sizes_of(inspection: Inspection, subset: str) -> tuple[list[SizeCount], float]:
    """The sizes of the images that a subset is taken from, and the share that is taken.

    Empty for labelled examples, which are few and separate from the inspected images.
    """
    if support_named(subset):
        return [], 1.0
    split = "test" if subset == "test" else "train"
    sizes = [size for size in inspection.sizes if size.split == split]
    available = sum(size.images for size in sizes)
    made = synthetic_named(subset)
    if made is not None and available:
        return sizes, made.images / available
    drawn = references_count(subset)
    if drawn is None or not available:
        return sizes, 1.0
    return sizes, min(drawn, available) / available
