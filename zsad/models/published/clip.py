"""CLIP by name: OpenAI's models, and OpenCLIP's.

They have the same tokenizer and the same normalisation of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

from zsad.models.published.facts import MIT, ModelFacts

CLIP = "CLIP (Radford et al., ICML 2021)"
OPEN_CLIP = "OpenCLIP (Cherti et al., CVPR 2023)"
REFERENCES = {CLIP: "https://arxiv.org/abs/2103.00020", OPEN_CLIP: "https://arxiv.org/abs/2212.07143"}
CLIP_RESOLUTION = 336  # pixels; a multiple of 14 and 16, and the largest of CLIP's training
PLUS_RESOLUTION = 240  # the resolution of this model's training, and of WinCLIP


def published() -> Iterator[ModelFacts]:
    """All of them, OpenAI's first."""
    for name, hub_id, patch, parameters, resolution in (
        ("clip-vitb16", "openai/clip-vit-base-patch16", 16, 149_620_737, CLIP_RESOLUTION),
        ("clip-vitl14", "openai/clip-vit-large-patch14", 14, 427_616_513, CLIP_RESOLUTION),
        ("clip-vitl14-336", "openai/clip-vit-large-patch14-336", 14, 427_944_193, CLIP_RESOLUTION),
        ("clip-vitb16-plus-240", "timm/vit_base_patch16_plus_clip_240.laion400m_e31", 16, 208_377_345, PLUS_RESOLUTION),
        ("clip-vitb16-datacomp", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 16, 149_620_737, CLIP_RESOLUTION),
        ("clip-vitl14-datacomp", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 14, 427_616_513, CLIP_RESOLUTION),
    ):
        family = CLIP if hub_id.startswith("openai/") else OPEN_CLIP
        yield ModelFacts(
            name=name,
            hub_id=hub_id,
            family=family,
            licence=MIT,
            parameters=parameters,
            patch=patch,
            prefix_tokens=1,
            resolution=resolution,
            normalisation="clip",
            reference=REFERENCES[family],
            texts="own",
        )
