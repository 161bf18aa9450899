"""The text prompts of methods for each category, and the number of sentences; no model is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from zsad.files.texts import NORMAL
from zsad.texts.prompt_sets import Sentences, prompt_set, sentences_of
from zsad.workflow.entries import TextsEntry
from zsad.workflow.settings import Settings


def prompt_lines(settings: Settings, *, whole: bool = False) -> list[str]:
    """One line for each set of prompts with its methods, and one for each category with the name of its object.

    Args:
        whole: also list every sentence.
    """
    lines = []
    for (backbone, name), texts in settings.asked_texts.items():
        methods = ", ".join(_methods(settings, backbone, name))
        learned = f", learned from {texts.trained_on}" if texts.is_learned else ""
        lines.append(f"  {texts.prompts}{learned}, by {backbone} (for {methods})")
        categories = settings.data.expected_categories
        width = max(map(len, categories), default=0)
        for category in categories:
            lines += _of_category(settings, category, texts, width, whole=whole)
    return lines


def _of_category(settings: Settings, category: str, texts: TextsEntry, width: int, *, whole: bool) -> Iterator[str]:
    name = settings.part_name(category, texts)
    if texts.is_learned:
        yield f"    {category:<{width}}  '{name}'"
        return
    sentences = sentences_of(prompt_set(texts.prompts), name)
    normal = sentences.states.count(NORMAL)
    counted = f"{len(sentences.texts)} sentences, {normal} of them for a normal object"
    yield f"    {category:<{width}}  '{name}', {counted}"
    if whole:
        yield from _words(sentences)


def _words(sentences: Sentences) -> Iterator[str]:
    for text, state in zip(sentences.texts, sentences.states, strict=True):
        yield f"      {'normal   ' if state == NORMAL else 'anomalous'}  {text}"


def _methods(settings: Settings, backbone: str, prompts: str) -> Iterator[str]:
    """Yield the methods that use this text encoder and set of prompts."""
    for method, entry in settings.methods.items():
        if entry.texts is not None and (settings.text_backbone(method), entry.texts.name) == (backbone, prompts):
            yield method
