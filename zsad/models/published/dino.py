"""DINO, DINOv2 and DINOv3 by name."""

from __future__ import annotations

from collections.abc import Iterator

from zsad.models.published.facts import APACHE, ModelFacts

DINOV3_LICENCE = "DINOv3 License"
DINO = "DINO (Caron et al., ICCV 2021)"
DINOV2 = "DINOv2 (Oquab et al., TMLR 2024)"
REGISTERS = "DINOv2 with registers (Darcet et al., ICLR 2024)"
DINOV3 = "DINOv3 (Siméoni et al., 2025)"
REFERENCES = {
    DINO: "https://arxiv.org/abs/2104.14294",
    DINOV2: "https://arxiv.org/abs/2304.07193",
    REGISTERS: "https://arxiv.org/abs/2309.16588",
    DINOV3: "https://arxiv.org/abs/2508.10104",
}
OF_DINO_TXT = "l16"  # the size that dino.txt was trained for (Jose et al., CVPR 2025)
THIRD_STAGE = (2,)  # of four; a ConvNeXt's stage with a stride of 16 pixels, as fine as the patches of a ViT


def published() -> Iterator[ModelFacts]:
    """All of them, by family and size."""
    yield from _dinov3_vits()
    yield from _dinov3_convnexts()
    yield from _dinov2()
    yield from _dino_vits()


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
            reference=REFERENCES[DINOV3],
            texts="head" if size == OF_DINO_TXT else "",
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
                parameters=parameters + registers * width,
                patch=14,
                prefix_tokens=1 + registers,
                reference=REFERENCES[family],
            )


def _dino_vits() -> Iterator[ModelFacts]:
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
            parameters=parameters,
            patch=patch,
            prefix_tokens=1,
            reference=REFERENCES[DINO],
        )
