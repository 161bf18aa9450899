"""Options of the galleries, the plots and the page."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, field_validator

from zsad.errors import nearest_hint
from zsad.registry import Options

DEFAULT_COLORMAP = "inferno"
PNG: Final = "png"
VECTOR_FORMATS: Final = ("pdf", "svg")

Format: TypeAlias = Literal["png", "pdf", "svg"]


def _png_alone() -> list[Format]:
    return [PNG]


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
    format: list[Format] = Field(
        default_factory=_png_alone,
        min_length=1,
        description="of the plots: png, which the page shows and which is always made, and pdf or svg beside it for "
        "papers",
    )
    page_mb: float = Field(
        30.0,
        gt=0,
        description="largest page; a larger one has its thumbnails as files in the folder report, or a page for each "
        "category there, with report.html as an index",
    )
    colormap: str = Field(DEFAULT_COLORMAP, description="colour map of the anomaly maps, a matplotlib name")

    def drawing(self) -> dict[str, Any]:
        """The parameters that galleries depend on."""
        return self.model_dump(mode="json", exclude={"page_mb", "thumbnail", "format"})

    def plotting(self) -> dict[str, Any]:
        """The parameters that plots depend on."""
        return {**self.drawing(), "format": [PNG, *self.vector_formats]}

    @property
    def vector_formats(self) -> list[str]:
        """Those that plots are drawn in besides PNG, in a fixed order."""
        return [name for name in VECTOR_FORMATS if name in self.format]

    @field_validator("colormap")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name == DEFAULT_COLORMAP:  # so that Snakemake need not import matplotlib at every start
            return name
        from matplotlib import colormaps

        if name not in colormaps:
            raise ValueError(f"matplotlib has no colour map '{name}'{nearest_hint(name, colormaps)}")
        return name
