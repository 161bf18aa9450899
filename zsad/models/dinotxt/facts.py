"""Facts about the published file of dino.txt, known without the file; imports no framework."""

from __future__ import annotations

from zsad.errors import ConfigError

# The name from torch.hub; it ends with the first digits of the file's SHA-256.
PUBLISHED = "dinov3_vitl16_dinotxt_vision_head_and_text_encoder-a442d8f5.pth"
PLACE = "dinov3_vitl16_dinotxt_*-a442d8f5.pth, ai.meta.com"  # in a line of a table
NAME = "dinov3-vitl16-dinotxt"  # its name in lists, together with its backbone
BACKBONE = "dinov3-vitl16"  # whose tokens it takes
HEAD_BLOCKS = 2  # for images
PARAMETERS = 563_457_537  # 25,326,336 for images, 538,131,200 for texts, and the temperature
PAGE = "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/"
TOKENIZER = "openai/clip-vit-large-patch14"  # the hub's copy of the pairs of bytes that it learned with


def head_needed(name: str) -> ConfigError:
    """The error for a DINOv3 that is used for texts without a head.

    Args:
        name: of the model.
    """
    return ConfigError(
        f"model '{name}' does not share a space with texts by itself; set 'head' to the file of dino.txt ({PUBLISHED}, "
        f"from {PAGE}), or choose a model of images and texts, such as clip-vitl14-336"
    )
