"""Embedding and decoding against the libraries' own ways, and each library against the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_model
from torch.nn.functional import interpolate, pad

import tiny_sam
from closeness import assert_close
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.segmentation.base import MASK_PROMPT_RANGE, Candidates, Prompt, Segmenter
from zsad.segmentation.segment_anything import SegmentAnything
from zsad.segmentation.torchvision_standin import segment_anything_modeling
from zsad.segmentation.transformers_sam import TransformersSam

FAMILIES = list(tiny_sam.MAKERS)
ALL = ["segment_anything", *FAMILIES]
SIZES = [(50, 70), (90, 40), (64, 64)]
HALF_PRECISION = {"atol": 2e-3, "rtol": 2e-3}
NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, int)

# The tensors of segment_anything by their names in transformers, by regular expressions in this order.
RENAMED = (
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.blocks\.", ".layers."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"norm_final_attn", "layer_norm_final_attn"),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"point_embeddings\.", "point_embed."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"(hypernetworks_mlps\.\d|iou_prediction_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(hypernetworks_mlps\.\d|iou_prediction_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(hypernetworks_mlps\.\d|iou_prediction_head)\.layers\.2\.", r"\1.proj_out."),
)


def write_as_transformers(network: torch.nn.Module, folder: Path) -> Path:
    """Write a ``Sam`` of ``segment_anything`` as a folder of ``transformers``."""
    state = {}
    for key, tensor in network.state_dict().items():
        for pattern, replacement in RENAMED:
            key = re.sub(pattern, replacement, key)
        state[key] = tensor
    state["shared_image_embedding.positional_embedding"] = state[
        "prompt_encoder.shared_embedding.positional_embedding"
    ].clone()
    model = tiny_sam.transformers_network("sam")
    model.load_state_dict(state, strict=True)
    # The published configurations have 1e-6 here, where the authors' decoder has PyTorch's default.
    model.config.mask_decoder_config.layer_norm_eps = 1e-5
    model.save_pretrained(folder)
    return folder


def photograph(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prompts_on(height: int, width: int) -> list[Prompt]:
    """Every kind of prompt, mixed; some at the corners of the image."""
    rng = np.random.default_rng(height)
    size = np.array([width, height])
    two = rng.random((2, 2)) * size
    near, far = np.sort(rng.random((2, 2)), axis=0) * size
    box = (*near, *far)
    whole = (0, 0, width, height)
    mask = rng.normal(size=(7, 9)) * 4
    fine = np.clip(rng.normal(size=(height, width)) * 6, -MASK_PROMPT_RANGE, MASK_PROMPT_RANGE)
    corners = np.array([[0, 0], [width - 1, height - 1]])
    return [
        Prompt(box, NO_POINTS, NO_LABELS),
        Prompt(None, two, np.array([1, 0])),
        Prompt(whole, NO_POINTS, NO_LABELS),
        Prompt(None, two[:1], np.array([1])),
        Prompt(box, two, np.array([0, 1])),
        Prompt(None, NO_POINTS, NO_LABELS, mask),
        Prompt(None, corners, np.array([1, 1])),
        Prompt(whole, NO_POINTS, NO_LABELS, fine),
        Prompt(box, two[1:], np.array([0]), mask),
        Prompt(None, two, np.array([1, 1]), fine),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    tiny_sam.write_segment_anything(path / "segment_anything.pth")
    for family in FAMILIES:
        tiny_sam.write_transformers(path / family, family)
    return path


@pytest.fixture(scope="module")
def segmenters(folder: Path) -> dict[str, Segmenter]:
    """A loaded model of each family, in float32."""
    loaded = {family: TransformersSam(model=str(folder / family), dtype="float32").load("cpu") for family in FAMILIES}
    authors = SegmentAnything(model=str(folder / "segment_anything.pth"), dtype="float32")
    return {**loaded, "segment_anything": authors.load("cpu")}


def assert_same(found: Candidates, logits: torch.Tensor, quality: torch.Tensor) -> None:
    assert found.logits.dtype == found.quality.dtype == np.float32
    assert_close(found.logits, logits)
    assert_close(found.quality, quality)


def mask_input(prompt: Prompt, size: tuple[int, int], filled: tuple[int, int]) -> torch.Tensor | None:
    """The mask prompt on a grid of 32 x 32, of which the image fills some rows and columns; ``[1, 32, 32]``."""
    if prompt.mask is None:
        return None
    grid = torch.tensor(prompt.mask, dtype=torch.float32)[None, None]
    inside = interpolate(grid, filled, mode="bilinear", antialias=True)
    return pad(inside, (0, 32 - filled[1], 0, 32 - filled[0]), value=-MASK_PROMPT_RANGE)[0]


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_segment_anything_is_its_own_predictor(
    size: tuple[int, int], several: bool, segmenters: dict[str, Segmenter]
) -> None:
    segment_anything_modeling()
    from segment_anything import SamPredictor

    segmenter, image = segmenters["segment_anything"], photograph(*size)
    predictor = SamPredictor(tiny_sam.segment_anything_network())
    predictor.set_image(image)
    embedding = segmenter.embed([segmenter.prepare(image)])[0]
    np.testing.assert_allclose(embedding[0], predictor.features[0], **HALF_PRECISION)  # rounded to float16
    predictor.features = torch.tensor(embedding[0], dtype=torch.float32)[None]
    prompts = prompts_on(*size)
    filled = tuple(int(length * 32 / max(size) + 0.5) for length in size)
    for prompt, found in zip(prompts, segmenter.decode(embedding, *size, prompts, several=several), strict=True):
        transform, points = predictor.transform, len(prompt.points)
        masks = mask_input(prompt, size, filled)
        logits, quality, _ = predictor.predict_torch(
            torch.tensor(transform.apply_coords(prompt.points, size), dtype=torch.float)[None] if points else None,
            torch.tensor(prompt.labels)[None] if points else None,
            torch.tensor(transform.apply_boxes(np.array(prompt.box), size), dtype=torch.float) if prompt.box else None,
            masks if masks is None else masks[None],
            multimask_output=several,
            return_logits=True,
        )
        assert_same(found, logits[0], quality[0])


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_transformers_gives_what_its_own_forward_gives(
    family: str, several: bool, segmenters: dict[str, Segmenter]
) -> None:
    """In the order of operations of its processor: resize, normalise, forward, upscale."""
    segmenter, size = segmenters[family], (50, 70)
    image = photograph(*size)
    model = tiny_sam.transformers_network(family)
    side = model.prompt_encoder.input_image_size
    padded = family in ("sam", "sam_hq")
    filled = (round(50 * side / 70), side) if padded else (side, side)
    prepared = segmenter.prepare(image)
    assert prepared.shape == (*filled, 3)
    mean, std = ((0.5,) * 3, (0.5,) * 3) if family == "sam3_tracker" else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    pixels = torch.tensor((prepared / 255 - mean) / std, dtype=torch.float32).permute(2, 0, 1)
    pixels = pad(pixels, (0, side - filled[1], 0, side - filled[0]))[None]
    embedding = segmenter.embed([prepared])[0]
    given, arrays = embeddings_of(model, family, pixels)
    for array, expected in zip(embedding, arrays, strict=True):
        np.testing.assert_allclose(array, expected[0].half(), **HALF_PRECISION)
    scale = torch.tensor([filled[1] / 70, filled[0] / 50], dtype=torch.float64)
    grid = (round(50 * 32 / 70), 32) if padded else (32, 32)
    prompts = prompts_on(*size)
    rounded = tuple(array.half().numpy()[0] for array in arrays)
    for prompt, found in zip(prompts, segmenter.decode(rounded, *size, prompts, several=several), strict=True):
        masks = mask_input(prompt, size, grid)
        with torch.no_grad():
            output = model(
                **given,
                input_points=(torch.tensor(prompt.points) * scale).float()[None, None] if len(prompt.points) else None,
                input_labels=torch.tensor(prompt.labels)[None, None] if len(prompt.points) else None,
                input_boxes=None
                if prompt.box is None
                else (torch.tensor(prompt.box, dtype=torch.float64).view(2, 2) * scale).float().view(1, 1, 4),
                input_masks=None if masks is None else masks[None],
                multimask_output=several,
            )
        logits = output.pred_masks[:, 0]
        if padded:
            logits = interpolate(logits, (side, side), mode="bilinear")[..., : filled[0], : filled[1]]
        assert_same(found, interpolate(logits, size, mode="bilinear")[0], output.iou_scores[0, 0])


def embeddings_of(
    model: transformers.PreTrainedModel, family: str, pixels: torch.Tensor
) -> tuple[dict[str, object], list[torch.Tensor]]:
    """What a model's forward takes in place of pixels, rounded to float16, and the arrays that are stored of it."""

    def rounded(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.half().float()

    made = model.get_image_embeddings(pixels)
    if family == "sam":
        return {"image_embeddings": rounded(made)}, [made]
    if family == "sam_hq":
        features, intermediate = made
        given = {"image_embeddings": rounded(features), "intermediate_embeddings": [*map(rounded, intermediate)]}
        return given, [features, intermediate[0]]
    return {"image_embeddings": [*map(rounded, made)]}, made


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_both_libraries_agree_on_the_same_weights(
    size: tuple[int, int], several: bool, segmenters: dict[str, Segmenter], same_weights: Segmenter
) -> None:
    authors, image = segmenters["segment_anything"], photograph(*size)
    np.testing.assert_array_equal(authors.prepare(image), same_weights.prepare(image))
    ours, theirs = (model.embed([model.prepare(image)])[0][0] for model in (authors, same_weights))
    np.testing.assert_allclose(ours, theirs, **HALF_PRECISION)
    prompts = prompts_on(*size)
    for one, other in zip(
        authors.decode((ours,), *size, prompts, several=several),
        same_weights.decode((ours,), *size, prompts, several=several),
        strict=True,
    ):
        assert_same(one, other.logits, other.quality)


@pytest.fixture(scope="module")
def same_weights(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    """The weights of ``segment_anything`` by ``transformers``."""
    folder = write_as_transformers(tiny_sam.segment_anything_network(), tmp_path_factory.mktemp("renamed"))
    return TransformersSam(model=str(folder), dtype="float32").load("cpu")


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("family", ALL)
def test_prompts_together_are_prompts_one_by_one_in_order(
    family: str, several: bool, segmenters: dict[str, Segmenter]
) -> None:
    segmenter, size = segmenters[family], (50, 70)
    embedding = segmenter.embed([segmenter.prepare(photograph(*size))])[0]
    prompts = [prompt for height in (50, 51, 52) for prompt in prompts_on(height, 70)]
    together = segmenter.decode(embedding, *size, prompts, several=several)
    for prompt, found in zip(prompts, together, strict=True):
        assert found.logits.shape == (3 if several else 1, *size)
        assert found.quality.shape == found.logits.shape[:1]
        alone = segmenter.decode(embedding, *size, [prompt], several=several)[0]
        assert_same(found, alone.logits, alone.quality)
    assert len({found.logits.tobytes() for found in together}) == len(prompts)


@pytest.mark.parametrize("family", ALL)
def test_images_together_are_images_one_by_one(family: str, folder: Path) -> None:
    name = "segment_anything.pth" if family == "segment_anything" else family
    part = SegmentAnything if family == "segment_anything" else TransformersSam
    segmenter = part(model=str(folder / name), dtype="float32").load("cpu", batch=2)
    prepared = [segmenter.prepare(photograph(*size)) for size in SIZES]
    assert segmenter.capacity() == 2
    for together, image in zip(segmenter.embed(prepared), prepared, strict=True):
        for array, alone, shape in zip(together, segmenter.embed([image])[0], segmenter.shapes, strict=True):
            assert array.shape == shape
            assert array.dtype == np.float16
            np.testing.assert_allclose(array, alone, **HALF_PRECISION)


@pytest.mark.parametrize("family", ALL)
def test_a_cached_embedding_gives_the_very_candidates_of_a_fresh_one(
    family: str, segmenters: dict[str, Segmenter], tmp_path: Path
) -> None:
    segmenter = segmenters[family]
    ids = [f"{height}x{width}" for height, width in SIZES]
    fresh = segmenter.embed([segmenter.prepare(photograph(*size)) for size in SIZES])
    windows = np.array([(0, 0, width, height) for height, width in SIZES])
    with EmbeddingWriter(tmp_path / "a.h5", ids, {}, windows=windows, shapes=segmenter.shapes) as writer:
        for index, embedding in enumerate(fresh):
            writer.write(index, embedding)
    with EmbeddingReader(tmp_path / "a.h5") as reader:
        for place, size in enumerate(SIZES):
            cached = reader.find(ids[place], (0, 0, size[1], size[0]))
            prompts = prompts_on(*size)
            for one, other in zip(
                segmenter.decode(fresh[place], *size, prompts),
                segmenter.decode(cached, *size, prompts),
                strict=True,
            ):
                np.testing.assert_array_equal(one.logits, other.logits)
                np.testing.assert_array_equal(one.quality, other.quality)


@pytest.mark.parametrize("family", ALL)
def test_an_embedding_in_bfloat16_is_close_to_one_in_float32(
    family: str, folder: Path, segmenters: dict[str, Segmenter]
) -> None:
    name = "segment_anything.pth" if family == "segment_anything" else family
    part = SegmentAnything if family == "segment_anything" else TransformersSam
    segmenter = part(model=str(folder / name), dtype="bfloat16").load("cpu")
    assert segmenter.model["dtype"] == "bfloat16"
    prepared = segmenter.prepare(photograph(50, 70))
    for half, full in zip(segmenter.embed([prepared])[0], segmenters[family].embed([prepared])[0], strict=True):
        half, full = half.astype(np.float64), full.astype(np.float64)
        assert 0 < np.linalg.norm(half - full) < 0.03 * np.linalg.norm(full)


def with_a_fourth_level(folder: Path, target: Path) -> Path:
    """A tracker of SAM 3 as it is published: its neck makes a fourth level, which is not used."""
    model = tiny_sam.transformers_network("sam3_tracker")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["scale_factors"] = [4.0, 2.0, 1.0, 0.5]
    wider = transformers.Sam3TrackerModel(transformers.Sam3TrackerConfig.from_dict(config))
    missing, unexpected = wider.load_state_dict(model.state_dict(), strict=False)
    assert not unexpected
    assert all(".fpn_layers.3." in key for key in missing)
    wider.save_pretrained(target)
    return target


def test_levels_that_are_not_used_change_nothing(
    folder: Path, segmenters: dict[str, Segmenter], tmp_path: Path
) -> None:
    wider = TransformersSam(model=str(with_a_fourth_level(folder / "sam3_tracker", tmp_path)), dtype="float32")
    segmenter = wider.load("cpu")
    prepared = segmenter.prepare(photograph(50, 70))
    expected = segmenters["sam3_tracker"].embed([prepared])[0]
    for array, same in zip(segmenter.embed([prepared])[0], expected, strict=True):
        np.testing.assert_allclose(array, same, **HALF_PRECISION)


MEMORY = {
    "memory_attention_hidden_size": 32,
    "memory_attention_num_layers": 1,
    "memory_attention_feed_forward_hidden_size": 16,
    "memory_encoder_hidden_size": 32,
    "memory_encoder_output_channels": 16,
    "mask_downsampler_embed_dim": 32,
    "memory_fuser_num_layers": 1,
    "memory_fuser_embed_dim": 32,
    "memory_fuser_intermediate_dim": 16,
    "memory_attention_rope_feat_sizes": [8, 8],
}
SMALL = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 32,
    "projection_dim": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
}


def video_parts(image_model: transformers.PreTrainedModel) -> dict[str, object]:
    """The configuration of a model for videos that holds a model for images."""
    config = image_model.config
    parts: dict[str, object] = {"vision_config": config.vision_config.to_dict(), **MEMORY}
    for key in ("prompt_encoder_config", "mask_decoder_config"):
        given = getattr(config, key).to_dict()
        parts[key] = {name: value for name, value in given.items() if name != "model_type"}
    return {**parts, "image_size": image_model.prompt_encoder.input_image_size}


def sam2_video() -> tuple[str, transformers.PreTrainedModel]:
    image_model = tiny_sam.transformers_network("sam2")
    model = transformers.Sam2VideoModel(transformers.Sam2VideoConfig(**video_parts(image_model)))
    assert not model.load_state_dict(image_model.state_dict(), strict=False).unexpected_keys
    return "sam2", model


def sam3_tracker_video() -> tuple[str, transformers.PreTrainedModel]:
    image_model = tiny_sam.transformers_network("sam3_tracker")
    model = transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig(**video_parts(image_model)))
    assert not model.load_state_dict(image_model.state_dict(), strict=False).unexpected_keys
    return "sam3_tracker", model


