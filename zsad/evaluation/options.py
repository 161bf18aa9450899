"""How results are measured."""

from __future__ import annotations

from pydantic import Field, field_validator

from zsad.registry import Part

# With 40 draws, 2.5 % is one of them.
MIN_DRAWS = 40


class EvaluationOptions(Part):
    """What the metrics and their confidence limits depend on besides the scores."""

    aupro_limit: float = Field(
        0.3, gt=0, le=1, description="greatest false-positive rate of AUPRO, by which the area is divided"
    )
    bootstrap: int = Field(
        1000, ge=0, le=1_000_000, description="draws of images behind the confidence limits; 0 for no limits"
    )
    seed: int = Field(0, ge=0, description="seed of the draws")

    @field_validator("bootstrap")
    @classmethod
    def _is_enough(cls, draws: int) -> int:
        if 0 < draws < MIN_DRAWS:
            raise ValueError(f"95 % confidence limits need at least {MIN_DRAWS} draws; 0 turns them off")
        return draws
