"""The command that lists the sets of text prompts, and the sentences of one set."""

from __future__ import annotations

import argparse
import json

from zsad.columns import aligned
from zsad.errors import ConfigError
from zsad.files.texts import ANOMALOUS, NORMAL
from zsad.files.user_paths import expanded
from zsad.models.texts.published_files import is_learned
from zsad.texts.part_names import name_on_command_line
from zsad.texts.prompt_sets import BUILT_IN, PromptSet, Sentences, prompt_set, sentences_of

COLUMNS = ("name", "normal", "anomalous", "templates", "sentences")
NUMBER_COLUMNS = COLUMNS[1:]
TITLES = {NORMAL: "Normal", ANOMALOUS: "Anomalous"}


def show_prompts(options: argparse.Namespace) -> None:
    """Print the sets of prompts of the package; or all sentences of one set, or of a file.

    Raises:
        ConfigError: there is no such set, it cannot be used, or the name of the object is invalid.
        ModelError: a file of learned tokens cannot be used.
    """
    if options.prompts is None:
        return _show_sets(options.json)
    reference = _expanded(options.prompts)
    if is_learned(reference):
        return _show_learned(reference, options.json)
    prompts = prompt_set(reference)
    sentences = sentences_of(prompts, name_on_command_line(options.part))
    if options.json:
        return _print_json(_as_json(options.prompts, prompts, sentences))
    print(f"{options.prompts}: {prompts.source or 'the file gives no source'}")
    for state, title in TITLES.items():
        texts = _of_state(sentences, state)
        print(f"\n{title} ({len(texts)})\n")
        for text in texts:
            print(f"  {text}")


def _show_sets(as_json: bool) -> None:
    sets = {name: prompt_set(name) for name in BUILT_IN}
    if as_json:
        listed = [{"name": name, **prompts.parameters()} for name, prompts in sets.items()]
        return _print_json({"prompts": listed})
    print("Sets of prompts\n")
    for line in aligned([COLUMNS, *(_row(name, prompts) for name, prompts in sets.items())], NUMBER_COLUMNS):
        print(f"  {line}")
    print("\nEvery phrase is combined with every template, and the name of the object is put into the phrase.")
    print("`zsad prompts NAME --part 'metal nut'` prints the sentences; `text_prompts: NAME` in the params of a method")
    print("selects a set. Your own set is a YAML file with the keys normal, anomalous and templates. A .pth file of")
    print("AnomalyCLIP's authors contains learned tokens instead of words.\n")
    for name, prompts in sets.items():
        print(f"  {name}: {prompts.source}")


def _row(name: str, prompts: PromptSet) -> tuple[str, ...]:
    counts = [len(phrases) for phrases in (prompts.normal, prompts.anomalous, prompts.templates)]
    return (name, *map(str, (*counts, sum(counts[:2]) * counts[2])))


def _show_learned(path: str, as_json: bool) -> None:
    from zsad.models.texts.learned_tokens import read_learned_tokens  # imports torch

    learned = read_learned_tokens(path)
    blocks, tokens, channels = learned.deep.shape
    if as_json:
        return _print_json(
            {
                "name": path,
                "channels": channels,
                "normal": (len(learned.normal), learned.normal_words),
                "anomalous": (len(learned.anomalous), learned.anomalous_words),
                "deep": (blocks, tokens),
            }
        )
    print(f"{path}: learned tokens of AnomalyCLIP, for a text tower of {channels} channels")
    for title, description in zip(TITLES.values(), learned.descriptions, strict=True):
        print(f"\n{title} (1)\n\n  {description}")
    print(f"\nBefore each of the blocks 2 to {blocks + 1}, other learned tokens replace the first {tokens}.")


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False))


def _as_json(name: str, prompts: PromptSet, sentences: Sentences) -> dict[str, object]:
    return {
        "name": name,
        "source": prompts.source,
        "normal": _of_state(sentences, NORMAL),
        "anomalous": _of_state(sentences, ANOMALOUS),
    }


def _of_state(sentences: Sentences, state: int) -> list[str]:
    return [text for text, of in zip(sentences.texts, sentences.states, strict=True) if of == state]


def _expanded(reference: str) -> str:
    try:
        return expanded(reference)
    except ValueError as error:
        raise ConfigError(f"'{reference}': {error}") from None
