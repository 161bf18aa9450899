"""What methods that read texts asked, word by word, and on what others have trained what they read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from zsad.reporting.contents import Contents, Section
from zsad.reporting.evaluations import Evaluation, MethodKey, key_of
from zsad.reporting.settings_in_words import setting_meaning

STATES = ("normal", "anomalous")
WORDS = (*STATES, "templates")  # of prompts
TEXT_SETTINGS = ("zero-shot-text", "zero-shot-auxiliary")  # whose meanings speak of words themselves


class Asked(NamedTuple):
    """A question, as the provenance of scores says it.

    Attributes:
        texts: see `zsad.scoring.describe_texts.describe_texts`.
        trained_on: the data set on which others have trained what the method reads; empty for nothing of the kind.
        learned_files: the SHA-256 of weights that it reads, by the parameter that names them.
    """

    texts: Mapping[str, Any]
    trained_on: str
    learned_files: Mapping[str, str]

    @property
    def prompts(self) -> Mapping[str, Any]:
        """The words, or what stands in their place."""
        return _mapping(self.texts.get("prompts"))

    @property
    def seen(self) -> str:
        """`trained_on`, or what learned tokens say of themselves."""
        return self.trained_on or str(self.prompts.get("trained_on") or "")


@dataclass
class Question:
    """One set of prompts, asked of a model by some methods about the parts of some categories.

    Attributes:
        prompts: of words ``name``, ``source``, ``normal``, ``anomalous`` and ``templates``; of learned tokens ``name``,
            ``sha256`` and ``trained_on``.
        model: what turned the sentences into vectors, in words; may be empty.
        methods: by what the page calls them.
        parts: by category: what the part was called, how many sentences there are, and one of each state.
    """

    prompts: Mapping[str, Any]
    model: str
    methods: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    parts: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_learned(self) -> bool:
        """Whether tokens that others have trained stand in the place of words."""
        return "sha256" in self.prompts

    @property
    def words(self) -> dict[str, list[str]]:
        """Phrases and templates, as they are; those of learned tokens there are none of."""
        return {name: list(map(str, self.prompts[name])) for name in WORDS if self.prompts.get(name)}


def section(contents: Contents) -> Section | None:
    """What was asked; None if no method reads texts."""
    questions = _questions(contents)
    return Section("words.html.jinja", {"questions": questions}, "words", "Words") if questions else None


def trained_on(results: Iterable[Evaluation]) -> list[str]:
    """The data sets on which others have trained what methods read, sorted."""
    return sorted({asked.seen for result in results for asked in asked_of(result)} - {""})


def asked_of(result: Evaluation) -> Iterator[Asked]:
    """The questions behind the evaluation of scores."""
    return asked_in(_mapping(result["provenance"].get("scores")))


def _questions(contents: Contents) -> list[Question]:
    """Each set of prompts once, in the order of methods and categories."""
    found: dict[str, Question] = {}
    for result in contents.results:
        for asked in asked_of(result):
            model = _model_in_words(_mapping(asked.texts.get("model")))
            identity = json.dumps([asked.prompts, model], sort_keys=True, ensure_ascii=False, default=str)
            question = found.setdefault(identity, Question(asked.prompts, model))
            key = key_of(result)
            question.methods.setdefault(contents.names[key], _told_of(key, asked))
            question.parts.setdefault(result["category"], _part(asked.texts))
    order = {category: place for place, category in enumerate(contents.categories)}
    for question in found.values():
        question.parts = dict(sorted(question.parts.items(), key=lambda item: order[item[0]]))
    return list(found.values())


def asked_in(scores: Mapping[str, Any]) -> Iterator[Asked]:
    """The questions in the provenance of scores: its own, and those of scores that it is made of.

    Args:
        scores: the provenance of a score file; a fusion holds that of its ``members``, a modulation that of ``scores``.
    """
    if texts := _mapping(scores.get("texts")):
        params = _mapping(_mapping(scores.get("scorer")).get("params"))
        learned = _mapping(scores.get("learned_files"))
        yield Asked(texts, str(params.get("trained_on") or ""), learned)
    for inner in (*_mapping(scores.get("members")).values(), scores.get("scores")):
        if isinstance(inner, Mapping):
            yield from asked_in(inner)


def _told_of(key: MethodKey, asked: Asked) -> dict[str, Any]:
    return {
        "setting": key.setting,
        "meaning": setting_meaning(key.setting),
        "by_words_alone": key.setting.startswith(TEXT_SETTINGS),
        "trained_on": asked.seen,
        "learned_files": dict(asked.learned_files),
    }


def _part(texts: Mapping[str, Any]) -> dict[str, Any]:
    examples = _mapping(texts.get("examples"))
    return {
        "name": str(texts.get("part_name") or ""),
        "sentences": texts.get("sentences", ""),
        **{state: str(examples.get(state) or "") for state in STATES},
    }


def _model_in_words(model: Mapping[str, Any]) -> str:
    """Whose text tower it was: its id, and its revision if it has one."""
    words = (str(model.get("id") or ""), f"revision {model['revision']}" if model.get("revision") else "")
    return ", ".join(filter(None, words))


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of a provenance that should be a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}
