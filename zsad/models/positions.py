"""The interpolations of learned positions of a square patch grid to another grid in several repositories."""

from __future__ import annotations

from typing import Any, Literal

Positions = Literal["authors", "transformers", "offset", "bicubic", "bilinear", "antialiased"]

# DINO and DINOv2 without registers, which both use this many more patches along each side ("we add a small number
# to avoid floating point error"): facebookresearch/dino, ``vision_transformer.py``, and facebookresearch/dinov2,
# ``dinov2/models/vision_transformer.py`` with the settings of ``dinov2/hub/backbones.py``.
OFFSET = 0.1
# `transformers`; AnomalyCLIP and other code derived from OpenAI's; open_clip (resize_pos_embed). All of them put
# corners at the corners of the outer patches (align_corners is False).
MODES: dict[Positions, dict[str, Any]] = {
    "transformers": {"mode": "bicubic", "antialias": False},
    "offset": {"mode": "bicubic", "antialias": False},
    "bicubic": {"mode": "bicubic", "antialias": False},
    "bilinear": {"mode": "bilinear", "antialias": False},
    "antialiased": {"mode": "bicubic", "antialias": True},
}
