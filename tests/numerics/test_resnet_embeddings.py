"""PatchCore's and PaDiM's features of a ResNet against the steps of their authors' code, written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d, fold, interpolate, unfold
from transformers import ResNetConfig, ResNetModel

from closeness import assert_close
from plain_resnet import plain_stages
from tiny_resnet import BASIC, WIDE, filled, saved, state_of
from zsad.errors import ConfigError
from zsad.features.base import Execution
from zsad.features.cnn.published_tokens import padim_maps, patchcore_maps
from zsad.features.cnn.residual import ResNetShape, Stage
from zsad.features.registry import BACKBONES
from zsad.features.resnet import ResNet
from zsad.models.imagenet import IMAGENET_MEAN, IMAGENET_STD

CPU = Execution("cpu")
# Nine times its channels are more than 1024, and no multiple of it, as those of real networks.
BROAD = ResNetShape(8, True, (Stage(1, 4, 16, 1), Stage(1, 8, 120, 2), Stage(1, 8, 136, 2), Stage(1, 4, 16, 2)))
SHAPES = {"basic": BASIC, "wide": WIDE, "broad": BROAD}


def image_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stages_of(shape: ResNetShape, image: np.ndarray) -> list[Tensor]:
    """The outputs of all stages for an image that need not be resized, float64."""
    pixels = torch.from_numpy(image / 255).permute(2, 0, 1)
    mean, deviation = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in TRAINED)
    state = {key: value.double() for key, value in state_of(shape).items()}
    return plain_stages(state, ((pixels - mean) / deviation)[None])


TRAINED = (IMAGENET_MEAN, IMAGENET_STD)


def patchcore(layers: list[Tensor], width: int = 1024) -> Tensor:
    """``[row, column, channel]``: patches of 3 x 3 cells, on the first layer's grid, pooled by layer and together."""
    rows, columns = layers[0].shape[-2:]
    patches = []
    for layer in layers:
        channels = layer.shape[1]
        own = unfold(layer, kernel_size=3, stride=1, padding=1, dilation=1)  # [1, channel * 9, cell]
        own = own.reshape(channels * 9, 1, *layer.shape[-2:])
        if layer is not layers[0]:
            own = interpolate(own, size=(rows, columns), mode="bilinear", align_corners=False)
        flat = own.reshape(channels * 9, -1).T  # [cell, channel * 9]
        patches.append(adaptive_avg_pool1d(flat[:, None], width)[:, 0])
    together = torch.stack(patches, dim=1).reshape(rows * columns, 1, -1)
    return adaptive_avg_pool1d(together, width).reshape(rows, columns, width)


def padim(layers: list[Tensor]) -> Tensor:
    """``[row, column, channel]``: each coarser layer is laid beside every cell of the finer ones in its square."""
    joined = layers[0]
    for layer in layers[1:]:
        (rows, columns), (coarse_rows, coarse_columns) = joined.shape[-2:], layer.shape[-2:]
        side = rows // coarse_rows
        squares = unfold(joined, kernel_size=side, stride=side)
        squares = squares.reshape(1, joined.shape[1], side**2, coarse_rows, coarse_columns)
        both = torch.cat([squares, layer[:, :, None].expand(-1, -1, side**2, -1, -1)], dim=1)
        joined = fold(both.reshape(1, -1, coarse_rows * coarse_columns), (rows, columns), side, stride=side)
    return joined[0].permute(1, 2, 0)


