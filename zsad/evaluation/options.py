"""How results are measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from zsad.evaluation.protocols import NATIVE, PROTOCOLS, Protocol
from zsad.registry import Part

# With 40 draws, 2.5 % is one of them.
MIN_DRAWS = 40


class EvaluationOptions(Part):
    """What the metrics and their confidence limits depend on besides the scores."""

    protocol: Literal["native", "resize256"] = Field(
        NATIVE, description="resolution at which pixels are compared: native (that of the images, no crop) or resize256"
    )
    bootstrap: int = Field(
        1000, ge=0, le=1_000_000, description="resamples of the images for confidence limits; 0 for none"
    )
    seed: int = Field(0, ge=0, description="of the resampling")
    memory_mb: int = Field(
        1000,
        ge=50,
        description="for the pixels of a category; where the defective ones need more, scores are rounded, and a note "
        "says how much",
    )

    @property
    def measured_at(self) -> Protocol:
        """The protocol itself."""
        return PROTOCOLS[self.protocol]

    @field_validator("bootstrap")
    @classmethod
    def _is_enough(cls, draws: int) -> int:
        if 0 < draws < MIN_DRAWS:
            raise ValueError(f"95 % confidence limits need at least {MIN_DRAWS} draws; 0 turns them off")
        return draws
