"""The parameters of a foundation model, which are all that its computation needs of the backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from zsad.files.user_paths import UserPath
from zsad.grids import Fit
from zsad.models.positions import Positions
from zsad.registry import Options

if TYPE_CHECKING:
    from zsad.features.reading import Reading


class NetworkOptions(Options):
    """The model, the preparation of images for it, and the tokens to read."""

    model: Annotated[UserPath, Field(min_length=1)] = Field(
        description="name of the catalogue (dinov3-vits16), hub id (facebook/dinov2-small), local folder, or .pth file"
    )
    revision: str | None = Field(None, description="branch, tag or commit on the hub; null for its main branch")
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")] | None = Field(
        None, description="required SHA-256 of the weights file, or its first 8 or more digits; null for any"
    )
    resolution: int = Field(448, ge=1, description="side of the resized image, pixels; a multiple of the patch size")
    fit: Fit = Field(
        "short_side",
        description="short_side: the short side becomes resolution, and the aspect ratio is kept; "
        "pad: the long side becomes resolution, and a border makes the image square; "
        "square: both sides become resolution, which changes the aspect ratio of other images",
    )
    layers: Annotated[tuple[int, ...], Field(min_length=1)] = Field(
        (-1,), description="blocks (ConvNeXt: stages) whose output is kept, counted from 0; negative ones from the last"
    )
    normed: bool = Field(True, description="whether the model's final LayerNorm is applied to every kept layer")
    projected: bool = Field(False, description="CLIP only: whether tokens are projected into the space of its texts")
    positions: Positions = Field(
        "authors",
        description="how learned positions are interpolated to another grid than in training: authors (like the "
        "model's authors), transformers (like that library), offset (DINO, DINOv2: with 0.1 more "
        "patches, like their authors), or for CLIP bicubic (transformers, MuSc), bilinear (AnomalyCLIP), "
        "antialiased (bicubic, open_clip); DINOv3 has no learned positions",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="format of matrix products; auto: bfloat16 if the device supports it natively, else float32"
    )
    tile: int | None = Field(
        None, ge=1, description="side of the tiles into which a larger resized image is cut, pixels; null for none"
    )
    overlap: int = Field(0, ge=0, description="overlap of tiles, pixels; their tokens are blended there")
    debias: int = Field(
        0, ge=0, description="number of positional directions that are removed from the tokens; 0 for none"
    )

    @field_validator("positions", mode="before")
    @classmethod
    def _null_is_the_authors(cls, value: Any) -> Any:
        return "authors" if value is None else value

    @model_validator(mode="after")
    def _tiles_fit(self) -> Self:
        if self.tile is None:
            if self.overlap:
                raise ValueError("overlap requires tiles; set tile as well, or overlap to 0")
            return self
        if self.fit == "pad":
            raise ValueError("tiles need no border; set fit to short_side, or tile to null")
        if self.overlap >= self.tile:
            raise ValueError(f"overlap {self.overlap} is not smaller than tile {self.tile}; lower it")
        return self

    def reading(self) -> Reading:
        """The reading of the network."""
        # It imports the families of networks, which the declaration of parameters does not need.
        from zsad.features.reading import TokensOfLayers

        return TokensOfLayers(
            layers=self.layers, normed=self.normed, projected=self.projected, positions=self.positions
        )
