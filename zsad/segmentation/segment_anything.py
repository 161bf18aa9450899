"""Segment Anything by its authors' own package ``segment_anything``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from zsad.files.user_paths import UserPath
from zsad.segmentation.base import SegmenterConfig
from zsad.timing import MODEL, counted

if TYPE_CHECKING:
    from zsad.segmentation.network import NetworkSegmenter


class SegmentAnything(SegmenterConfig):
    """SAM ViT-B, ViT-L or ViT-H, or any other size of the same architecture, from a ``.pth`` file of weights."""

    summary: ClassVar[str] = "The authors' own code of Segment Anything, for their .pth files of weights."
    reference: ClassVar[str] = "Kirillov et al., Segment Anything, ICCV 2023"

    model: Annotated[UserPath, Field(min_length=1)] = Field(
        "sam-vit-b", description="name of the catalogue (sam-vit-b), or a .pth file"
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")] | None = Field(
        None, description="SHA-256 that the file of weights must have, or its first 8 or more digits; null for any"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number format of the image encoder; auto: bfloat16 where the device has it, else float32"
    )

    @counted(MODEL)
    def load(self, device: str, batch: int | None = None) -> NetworkSegmenter:
        """Load the weights onto the device.

        Raises:
            ConfigError: the device or number format does not exist here.
            ModelError: the file is absent, damaged, or not one of Segment Anything.
        """
        # These import torch and segment_anything, which declaring the parameters must not.
        from zsad.segmentation.network import load_segmenter
        from zsad.segmentation.segment_anything_network import build

        return load_segmenter(
            build,
            model=self.model,
            revision=None,
            sha256=self.sha256,
            dtype=self.dtype,
            device=device,
            batch=batch,
        )
