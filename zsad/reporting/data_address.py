"""Pictures that are embedded in a page."""

from __future__ import annotations

import base64


def data_address(media: str, picture: bytes) -> str:
    """The ``data:`` address of a picture, e.g. of the media type ``"image/png"``."""
    return f"data:{media};base64,{base64.b64encode(picture).decode('ascii')}"
