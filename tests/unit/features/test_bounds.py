"""Bounds of an image's shape and patches, and what methods refuse for the sizes of the images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from zsad.cli.command import main
from zsad.data.bounds import NO_BOUNDS, BoundOptions, Bounds
from zsad.data.inspection import inspect_category
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.subsets import SizedImage
from zsad.errors import ConfigError
from zsad.features.architecture import architecture_of
from zsad.features.base import Execution
from zsad.features.embedded import Embedded
from zsad.features.geometry import patch_grid
from zsad.features.huggingface import HuggingFace
from zsad.features.tiling import TilePlan
from zsad.grids import GridRule
from zsad.resources.tokens import tokens_of
from zsad.resources.workload import Images
from zsad.scoring.base import Scorer
from zsad.scoring.registry import SCORERS
from zsad.workflow.entries import BackboneEntry
from zsad.workflow.settings import load
from zsad.workflow.suitability import Suitability

# Height and width of the longest images of published data sets and usual cameras.
ORDINARY = {
    "MVTec AD": (1024, 1024),
    "VisA": (1562, 960),
    "BTAD": (1600, 1600),
    "KolektorSDD": (1270, 500),
    "Severstal steel": (256, 1600),
    "AITEX": (256, 4096),
    "RSDDs type II": (1250, 55),
    "panorama": (2000, 20_000),
}


@pytest.mark.parametrize("size", ORDINARY.values(), ids=ORDINARY)
def test_no_published_data_set_and_no_panorama_is_out_of_bounds(size: tuple[int, int]) -> None:
    settings = load()
    bounds = settings.image_bounds()
    assert bounds.failure("a.png", *size) == ""
    assert Bounds(50, 65536, {"embedded": GridRule(32)}).failure("a.png", *size) == ""
    vit = GridRule(448 // 14)  # a ViT-S/14 at 448 px
    assert Bounds(50, 65536, {"dinov2": vit}).failure("a.png", *size) == ""


def test_both_bounds_are_met_exactly() -> None:
    assert Bounds(50).failure("a.png", 10, 500) == Bounds(50).failure("a.png", 500, 10) == ""
    assert "501 x 10 pixels, so that one side is 50.1 times" in Bounds(50).failure("a.png", 10, 501)
    assert NO_BOUNDS.failure("a.png", 1, 10**8) == ""
    rule = {"b": GridRule(8)}
    assert Bounds(None, 8 * 80, rule).failure("a.png", 1, 10) == ""
    assert "computes 648 patches" in Bounds(None, 8 * 80, rule).failure("a.png", 8, 81)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, []),
        ({"max_patches": 51_000}, ["coarse"]),
        ({"max_aspect": 1000}, ["coarse"]),
        ({"max_aspect": 1000, "max_patches": 10**6 + 40_000}, []),
    ],
)
def test_a_backbone_that_cannot_pass_the_bound_does_not_make_images_be_read_anew(
    options: dict[str, float], kept: list[str]
) -> None:
    grids = {"coarse": GridRule(32), "square": GridRule(64, fit="pad")}
    bounds = Bounds.of(BoundOptions(**options), grids)
    assert list(bounds.grids) == kept
    assert (bounds.max_patches is None) == (not kept)
    assert Bounds.from_config(json.loads(json.dumps(bounds.stage_config()))) == bounds


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 3000), (3000, 7), (480, 640), (641, 480)])
@pytest.mark.parametrize(
    "params",
    [
        {"model": "facebook/dinov2-small", "resolution": 448},
        {"model": "facebook/dinov2-small", "resolution": 448, "fit": "pad"},
        {"model": "facebook/dinov2-small", "resolution": 448, "tile": 224, "overlap": 56},
        {"model": "facebook/dinov3-convnext-tiny-pretrain-lvd1689m", "resolution": 224, "layers": (1, 2)},
    ],
)
def test_patches_are_counted_as_the_network_sees_them(params: dict[str, object], size: tuple[int, int]) -> None:
    backbone = HuggingFace(**params)
    network, layout = architecture_of(backbone), backbone.known_layout()
    finer = network.patch // network.stride
    rows, columns = (finer * side for side in patch_grid(*size, backbone.resolution, network.patch, backbone.fit))
    assert layout.rule.size(*size) == (rows, columns)
    seen = _inputs(backbone, network.stride, rows, columns)
    assert set(seen) == {layout.rule.seen_at_once(*size)}
    assert layout.rule.inputs(*size) == len(seen)
    assert layout.rule.computed(*size) == sum(rows * columns for rows, columns in seen)
    shapes = [(rows * network.stride, columns * network.stride) for rows, columns in seen]
    assert backbone.operations(*size) == pytest.approx(sum(network.operations(*shape) for shape in shapes))
    assert (layout.channels, len(layout.layers)) == (network.channels, network.layers)


def _inputs(backbone: HuggingFace, stride: int, rows: int, columns: int) -> list[tuple[int, int]]:
    """Rows and columns of all that a network sees of an image: the image, its square, or its tiles."""
    if backbone.fit == "pad":
        return [(max(rows, columns), max(rows, columns))]
    if backbone.tile is None:
        return [(rows, columns)]
    plan = TilePlan(rows, columns, backbone.tile // stride, backbone.overlap // stride)
    return [(tile.rows, tile.columns) for tile in plan.tiles()]


@pytest.mark.parametrize("length", range(1, 40))
def test_tiles_are_counted_as_they_are_cut(length: int) -> None:
    cut = sum(tile.rows * tile.columns for tile in TilePlan(1, length, tile=6, overlap=4).tiles())
    assert GridRule(1, tile=6, overlap=4).computed(1, length) == cut


def test_the_filter_bank_is_known_as_it_is() -> None:
    backbone = Embedded(resolution=64, stride=4)
    extractor, layout = backbone.load(Execution()), backbone.known_layout()
    assert (list(layout.layers), layout.channels) == (extractor.layers, extractor.channels)
    assert layout.rule.size(30, 100) == extractor.grid_size(30, 100)
    assert layout.rule.computed(30, 100) == extractor.computed_patches(30, 100)


def test_memory_is_asked_for_by_the_largest_grid_and_not_by_the_largest_image() -> None:
    entry = BackboneEntry("embedded", "embedded", Embedded().parameters())
    square, strip = (1000, 1000), (20, 1000)
    longest = tokens_of(entry, Images.of([strip])).patches
    assert longest == 50 * 32 * 32
    images = Images.of([square, square, strip])
    assert images.largest[:2] == square
    assert tokens_of(entry, images).patches == longest
    assert tokens_of(entry, images.first(1)).patches == longest  # any of them may be drawn


def test_the_check_says_what_a_run_would(write_png: Callable[..., Path], tmp_path: Path) -> None:
    for name, size in (("good/0", (16, 16)), ("good/1", (16, 16)), ("good/2", (1, 900))):
        write_png(tmp_path / f"set/tile/test/{name}.png", size=size)
    config = tmp_path / "mine.yaml"
    config.write_text(
        "dataset: {layout: mvtec, root: %s}\n"
        "methods: {self_similarity: {scorer: self_similarity, params: {exclusion_radius: 40}}}\n" % (tmp_path / "set")
    )
    said = problems(config, tmp_path)
    assert any("good/2.png has 900 x 1 pixels" in problem and "max_aspect 50" in problem for problem in said)
    assert any(problem.startswith("method 'self_similarity': test/good/0.png has only 32 x 32") for problem in said)
    assert main(["check", "--configfile", str(config)]) == 1


def problems(config: Path, folder: Path) -> tuple[str, ...]:
    settings = load(config)
    return inspect_category(
        MvtecLayout(),
        folder / "set",
        "tile",
        bounds=settings.image_bounds(),
        refusals=settings.suitability().refusals("tile"),
    ).problems


@pytest.mark.parametrize("name", SCORERS.names())
def test_every_scorer_has_no_objection_to_ordinary_images(name: str) -> None:
    settings = load()
    entry = SCORERS.build(name, {})
    assert isinstance(entry, Scorer)
    images = [SizedImage(f"{split}/{index}.png", split, 256, 300) for split in ("test", "train") for index in range(9)]
    asked = settings.suitability().methods["self_similarity"]._replace(scorer=name, params=entry.parameters())
    layouts = {
        backbone: layout._replace(layers=("window2", "window3", "patches") if entry.reads_windows else layout.layers)
        for backbone, layout in settings.suitability().layouts.items()
    }
    suitability = Suitability({name: asked}, layouts)
    again = Suitability.from_json(json.dumps(suitability.stage_config()))
    assert again.refusals("lid")(images) == []
    assert again.refusals("lid")([image for image in images if image.split == "train"]) == []


def test_of_training_images_alone_it_is_asked_what_is_fitted_to_them(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(
        "methods:\n"
        "  self_similarity: {scorer: self_similarity, params: {exclusion_radius: 40}}\n"
        "  memory_bank: {scorer: memory_bank, params: {shots: 2, k: 99999, rotations: false}}\n"
    )
    refusals = load(config).suitability().refusals("lid")
    images = [SizedImage(f"{split}/{index}.png", split, 64, 64) for split in ("test", "train") for index in range(3)]
    of_all, of_training = refusals(images), refusals([image for image in images if image.split == "train"])
    assert [reason.split(":")[0] for reason in of_all] == ["method 'self_similarity'", "method 'memory_bank'"]
    assert of_training == of_all[1:]
    labelled = load(config).suitability().refusals("lid", "support-known")
    assert list(labelled(images)) == [], "of examples beside the data set, scoring itself tells"


def test_a_square_image_must_not_have_too_many_patches() -> None:
    settings = load(dataset={"max_patches": 1000})
    with pytest.raises(
        ConfigError, match=r"'efficientnet-lite0' with resolution 256 computes 1024 patches for a square image"
    ):
        settings.check_models()
