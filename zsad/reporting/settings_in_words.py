"""What each setting lets a method see, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zsad.names import auxiliary_sets, without_auxiliary

_FEW_SHOT_MEANING = "{} normal reference images"
_SETTING_MEANINGS = {
    "zero-shot-single": "only one image at a time",
    "zero-shot-batch": "all test images of the category together, without labels",
    "zero-shot-text": "a text with the name of the object, and no reference image",
    "full-shot": "all normal training images",
}


def setting_meaning(setting: str) -> str:
    """What a method of this setting may see, in words."""
    if trained_on := auxiliary_sets(setting):
        own = without_auxiliary(setting)
        learned = f"weights trained on labelled defects of {' and '.join(trained_on)}"
        return f"{setting_meaning(own)} and {learned}" if own else f"{learned}, and no reference image"
    few_shot = re.fullmatch(r"few-shot-(\d+)", setting)
    return _FEW_SHOT_MEANING.format(few_shot[1]) if few_shot else _SETTING_MEANINGS.get(setting, setting)


def what_each_sees(settings: Iterable[str]) -> dict[str, str]:
    """The same for several settings, for the lines above their methods in a table."""
    return {setting: f"sees {setting_meaning(setting)}" for setting in dict.fromkeys(settings)}