@pytest.mark.parametrize(
    ("case", "size"), [("basic", (64, 64)), ("wide", (64, 96)), ("broad", (72, 88)), ("broad", (32, 48))]
)
def test_patchcore_is_that_of_the_authors(case: str, size: tuple[int, int], tmp_path: Path) -> None:
    model = str(saved(SHAPES[case], tmp_path / "own.pth"))
    image = image_of(*size)
    tokens = ResNet(model=model, resolution=min(size), embedding="patchcore").load(CPU).extract(image)
    expected = patchcore(stages_of(SHAPES[case], image)[1:3])
    assert expected.shape == (size[0] // 8, size[1] // 8, 1024)
    assert_close(tokens.patch_tokens[0], expected)
    assert_close(tokens.cls_tokens[0], expected.mean(dim=(0, 1)))


@pytest.mark.parametrize(("case", "size"), [("basic", (64, 96)), ("wide", (64, 64)), ("broad", (96, 32))])
def test_padim_is_that_of_the_authors(case: str, size: tuple[int, int], tmp_path: Path) -> None:
    model = str(saved(SHAPES[case], tmp_path / "own.pth"))
    image = image_of(*size)
    tokens = ResNet(model=model, resolution=min(size), embedding="padim").load(CPU).extract(image)
    expected = padim(stages_of(SHAPES[case], image)[:3])
    assert expected.shape == (size[0] // 4, size[1] // 4, sum(stage.width for stage in SHAPES[case].stages[:3]))
    assert_close(tokens.patch_tokens[0], expected)
    assert_close(tokens.cls_tokens[0], expected.mean(dim=(0, 1)))


def test_images_of_a_batch_do_not_mix_and_padim_repeats_also_where_a_map_is_a_cell_too_large() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 3, *grid, generator=generator) for grid in ((18, 22), (9, 11), (5, 6))]
    joined = padim_maps(maps)
    for image, row, column in ((0, 0, 0), (1, 17, 21), (1, 8, 3), (0, 13, 20)):
        places = [(row // 2**place, column // 2**place) for place in range(3)]
        expected = torch.cat([values[image, :, r, c] for values, (r, c) in zip(maps, places, strict=True)])
        assert torch.equal(joined[image, :, row, column], expected)
    both = patchcore_maps(maps[1:])
    for image in range(2):
        assert_close(both[image], patchcore_maps([values[image : image + 1] for values in maps[1:]])[0])


@pytest.mark.parametrize(("embedding", "stride"), [("patchcore", 8), ("padim", 4)])
@pytest.mark.parametrize("size", [(64, 90), (130, 51)])
def test_the_layout_that_was_announced_is_that_of_the_tokens(
    embedding: str, stride: int, size: tuple[int, int], tmp_path: Path
) -> None:
    backbone = ResNet(model=str(saved(BASIC, tmp_path / "own.pth")), resolution=64, embedding=embedding)
    backbone.check_model()
    layout, extractor = backbone.known_layout(), backbone.load(CPU)
    tokens = extractor.extract(image_of(*size)).patch_tokens
    assert tokens.shape == (1, *layout.rule.size(*size), layout.channels)
    assert extractor.grid_size(*size) == layout.rule.size(*size)
    assert min(extractor.grid_size(*size)) == 64 // stride
    assert extractor.layers == list(layout.layers) == [embedding]
    assert extractor.channels == layout.channels
    assert extractor.model["patch_size"] == stride
    assert backbone.input_size(*size) == tuple(stride * cells for cells in layout.rule.size(*size))
    # The network of the resized image alone; of the stages, it has a margin, and is the larger.
    stages = ResNet(model=backbone.model, resolution=64, layers=(3,))
    assert 0.3 < backbone.operations(*size) / stages.operations(*size) < 1
    assert backbone.working_bytes(*size) > stages.working_bytes(*size)


def test_published_networks_have_the_channels_of_the_papers() -> None:
    for name, channels in (("resnet18-f37072fd.pth", 448), ("wide_resnet50_2-95faca4d.pth", 1792)):
        of_padim, of_patchcore = (
            ResNet(model=f"/nowhere/{name}", embedding=embedding, resolution=224).known_layout()
            for embedding in ("padim", "patchcore")
        )
        assert (of_padim.channels, of_padim.rule.size(224, 224)) == (channels, (56, 56))
        assert (of_patchcore.channels, of_patchcore.rule.size(900, 900)) == (1024, (28, 28))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"embedding": "patchcore", "layers": [1]}, r"embedding patchcore reads layers \[2, 3\]; remove layers"),
        ({"embedding": "padim", "layers": [3, 2, 1]}, r"embedding padim reads layers \[1, 2, 3\]; remove layers"),
        ({"embedding": "padim", "constant": 1}, "embedding padim has no constant channel; remove constant"),
        ({"embedding": "spade"}, "embedding"),
    ],
)
def test_parameters_that_an_embedding_does_not_take_are_refused(params: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BACKBONES.build("resnet", {"model": "own.pth", **params})


def test_what_a_configuration_may_name_again_is_taken() -> None:
    own = ResNet(model="own.pth", embedding="padim", layers=(1, 2, 3), constant=0)
    assert BACKBONES.build("resnet", own.parameters()) == own


def test_networks_without_the_stages_or_strides_of_the_papers_are_refused(tmp_path: Path) -> None:
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16], depths=[1, 1, 1], layer_type="basic", downsample_in_first_stage=True
    )
    filled(ResNetModel(config)).save_pretrained(tmp_path / "strided")
    strided = ResNet(model=str(tmp_path / "strided"), embedding="patchcore")
    for act in (strided.check_model, lambda: strided.load(CPU), strided.known_layout):
        with pytest.raises(ConfigError, match=r"whose first stage has a stride of 4 px, and that of model '.*' has 8"):
            act()
    short = saved(ResNetShape(8, False, BASIC.stages[:2]), tmp_path / "short.pth")
    with pytest.raises(ConfigError, match="has no layer 3; its stages are layers 1 to 2"):
        ResNet(model=str(short), embedding="padim").check_model()
