"""Segment Anything and its successors by the library ``transformers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from zsad.files.user_paths import UserPath
from zsad.segmentation.base import SegmenterConfig
from zsad.timing import MODEL, counted

if TYPE_CHECKING:
    from zsad.segmentation.network import NetworkSegmenter


class TransformersSam(SegmenterConfig):
    """SAM, SAM-HQ, SAM 2, SAM 2.1 or the tracker of SAM 3, from the hub or a local folder.

    SAM-HQ: Ke et al., Segment Anything in High Quality, NeurIPS 2023. SAM 2: Ravi et al., ICLR 2025. SAM 3: Carion et
    al., SAM 3: Segment Anything with Concepts, 2025.
    """

    summary: ClassVar[str] = "SAM, SAM-HQ, SAM 2 and SAM 3 in transformers: hub id or local folder."
    reference: ClassVar[str] = "Kirillov et al., Segment Anything, ICCV 2023; Ravi et al., SAM 2, ICLR 2025"

    model: Annotated[UserPath, Field(min_length=1)] = Field(
        "sam2.1-hiera-small",
        description="name of the catalogue (sam2.1-hiera-small), hub id (facebook/sam-vit-base), or local folder",
    )
    revision: str | None = Field(None, description="branch, tag or commit on the hub; null for its main branch")
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
            ConfigError: the device or number format does not exist here, or a revision was given for a local folder.
            ModelError: the model is absent, gated, damaged, or of an unknown family.
        """
        # These import torch and transformers, which declaring the parameters must not.
        from zsad.segmentation.families import build
        from zsad.segmentation.network import load_segmenter

        return load_segmenter(
            build,
            model=self.model,
            revision=self.revision,
            sha256=self.sha256,
            dtype=self.dtype,
            device=device,
            batch=batch,
        )
