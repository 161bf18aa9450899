"""What is known of the published file of dino.txt before anybody has it; imports no framework."""

from __future__ import annotations

from zsad.errors import ConfigError

# torch.hub's name; its end is the beginning of the file's SHA-256.
PUBLISHED = "dinov3_vitl16_dinotxt_vision_head_and_text_encoder-a442d8f5.pth"
PLACE = "dinov3_vitl16_dinotxt_*-a442d8f5.pth, ai.meta.com"  # in a line of a table
NAME = "dinov3-vitl16-dinotxt"  # as which it is listed, together with its backbone
BACKBONE = "dinov3-vitl16"  # whose tokens it takes
HEAD_BLOCKS = 2  # for images
PARAMETERS = 563_457_537  # 25,326,336 for images, 538,131,200 for texts, and the temperature
PAGE = "https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/"
TOKENIZER = "openai/clip-vit-large-patch14"  # the hub's copy of the pairs of bytes that it learned with


def head_needed(name: str) -> ConfigError:
    """The error of a DINOv3 that is asked about texts without a head.

    Args:
        name: of the model.
    """
    return ConfigError(
        f"model '{name}' shares no space with texts by itself; set 'head' to the file of dino.txt ({PUBLISHED}, "
        f"from {PAGE}), or choose a model of images and texts, such as clip-vitl14-336"
    )
