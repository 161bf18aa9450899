"""Prompt sets: phrases for normal and anomalous states, and templates that make sentences of them.

Each phrase is inserted into each template, and the name of the object into each phrase (WinCLIP, Jeong et al., CVPR
2023, section 4.1, calls it a compositional prompt ensemble). Published sets come with the package; a user's own set is
a YAML file with the same keys.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from zsad.errors import ConfigError, nearest_hint
from zsad.files.texts import ANOMALOUS, NORMAL
from zsad.files.yaml_files import read_yaml
from zsad.models.texts.published_files import is_learned
from zsad.registry import Options
from zsad.texts.words import BLANK, check_without_braces, check_words

KIND = "file of prompts"  # in messages
MOST_BYTES = 1_000_000
MOST_SENTENCES = 10_000  # of both states; ViT-L/14's text tower takes minutes for them on a few cores
LONGEST_STEM = 40  # characters
_SETS = Path(__file__).with_name("sets")

BUILT_IN: Mapping[str, Path] = MappingProxyType(
    {name: _SETS / f"{name}.yaml" for name in ("winclip", "winclip_21", "april_gan")}
)


def _in_quotes(value: Any) -> Any:
    if value == {}:
        raise ValueError(f'it must be text: put it in quotes, "{BLANK}"')
    return value


def _checked_pattern(text: str) -> str:
    check_words(text)
    if (count := text.count(BLANK)) != 1:
        raise ValueError(f"it must have {BLANK} once, where words are inserted, but has it {count or 'no'} times")
    check_without_braces(text.replace(BLANK, ""))
    return text


Pattern = Annotated[str, BeforeValidator(_in_quotes), AfterValidator(_checked_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1)]


class PromptSet(Options):
    """A prompt set as in its file."""

    source: str = Field("", description="source of the prompts, for the provenance and the page")
    normal: Patterns = Field(description="phrases for a normal object, with {} for its name")
    anomalous: Patterns = Field(description="phrases for an anomalous object, with {} for its name")
    templates: Patterns = Field(description="sentences, with {} for a phrase")


class Sentences(NamedTuple):
    """The sentences about an object.

    Attributes:
        texts: every phrase in every template, the normal ones first; duplicates in a set stay duplicates.
        states: `NORMAL` or `ANOMALOUS`, one for each sentence.
    """

    texts: list[str]
    states: list[int]


def prompt_set(reference: str) -> PromptSet:
    """A prompt set by its name, or from a user's file.

    Args:
        reference: a name of `BUILT_IN`, or the path of a YAML file.

    Raises:
        ConfigError: the set does not exist or cannot be used.
    """
    path = BUILT_IN.get(reference) or _own_file(reference)
    content = _content(path)
    prompts = PromptSet.build(content, where=f"the {KIND} {path}")
    count = (len(prompts.normal) + len(prompts.anomalous)) * len(prompts.templates)
    if count > MOST_SENTENCES:
        raise ConfigError(
            f"the {KIND} {path} makes {count} sentences (phrases times templates), but at most {MOST_SENTENCES} are "
            "allowed; remove some"
        )
    return prompts


def sentences_of(prompts: PromptSet, part_name: str) -> Sentences:
    """The sentences of a prompt set for an object.

    >>> prompts = PromptSet(normal=("{}",), anomalous=("broken {}",), templates=("a photo of a {}.", "the {}."))
    >>> sentences_of(prompts, "cable").texts
    ['a photo of a cable.', 'the cable.', 'a photo of a broken cable.', 'the broken cable.']
    """
    texts: list[str] = []
    states: list[int] = []
    for state, phrases in ((NORMAL, prompts.normal), (ANOMALOUS, prompts.anomalous)):
        named = [phrase.replace(BLANK, part_name) for phrase in phrases]
        texts += [template.replace(BLANK, phrase) for phrase in named for template in prompts.templates]
        states += [state] * len(named) * len(prompts.templates)
    return Sentences(texts, states)


def prompts_files(reference: str) -> list[str]:
    """The user's files that prompts are read from, not those of the package."""
    return [] if reference in BUILT_IN else [reference]


def check_prompts(reference: str) -> None:
    """Reject prompts that cannot be used, as far as can be checked without a framework.

    Raises:
        ConfigError: see `prompt_set`; or the file of learned tokens is absent.
    """
    if not is_learned(reference):
        prompt_set(reference)
    elif not Path(reference).is_file():
        what = "is a folder" if Path(reference).is_dir() else "does not exist"
        raise ConfigError(f"the file of learned tokens {reference} {what}; correct the path")


def prompts_name(reference: str) -> str:
    """A unique name for results with these prompts: only letters, digits, ``_`` and ``-``.

    >>> prompts_name("winclip")
    'winclip'
    >>> prompts_name("prompts/welding seams.yaml")
    'welding_seams-1fccd482'
    """
    if reference in BUILT_IN:
        return reference
    stem = re.sub(r"[^A-Za-z0-9_]", "_", Path(reference).stem)[:LONGEST_STEM]
    return f"{stem}-{hashlib.sha256(reference.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _own_file(reference: str) -> Path:
    """The path of a user's file, which exists."""
    path = Path(reference)
    if _is_there(path):
        return path
    hint = nearest_hint(path.stem, BUILT_IN)
    if path.suffix == "" and len(path.parts) == 1:
        raise ConfigError(f"there is no prompt set '{reference}', and no such file{hint}")
    raise ConfigError(f"the {KIND} {path} does not exist{hint}")


def _is_there(path: Path) -> bool:
    try:
        if path.is_file():
            return True
        is_something = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
    if is_something:
        raise ConfigError(f"the {KIND} {path} is {'a folder' if path.is_dir() else 'not a file'}; give a YAML file")
    return False


def _content(path: Path) -> Mapping[str, Any]:
    if is_learned(str(path)):
        raise ConfigError(f"{path} is a file of learned tokens by its extension, not of sentences; give a YAML file")
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"the {KIND} {path} has more than {MOST_BYTES:,} bytes; give a YAML file of phrases")
    content = read_yaml(path, KIND, fix="correct it, and put phrases in quotes")
    if content is None:
        raise ConfigError(f"the {KIND} {path} is empty; it must hold normal, anomalous and templates")
    if not isinstance(content, Mapping):
        raise ConfigError(f"the {KIND} {path} must hold keys and values: normal, anomalous and templates")
    return content
