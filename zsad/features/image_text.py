"""Models of images and texts: patches and whole images as vectors in a space where sentences lie as well.

CLIP (Radford et al., ICML 2021), OpenCLIP (Cherti et al., CVPR 2023), SigLIP 2 (Tschannen et al., 2025), TIPSv2, and
DINOv3 with dino.txt (Jose et al., CVPR 2025). Whatever the path, the class token of each layer is the vector of the
whole image in that space; vectors that are shorter than others of the same file end in zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from zsad.features.huggingface import HuggingFace
from zsad.files.tracked import local_files
from zsad.files.user_paths import UserPath

if TYPE_CHECKING:
    from zsad.features.execution import Execution
    from zsad.models.texts.base import TextEncoder


class ImageText(HuggingFace):
    """The patch tokens of a model of images and texts, and the vector of the whole image beside them."""

    summary: ClassVar[str] = "CLIP, OpenCLIP, SigLIP2, TIPSv2 or dino.txt: images and texts in one space."
    takes_any: ClassVar[bool] = True
    has_texts: ClassVar[bool] = True

    path: Literal["plain", "values", "windows"] = Field(
        "plain",
        description="where patch tokens come from: plain (the network's own), values (CLIP: a second path, which "
        "attends by values alone), or windows (CLIP: a pass for each window of patches, for WinCLIP)",
    )
    first_value_block: int = Field(
        -19,
        description="of the path values: the first block of the second path, counted from 0; negative from the last",
    )
    windows: Annotated[tuple[int, ...], Field(min_length=1)] = Field(
        (2, 3), description="of the path windows: sides of the windows, patches"
    )
    positions: Literal["bicubic", "bilinear", "antialiased"] | None = Field(
        None,
        description="CLIP: how positions are interpolated to another grid: bicubic (transformers), bilinear "
        "(AnomalyCLIP), antialiased (bicubic, open_clip); null for the model's own",
    )
    class_norm: bool = Field(
        True,
        description="CLIP: whether the image's vector goes through the final LayerNorm before it is projected; "
        "AnomalyCLIP's code leaves it out",
    )
    projected: bool = Field(
        True, description="whether patch tokens are projected to the space of texts; false for APRIL-GAN's layers"
    )
    head: UserPath | None = Field(
        None, description="DINOv3: the .pth file of dino.txt with the vision head and the text encoder; null for none"
    )
    tokenizer: UserPath | None = Field(
        None, description="hub id or folder of the tokenizer of texts; null for the model's own, or CLIP's"
    )

    def text_parameters(self) -> dict[str, Any]:
        """See `Backbone.text_parameters`."""
        return self.model_dump(mode="json", include={"model", "revision", "sha256", "head", "tokenizer"})

    def text_files(self) -> list[str]:
        """Those of the model, of its head and of its tokenizer; see `Backbone.text_files`."""
        return sorted({path for place in (self.model, self.head, self.tokenizer) for path in local_files(place)})

    def load_texts(self, execution: Execution) -> TextEncoder:
        """See `Backbone.load_texts`."""
        # These import torch.
        from zsad.device import resolve_device
        from zsad.models.texts.loading import TextModel, load_texts

        return load_texts(TextModel(**self.text_parameters()), resolve_device(execution.device))
