"""Sets of prompts: phrases that say what is normal and what is not, and templates that put them into sentences.

Each phrase is put into each template, and a part's name into each phrase (WinCLIP, Jeong et al., CVPR 2023, section
4.1, calls it a compositional prompt ensemble). Sets that others have published come with the package; a user's own is
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
        raise ValueError(f"it must have {BLANK} once, where words are put in, and has it {count or 'no'} times")
    check_without_braces(text.replace(BLANK, ""))
    return text


Pattern = Annotated[str, BeforeValidator(_in_quotes), AfterValidator(_checked_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1)]


class PromptSet(Options):
    """A set of prompts, as its file has it."""

    source: str = Field("", description="whose prompts these are, for the provenance and the page")
    normal: Patterns = Field(description="phrases that say of a part that it is normal, with {} for its name")
    anomalous: Patterns = Field(description="phrases that say of a part that it is not normal, with {} for its name")
    templates: Patterns = Field(description="sentences, with {} for a phrase")


class Sentences(NamedTuple):
    """What is asked of a part, word by word.

    Attributes:
        texts: every phrase in every template, the normal ones first; what stands twice in a set stands twice here.
        states: `NORMAL` or `ANOMALOUS`, one a sentence.
    """

    texts: list[str]
    states: list[int]


def prompt_set(reference: str) -> PromptSet:
    """A set of prompts by its name, or from a user's file.

    Args:
        reference: a name of `BUILT_IN`, or the path of a YAML file.

    Raises:
        ConfigError: there is none, or it cannot be used.
    """
    path = BUILT_IN.get(reference) or _own_file(reference)
    content = _content(path)
    prompts = PromptSet.build(content, where=f"the {KIND} {path}")
    count = (len(prompts.normal) + len(prompts.anomalous)) * len(prompts.templates)
    if count > MOST_SENTENCES:
        raise ConfigError(
            f"the {KIND} {path} makes {count} sentences (phrases times templates), and at most {MOST_SENTENCES} are "
            "encoded; take some out"
        )
    return prompts


def sentences_of(prompts: PromptSet, part_name: str) -> Sentences:
    """The sentences that a set of prompts has for a part.

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
    """The files that prompts are read from, but for those of the package."""
    return [] if reference in BUILT_IN else [reference]


def check_prompts(reference: str) -> None:
    """Refuse prompts that cannot be used, as far as that shows without a framework.

    Raises:
        ConfigError: see `prompt_set`; of learned tokens, their file is absent.
    """
    if not is_learned(reference):
        prompt_set(reference)
    elif not Path(reference).is_file():
        what = "is a folder" if Path(reference).is_dir() else "does not exist"
        raise ConfigError(f"the file of learned tokens {reference} {what}; correct the path")


def prompts_name(reference: str) -> str:
    """What results of these prompts are named by: letters, digits, ``_`` and ``-`` alone, another for each reference.

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
    """The path of a user's file, which is there."""
    path = Path(reference)
    if _is_there(path):
        return path
    hint = nearest_hint(path.stem, BUILT_IN)
    if path.suffix == "" and len(path.parts) == 1:
        raise ConfigError(f"there is no set of prompts '{reference}', and no such file{hint}")
    raise ConfigError(f"the {KIND} {path} does not exist{hint}")


def _is_there(path: Path) -> bool:
    try:
        if path.is_file():
            return True
        is_something = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
    if is_something:
        raise ConfigError(f"the {KIND} {path} is {'a folder' if path.is_dir() else 'no file'}; give a YAML file")
    return False


def _content(path: Path) -> Mapping[str, Any]:
    if is_learned(str(path)):
        raise ConfigError(f"{path} holds learned tokens by its ending, and no sentences; give a YAML file")
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"the {KIND} {path} has more than {MOST_BYTES:,} bytes; give a YAML file of phrases")
    content = read_yaml(path, KIND, fix="correct it, and put phrases in quotes")
    if content is None:
        raise ConfigError(f"the {KIND} {path} is empty; it must hold normal, anomalous and templates")
    if not isinstance(content, Mapping):
        raise ConfigError(f"the {KIND} {path} must hold keys and values: normal, anomalous and templates")
    return content
