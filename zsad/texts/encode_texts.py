"""The stage that encodes text prompts about an object, sentences or learned tokens, into embeddings."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zsad.errors import ConfigError, ModelError
from zsad.features.base import Backbone
from zsad.features.execution import Execution
from zsad.files.provenance import file_sha256
from zsad.files.texts import ANOMALOUS, NORMAL, TextWriter
from zsad.models.texts.base import shown
from zsad.models.texts.learned_tokens import LearnedTokens, read_learned_tokens
from zsad.models.texts.published_files import is_learned
from zsad.texts.part_names import ANY_PART, WHERE
from zsad.texts.part_names import part_name as checked_part_name
from zsad.texts.prompt_sets import BUILT_IN, Sentences, prompt_set, sentences_of

if TYPE_CHECKING:
    from zsad.models.texts.base import TextEncoder


logger = logging.getLogger(__name__)


class TextPrompts(NamedTuple):
    """The text prompts about an object.

    Attributes:
        sentences: the full text; for learned tokens a description of each.
        part_name: name of the object in them.
        facts: facts about the prompts for the provenance.
        learned: tokens in place of sentences; None for words.
    """

    sentences: Sentences
    part_name: str
    facts: dict[str, Any]
    learned: LearnedTokens | None = None


def encode_texts(
    *,
    category: str,
    part_name: str,
    prompts: str,
    trained_on: str | None,
    backbone: Backbone,
    execution: Execution,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the embeddings of the text prompts about the object of a category; on an error there is no output.

    Args:
        category: name, for messages and the provenance.
        part_name: name of the object in sentences; learned tokens always use ``object``.
        prompts: name of a prompt set, or a user's file, see `zsad.texts.prompt_sets`; or AnomalyCLIP's ``.pth``.
        trained_on: the data set that learned tokens were trained on; None or empty for words.
        backbone: backbone whose text tower encodes.
        execution: device; it changes only the speed.
        provenance: facts about the stage; prompts and encoder are added.

    Raises:
        ConfigError: the prompts or the name cannot be used, a sentence is too long, or the backbone has no texts.
        ModelError: the model or the file of learned tokens cannot be used.
    """
    start = time.monotonic()
    asked = _learned(prompts, trained_on) if is_learned(prompts) else _in_words(prompts, category, part_name)
    encoder = backbone.load_texts(execution)
    if asked.learned is None:
        _check_lengths(encoder, asked, category, prompts)
        embeddings = embeddings_of(encoder, asked.sentences.texts)
    else:
        embeddings = encoder.encode_learned(asked.learned)
    _check_embeddings(embeddings, asked.sentences.texts, encoder.name)
    logger.info("%d sentences about '%s' by %s on %s", len(embeddings), asked.part_name, encoder.name, encoder.device)
    details = {
        "category": category,
        "part_name": asked.part_name,
        "prompts": asked.facts,
        "model": encoder.model,
        "device": encoder.device,
        "backbone": backbone.text_parameters(),
        "sentences": len(embeddings),
        "seconds": round(time.monotonic() - start, 3),
    }
    with TextWriter(
        output,
        {**provenance, **details},
        sentences=asked.sentences.texts,
        states=asked.sentences.states,
        embeddings=embeddings,
        patch_part=encoder.patch_part,
    ):
        pass


def embeddings_of(encoder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
    """Embeddings of texts, float32 ``[text, channel]``; each is encoded once, together with others of its length.

    Encoders process batches of texts and pad the shorter ones, which then cost as much as long ones.
    """
    distinct = sorted(set(texts), key=lambda text: (encoder.count_tokens(text), text))
    places = {text: place for place, text in enumerate(distinct)}
    embeddings: np.ndarray = encoder.encode(distinct)[[places[text] for text in texts]]
    return embeddings


def _in_words(prompts: str, category: str, part_name: str) -> TextPrompts:
    chosen, name = prompt_set(prompts), checked_part_name(category, {category: part_name})
    facts = {"name": _shown_name(prompts), **chosen.parameters()}
    return TextPrompts(sentences_of(chosen, name), name, facts)


def _learned(prompts: str, trained_on: str | None) -> TextPrompts:
    if not trained_on:
        raise ConfigError(
            f"text_prompts = {prompts} are learned tokens, and trained_on does not name their data set; set it, e.g. "
            "trained_on: visa"
        )
    learned = read_learned_tokens(prompts)
    facts = {"name": _shown_name(prompts), "sha256": file_sha256(prompts), "trained_on": trained_on}
    return TextPrompts(Sentences(learned.descriptions, [NORMAL, ANOMALOUS]), ANY_PART, facts, learned)


def _shown_name(prompts: str) -> str:
    """The name of a prompt set for users; without the folders of a user's file, which are private."""
    return prompts if prompts in BUILT_IN else Path(prompts).name


def _check_lengths(encoder: TextEncoder, asked: TextPrompts, category: str, prompts: str) -> None:
    """Reject sentences that are too long for the model; the message says whether the name or a phrase is too long.

    Raises:
        ConfigError: there is one.
    """
    counts = [encoder.count_tokens(text) for text in asked.sentences.texts]
    longest = int(np.argmax(counts))
    if counts[longest] <= encoder.longest:
        return
    limit = f"has {counts[longest]} tokens, but model '{encoder.name}' reads {encoder.longest}"
    short = asked.sentences.texts[longest].replace(asked.part_name, ANY_PART, 1)
    if encoder.count_tokens(short) <= encoder.longest:
        where, whose = (f"{WHERE}: ", f" of category '{category}'") if category else ("", "")
        raise ConfigError(f"{where}with the name '{shown(asked.part_name)}'{whose} a sentence {limit}; shorten it")
    raise ConfigError(
        f"text_prompts = {prompts}: the sentence '{shown(asked.sentences.texts[longest])}' {limit}; shorten its phrase "
        "or template"
    )


def _check_embeddings(embeddings: np.ndarray, texts: Sequence[str], name: str) -> None:
    """Reject the output of a damaged model.

    Raises:
        ModelError: an embedding is not finite, or has no direction.
    """
    usable = np.isfinite(embeddings).all(axis=1) & ((embeddings**2).sum(axis=1) > 0)
    if not usable.all():
        text = texts[int(np.argmin(usable))]
        raise ModelError(
            f"model '{name}' gives the text '{shown(text)}' no direction (its embedding is zero or not finite); "
            "download it again"
        )
