"""Which model of images and texts is asked, and what the part is called there, where somebody only names a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from zsad.errors import ConfigError
from zsad.features.registry import BACKBONES, IMAGE_TEXT, completed
from zsad.scoring.base import Scorer
from zsad.scoring.registry import SCORERS
from zsad.texts.part_names import ANY_PART, name_on_command_line

ENTRY = "words"  # of `backbones`, in the configuration that is written
BY_WORDS, BY_WORDS_AND_REFERENCES = "text_similarity", "winclip_plus"  # methods, where none is named
PATHS = ("values", "plain")  # of a method that looks at patches: the first that the model takes
WINDOWS: Mapping[str, Any] = {"model": "clip-vitb16-plus-240", "path": "windows"}  # WinCLIP's
PATCHES: Mapping[str, Any] = {"model": "clip-vitl14-336", "path": "values", "resolution": 518}  # AnomalyCLIP's


class Words(NamedTuple):
    """What a method is asked with.

    Attributes:
        part: its name.
        params: of the backbone, of the family `IMAGE_TEXT`.
    """

    part: str
    params: Mapping[str, Any]


def method_for(has_references: bool) -> str:
    """The method that suits a part with a name."""
    return BY_WORDS_AND_REFERENCES if has_references else BY_WORDS


def words_of(method: str, scorer: Scorer, part: str | None, backbone: str | None) -> Words | None:
    """What a method is asked with; None for one that is asked in no words.

    Args:
        part: its name; None if nobody has said it.
        backbone: a model, a hub id or a path; None for one that suits the method.

    Raises:
        ConfigError: a part is named, and the method reads no words; or its name cannot be put into a sentence.
    """
    if scorer.text_role:
        return Words(ANY_PART if part is None else name_on_command_line(part), _params(scorer, backbone))
    if part is None:
        return None
    asked = [name for name in SCORERS.names() if SCORERS.load(name).text_role]
    raise ConfigError(
        f"--part is for methods that are asked in words ({', '.join(asked)}), and '{method}' is none; leave one of the "
        "two out"
    )


def _params(scorer: Scorer, backbone: str | None) -> Mapping[str, Any]:
    if scorer.reads_windows:
        return WINDOWS if backbone is None else {**WINDOWS, "model": backbone}
    if backbone is None:
        return PATCHES
    return next((params for path in PATHS if _fits(params := {"model": backbone, "path": path})), {"model": backbone})


def _fits(params: Mapping[str, Any]) -> bool:
    """Whether a model takes parameters, as far as that is known before it is loaded."""
    try:
        BACKBONES.build(IMAGE_TEXT, completed(IMAGE_TEXT, params)).check_model()
    except ConfigError:
        return False
    return True
