"""The text prompts of methods, and checks of a configuration that no scorer can make by itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zsad.errors import ConfigError
from zsad.models.texts.published_files import is_learned
from zsad.scoring.base import Scorer
from zsad.scoring.text_scorer import TextScorer
from zsad.texts.prompt_sets import check_prompts, prompts_name
from zsad.workflow.entries import BackboneEntry, MethodEntry, TextsEntry


def texts_entry(scorer: Scorer) -> TextsEntry | None:
    """The text prompts of a scorer; None if it has none."""
    if not scorer.text_role:
        return None
    params = scorer.parameters()
    prompts: str = params["text_prompts"]
    trained_on = params["trained_on"] if is_learned(prompts) else None
    return TextsEntry(prompts_name(prompts), prompts, trained_on or "")


def check_backbone(scorer: Scorer, name: str, backbone: BackboneEntry, where: str) -> None:
    """Reject a backbone without a text tower, or with other tokens than the scorer compares with texts.

    Args:
        name: of the scorer, which uses text prompts.

    Raises:
        ConfigError: the backbone is not suitable.
    """
    if backbone.backbone.has_texts:
        if isinstance(scorer, TextScorer) and (reason := scorer.backbone_refusal(backbone.params)):
            raise ConfigError(f"{where}: scorer '{name}' cannot read backbone '{backbone.name}': {reason}")
        return
    why = "joins several, which share no text tower" if backbone.members else "has no text tower"
    raise ConfigError(
        f"{where}: scorer '{name}' uses text prompts, but backbone '{backbone.name}' {why}; choose one of "
        "`family: image_text`, such as {family: image_text, params: {model: clip-vitl14-336}}"
    )


def check_files(methods: Iterable[MethodEntry]) -> None:
    """Reject prompts and weights of methods whose files do not exist, and prompt sets that cannot be read.

    Raises:
        ConfigError: there are such files.
    """
    for method in methods:
        if method.texts is not None:
            _check_prompts(method.texts, f"{method.where}.params.text_prompts")
        for param, path in method.learned_files.items():
            _check_file(path, f"{method.where}.params.{param}")


def check_origins(methods: Iterable[MethodEntry]) -> None:
    """Reject two methods that give different training data sets for the same file of learned prompts.

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
                f"{one} and {other} read the same text_prompts {method.texts.prompts}, but give as their training "
                f"data set  '{first.texts.trained_on}' and '{method.texts.trained_on}'; give both the same trained_on"
            )


def _check_prompts(texts: TextsEntry, where: str) -> None:
    try:
        check_prompts(texts.prompts)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_file(path: str, where: str) -> None:
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "does not exist"
        raise ConfigError(f"{where}: {path} {what}; correct the path, or put the file there")
