"""What the features that a configuration asks for will take: disk exactly, time about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zsad.data.inspection import Inspection, SizeCount
from zsad.data.inspection_table import FeatureCost
from zsad.data.subsets import FeatureSet, references_count
from zsad.device import number_format, resolve_device
from zsad.errors import ConfigError
from zsad.features.architecture import Architecture, architecture_of
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.features.geometry import Preparation
from zsad.features.huggingface import HuggingFace
from zsad.features.joined_tokens import joined
from zsad.features.registry import BACKBONES
from zsad.features.tiling import TilePlan
from zsad.features.views import variants
from zsad.grids import finest
from zsad.lazy import torch

if TYPE_CHECKING:
    from zsad.config import Settings

PATCH_TOKEN_BYTES, CLS_TOKEN_BYTES = 2, 4  # a channel, as `zsad.store.FeatureWriter` stores them
MEASURED_SECONDS = 0.2
PRODUCT_SIDE = {"cpu": 768, "mps": 2048, "cuda": 8192}  # of the matrices whose product is timed


class Model(NamedTuple):
    """A backbone as far as its cost goes.

    Attributes:
        grid_size: height and width of an image in pixels to rows and columns of its patch grid.
        layers: how many are kept.
        channels: width of a token.
        seconds: of sizes of images, for all their images once.
    """

    grid_size: Callable[[int, int], tuple[int, int]]
    layers: int
    channels: int
    seconds: Callable[[Sequence[SizeCount]], float | None]


def expected_cost(settings: Settings, inspections: Sequence[Inspection]) -> list[FeatureCost]:
    """The cost of every file of features that the configured methods read, and of embeddings as far as it is known.

    Bytes are those of the tokens, which the files store without compression; a file's header adds some kB, and where
    sizes of images differ, up to a quarter (`zsad.store`). For a draw of references from training images of several
    sizes, they are those to be expected.

    Seconds are, for a network, the operations of its matrix products by the rate at which this machine multiplies two
    matrices; for the embedded backbone, and for the joining of several, one image of the most frequent size by their
    number. So they are a lower bound of the right order: on two cores, a ViT-S/16 takes 1.1 times as long in float32,
    and 1.8 times in bfloat16.

    Args:
        inspections: of the categories that are wanted.

    Returns:
        By category, in the order of the inspections, then by name. Files of no image are left out.

    Raises:
        ConfigError, ModelError: see `zsad.features.architecture.architecture_of`.
    """
    models = {name: _model(settings, name) for name in dict(settings.feature_sets)}
    costs = [
        cost
        for inspection in inspections
        for cost in (
            *(_feature_cost(inspection, name, features, models[name]) for name, features in settings.feature_sets),
            *(_embedding_cost(inspection, file) for file in _embedding_files(settings)),
        )
    ]
    return [cost for cost in costs if cost.images]


def network_seconds(backbone: HuggingFace, network: Architecture, sizes: Sequence[SizeCount], rate: float) -> float:
    """Seconds of the matrix products for images of some sizes.

    Args:
        rate: multiplications and additions a second.
    """
    return sum(
        size.images * sum(network.operations(*shape) for shape in input_shapes(backbone, network, size)) / rate
        for size in sizes
    )


def input_shapes(backbone: HuggingFace, network: Architecture, size: SizeCount) -> Iterator[tuple[int, int]]:
    """Height and width in pixels of all that a network sees of one image: the image, its square, or its tiles."""
    rows, columns = Preparation(backbone.resolution, network.patch, backbone.fit).grid_size(size.height, size.width)
    height, width = rows * network.patch, columns * network.patch
    if backbone.fit == "pad":
        yield max(height, width), max(height, width)
    elif backbone.tile is not None and max(height, width) > backbone.tile:
        tile, overlap = (length // network.stride for length in (backbone.tile, backbone.overlap))
        for part in TilePlan(height // network.stride, width // network.stride, tile, overlap).tiles():
            yield part.rows * network.stride, part.columns * network.stride
    else:
        yield height, width


@cache
def product_rate(device: str, dtype: str) -> float:
    """Multiplications and additions a second in the product of two square matrices, measured for a fifth of a second.

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
    """Segmentation model and subset of all embeddings of whole images, each once."""
    refined = {(refiner.segmenter, "test") for refiner in settings.refiners.values() if refiner.segmenter}
    outlined = {
        (method.segmenter, subset) for method in settings.methods.values() for subset in method.foregrounds.values()
    }
    return sorted(refined | outlined)


