"""The catalogue's facts agree with each other, with the architectures, and with the published files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from transformers import (
    PreTrainedModel,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam3VideoConfig,
    Sam3VideoModel,
    SamConfig,
    SamHQConfig,
    SamHQModel,
    SamModel,
)

from zsad.segmentation.catalogue import MODELS, SegmenterFacts, facts_of
from zsad.segmentation.registry import SEGMENTERS

HIERA_SIZES = ("tiny", "small", "base-plus", "large")
PROMISED = [
    *(f"sam-vit-{size}" for size in ("b", "l", "h")),
    *(f"sam-vit-{size}" for size in ("base", "large", "huge")),
    *(f"sam-hq-vit-{size}" for size in ("base", "large", "huge")),
    *(f"sam2.1-hiera-{size}" for size in HIERA_SIZES),
    *(f"sam2-hiera-{size}" for size in HIERA_SIZES),
    "sam3",
]
VIT = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "huge": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16},
}
HIERA_LARGE = {
    "backbone_config": {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 144,
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "blocks_per_stage": [2, 6, 36, 4],
        "global_attention_blocks": [23, 33, 43],
        "window_size_per_stage": [8, 4, 16, 8],
    },
    "backbone_channel_list": [1152, 576, 288, 144],
}


def sam(size: str) -> SamModel:
    return SamModel(SamConfig(vision_config=VIT[size]))


def sam_hq(size: str) -> SamHQModel:
    return SamHQModel(SamHQConfig(vision_config=VIT[size], mask_decoder_config={"vit_dim": VIT[size]["hidden_size"]}))


def sam2(vision: dict[str, object] | None = None, *, is_2_1: bool) -> Sam2VideoModel:
    later = {
        "enable_temporal_pos_encoding_for_object_pointers": is_2_1,
        "enable_occlusion_spatial_embedding": is_2_1,
    }
    return Sam2VideoModel(Sam2VideoConfig(**({} if vision is None else {"vision_config": vision}), **later))


ARCHITECTURES: dict[str, Callable[[], PreTrainedModel]] = {
    **{f"sam-vit-{size[0]}": lambda size=size: sam(size) for size in VIT},
    **{f"sam-vit-{size}": lambda size=size: sam(size) for size in VIT},
    **{f"sam-hq-vit-{size}": lambda size=size: sam_hq(size) for size in VIT},
    "sam2.1-hiera-tiny": lambda: sam2(is_2_1=True),
    "sam2-hiera-tiny": lambda: sam2(is_2_1=False),
    "sam2.1-hiera-large": lambda: sam2(HIERA_LARGE, is_2_1=True),
    "sam2-hiera-large": lambda: sam2(HIERA_LARGE, is_2_1=False),
    "sam3": lambda: Sam3VideoModel(Sam3VideoConfig()),
}


def tensors_in_file(model: PreTrainedModel) -> int:
    """Values in a checkpoint: parameters and the encoding of positions, what is shared once."""
    shared = {id(tensor): tensor.numel() for tensor in model.state_dict(keep_vars=True).values()}
    return sum(shared.values())


def test_every_promised_model_is_named() -> None:
    assert list(MODELS) == PROMISED


@pytest.mark.parametrize("facts", MODELS.values(), ids=MODELS)
def test_the_facts_of_a_model_fit_together(facts: SegmenterFacts) -> None:
    assert facts_of(facts.name) is facts
    assert facts.family in SEGMENTERS.names()
    assert (facts.hub_id is None) == (facts.url is not None) == (facts.family == "segment_anything")
    assert (facts.sha256 is None) == (facts.size is None) == (facts.url is None)
    assert facts.gated == (facts.licence != "Apache-2.0") == (facts.name == "sam3")
    assert facts.reference.startswith("https://arxiv.org/abs/")
    if facts.url is None:
        assert facts.place == facts.hub_id
        assert facts.hub_id.endswith(f"/{facts.name}")
    else:
        assert facts.url.endswith(f"/{facts.place}")
        assert re.fullmatch(r"[0-9a-f]{64}", facts.sha256)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_parameters_are_those_of_the_architecture(name: str) -> None:
    with torch.device("meta"):
        model = ARCHITECTURES[name]()
    assert tensors_in_file(model) == MODELS[name].parameters


@pytest.mark.parametrize(
    ("name", "published"),  # sizes of the files, bytes
    [
        *((facts.name, facts.size) for facts in MODELS.values() if facts.size is not None),
        ("sam-vit-base", 375e6),
        ("sam-vit-large", 1.25e9),
        ("sam-hq-vit-base", 379e6),
        ("sam-hq-vit-huge", 2.57e9),
        ("sam2.1-hiera-tiny", 156_008_466),
        ("sam2.1-hiera-small", 184_416_285),
        ("sam2.1-hiera-base-plus", 323_606_802),
        ("sam2.1-hiera-large", 897_897_416),
        ("sam3", 3_439_938_512),
    ],
)
def test_the_size_is_that_of_the_published_file(name: str, published: float) -> None:
    assert MODELS[name].gigabytes == pytest.approx(published / 1e9, rel=0.0015)


def test_a_model_is_known_by_its_name_and_by_its_hub_id_alone() -> None:
    assert facts_of("facebook/sam2.1-hiera-tiny") == MODELS["sam2.1-hiera-tiny"]
    assert facts_of("someone/sam2.1-hiera-tiny") is None
    assert facts_of("sam_vit_b_01ec64.pth") is None
    assert facts_of("sam") is None


def test_the_catalogue_and_what_snakemake_asks_of_the_weights_import_no_framework_and_no_client() -> None:
    program = (
        "import sys\n"
        "import zsad.segmentation.catalogue\n"
        "from zsad.segmentation.weights import local_files, weights_megabytes\n"
        "assert local_files('sam-vit-b') == [] and weights_megabytes('sam-vit-b') == 375\n"
        "heavy = ('torch', 'transformers', 'huggingface_hub', 'requests', 'segment_anything')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
