"""The text prompts of methods, word by word, and the data sets that published weights were trained on."""

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
TEXT_SETTINGS = ("zero-shot-text", "zero-shot-auxiliary")  # settings whose meaning already mentions words


class Asked(NamedTuple):
    """The prompts of a method, from the provenance of scores.

    Attributes:
        texts: see `zsad.scoring.describe_texts.describe_texts`.
        trained_on: the data set that the published weights of the method were trained on; empty if there are none.
        learned_files: the SHA-256 of the weights, by the parameter that names them.
    """

    texts: Mapping[str, Any]
    trained_on: str
    learned_files: Mapping[str, str]

    @property
    def prompts(self) -> Mapping[str, Any]:
        """The words, or the learned tokens that replace them."""
        return _mapping(self.texts.get("prompts"))

    @property
    def seen(self) -> str:
        """`trained_on`, or the data set that learned tokens name."""
        return self.trained_on or str(self.prompts.get("trained_on") or "")


@dataclass
class Question:
    """One set of prompts, used by some methods with one model for the objects of some categories.

    Attributes:
        prompts: of words ``name``, ``source``, ``normal``, ``anomalous`` and ``templates``; of learned tokens ``name``,
            ``sha256`` and ``trained_on``.
        model: the text tower, in words; may be empty.
        methods: by display name.
        parts: by category: the name of the object, the number of sentences, and an example of each state.
    """

    prompts: Mapping[str, Any]
    model: str
    methods: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    parts: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_learned(self) -> bool:
        """Whether published learned tokens replace words."""
        return "sha256" in self.prompts

    @property
    def words(self) -> dict[str, list[str]]:
        """Phrases and templates, as they are; empty for learned tokens."""
        return {name: list(map(str, self.prompts[name])) for name in WORDS if self.prompts.get(name)}


def section(contents: Contents) -> Section | None:
    """The prompts; None if no method uses texts."""
    questions = _questions(contents)
    return Section("words.html.jinja", {"questions": questions}, "words", "Words") if questions else None


def trained_on(results: Iterable[Evaluation]) -> list[str]:
    """The data sets that the published weights of methods were trained on, sorted."""
    return sorted({asked.seen for result in results for asked in asked_of(result)} - {""})


def asked_of(result: Evaluation) -> Iterator[Asked]:
    """The prompts behind an evaluation of scores."""
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
            question.methods.setdefault(contents.names[key], _describe(key, asked))
            question.parts.setdefault(result["category"], _name_and_examples(asked.texts))
    order = {category: place for place, category in enumerate(contents.categories)}
    for question in found.values():
        question.parts = dict(sorted(question.parts.items(), key=lambda item: order[item[0]]))
    return list(found.values())


def asked_in(scores: Mapping[str, Any]) -> Iterator[Asked]:
    """The prompts in the provenance of scores, and in that of the scores that they are made of.

    Args:
        scores: the provenance of a score file; a fusion has that of its ``members``, a modulation that of ``scores``.
    """
    if texts := _mapping(scores.get("texts")):
        params = _mapping(_mapping(scores.get("scorer")).get("params"))
        learned = _mapping(scores.get("learned_files"))
        yield Asked(texts, str(params.get("trained_on") or ""), learned)
    for inner in (*_mapping(scores.get("members")).values(), scores.get("scores")):
        if isinstance(inner, Mapping):
            yield from asked_in(inner)


def _describe(key: MethodKey, asked: Asked) -> dict[str, Any]:
    return {
        "setting": key.setting,
        "meaning": setting_meaning(key.setting),
        "by_words_alone": key.setting.startswith(TEXT_SETTINGS),
        "trained_on": asked.seen,
        "learned_files": dict(asked.learned_files),
    }


def _name_and_examples(texts: Mapping[str, Any]) -> dict[str, Any]:
    examples = _mapping(texts.get("examples"))
    return {
        "name": str(texts.get("part_name") or ""),
        "sentences": texts.get("sentences", ""),
        **{state: str(examples.get(state) or "") for state in STATES},
    }


def _model_in_words(model: Mapping[str, Any]) -> str:
    """The model of the text tower in words: its id, and its revision if it has one."""
    words = (str(model.get("id") or ""), f"revision {model['revision']}" if model.get("revision") else "")
    return ", ".join(filter(None, words))


def _mapping(value: Any) -> Mapping[str, Any]:
    """A value of a provenance that should be a mapping; an empty mapping for anything else."""
    return value if isinstance(value, Mapping) else {}
