"""The tokens of every family against a plain forward pass, and against what transformers itself puts out."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from reference_networks import (
    Size,
    Weights,
    bilinear,
    convnext_stages,
    final_norm,
    layer_norm,
    linear,
    transformer_states,
)
from token_readers import as_image, random_pixels, read
from transformers import (
    AutoConfig,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
)

from closeness import assert_close
from random_weights import exact_weights, randomise
from zsad.errors import ConfigError, ModelError
from zsad.models.families import FAMILIES, Family, TokenReader, family_of

PATCH, HIDDEN, HEADS, BLOCKS, TRAINED_SIDE, PROJECTED = 4, 32, 4, 3, 16, 24
SIZE = Size(PATCH, TRAINED_SIDE, HEADS, BLOCKS)
SHARED: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "patch_size": PATCH,
    "image_size": TRAINED_SIDE,
}
VISION = SHARED | {"intermediate_size": 48, "projection_dim": PROJECTED}
TEXT = {"vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
DEPTHS, WIDTHS = (1, 2, 1, 1), (6, 10, 12, 16)
GATED_V3 = {"intermediate_size": 40, "use_gated_mlp": True, "hidden_act": "silu", "num_register_tokens": 4}

MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "dino": lambda: ViTModel(ViTConfig(**SHARED, intermediate_size=64), add_pooling_layer=False),
    "dinov2": lambda: Dinov2Model(Dinov2Config(**SHARED, mlp_ratio=2)),
    "dinov2 giant": lambda: Dinov2Model(Dinov2Config(**SHARED, mlp_ratio=2, use_swiglu_ffn=True)),
    "dinov2 with registers": lambda: Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**SHARED, mlp_ratio=2, num_register_tokens=3)
    ),
    "dinov3": lambda: DINOv3ViTModel(DINOv3ViTConfig(**SHARED, intermediate_size=64, num_register_tokens=4)),
    "dinov3 7b": lambda: DINOv3ViTModel(DINOv3ViTConfig(**SHARED, **GATED_V3)),
    "clip": lambda: CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=PROJECTED)),
    "clip tower": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)),
    "convnext": lambda: DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=list(WIDTHS), depths=list(DEPTHS))),
}
TRANSFORMERS = [case for case in MODELS if case != "convnext"]
REGISTERS = {"dinov2 with registers": 3, "dinov3": 4, "dinov3 7b": 4}
VIT_SIZES = [(16, 16), (24, 24), (16, 28), (8, 32)]  # the last has as many patches as were trained, in another shape


class Saved(NamedTuple):
    case: str
    folder: Path
    weights: Weights

    @property
    def layout(self) -> str:
        """What the plain forward pass calls the family."""
        model_type = AutoConfig.from_pretrained(self.folder).model_type
        return "clip" if model_type == "clip_vision_model" else model_type


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Saved]:
    """Small checkpoints in which every weight matters."""
    saved = {}
    for case, make in MODELS.items():
        model = make()
        randomise(model, scale=0.3, seed=3)
        folder = tmp_path_factory.mktemp(case.replace(" ", "_"))
        model.save_pretrained(folder)
        saved[case] = Saved(case, folder, exact_weights(model))
    return saved


@pytest.fixture(params=list(MODELS))
def saved(request: pytest.FixtureRequest, saved_models: dict[str, Saved]) -> Saved:
    return saved_models[request.param]


@pytest.fixture(params=TRANSFORMERS)
def transformer(request: pytest.FixtureRequest, saved_models: dict[str, Saved]) -> Saved:
    return saved_models[request.param]


@pytest.fixture
def convnext(saved_models: dict[str, Saved]) -> Saved:
    return saved_models["convnext"]


def loaded(folder: Path) -> tuple[Family, PreTrainedModel, Any]:
    config = AutoConfig.from_pretrained(folder)
    family = family_of(config.model_type, str(folder))
    network, info = family.model_class().from_pretrained(
        folder, config=family.config_for(config), output_loading_info=True, **family.load_arguments
    )
    assert not info["missing_keys"]
    return family, network.eval(), config


def reader_of(saved: Saved, layers: Sequence[int] = (-1,), normed: bool = True, projected: bool = False) -> TokenReader:
    family, network, config = loaded(saved.folder)
    return family.reader(network, config, layers=tuple(layers), normed=normed, projected=projected, name="tiny")


def assert_tokens(actual: torch.Tensor, expected: np.ndarray | torch.Tensor) -> None:
    assert actual.dtype == torch.float32
    assert_close(actual, expected)


@pytest.mark.parametrize("size", VIT_SIZES)
@pytest.mark.parametrize("normed", [True, False])
def test_tokens_of_every_block_equal_a_plain_forward_pass(
    transformer: Saved, size: tuple[int, int], normed: bool
) -> None:
    reader = reader_of(transformer, layers=(2, 0, -2), normed=normed)
    prefix = 1 + REGISTERS.get(transformer.case, 0)
    rows, columns = size[0] // PATCH, size[1] // PATCH
    pixels = random_pixels(*size)
    patch_tokens, cls_tokens = read(reader, pixels)

    assert (reader.layers, reader.channels, reader.prefix_tokens) == (["2", "0", "1"], HIDDEN, prefix)
    assert (reader.patch, reader.stride, reader.cls_source) == (PATCH, PATCH, "class token")
    assert patch_tokens.shape == (2, 3, rows, columns, HIDDEN)
    for image in range(2):
        states = transformer_states(transformer.layout, transformer.weights, as_image(pixels[image]), SIZE)
        for place, block in enumerate((2, 0, 1)):
            state = states[block]
            assert len(state) == prefix + rows * columns
            if normed:
                state = final_norm(transformer.layout, transformer.weights, state)
            assert_tokens(patch_tokens[image, place], state[prefix:].reshape(rows, columns, HIDDEN))
            assert_tokens(cls_tokens[image, place], state[0])


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (32, 96)])
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("stages", [(0,), (1,), (2,), (3,), (3, 1), (0, 2, -1)])
def test_tokens_of_every_stage_equal_a_plain_forward_pass(
    convnext: Saved, size: tuple[int, int], normed: bool, stages: tuple[int, ...]
) -> None:
    reader = reader_of(convnext, layers=stages, normed=normed)
    pixels = random_pixels(*size, images=1)
    patch_tokens, cls_tokens = read(reader, pixels)

    chosen = [stage % 4 for stage in stages]
    stride, width = 4 * 2 ** min(chosen), WIDTHS[max(chosen)]
    rows, columns = size[0] // stride, size[1] // stride
    assert (reader.layers, reader.channels, reader.prefix_tokens) == ([str(stage) for stage in chosen], width, 0)
    assert (reader.patch, reader.stride, reader.cls_source) == (32, stride, "mean of patch tokens")
    assert patch_tokens.shape == (1, len(stages), rows, columns, width)
    features = convnext_stages(convnext.weights, as_image(pixels[0]), DEPTHS)
    for place, stage in enumerate(chosen):
        patches, mean = bilinear(features[stage], rows, columns), features[stage].mean(axis=(0, 1))
        if normed and stage == 3:
            patches, mean = (layer_norm(values, convnext.weights, "layer_norm", 1e-6) for values in (patches, mean))
        own = WIDTHS[stage]
        assert_tokens(patch_tokens[0, place, ..., :own], patches)
        assert_tokens(cls_tokens[0, place, :own], mean)
        assert not patch_tokens[0, place, ..., own:].any()
        assert not cls_tokens[0, place, own:].any()


@pytest.mark.parametrize("size", [(16, 16), (24, 24), (16, 28)])
@pytest.mark.parametrize("case", ["clip", "clip tower"])
def test_projected_tokens_lie_in_the_space_of_the_texts(
    saved_models: dict[str, Saved], case: str, size: tuple[int, int]
) -> None:
    saved = saved_models[case]
    reader = reader_of(saved, layers=(-1, 0), normed=False, projected=True)
    pixels = random_pixels(*size)
    patch_tokens, cls_tokens = read(reader, pixels)

    assert reader.channels == PROJECTED
    for image in range(2):
        states = transformer_states("clip", saved.weights, as_image(pixels[image]), SIZE)
        for place, block in enumerate((2, 0)):
            projected = linear(final_norm("clip", saved.weights, states[block]), saved.weights, "visual_projection")
            assert_tokens(patch_tokens[image, place].flatten(0, 1), projected[1:])
            assert_tokens(cls_tokens[image, place], projected[0])


def test_the_projected_class_token_is_what_transformers_calls_the_image_embedding(
    saved_models: dict[str, Saved],
) -> None:
    folder = saved_models["clip"].folder
    pixels = random_pixels(16, 24)
    _, cls_tokens = read(reader_of(saved_models["clip"], projected=True), pixels)
    with torch.inference_mode():
        both_towers = CLIPModel.from_pretrained(folder).eval()
        expected = both_towers.get_image_features(pixels, interpolate_pos_encoding=True).pooler_output
    assert_tokens(cls_tokens[:, 0], expected)


@pytest.mark.parametrize("case", ["dino", "dinov2", "dinov2 with registers", "dinov3", "convnext"])
def test_the_normed_last_layer_is_what_transformers_calls_the_output(saved_models: dict[str, Saved], case: str) -> None:
    pixels = random_pixels(32, 64)
    patch_tokens, cls_tokens = read(reader_of(saved_models[case]), pixels)
    family, network, _ = loaded(saved_models[case].folder)
    with torch.inference_mode():
        output = network(pixels, **getattr(family, "forward_arguments", {})).last_hidden_state
    count = patch_tokens.shape[2] * patch_tokens.shape[3]
    assert_tokens(patch_tokens[:, 0].flatten(1, 2), output[:, -count:])
    assert_tokens(cls_tokens[:, 0], output[:, 0])


def test_layers_that_are_not_needed_are_removed_which_changes_nothing(saved: Saved) -> None:
    family, whole, config = loaded(saved.folder)
    pixels = random_pixels(32, 64)
    last = family.layer_count(config) - 1
    sizes = []
    for layer in range(last):
        _, cut, _ = loaded(saved.folder)
        reader = family.reader(cut, config, layers=(layer,), normed=True, projected=False, name="tiny")
        (expected, expected_cls), (actual, actual_cls) = (
            read(reader_of(saved, (layer, last)), pixels),
            read(reader, pixels),
        )
        assert_tokens(actual[:, 0], expected[:, 0, ..., : reader.channels])
        assert_tokens(actual_cls[:, 0], expected_cls[:, 0, ..., : reader.channels])
        sizes.append(sum(parameter.numel() for parameter in cut.parameters()))
    sizes.append(sum(parameter.numel() for parameter in whole.parameters()))
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("normed", [True, False])
def test_class_and_register_tokens_never_reach_the_patch_tokens(transformer: Saved, normed: bool) -> None:
    family, network, config = loaded(transformer.folder)
    spoilt = slice(0, 0)

    def spoil(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, spoilt] = torch.nan
        return output

    family.blocks(network)[-1].register_forward_hook(spoil)
    reader = family.reader(network, config, layers=(-1,), normed=normed, projected=False, name="tiny")
    pixels = random_pixels(16, 24)
    patch_tokens, cls_tokens = read(reader, pixels)
    spoilt = slice(1, reader.prefix_tokens)
    without_registers = read(reader, pixels)
    spoilt = slice(0, reader.prefix_tokens)
    without_prefix = read(reader, pixels)
    spoilt = slice(0, reader.prefix_tokens + 1)
    without_first_patch = read(reader, pixels)

    assert torch.equal(without_registers[0], patch_tokens)
    assert torch.equal(without_registers[1], cls_tokens)
    assert torch.equal(without_prefix[0], patch_tokens)
    assert without_prefix[1].isnan().all()
    assert without_first_patch[0][:, 0, 0, 0].isnan().all()
    assert not without_first_patch[0][:, 0, 0, 1:].isnan().any()


def test_the_text_tower_of_clip_is_not_loaded(saved_models: dict[str, Saved]) -> None:
    _, network, _ = loaded(saved_models["clip"].folder)
    expected = {name for name in saved_models["clip"].weights if name.startswith(("vision_model", "visual"))}
    assert {name for name, _ in network.named_parameters()} == expected


def test_a_tower_without_projection_loads_where_no_projection_is_asked_for(tmp_path: Path) -> None:
    CLIPVisionModel(CLIPVisionConfig(**VISION)).save_pretrained(tmp_path)
    family = family_of(AutoConfig.from_pretrained(tmp_path).model_type, "tiny")
    _, info = family.model_class().from_pretrained(tmp_path, output_loading_info=True)
    missing = set(info["missing_keys"])
    assert missing <= set(family.optional_weights(projected=False))
    assert not missing <= set(family.optional_weights(projected=True))


@pytest.mark.parametrize("case", ["dinov2", "dinov3"])
def test_the_mask_token_may_be_missing(saved_models: dict[str, Saved], case: str) -> None:
    family, network, _ = loaded(saved_models[case].folder)
    optional = family.optional_weights(projected=False)
    assert optional == ("embeddings.mask_token",)
    assert set(optional) <= set(network.state_dict())


def test_no_output_of_a_block_outlives_the_call(saved: Saved) -> None:
    family, network, config = loaded(saved.folder)
    reader = family.reader(network, config, layers=(0, 1), normed=False, projected=False, name="tiny")
    blocks = network.model.stages if saved.case == "convnext" else family.blocks(network)
    outputs: list[weakref.ref[torch.Tensor]] = []
    for block in blocks:
        block.register_forward_hook(lambda module, inputs, output: outputs.append(weakref.ref(output)))
    result = read(reader, random_pixels(32, 32))
    assert len(outputs) == 2
    assert all(output() is None for output in outputs)
    assert all(tokens.isfinite().all() for tokens in result)


def test_a_failed_call_leaves_nothing_behind(saved_models: dict[str, Saved]) -> None:
    family, network, config = loaded(saved_models["dinov3"].folder)
    reader = family.reader(network, config, layers=(0, 1), normed=True, projected=False, name="tiny")
    pixels = random_pixels(16, 16)
    expected, _ = read(reader, pixels)
    outputs: list[weakref.ref[torch.Tensor]] = []
    first, second = family.blocks(network)
    first.register_forward_hook(lambda module, inputs, output: outputs.append(weakref.ref(output)))

    def exhaust(*_: object) -> None:
        raise torch.OutOfMemoryError

    handle = second.register_forward_pre_hook(exhaust)
    with pytest.raises(torch.OutOfMemoryError):
        read(reader, random_pixels(24, 24))
    assert len(outputs) == 1
    assert outputs[0]() is None
    handle.remove()
    assert torch.equal(read(reader, pixels)[0], expected)


def test_autocast_to_bfloat16_stays_close(saved: Saved) -> None:
    reader = reader_of(saved, layers=(0, -1))
    pixels = random_pixels(32, 32)
    exact, _ = read(reader, pixels)
    with torch.autocast("cpu", torch.bfloat16):
        rough, _ = read(reader, pixels)
    assert 0 < (rough.float() - exact).abs().max() < 0.2 * exact.abs().max()


def test_a_network_in_bfloat16_takes_pixels_in_float32(saved: Saved) -> None:
    family, network, config = loaded(saved.folder)
    pixels = random_pixels(32, 32)
    exact, _ = read(reader_of(saved), pixels)
    network = network.to(torch.bfloat16)
    reader = family.reader(network, config, layers=(-1,), normed=True, projected=False, name="tiny")
    patch_tokens, cls_tokens = read(reader, pixels)
    assert patch_tokens.dtype == cls_tokens.dtype == torch.bfloat16
    assert 0 < (patch_tokens.float() - exact).abs().max() < 0.2 * exact.abs().max()


def test_a_pooler_in_the_checkpoint_is_left_out(tmp_path: Path) -> None:
    ViTModel(ViTConfig(**SHARED)).save_pretrained(tmp_path)
    _, network, _ = loaded(tmp_path)
    assert not [name for name, _ in network.named_parameters() if name.startswith("pooler")]


@pytest.mark.parametrize("case", ["dinov3", "convnext"])
def test_a_compiled_network_gives_the_same_tokens(saved_models: dict[str, Saved], case: str) -> None:
    torch.compiler.reset()
    reader = reader_of(saved_models[case], layers=(1, 0))
    batches = [random_pixels(32, 32), random_pixels(32, 32).flip(0), random_pixels(32, 64)]
    expected = [read(reader, pixels) for pixels in batches]
    reader.compile(backend="eager")
    for pixels, (patch_tokens, cls_tokens) in zip(batches, expected, strict=True):
        compiled = read(reader, pixels)
        assert_tokens(compiled[0], patch_tokens)
        assert_tokens(compiled[1], cls_tokens)


def test_channels_last_gives_the_same_tokens(convnext: Saved) -> None:
    family, network, config = loaded(convnext.folder)
    pixels = random_pixels(32, 64)
    expected, _ = read(reader_of(convnext, layers=(0, 3)), pixels)
    network = network.to(memory_format=torch.channels_last)
    reader = family.reader(network, config, layers=(0, 3), normed=True, projected=False, name="tiny")
    assert_tokens(read(reader, pixels.to(memory_format=torch.channels_last))[0], expected)


@pytest.mark.parametrize(
    ("case", "layers", "expected"),
    [
        ("dinov3", (3,), "model 'tiny' has no layer 3; its 3 blocks are 0 to 2, or -3 to -1"),
        ("clip", (-4,), "model 'tiny' has no layer -4; its 3 blocks are 0 to 2, or -3 to -1"),
        ("convnext", (4,), "model 'tiny' has no layer 4; its 4 stages are 0 to 3, or -4 to -1"),
        ("dino", (2, -1), "layers [2, -1] contain a block of model 'tiny' twice; remove one"),
    ],
)
def test_layers_that_do_not_exist_are_refused(
    saved_models: dict[str, Saved], case: str, layers: tuple[int, ...], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        reader_of(saved_models[case], layers)
    assert str(caught.value) == expected


@pytest.mark.parametrize("case", [case for case in MODELS if not case.startswith("clip")])
def test_only_clip_projects(saved_models: dict[str, Saved], case: str) -> None:
    with pytest.raises(ConfigError, match="'tiny' shares no space with texts; remove 'projected'"):
        reader_of(saved_models[case], projected=True)


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError) as caught:
        family_of("resnet", "mine")
    assert str(caught.value) == (
        "model 'mine' has type 'resnet', which is not supported; use one of "
        "vit, dinov2, dinov2_with_registers, dinov3_vit, dinov3_convnext, clip, clip_vision_model, siglip, "
        "siglip_vision_model, siglip2, siglip2_vision_model, tipsv2, tipsv2_vision_model, or "
        "`family: resnet` for a local folder"
    )


@pytest.mark.parametrize("patch_size", [[4, 8], (14, 16)])
def test_patches_that_are_not_square_are_refused(patch_size: Sequence[int]) -> None:
    config = Dinov2Config(**SHARED | {"patch_size": patch_size})
    with pytest.raises(ModelError, match="patches that are not square"):
        FAMILIES["dinov2"].patch(config)


def test_square_patches_may_be_given_as_two_sides() -> None:
    assert FAMILIES["dinov3_vit"].patch(DINOv3ViTConfig(**SHARED | {"patch_size": [16, 16]})) == 16


def test_colours_are_normalised_as_in_training() -> None:
    means = {"clip": 0.48145466, "siglip": 0.5, "tipsv2": 0.0}
    deviations = {"clip": 0.27577711, "siglip": 0.5, "tipsv2": 1.0}
    for model_type, family in FAMILIES.items():
        kind = model_type.partition("_")[0].replace("siglip2", "siglip")
        assert np.isclose(family.mean[0], means.get(kind, 0.485), atol=1e-9)
        assert np.isclose(family.std[2], deviations.get(kind, 0.225), atol=1e-9)


def test_the_table_of_families_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, zsad.models.families\nprint([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
