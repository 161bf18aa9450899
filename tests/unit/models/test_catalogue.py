"""The catalogue names every promised model once, and its facts agree with each other and with the architectures."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    PreTrainedModel,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTModel,
)

from zsad.models.catalogue import (
    CLIP,
    DINOV3,
    MODELS,
    OPEN_CLIP,
    SIGLIP2,
    TIPSV2,
    ModelFacts,
    facts_of,
    names,
    ungated_twin,
)

PROMISED = [
    *(f"dinov3-{size}" for size in ("vits16", "vits16plus", "vitb16", "vitl16", "vith16plus", "vit7b16")),
    *(f"dinov3-convnext-{size}" for size in ("tiny", "small", "base", "large")),
    *(f"dinov2-{size}" for size in ("small", "base", "large", "giant")),
    *(f"dinov2-reg-{size}" for size in ("small", "base", "large", "giant")),
    *("dino-vits8", "dino-vits16", "dino-vitb8", "dino-vitb16"),
    *("clip-vitb16", "clip-vitl14", "clip-vitl14-336"),
    *("clip-vitb16-plus-240", "clip-vitb16-datacomp", "clip-vitl14-datacomp"),
    *(f"siglip2-vitb16-{trained}" for trained in ("256", "384", "512", "naflex")),
    *(f"siglip2-vitl16-{trained}" for trained in ("256", "384", "512")),
    *(f"siglip2-so400m16-{trained}" for trained in ("256", "384", "512", "naflex")),
    *("tipsv2-vitb14", "tipsv2-vitl14", "tipsv2-so400m14", "tipsv2-vitg14"),
]


def _clip(text: int, image: int, patch: int, side: int) -> CLIPModel:
    towers = {
        "text_config": {"hidden_size": text, "intermediate_size": 4 * text, "num_attention_heads": text // 64},
        "vision_config": {
            "hidden_size": image,
            "intermediate_size": 4 * image,
            "num_attention_heads": image // 64,
            "num_hidden_layers": 24 if image == 1024 else 12,
            "patch_size": patch,
            "image_size": side,
        },
    }
    return CLIPModel(CLIPConfig(**towers, projection_dim=text))


def _siglip2(width: int, inner: int, blocks: int, heads: int, **image: int) -> PreTrainedModel:
    tower = {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
    }
    towers = {"text_config": tower | {"vocab_size": 256000}, "vision_config": tower | {"patch_size": 16} | image}
    if "num_patches" in image:
        return Siglip2Model(Siglip2Config(**towers))
    return SiglipModel(SiglipConfig(**towers))


DINOV2 = {"hidden_size": 768, "num_attention_heads": 12, "patch_size": 14, "image_size": 518}
ARCHITECTURES = {
    "dinov3-vits16": lambda: DINOv3ViTModel(
        DINOv3ViTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_register_tokens=4)
    ),
    "dinov3-vith16plus": lambda: DINOv3ViTModel(
        DINOv3ViTConfig(
            hidden_size=1280,
            num_hidden_layers=32,
            num_attention_heads=20,
            intermediate_size=5120,
            use_gated_mlp=True,
            num_register_tokens=4,
        )
    ),
    "dinov3-convnext-base": lambda: DINOv3ConvNextModel(
        DINOv3ConvNextConfig(depths=[3, 3, 27, 3], hidden_sizes=[128, 256, 512, 1024])
    ),
    "dinov2-base": lambda: Dinov2Model(Dinov2Config(**DINOV2)),
    "dinov2-reg-base": lambda: Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**DINOV2, num_register_tokens=4)),
    "dino-vitb8": lambda: ViTModel(ViTConfig(patch_size=8), add_pooling_layer=False),
    "siglip2-vitb16-256": lambda: _siglip2(768, 3072, 12, 12, image_size=256),
    "siglip2-vitb16-384": lambda: _siglip2(768, 3072, 12, 12, image_size=384),
    "siglip2-vitb16-512": lambda: _siglip2(768, 3072, 12, 12, image_size=512),
    "siglip2-vitb16-naflex": lambda: _siglip2(768, 3072, 12, 12, num_patches=256),
    "siglip2-vitl16-256": lambda: _siglip2(1024, 4096, 24, 16, image_size=256),
    "siglip2-vitl16-384": lambda: _siglip2(1024, 4096, 24, 16, image_size=384),
    "siglip2-vitl16-512": lambda: _siglip2(1024, 4096, 24, 16, image_size=512),
    "siglip2-so400m16-256": lambda: _siglip2(1152, 4304, 27, 16, image_size=256),
    "siglip2-so400m16-384": lambda: _siglip2(1152, 4304, 27, 16, image_size=384),
    "siglip2-so400m16-512": lambda: _siglip2(1152, 4304, 27, 16, image_size=512),
    "siglip2-so400m16-naflex": lambda: _siglip2(1152, 4304, 27, 16, num_patches=256),
    "clip-vitb16": lambda: _clip(512, 768, 16, 224),
    "clip-vitl14-336": lambda: _clip(768, 1024, 14, 336),
    "clip-vitb16-plus-240": lambda: _clip(640, 896, 16, 240),
    "clip-vitl14-datacomp": lambda: _clip(768, 1024, 14, 224),
}


def parameters(model: PreTrainedModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_promised_model_is_named_and_every_gated_one_has_an_ungated_twin() -> None:
    assert [name for name in names() if not name.endswith("-timm")] == PROMISED
    assert {name.removesuffix("-timm") for name in names() if name.endswith("-timm")} == {
        facts.name for facts in MODELS.values() if facts.gated
    }


@pytest.mark.parametrize("facts", MODELS.values(), ids=names())
def test_the_facts_of_a_model_fit_together(facts: ModelFacts) -> None:
    assert facts_of(facts.name) is facts
    assert facts.resolution % facts.patch == 0
    assert facts.hub_id.count("/") == 1
    assert (facts.normalisation == "clip") == facts.name.startswith("clip-") == (facts.family in (CLIP, OPEN_CLIP))
    assert (facts.family == CLIP) == facts.hub_id.startswith("openai/")
    assert (facts.normalisation == "siglip") == facts.name.startswith("siglip2-") == (facts.family == SIGLIP2)
    assert (facts.normalisation == "none") == facts.name.startswith("tipsv2-") == (facts.family == TIPSV2)
    assert (facts.texts == "own") == facts.name.startswith(("clip-", "siglip2-", "tipsv2-"))
    assert (facts.texts == "head") == facts.name.startswith("dinov3-vitl16")
    assert facts.layers == ((2,) if "convnext" in facts.name else (-1,))
    assert (facts.licence == "DINOv3 License") == (facts.family == DINOV3)
    assert facts.reference.startswith("https://arxiv.org/abs/")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_parameters_are_those_of_the_architecture(name: str) -> None:
    with torch.device("meta"):
        model = ARCHITECTURES[name]()
    assert parameters(model) == MODELS[name].parameters


@pytest.mark.parametrize(
    ("name", "published"),  # sizes of the files on the hub, bytes
    [
        ("dinov3-vits16-timm", 86.4e6),
        ("dinov3-vits16plus-timm", 115e6),
        ("dinov3-vitl16-timm", 1_212_347_640),
        ("dinov3-vith16plus-timm", 3.36e9),
        ("dinov3-vit7b16-timm", 26.9e9),
        ("dinov2-giant", 4.55e9),
        ("dinov2-reg-large", 1.22e9),
        ("dino-vits8", 86.7e6),
        ("dino-vitb8", 343e6),
        ("siglip2-vitl16-512", 3_529_350_088),
        ("tipsv2-vitb14", 747 * 2**20),
        ("tipsv2-vitl14", 1861 * 2**20),
        ("tipsv2-so400m14", 3287 * 2**20),
        ("tipsv2-vitg14", 5818 * 2**20),
    ],
)
def test_the_size_is_that_of_the_published_file(name: str, published: float) -> None:
    assert MODELS[name].gigabytes == pytest.approx(published / 1e9, rel=0.003)


def test_a_twin_has_the_same_facts_but_for_its_place() -> None:
    for facts in MODELS.values():
        twin = ungated_twin(facts)
        assert (twin is not None) == facts.gated
        if twin is not None:
            assert twin.hub_id.startswith("timm/")
            assert not twin.gated
            same = {"name": facts.name, "hub_id": facts.hub_id, "gated": True, "parameters": facts.parameters}
            assert twin._replace(**same) == facts


def test_a_model_is_known_by_its_name_and_by_its_hub_id_alone() -> None:
    assert facts_of("facebook/dinov2-small") == MODELS["dinov2-small"]
    assert facts_of("someone/dinov2-small") is None
    assert facts_of("dinov2") is None


def test_the_catalogue_imports_no_framework() -> None:
    program = (
        "import sys\n"
        "import zsad.models.catalogue\n"
        "print([name for name in ('torch', 'transformers', 'huggingface_hub') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
