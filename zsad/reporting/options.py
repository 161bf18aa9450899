"""Options of the galleries, the plots and the page."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from zsad.errors import nearest_hint
from zsad.registry import Options

DEFAULT_COLORMAP = "inferno"


class ReportOptions(Options):
    """Options of the report; after a change, pictures are drawn again, but no result is computed again."""

    gallery: int = Field(
        4,
        ge=1,
        le=24,
        description="images in each group: highest, lowest, most wrong; three times as many if unlabelled or confused "
        "ones",
    )
    panel: int = Field(176, ge=64, le=512, description="side of a picture in the gallery, px")
    thumbnail: int = Field(
        320, ge=64, le=1024, description="longer side of an image on the sheet of all test images, px"
    )
    dpi: int = Field(110, ge=50, le=400, description="resolution of the plots")
    page_mb: float = Field(
        30.0,
        gt=0,
        description="largest page; a larger one has its thumbnails as files in the folder report, or a page for each "
        "category there, with report.html as an index",
    )
    colormap: str = Field(DEFAULT_COLORMAP, description="colour map of the anomaly maps, a matplotlib name")

    def drawing(self) -> dict[str, Any]:
        """The parameters that galleries and plots depend on."""
        return self.model_dump(mode="json", exclude={"page_mb", "thumbnail"})

    @field_validator("colormap")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name == DEFAULT_COLORMAP:  # so that Snakemake need not import matplotlib at every start
            return name
        from matplotlib import colormaps

        if name not in colormaps:
            raise ValueError(f"matplotlib has no colour map '{name}'{nearest_hint(name, colormaps)}")
        return name
