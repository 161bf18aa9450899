"""The image-text model and the prompts for an inspection by the name of the object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from zsad.errors import ConfigError
from zsad.features.registry import BACKBONES, IMAGE_TEXT, completed
from zsad.scoring.base import Scorer
from zsad.scoring.registry import SCORERS
from zsad.texts.part_names import ANY_PART, name_on_command_line

ENTRY = "words"  # entry of `backbones` in the written configuration
BY_WORDS, BY_WORDS_AND_REFERENCES = "text_similarity", "winclip_plus"  # default methods
PATHS = ("values", "plain")  # for methods that use patches: the first one that the model supports
WINDOWS: Mapping[str, Any] = {"model": "clip-vitb16-plus-240", "path": "windows"}  # WinCLIP's
PATCHES: Mapping[str, Any] = {"model": "clip-vitl14-336", "path": "values", "resolution": 518}  # AnomalyCLIP's


class Words(NamedTuple):
    """The text prompts of a method.

    Attributes:
        part: name of the object.
        params: parameters of the backbone, of the family `IMAGE_TEXT`.
    """

    part: str
    params: Mapping[str, Any]


def method_for(has_references: bool) -> str:
    """The default method for an object with a name."""
    return BY_WORDS_AND_REFERENCES if has_references else BY_WORDS


def words_of(method: str, scorer: Scorer, part: str | None, backbone: str | None) -> Words | None:
    """The text prompts of a method; None for a method without text prompts.

    Args:
        part: name of the object; None if it is not given.
        backbone: a model, a hub id or a path; None for the default of the method.

    Raises:
        ConfigError: a name is given, but the method uses no texts; or the name cannot be put into a sentence.
    """
    if scorer.text_role:
        return Words(ANY_PART if part is None else name_on_command_line(part), _params(scorer, backbone))
    if part is None:
        return None
    asked = [name for name in SCORERS.names() if SCORERS.load(name).text_role]
    raise ConfigError(
        f"--part is for methods with text prompts ({', '.join(asked)}), and '{method}' has none; leave out one of the "
        "two"
    )


def _params(scorer: Scorer, backbone: str | None) -> Mapping[str, Any]:
    if scorer.reads_windows:
        return WINDOWS if backbone is None else {**WINDOWS, "model": backbone}
    if backbone is None:
        return PATCHES
    return next((params for path in PATHS if _fits(params := {"model": backbone, "path": path})), {"model": backbone})


def _fits(params: Mapping[str, Any]) -> bool:
    """Whether a model accepts parameters, as far as known before it is loaded."""
    try:
        BACKBONES.build(IMAGE_TEXT, completed(IMAGE_TEXT, params)).check_model()
    except ConfigError:
        return False
    return True
