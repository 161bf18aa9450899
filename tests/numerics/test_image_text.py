"""What is read of CLIP beside texts against plain forward passes in float64, window by window and block by block."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reference_networks import (
    LAYOUTS,
    Weights,
    block_output,
    embedded_patches,
    final_norm,
    layer_norm,
    linear,
    part_of,
)
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model

from closeness import assert_close
from random_weights import exact_weights, randomise
from zsad.data.image_list import ListedImage, write_images
from zsad.data.images import read_image
from zsad.errors import ConfigError, ModelError
from zsad.features import network
from zsad.features.execution import Execution
from zsad.features.extract_features import extract_features
from zsad.features.image_text import ImageText
from zsad.features.network import NetworkExtractor
from zsad.features.registry import completed, find_family, model_names
from zsad.files.features import FeatureReader
from zsad.files.provenance import file_sha256
from zsad.grids import GridRule, TokenLayout
from zsad.models.attention import BLOCKED
from zsad.models.families.clip_windows import TOKENS_AT_A_TIME
from zsad.models.image_text.options import first_value_block

PATCH, WIDTH, HEADS, SIDE, SPACE = 4, 32, 4, 4, 24  # SIDE: of the grid of learned positions
ROWS, COLUMNS = 5, 7
DEPTHS = (2, 4)
TEXT = {"vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
CLIP = LAYOUTS["clip"]


class Saved:
    """A small CLIP on disk, and its weights."""

    def __init__(self, folder: Path, depth: int) -> None:
        vision = {
            "hidden_size": WIDTH,
            "num_hidden_layers": depth,
            "num_attention_heads": HEADS,
            "patch_size": PATCH,
            "image_size": PATCH * SIDE,
            "intermediate_size": 48,
        }
        model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=vision, projection_dim=SPACE))
        randomise(model, scale=0.3, seed=depth)
        model.save_pretrained(folder)
        self.folder, self.depth = folder, depth
        self.weights: Weights = exact_weights(model)

    def extractor(self, **options: Any) -> NetworkExtractor:
        return self.backbone(**options).load(Execution())

    def backbone(self, **options: Any) -> ImageText:
        params = {"model": str(self.folder), "resolution": PATCH * ROWS, "dtype": "float32"} | options
        return ImageText.build(params, where="test")

    def part(self, block: int) -> Weights:
        return part_of(self.weights, f"{CLIP.blocks}.{block}.")


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Saved]:
    return {depth: Saved(tmp_path_factory.mktemp(f"clip{depth}"), depth) for depth in DEPTHS}


@pytest.fixture(params=DEPTHS)
def saved(request: pytest.FixtureRequest, saved_models: dict[int, Saved]) -> Saved:
    return saved_models[request.param]


@pytest.fixture
def shallow(saved_models: dict[int, Saved]) -> Saved:
    return saved_models[2]


@pytest.fixture
def deep(saved_models: dict[int, Saved]) -> Saved:
    return saved_models[4]


def random_pixels(rows: int = ROWS, columns: int = COLUMNS, images: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows + columns)
    return torch.randn(images, 3, PATCH * rows, PATCH * columns, generator=generator)


def read(extractor: NetworkExtractor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return extractor.tokens_of(pixels)


def close(found: torch.Tensor, expected: np.ndarray | torch.Tensor) -> None:
    assert found.dtype == torch.float32
    assert_close(found, expected, share=1e-5)


# --- the plain forward pass ---


def embedded(saved: Saved, pixels: torch.Tensor, positions: str = "bicubic") -> np.ndarray:
    """``[token, channel]`` of one image before the first LayerNorm: class token and patches, at their positions."""
    image = pixels.permute(1, 2, 0).double().numpy()
    patches = embedded_patches(image, saved.weights, CLIP.kernel, PATCH)
    rows, columns = patches.shape[:2]
    learned = saved.weights["vision_model.embeddings.position_embedding.weight"]
    plane = learned[1:].reshape(SIDE, SIDE, WIDTH)
    down, across = (resampling(SIDE, count, positions) for count in (rows, columns))
    plane = np.einsum("rs,stc,qt->rqc", down, plane, across)
    class_token = saved.weights["vision_model.embeddings.class_embedding"] + learned[0]
    return np.concatenate([class_token[None], (patches + plane).reshape(-1, WIDTH)])


def resampling(known: int, wanted: int, positions: str) -> np.ndarray:
    """``[wanted, known]``: how much each known place counts for each wanted one, as PyTorch has it."""
    kernel, reach = {
        "bicubic": (lambda x: cubic(x, -0.75), 2),
        "antialiased": (lambda x: cubic(x, -0.5), 2),
        "bilinear": (lambda x: max(0.0, 1 - abs(x)), 1),
    }[positions]
    step = known / wanted
    wide = max(step, 1.0) if positions == "antialiased" else 1.0
    weights = np.zeros((wanted, known))
    for place in range(wanted):
        centre = (place + 0.5) * step - 0.5
        for source in range(math.floor(centre - reach * wide), math.ceil(centre + reach * wide) + 1):
            weight = kernel((source - centre) / wide)
            if positions != "antialiased":  # a place beyond the border is the one at the border
                weights[place, min(max(source, 0), known - 1)] += weight
            elif 0 <= source < known:  # it is left out
                weights[place, source] += weight
    return weights / weights.sum(axis=1, keepdims=True)


def cubic(x: float, a: float) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def states_of(saved: Saved, tokens: np.ndarray) -> list[np.ndarray]:
    """What each block takes, and after them what the last puts out, ``[token, channel]``."""
    states = [layer_norm(tokens, saved.weights, "vision_model.pre_layrnorm", 1e-5)]
    for block in range(saved.depth):
        states.append(block_output(states[-1], saved.part(block), CLIP, HEADS))
    return states


def in_space(saved: Saved, tokens: np.ndarray, normed: bool = True) -> np.ndarray:
    tokens = final_norm("clip", saved.weights, tokens) if normed else tokens
    return linear(tokens, saved.weights, "visual_projection")


def on_grid(tokens: np.ndarray) -> np.ndarray:
    return tokens.reshape(ROWS, COLUMNS, -1)


def value_attention(tokens: np.ndarray, part: Weights) -> np.ndarray:
    """Attention in which queries and keys are the values too."""
    values = linear(tokens, part, "self_attn.v_proj")
    width = WIDTH // HEADS
    attended = []
    for head in range(HEADS):
        own = values[:, head * width : (head + 1) * width]
        shares = np.exp(own @ own.T / math.sqrt(width))
        attended.append(shares / shares.sum(axis=1, keepdims=True) @ own)
    return linear(np.concatenate(attended, axis=1), part, "self_attn.out_proj")


def second_path(saved: Saved, tokens: np.ndarray, first: int) -> dict[int, np.ndarray]:
    """The state of the second path after each of its blocks."""
    states = states_of(saved, tokens)
    path = {}
    second = states[first]
    for block in range(first, saved.depth):
        part = saved.part(block)
        second = second + value_attention(layer_norm(states[block], part, "layer_norm1", 1e-5), part)
        path[block] = second
    return path


# --- vectors of whole images ---


@pytest.mark.parametrize("options", [{}, {"path": "values", "first_value_block": -1}, {"path": "windows"}])
@pytest.mark.parametrize("class_norm", [True, False])
def test_the_class_token_is_the_image_in_the_space_of_texts_whatever_the_path(
    saved: Saved, options: dict[str, Any], class_norm: bool
) -> None:
    extractor, pixels = saved.extractor(**options, class_norm=class_norm), random_pixels()
    _, vectors = read(extractor, pixels)
    assert extractor.cls_source == "class token"
    assert vectors.shape == (2, len(extractor.layers), extractor.channels)
    for image in range(2):
        state = states_of(saved, embedded(saved, pixels[image]))[-1]
        expected = in_space(saved, state[0], normed=class_norm)
        for layer in range(len(extractor.layers)):
            close(vectors[image, layer, :SPACE], expected)
            assert not vectors[image, layer, SPACE:].any()


def test_the_image_is_where_transformers_puts_it(shallow: Saved) -> None:
    pixels = random_pixels()
    _, vectors = read(shallow.extractor(), pixels)
    with torch.inference_mode():
        both_towers = CLIPModel.from_pretrained(shallow.folder).eval()
        expected = both_towers.get_image_features(pixels, interpolate_pos_encoding=True).pooler_output
    close(vectors[:, 0], expected)


@pytest.mark.parametrize("positions", ["bicubic", "bilinear", "antialiased"])
@pytest.mark.parametrize("grid", [(5, 7), (4, 4), (3, 6), (8, 2)])
def test_positions_are_interpolated_as_each_repository_does(
    shallow: Saved, positions: str, grid: tuple[int, int]
) -> None:
    pixels = random_pixels(*grid)
    patches, vectors = read(shallow.extractor(positions=positions), pixels)
    for image in range(2):
        state = states_of(shallow, embedded(shallow, pixels[image], positions))[-1]
        close(vectors[image, 0], in_space(shallow, state[0]))
        close(patches[image, 0].flatten(0, 1), in_space(shallow, state[1:]))


def test_a_model_has_a_way_of_its_own_to_interpolate_positions(shallow: Saved, tmp_path: Path) -> None:
    pixels = random_pixels()
    own, bicubic = (read(shallow.extractor(positions=how), pixels)[0] for how in (None, "bicubic"))
    assert torch.equal(own, bicubic)
    model = CLIPModel.from_pretrained(shallow.folder)
    model.config.vision_config.position_interpolation = "antialiased"  # as a conversion leaves it
    model.save_pretrained(tmp_path)
    converted = ImageText.build({"model": str(tmp_path), "resolution": PATCH * ROWS, "dtype": "float32"}, where="test")
    antialiased = read(shallow.extractor(positions="antialiased"), pixels)[0]
    assert torch.equal(read(converted.load(Execution()), pixels)[0], antialiased)


def test_a_way_to_interpolate_positions_that_is_unknown_is_refused(shallow: Saved, tmp_path: Path) -> None:
    model = CLIPModel.from_pretrained(shallow.folder)
    model.config.vision_config.position_interpolation = "nearest"
    model.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="an unknown interpolation of positions \\(nearest\\); use"):
        ImageText(model=str(tmp_path), resolution=20).load(Execution())


# --- the plain path ---


def test_projected_tokens_of_several_blocks(deep: Saved) -> None:
    extractor, pixels = deep.extractor(layers=(3, 0, -2)), random_pixels()
    patches, _ = read(extractor, pixels)
    assert extractor.layers == ["3", "0", "2"]
    assert patches.shape == (2, 3, ROWS, COLUMNS, SPACE)
    for image in range(2):
        states = states_of(deep, embedded(deep, pixels[image]))
        for layer, block in enumerate((3, 0, 2)):
            close(patches[image, layer], on_grid(in_space(deep, states[block + 1][1:])))


@pytest.mark.parametrize("normed", [True, False])
def test_tokens_of_several_blocks_that_are_not_projected(deep: Saved, normed: bool) -> None:
    extractor, pixels = deep.extractor(layers=(0, 2), projected=False, normed=normed), random_pixels()
    patches, vectors = read(extractor, pixels)
    assert extractor.channels == WIDTH
    for image in range(2):
        states = states_of(deep, embedded(deep, pixels[image]))
        for layer, block in enumerate((0, 2)):
            expected = states[block + 1][1:]
            expected = final_norm("clip", deep.weights, expected) if normed else expected
            close(patches[image, layer], on_grid(expected))
            # MuSc re-scores by the image's own vector, of the last block, whichever the layer.
            close(vectors[image, layer, :SPACE], in_space(deep, states[-1][0]))
            assert not vectors[image, layer, SPACE:].any()


# --- the second path ---


@pytest.mark.parametrize(
    ("blocks", "first"), [(24, -19), (32, -19), (19, -19), (18, -6), (12, -6), (7, -6), (6, -6), (4, -4), (1, -1)]
)
def test_the_second_path_begins_as_by_those_who_publish_one(blocks: int, first: int) -> None:
    assert first_value_block(None, blocks) == first
    assert first_value_block(-1, blocks) == -1
    assert first_value_block(0, blocks) == 0


@pytest.mark.parametrize(("first", "layers"), [(0, (3, 1)), (1, (1, 2, -1)), (-2, (2, 3)), (-1, (-1,)), (None, (-1,))])
def test_tokens_of_the_second_path(deep: Saved, first: int | None, layers: tuple[int, ...]) -> None:
    extractor, pixels = deep.extractor(path="values", first_value_block=first, layers=layers), random_pixels()
    patches, _ = read(extractor, pixels)
    assert extractor.layers == [str(layer % 4) for layer in layers]
    for image in range(2):
        path = second_path(deep, embedded(deep, pixels[image]), (first or 0) % 4)
        for layer, block in enumerate(layers):
            close(patches[image, layer], on_grid(in_space(deep, path[block % 4][1:])))


# --- windows ---


@pytest.mark.parametrize("windows", [(2, 3), (1,), (5, 2)])
def test_windows_of_several_sizes_one_by_one(saved: Saved, windows: tuple[int, ...]) -> None:
    extractor, pixels = saved.extractor(path="windows", windows=windows), random_pixels()
    patches, _ = read(extractor, pixels)
    assert extractor.layers == [*(f"window{side}" for side in windows), "patches"]
    assert patches.shape == (2, len(windows) + 1, ROWS, COLUMNS, WIDTH)
    for image in range(2):
        whole = embedded(saved, pixels[image])
        grid = on_grid(whole[1:])
        for layer, side in enumerate(windows):
            expected = np.zeros((ROWS, COLUMNS, WIDTH))
            for row in range(ROWS - side + 1):
                for column in range(COLUMNS - side + 1):
                    part = grid[row : row + side, column : column + side].reshape(-1, WIDTH)
                    state = states_of(saved, np.concatenate([whole[:1], part]))[-1]
                    expected[row, column, :SPACE] = in_space(saved, state[0])
            close(patches[image, layer], expected)
        close(patches[image, -1], on_grid(states_of(saved, whole)[-1][1:]))


def test_a_window_of_the_whole_grid_is_the_image(shallow: Saved) -> None:
    patches, vectors = read(shallow.extractor(path="windows", windows=(ROWS,)), random_pixels(ROWS, ROWS))
    close(patches[:, 0, 0, 0, :SPACE], vectors[:, 0, :SPACE])


def test_many_windows_come_in_parts(shallow: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, pixels = shallow.extractor(path="windows"), random_pixels()
    expected, _ = read(extractor, pixels)
    monkeypatch.setitem(TOKENS_AT_A_TIME, "cpu", 37)  # three windows of 2 x 2 for two images, one of 3 x 3
    close(read(extractor, pixels)[0], expected)


# --- what is known before loading, and what is stored ---

OPTIONS: list[dict[str, Any]] = [
    {"layers": (0, 3)},
    {"layers": (0, 3), "projected": False},
    {"path": "values", "first_value_block": -3, "layers": (1, 3)},
    {"path": "windows"},
    {"path": "windows", "fit": "square", "windows": (4,)},
    {"layers": (3,), "fit": "pad"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_layout_of_the_tokens_is_known_before_the_model_is_loaded(deep: Saved, options: dict[str, Any]) -> None:
    backbone = deep.backbone(**options)
    layout, extractor = backbone.known_layout(), backbone.load(Execution())
    assert layout is not None
    assert layout == backbone.layout_here() == backbone.assumed_layout()
    assert layout.layers == tuple(extractor.layers)
    assert layout.channels == extractor.channels
    tokens = extractor.extract(np.zeros((50, 70, 3), dtype=np.uint8))
    assert tokens.patch_tokens.shape == (layout.depth, *layout.rule.size(50, 70), layout.channels)
    assert tokens.cls_tokens.shape == (layout.depth, layout.channels)


@pytest.mark.parametrize(
    ("options", "patches", "projected"),
    [
        (OPTIONS[0], 35, 2 * 35 + 1),
        (OPTIONS[1], 35, 1),
        (OPTIONS[2], 35, 2 * 35 + 1),
        (OPTIONS[3], 35, 4 * 6 + 3 * 5 + 1),
        (OPTIONS[4], 25, 2 * 2 + 1),
        (OPTIONS[5], 25, 25 + 1),
    ],
)
def test_the_operations_are_those_that_torch_counts(
    deep: Saved, options: dict[str, Any], patches: int, projected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_attention", lambda device, dtype: BLOCKED)  # torch does not count its own
    backbone = deep.backbone(**options)
    extractor = backbone.load(Execution())
    pixels = torch.from_numpy(extractor.prepare(np.zeros((50, 70, 3), dtype=np.uint8))).permute(2, 0, 1)[None].float()
    with FlopCounterMode(display=False) as counter:
        read(extractor, pixels)
    around = 2 * patches * 3 * PATCH**2 * WIDTH + 2 * projected * WIDTH * SPACE  # nothing in large models
    assert backbone.operations(50, 70) == backbone.assumed_operations(50, 70) == counter.get_total_flops() - around


def test_memory_counts_the_windows_that_are_computed_at_a_time(deep: Saved) -> None:
    windows, plain = deep.backbone(path="windows"), deep.backbone(projected=False)
    assert windows.working_bytes(50, 70) > 5 * plain.working_bytes(50, 70)
    assert windows.working_bytes(500, 50) < 100 * plain.working_bytes(50, 70)


def test_features_hold_the_images_of_one_file_as_the_network_gives_them(deep: Saved, tmp_path: Path) -> None:
    images = {"a.png": (40, 56), "b.png": (56, 40), "c.png": (40, 56)}
    generator = np.random.default_rng(0)
    listed = []
    for name, size in images.items():
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / name)
        listed.append(ListedImage(name, str(tmp_path / name), "test", *size, file_sha256(tmp_path / name)))
    write_images(tmp_path / "images.csv", listed)
    backbone = deep.backbone(path="windows")
    extract_features(
        image_list=tmp_path / "images.csv",
        category="tile",
        subset="test",
        view="original",
        backbone=backbone,
        execution=Execution(workers=0),
        output=tmp_path / "features.h5",
        provenance={"stage": "extract_features"},
    )
    extractor = backbone.load(Execution())
    with FeatureReader(tmp_path / "features.h5") as reader:
        assert reader.layers == ["window2", "window3", "patches"]
        assert reader.grid_sizes.tolist() == [[5, 7], [7, 5], [5, 7]]
        assert reader.provenance["backbone"]["path"] == "windows"
        for index, name in enumerate(images):
            expected = extractor.extract(read_image(tmp_path / name))
            stored = reader.patch_tokens(index)
            np.testing.assert_allclose(stored, expected.patch_tokens, rtol=2e-3, atol=1e-3 * np.abs(stored).max())
            np.testing.assert_allclose(reader.cls_tokens()[index], expected.cls_tokens, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"path": "plain"}, {"path": "values", "first_value_block": 0}])
def test_tiles_are_read_like_images_and_their_vectors_averaged(deep: Saved, options: dict[str, Any]) -> None:
    pixels = random_pixels(4, 8)
    whole = read(deep.extractor(**options, resolution=16), pixels[..., :16])
    tiles = read(deep.extractor(**options, resolution=16, tile=16), pixels)
    other = read(deep.extractor(**options, resolution=16), pixels[..., 16:])
    close(tiles[0], torch.cat([whole[0], other[0]], dim=3))
    close(tiles[1], (whole[1] + other[1]) / 2)


@pytest.mark.parametrize("options", [{}, {"path": "values", "first_value_block": -2}, {"path": "windows"}])
def test_sixteen_bits_are_near_all_bits(deep: Saved, options: dict[str, Any]) -> None:
    pixels = random_pixels()
    exact, rounded = (read(deep.extractor(**options, dtype=dtype), pixels) for dtype in ("float32", "bfloat16"))
    for found, expected in zip(rounded, exact, strict=True):
        assert found.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.995


def test_a_compiled_reader_reads_the_same(shallow: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    extractor = shallow.backbone(path="windows", windows=(2,)).load(Execution(compiled=True))
    expected = read(shallow.extractor(path="windows", windows=(2,)), random_pixels())
    for found, right in zip(read(extractor, random_pixels()), expected, strict=True):
        close(found, right)


# --- by name ---


def test_a_bare_word_is_a_model_of_the_family_transformers() -> None:
    assert find_family("clip-vitl14")[0] == "transformers"
    assert len(set(model_names())) == len(model_names())


def test_a_named_model_brings_what_suits_it() -> None:
    assert completed("image_text", {"model": "clip-vitl14-336", "path": "windows"}) == {
        "model": "openai/clip-vit-large-patch14-336",
        "resolution": 336,
        "layers": (-1,),
        "path": "windows",
    }


def test_the_layout_of_a_published_model_is_known() -> None:
    windows = ImageText(model="clip-vitl14", path="windows", resolution=224).known_layout()
    assert windows == TokenLayout(GridRule(16), ("window2", "window3", "patches"), 1024)
    assert ImageText(model="clip-vitl14", resolution=224).known_layout() == TokenLayout(GridRule(16), ("23",), 768)
    square = ImageText(model="clip-vitl14", resolution=518, fit="square", path="values", layers=(5, -1)).known_layout()
    assert square == TokenLayout(GridRule(37, fit="square"), ("5", "23"), 768)
    assert square.rule.size(300, 900) == (37, 37)


# --- what does not go together ---


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"path": "windows", "windows": (2, 6)}, "a window of 6 patches is larger than the grid of model"),
        ({"path": "windows", "windows": (2, 2)}, "contain a side twice"),
        ({"path": "windows", "layers": (0,)}, "remove layers"),
        ({"path": "windows", "tile": 16}, "remove tile and debias"),
        ({"path": "windows", "fit": "pad"}, "remove tile and debias"),
        ({"path": "windows", "projected": False}, "path windows is for the space of texts"),
        ({"path": "values", "projected": False}, "path values is for the space of texts"),
        (
            {"path": "values", "first_value_block": -19},
            "has no block -19 for first_value_block; its 2 blocks are 0 to 1, or -2 to -1",
        ),
        ({"path": "values", "first_value_block": 1, "layers": (0, 1)}, "is before the second path"),
        ({"layers": (2,)}, "has no layer 2"),
        ({"head": "head.pth"}, "head head.pth is not supported by model"),
    ],
)
def test_what_does_not_fit_the_model_is_said_before_it_is_loaded(
    shallow: Saved, options: dict[str, Any], sentence: str
) -> None:
    for refuse in (lambda backbone: backbone.check_model(), lambda backbone: backbone.load(Execution())):
        with pytest.raises(ConfigError, match=sentence) as caught:
            refuse(shallow.backbone(**options))
        assert "\n" not in str(caught.value)


def test_a_model_without_texts_is_refused(tmp_path: Path) -> None:
    Dinov2Model(Dinov2Config(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=28)).save_pretrained(
        tmp_path
    )
    backbone = ImageText(model=str(tmp_path), resolution=28)
    for refuse in (backbone.check_model, lambda: backbone.load(Execution())):
        with pytest.raises(ConfigError, match="has no texts; use it with `family: transformers`"):
            refuse()


@pytest.mark.parametrize("path", ["plain", "values", "windows"])
@pytest.mark.parametrize("model", ["dinov2-small", "dinov3-convnext-tiny", "dino-vits16"])
def test_a_published_model_without_texts_is_refused(model: str, path: str) -> None:
    with pytest.raises(ConfigError, match=f"model '{model}' has no texts"):
        ImageText(model=model, path=path).check_model()


def test_a_published_model_is_checked_by_its_name() -> None:
    ImageText(model="clip-vitl14-336", resolution=518, path="values", fit="square").check_model()
    ImageText(model="clip-vitb16", resolution=240, path="windows").check_model()
    with pytest.raises(ConfigError, match="no block -19 for first_value_block; its 12 blocks"):
        ImageText(model="clip-vitb16", resolution=240, path="values", first_value_block=-19).check_model()
    with pytest.raises(ConfigError, match="a window of 3 patches is larger than the grid"):
        ImageText(model="clip-vitb16", resolution=32, path="windows").check_model()
