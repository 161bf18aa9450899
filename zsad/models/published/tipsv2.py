"""TIPSv2 by name."""

from __future__ import annotations

from collections.abc import Iterator

from zsad.models.published.facts import ModelFacts

TIPSV2 = "TIPSv2 (Cao et al., CVPR 2026)"
REFERENCE = "https://arxiv.org/abs/2604.12012"
# The authors' repository has software under Apache-2.0 and all else under CC-BY-4.0; for the weights, model lists name
# one or the other.
LICENCE = "see its page"


def published() -> Iterator[ModelFacts]:
    """All of them, by size; the temperature is not in the published files."""
    for name, size, parameters in (
        ("vitb14", "b14", 195_948_288),
        ("vitl14", "l14", 487_941_120),
        ("so400m14", "so400m14", 861_726_816),
        ("vitg14", "g14", 1_525_085_696),
    ):
        yield ModelFacts(
            name=f"tipsv2-{name}",
            hub_id=f"google/tipsv2-{size}",
            family=TIPSV2,
            licence=LICENCE,
            parameters=parameters,
            patch=14,
            prefix_tokens=2,
            normalisation="none",
            reference=REFERENCE,
            texts="own",
        )
