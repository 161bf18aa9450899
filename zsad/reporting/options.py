"""How the galleries, plots and the page look."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from zsad.errors import nearest_hint
from zsad.registry import Part

DEFAULT_COLORMAP = "inferno"


class ReportOptions(Part):
    """What a reader sees; changing one of these re-draws and computes nothing anew."""

    gallery: int = Field(
        4,
        ge=1,
        le=24,
        description="images in each group of a gallery (highest, lowest, most wrong); thrice the highest if unlabelled",
    )
    panel: int = Field(176, ge=64, le=512, description="longer side of a gallery's pictures, in pixels")
    dpi: int = Field(110, ge=50, le=400, description="resolution of the plots, in dots an inch")
    page_mb: float = Field(30.0, gt=0, description="heaviest page in MB; beyond, an index with a page a category")
    colormap: str = Field(DEFAULT_COLORMAP, description="matplotlib colour map of the anomaly maps")

    def drawing(self) -> dict[str, Any]:
        """The parameters that galleries and plots depend on."""
        return self.model_dump(mode="json", exclude={"page_mb"})

    @field_validator("colormap")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name == DEFAULT_COLORMAP:  # spares Snakemake the import of matplotlib at every start
            return name
        from matplotlib import colormaps

        if name not in colormaps:
            raise ValueError(f"matplotlib has no colour map '{name}'{nearest_hint(name, colormaps)}")
        return name
