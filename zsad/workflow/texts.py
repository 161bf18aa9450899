"""What methods ask in words, and what may not be asked: checks of a configuration that no scorer can make by itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zsad.data.catalogue import datasets
from zsad.errors import ConfigError
from zsad.models.texts.published_files import is_learned
from zsad.scoring.base import Scorer
from zsad.scoring.text_scorer import TextScorer
from zsad.texts.prompt_sets import check_prompts, prompts_name
from zsad.workflow.entries import BackboneEntry, MethodEntry, TextsEntry

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset

ALSO_CALLED: Final[Mapping[str, str]] = {
    "mvtec": "mvtec_ad",
    "ksdd2": "kolektor_sdd2",
    "magnetictiles": "magnetic_tile",
}
LEAST_CATEGORIES = 2  # that tell a published data set from images of somebody's own
ALIKE = 0.75  # of names, by `difflib`: one of them may be a slip of the pen


def texts_entry(scorer: Scorer) -> TextsEntry | None:
    """What a scorer asks in words; None if it does not."""
    if not scorer.text_role:
        return None
    params = scorer.parameters()
    prompts: str = params["text_prompts"]
    trained_on = params["trained_on"] if is_learned(prompts) else None
    return TextsEntry(prompts_name(prompts), prompts, trained_on or "")


def check_backbone(scorer: Scorer, name: str, backbone: BackboneEntry, where: str) -> None:
    """Refuse a backbone that has no texts, or other tokens than the scorer compares with them.

    Args:
        name: of the scorer, which asks in words.

    Raises:
        ConfigError: it is one.
    """
    if backbone.backbone.has_texts:
        if isinstance(scorer, TextScorer) and (reason := scorer.backbone_refusal(backbone.params)):
            raise ConfigError(f"{where}: scorer '{name}' cannot read backbone '{backbone.name}': {reason}")
        return
    why = "joins several, which have no texts together" if backbone.members else "has no texts"
    raise ConfigError(
        f"{where}: scorer '{name}' asks in words, and backbone '{backbone.name}' {why}; choose one of "
        "`family: image_text`, such as {family: image_text, params: {model: clip-vitl14-336}}"
    )


def check_files(methods: Iterable[MethodEntry]) -> None:
    """Refuse prompts and weights of methods whose files are not there, and sets of prompts that cannot be read.

    Raises:
        ConfigError: there are some.
    """
    for method in methods:
        if method.texts is not None:
            _check_prompts(method.texts, f"{method.where}.params.text_prompts")
        for param, path in method.learned_files.items():
            _check_file(path, f"{method.where}.params.{param}")


def check_origins(methods: Iterable[MethodEntry]) -> None:
    """Refuse two methods that say of one file of learned prompts that it was trained on different data sets.

    Raises:
        ConfigError: there are two.
    """
    said: dict[str, MethodEntry] = {}
    for method in methods:
        if method.texts is None:
            continue
        first = said.setdefault(method.texts.name, method)
        if first.texts != method.texts and first.texts is not None:
            one, other = (each.where for each in (first, method))
            raise ConfigError(
                f"{one} and {other} read the same text_prompts {method.texts.prompts}, and say that they were trained "
                f"on '{first.texts.trained_on}' and '{method.texts.trained_on}'; give both the same trained_on"
            )


def check_unseen(methods: Iterable[MethodEntry], data: Dataset) -> None:
    """Refuse methods that have learned from the data set under test, as far as its names and categories tell.

    Raises:
        ConfigError: there is one.
    """
    for method in methods:
        trained_on = method.params.get("trained_on")
        if trained_on and (reason := _why_the_same(trained_on, data)):
            raise ConfigError(
                f"{method.where}: what it reads was trained on '{trained_on}', {reason}, and scores on images that "
                "were learned from measure nothing; take a file that was trained on another data set"
            )


def _why_the_same(trained_on: str, data: Dataset) -> str:
    """Why a data set that something was trained on is the one under test; empty if it seems to be another."""
    trained = _identity(trained_on)
    names = list(_names(data))
    if alike := next((name for name in names if _identity(name) == trained), None):
        return f"which is the data set under test ({alike})"
    if trained not in datasets() and (alike := next((name for name in names if _alike(trained_on, name)), None)):
        return f"which is written like the data set under test ({alike}) and is no other that is known"
    if data.facts is None and not data.is_demo and _has_categories_of(trained, data):
        title = datasets()[trained].title
        return f"and all categories in {data.root} are called as those of {title} (if they are others, rename them)"
    return ""


def _names(data: Dataset) -> Iterator[str]:
    """What the data set under test is called; the name of a layout for anybody's images is that of no data set."""
    if data.facts is not None:
        yield from (data.layout_name, data.facts.title)
    if data.name != data.layout_name or data.is_demo:
        yield data.name


def _has_categories_of(published: str, data: Dataset) -> bool:
    """Whether all categories of the data set, or all that are wanted of it, are some of a published one."""
    facts = datasets().get(published)
    if facts is None or not data.is_here:
        return False
    return any(
        len(categories) >= LEAST_CATEGORIES and set(categories) <= set(facts.categories)
        for categories in (data.known_categories, data.categories)
    )


def _identity(name: str) -> str:
    """The same for all ways to write the name of a data set: that of a published one, or letters and digits alone."""
    plain = _plain(name)
    known = {_plain(text): key for key, facts in datasets().items() for text in (key, facts.title)}
    return ALSO_CALLED.get(plain) or known.get(plain) or plain


def _alike(name: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, _plain(name), _plain(other)).ratio() >= ALIKE


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _check_prompts(texts: TextsEntry, where: str) -> None:
    try:
        check_prompts(texts.prompts)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_file(path: str, where: str) -> None:
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "does not exist"
        raise ConfigError(f"{where}: {path} {what}; correct the path, or put the file there")
