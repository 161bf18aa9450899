"""SigLIP 2 by name: at the fixed resolutions of its training, and for images of any size (NaFlex)."""

from __future__ import annotations

from collections.abc import Iterator

from zsad.models.published.facts import APACHE, RESOLUTION, ModelFacts

SIGLIP2 = "SigLIP 2 (Tschannen et al., 2025)"
REFERENCE = "https://arxiv.org/abs/2502.14786"
NAFLEX = "naflex"
SIZES = {"vitb16": "base-patch16", "vitl16": "large-patch16", "so400m16": "so400m-patch16"}  # in names on the hub


def published() -> Iterator[ModelFacts]:
    """All of them, by size."""
    for size, trained, parameters in (
        ("vitb16", "256", 375_234_050),
        ("vitb16", "384", 375_479_810),
        ("vitb16", "512", 375_823_874),
        ("vitb16", NAFLEX, 375_234_050),
        ("vitl16", "256", 881_526_786),
        ("vitl16", "384", 881_854_466),
        ("vitl16", "512", 882_313_218),
        ("so400m16", "256", 1_135_670_962),
        ("so400m16", "384", 1_136_039_602),
        ("so400m16", "512", 1_136_555_698),
        ("so400m16", NAFLEX, 1_135_670_962),
    ):
        yield ModelFacts(
            name=f"siglip2-{size}-{trained}",
            hub_id=f"google/siglip2-{SIZES[size]}-{trained}",
            family=SIGLIP2,
            licence=APACHE,
            parameters=parameters,
            patch=16,
            prefix_tokens=0,
            resolution=RESOLUTION if trained == NAFLEX else int(trained),
            normalisation="siglip",
            reference=REFERENCE,
            texts="own",
        )
