"""Settings: how much a method may see, in order."""

from __future__ import annotations

import re

_SETTINGS = ("zero-shot-single", "zero-shot-batch", "zero-shot-text", "few-shot", "full-shot")
_FEW_SHOT = re.compile(r"few-shot-(\d+)")


def setting_order(setting: str) -> tuple[int, int, str]:
    """Sort key of a setting: the less a method sees, the earlier it stands; few-shot by the number of references."""
    few_shot = _FEW_SHOT.fullmatch(setting)
    kind = "few-shot" if few_shot else setting
    rank = _SETTINGS.index(kind) if kind in _SETTINGS else len(_SETTINGS)
    return rank, int(few_shot[1]) if few_shot else 0, setting
