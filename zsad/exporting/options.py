"""Options of exports."""

from __future__ import annotations

from pydantic import Field, field_validator

from zsad.errors import nearest_hint
from zsad.exporting.registry import FORMATS
from zsad.registry import Options


class ExportOptions(Options):
    """The formats of an export."""

    formats: list[str] = Field(
        default_factory=FORMATS.names,
        min_length=1,
        description="masks, maps and overlays are pictures; csv, coco, labelme and yolo list the positions of defects",
    )

    @field_validator("formats")
    @classmethod
    def _are_known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in FORMATS.names():
                raise ValueError(f"there is no {FORMATS.kind} '{name}'{nearest_hint(name, FORMATS.names())}")
        return list(dict.fromkeys(names))