def _feature_cost(inspection: Inspection, backbone: str, features: FeatureSet, model: Model | None) -> FeatureCost:
    subset, view = features
    sizes, share = _sizes_of(inspection, subset)
    shown = len(variants(view))
    images = round(share * sum(size.images for size in sizes)) * shown
    if model is None or not images:
        return FeatureCost(inspection.category, backbone, subset, view, images, bytes=None, seconds=None)
    grids = [model.grid_size(size.height, size.width) for size in sizes]
    each = sum(size.images * rows * columns for size, (rows, columns) in zip(sizes, grids, strict=True))
    patches = round(share * each) * shown
    seconds = model.seconds(sizes)
    return FeatureCost(
        category=inspection.category,
        source=backbone,
        subset=subset,
        view=view,
        images=images,
        bytes=model.layers * model.channels * (PATCH_TOKEN_BYTES * patches + CLS_TOKEN_BYTES * images),
        seconds=None if seconds is None else seconds * shown * share,
    )


def _embedding_cost(inspection: Inspection, file: tuple[str, str]) -> FeatureCost:
    """Only how many there are: their size depends on the model's kind in more ways than are worth a table."""
    segmenter, subset = file
    sizes, share = _sizes_of(inspection, subset)
    images = round(share * sum(size.images for size in sizes))
    return FeatureCost(inspection.category, segmenter, subset, "", images, bytes=None, seconds=None)


def _sizes_of(inspection: Inspection, subset: str) -> tuple[list[SizeCount], float]:
    """The sizes of the images that a subset is taken from, and the share of them that is taken."""
    split = "test" if subset == "test" else "train"
    sizes = [size for size in inspection.sizes if size.split == split]
    available = sum(size.images for size in sizes)
    drawn = references_count(subset)
    if drawn is None or not available:
        return sizes, 1.0
    return sizes, min(drawn, available) / available


def _model(settings: Settings, name: str) -> Model | None:
    """A configured backbone; None if nothing is known of it on this machine."""
    entry = settings.backbones[name]
    if entry.members:
        return _joint([_model(settings, member.name) for member in entry.members])
    backbone = BACKBONES.build(entry.family, entry.params)
    return MODELS_BY_FAMILY[entry.family](backbone, settings.config["device"])


def _joint(members: Sequence[Model | None]) -> Model | None:
    """A joint, whose members are counted by themselves; None if nothing is known of one."""
    known = [member for member in members if member is not None]
    if len(known) < len(members):
        return None

    def grid_size(height: int, width: int) -> tuple[int, int]:
        return finest(member.grid_size(height, width) for member in known)

    @cache
    def seconds_an_image(height: int, width: int) -> float:
        tokens = [
            np.ones((member.layers, *member.grid_size(height, width), member.channels), np.float16) for member in known
        ]
        start = time.perf_counter()
        joined(tokens, [1 / len(tokens)] * len(tokens)).astype(np.float16)
        return time.perf_counter() - start

    def seconds(sizes: Sequence[SizeCount]) -> float:
        usual = max(sizes, key=lambda size: size.images)
        return sum(size.images for size in sizes) * seconds_an_image(usual.height, usual.width)

    return Model(grid_size, 1, sum(member.layers * member.channels for member in known), seconds)


def _embedded(backbone: Embedded, device: str) -> Model:
    extractor = backbone.load(Execution())

    @cache
    def seconds_an_image(height: int, width: int) -> float:
        image = np.zeros((height, width, 3), dtype=np.uint8)
        extractor.extract(image[:64, :64])  # the first call of a library is slow
        start = time.perf_counter()
        extractor.extract(image)
        return time.perf_counter() - start

    def seconds(sizes: Sequence[SizeCount]) -> float:
        usual = max(sizes, key=lambda size: size.images)
        return sum(size.images for size in sizes) * seconds_an_image(usual.height, usual.width)

    return Model(extractor.grid_size, len(extractor.layers), extractor.channels, seconds)


def _network(backbone: HuggingFace, device: str) -> Model | None:
    network = architecture_of(backbone)
    if network is None:
        return None
    finer = network.patch // network.stride

    def grid_size(height: int, width: int) -> tuple[int, int]:
        rows, columns = Preparation(backbone.resolution, network.patch, backbone.fit).grid_size(height, width)
        return rows * finer, columns * finer

    def seconds(sizes: Sequence[SizeCount]) -> float | None:
        try:
            there = resolve_device(device)
            dtype = number_format(backbone.dtype, there)
        except ConfigError:  # this machine is not the one that computes
            return None
        return network_seconds(backbone, network, sizes, product_rate(there, str(dtype).removeprefix("torch.")))

    return Model(grid_size, network.layers, network.channels, seconds)


MODELS_BY_FAMILY: Mapping[str, Callable[..., Model | None]] = {"embedded": _embedded, "transformers": _network}
