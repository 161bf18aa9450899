"""The published models by name: what a name stands for, and what anybody should know before downloading it.

Only facts stand here, so that the names can be listed without importing a framework or asking a network. Parameters
are counted from the architecture, and agree with the sizes of the published files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

APACHE, MIT, DINOV3_LICENCE = "Apache-2.0", "MIT", "DINOv3 License"
DINO = "DINO (Caron et al., ICCV 2021)"
DINOV2 = "DINOv2 (Oquab et al., TMLR 2024)"
REGISTERS = "DINOv2 with registers (Darcet et al., ICLR 2024)"
DINOV3 = "DINOv3 (Siméoni et al., 2025)"
CLIP = "CLIP (Radford et al., ICML 2021)"
REFERENCES = {
    DINO: "https://arxiv.org/abs/2104.14294",
    DINOV2: "https://arxiv.org/abs/2304.07193",
    REGISTERS: "https://arxiv.org/abs/2309.16588",
    DINOV3: "https://arxiv.org/abs/2508.10104",
    CLIP: "https://arxiv.org/abs/2103.00020",
}
LAST_BLOCK = (-1,)
THIRD_STAGE = (2,)  # of four; a ConvNeXt's stage with a stride of 16 pixels, as fine as the patches of a ViT
RESOLUTION = 448  # pixels; a multiple of 8, 14, 16 and 32
CLIP_RESOLUTION = 336  # pixels; a multiple of 14 and 16, and the largest that CLIP was trained at
FLOAT32_BYTES = 4


class ModelFacts(NamedTuple):
    """What is known of a published model.

    Attributes:
        name: what the configuration may call it.
        hub_id: where it lies on the Hugging Face hub.
        family: method and paper.
        licence: of the weights.
        gated: whether the hub asks for an account that has accepted the licence.
        parameters: in the whole checkpoint, CLIP's text tower included.
        patch: what sides of the image must be a multiple of, pixels.
        prefix_tokens: class and register tokens before the patch tokens.
        layers: blocks (of a ConvNeXt: stages) whose output is used unless the configuration says otherwise.
        resolution: short side of the resized image unless the configuration says otherwise, pixels.
        normalisation: whose mean and standard deviation the pixels are normalised with.
        reference: address of the paper.
    """

    name: str
    hub_id: str
    family: str
    licence: str
    gated: bool
    parameters: int
    patch: int
    prefix_tokens: int
    layers: tuple[int, ...]
    resolution: int
    normalisation: Literal["imagenet", "clip"]
    reference: str

    @property
    def place(self) -> str:
        """Where its weights are."""
        return self.hub_id

    @property
    def gigabytes(self) -> float:
        """Size of the weights in float32, 10^9 bytes."""
        return self.parameters * FLOAT32_BYTES / 1e9


def facts_of(name: str) -> ModelFacts | None:
    """The facts of a model by its name here or its hub id; None for any other."""
    return MODELS.get(name) or BY_HUB_ID.get(name)


def names() -> list[str]:
    """All names, by family and size."""
    return list(MODELS)


def ungated_twin(facts: ModelFacts) -> ModelFacts | None:
    """The entry with the same weights as a gated one that anybody can download, if there is one."""
    return MODELS.get(f"{facts.name}-timm") if facts.gated else None


def _dinov3_vits() -> Iterator[ModelFacts]:
    # timm stores neither the mask token of pre-training nor the biases of queries, keys and values, which are zero.
    for size, timm_size, parameters, timm_parameters in (
        ("s16", "small", 21_596_544, 21_586_944),
        ("s16plus", "small_plus", 28_692_864, 28_683_264),
        ("b16", "base", 85_660_416, 85_641_216),
        ("l16", "large", 303_129_600, 303_079_424),
        ("h16plus", "huge_plus", 840_592_640, 840_509_440),
        ("7b16", "7b", 6_716_035_072, 6_716_030_976),
    ):
        facts = ModelFacts(
            name=f"dinov3-vit{size}",
            hub_id=f"facebook/dinov3-vit{size}-pretrain-lvd1689m",
            family=DINOV3,
            licence=DINOV3_LICENCE,
            gated=True,
            parameters=parameters,
            patch=16,
            prefix_tokens=5,
            layers=LAST_BLOCK,
            resolution=RESOLUTION,
            normalisation="imagenet",
            reference=REFERENCES[DINOV3],
        )
        yield facts
        yield facts._replace(
            name=f"{facts.name}-timm",
            hub_id=f"timm/vit_{timm_size}_patch16_dinov3.lvd1689m",
            gated=False,
            parameters=timm_parameters,
        )


def _dinov3_convnexts() -> Iterator[ModelFacts]:
    for size, parameters in (
        ("tiny", 27_820_128),
        ("small", 49_454_688),
        ("base", 87_566_464),
        ("large", 196_230_336),
    ):
        facts = ModelFacts(
            name=f"dinov3-convnext-{size}",
            hub_id=f"facebook/dinov3-convnext-{size}-pretrain-lvd1689m",
            family=DINOV3,
            licence=DINOV3_LICENCE,
            gated=True,
            parameters=parameters,
            patch=32,
            prefix_tokens=0,
            layers=THIRD_STAGE,
            resolution=RESOLUTION,
            normalisation="imagenet",
            reference=REFERENCES[DINOV3],
        )
        yield facts
        yield facts._replace(name=f"{facts.name}-timm", hub_id=f"timm/convnext_{size}.dinov3_lvd1689m", gated=False)


def _dinov2() -> Iterator[ModelFacts]:
    for family, short, hub_id, registers in (
        (DINOV2, "dinov2", "facebook/dinov2", 0),
        (REGISTERS, "dinov2-reg", "facebook/dinov2-with-registers", 4),
    ):
        for size, width, parameters in (
            ("small", 384, 22_056_576),
            ("base", 768, 86_580_480),
            ("large", 1024, 304_368_640),
            ("giant", 1536, 1_136_480_768),
        ):
            yield ModelFacts(
                name=f"{short}-{size}",
                hub_id=f"{hub_id}-{size}",
                family=family,
                licence=APACHE,
                gated=False,
                parameters=parameters + registers * width,
                patch=14,
                prefix_tokens=1 + registers,
                layers=LAST_BLOCK,
                resolution=RESOLUTION,
                normalisation="imagenet",
                reference=REFERENCES[family],
            )


def _dino() -> Iterator[ModelFacts]:
    for size, patch, parameters in (
        ("s", 8, 21_670_272),
        ("s", 16, 21_665_664),
        ("b", 8, 85_807_872),
        ("b", 16, 85_798_656),
    ):
        yield ModelFacts(
            name=f"dino-vit{size}{patch}",
            hub_id=f"facebook/dino-vit{size}{patch}",
            family=DINO,
            licence=APACHE,
            gated=False,
            parameters=parameters,
            patch=patch,
            prefix_tokens=1,
            layers=LAST_BLOCK,
            resolution=RESOLUTION,
            normalisation="imagenet",
            reference=REFERENCES[DINO],
        )


def _clip() -> Iterator[ModelFacts]:
    for name, hub_id, patch, parameters in (
        ("clip-vitb16", "openai/clip-vit-base-patch16", 16, 149_620_737),
        ("clip-vitl14", "openai/clip-vit-large-patch14", 14, 427_616_513),
        ("clip-vitl14-336", "openai/clip-vit-large-patch14-336", 14, 427_944_193),
    ):
        yield ModelFacts(
            name=name,
            hub_id=hub_id,
            family=CLIP,
            licence=MIT,
            gated=False,
            parameters=parameters,
            patch=patch,
            prefix_tokens=1,
            layers=LAST_BLOCK,
            resolution=CLIP_RESOLUTION,
            normalisation="clip",
            reference=REFERENCES[CLIP],
        )


MODELS: Mapping[str, ModelFacts] = MappingProxyType(
    {
        facts.name: facts
        for entries in (_dinov3_vits(), _dinov3_convnexts(), _dinov2(), _dino(), _clip())
        for facts in entries
    }
)
BY_HUB_ID: Mapping[str, ModelFacts] = MappingProxyType({facts.hub_id: facts for facts in MODELS.values()})
