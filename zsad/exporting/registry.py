"""The export formats by name: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.registry import Registry

if TYPE_CHECKING:
    from zsad.exporting.base import Format

FORMATS: Registry[Format] = Registry(
    "export format",
    {
        "masks": "zsad.exporting.masks:Masks",
        "maps": "zsad.exporting.maps:Maps",
        "overlays": "zsad.exporting.overlays:Overlays",
        "csv": "zsad.exporting.tables:Tables",
        "coco": "zsad.exporting.coco:Coco",
        "labelme": "zsad.exporting.labelme:LabelMe",
        "yolo": "zsad.exporting.yolo:Yolo",
    },
)
