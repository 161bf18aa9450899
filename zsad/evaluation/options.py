"""Options of the evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator

from zsad.evaluation.protocols import FORM, NATIVE, Protocol, side_of
from zsad.registry import Options

# With 40 replicates, 2.5 % is one of them.
MIN_REPLICATES = 40
WIDEST = 100  # pixels, of smoothing


def _is_resolution(name: str) -> str:
    side_of(name)
    return name


Resolution = Annotated[
    str, AfterValidator(_is_resolution), WithJsonSchema({"type": "string", "pattern": f"^({FORM})$"})
]
"""``"native"``, or ``"resizeN"``."""


class EvaluationOptions(Options):
    """Options that metrics and confidence limits depend on besides the scores."""

    protocol: Resolution = Field(
        NATIVE,
        description="resolution at which pixels are compared: native (that of the images, no crop), or resize224, "
        "resize256, resize518, ..., at so many pixels squared",
    )
    smoothing: float = Field(
        0.0,
        ge=0,
        le=WIDEST,
        description="sigma of the Gaussian that maps are smoothed by before pixel metrics, in pixels at that "
        "resolution; 4 in most papers, 0 for none",
    )
    truth: Literal["nearest", "half", "whole", "any"] = Field(
        "nearest",
        description="how ground-truth masks are resized: nearest neighbour, or bilinear, with a pixel defective if "
        "more than half, the whole (MuSc, PatchCore), or any part of it is",
    )
    grid: Literal["centres", "corners"] = Field(
        "centres",
        description="how maps are enlarged: centres, with patches centred on their image areas, or corners, with the "
        "outermost patches at the image corners (MuSc)",
    )
    aupro: Literal["exact", "thresholds200", "fpr300"] = Field(
        "exact",
        description="how AUPRO is computed: exact (at every score), thresholds200 (linear, MuSc), or fpr300 "
        "(SubspaceAD)",
    )
    aupimo: Literal["steps", "interpolated"] = Field(
        "steps",
        description="how AUPIMO is computed: steps (at every score), or interpolated (its authors' 300 000 thresholds)",
    )
    bootstrap: int = Field(
        1000, ge=0, le=1_000_000, description="bootstrap replicates of the images for confidence limits; 0 for none"
    )
    seed: int = Field(0, ge=0, description="random seed of the bootstrap")
    memory_mb: int = Field(
        1000,
        ge=50,
        description="memory for the pixels of a category; if the defective ones need more, scores are rounded, and a "
        "note reports the error",
    )

    @property
    def measured_at(self) -> Protocol:
        """The protocol itself."""
        return Protocol(side_of(self.protocol), self.smoothing, self.truth, self.grid, self.aupro, self.aupimo)

    @field_validator("bootstrap")
    @classmethod
    def _is_enough(cls, replicates: int) -> int:
        if 0 < replicates < MIN_REPLICATES:
            raise ValueError(f"95 % confidence limits need at least {MIN_REPLICATES} replicates; 0 turns them off")
        return replicates