def sam3_video() -> tuple[str, transformers.PreTrainedModel]:
    """As SAM 3 is published: the tracker shares the backbone of the detector, and has a fourth level."""
    image_model = tiny_sam.transformers_network("sam3_tracker")
    tracker = video_parts(image_model)
    vision = {**tracker["vision_config"], "scale_factors": [4.0, 2.0, 1.0, 0.5]}
    detector = {
        "vision_config": vision,
        "text_config": TEXT,
        "geometry_encoder_config": SMALL,
        "detr_encoder_config": SMALL,
        "detr_decoder_config": {**SMALL, "num_queries": 4},
        "mask_decoder_config": {"hidden_size": 32, "num_upsampling_stages": 2, "num_attention_heads": 2},
        "image_size": tracker["image_size"],
    }
    config = transformers.Sam3VideoConfig(detector_config=detector, tracker_config={**tracker, "vision_config": vision})
    model = transformers.Sam3VideoModel(config)
    places = (
        ("vision_encoder.backbone.", "detector_model.vision_encoder.backbone."),
        ("vision_encoder.neck.", "tracker_neck."),
        ("", "tracker_model."),
    )
    state = {}
    for key, tensor in image_model.state_dict().items():
        old, new = next(place for place in places if key.startswith(place[0]))
        state[new + key.removeprefix(old)] = tensor
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    return "sam3_tracker", model


@pytest.mark.parametrize("make", [sam2_video, sam3_tracker_video, sam3_video])
def test_the_image_model_of_a_checkpoint_for_videos_is_used(
    make: Callable[[], tuple[str, transformers.PreTrainedModel]], segmenters: dict[str, Segmenter], tmp_path: Path
) -> None:
    family, model = make()
    model.config.save_pretrained(tmp_path)
    save_model(model, tmp_path / "model.safetensors", metadata={"format": "pt"})
    segmenter = TransformersSam(model=str(tmp_path), dtype="float32").load("cpu")
    prepared = segmenter.prepare(photograph(50, 70))
    embedding = segmenter.embed([prepared])[0]
    for array, same in zip(embedding, segmenters[family].embed([prepared])[0], strict=True):
        np.testing.assert_allclose(array, same, **HALF_PRECISION)
    prompts = prompts_on(50, 70)[:2]
    found = segmenter.decode(embedding, 50, 70, prompts)
    for one, other in zip(found, segmenters[family].decode(embedding, 50, 70, prompts), strict=True):
        assert_same(one, other.logits, other.quality)
