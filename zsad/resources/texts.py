"""Estimate of the rule encode_texts in rules/texts.smk, which runs sentences through a model's text tower."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.estimate import Estimate
from zsad.resources.features import CPU_RATE, GPU_RATE, GPU_THREADS
from zsad.resources.libraries import with_transformers
from zsad.resources.run import Run
from zsad.resources.tokens import is_network
from zsad.texts.prompt_sets import prompt_set, sentences_of
from zsad.workflow.entries import TextsEntry

TEXT_THREADS = 4
TOWER_SHARE = 0.5  # of a model's weights that belong to its text tower; conservative
TEXT_TOKENS = 77  # CLIP's tower computes this many for every sentence
BLOCK_MEGABYTES = 200  # inside the tower, for the sentences encoded at a time
LEARNED_SENTENCES = 2  # of learned prompts, one per state


def text_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads of a job that encodes sentences; with a GPU those that feed it."""
    if not is_network(run.settings.backbones[names["backbone"]]):
        return 1
    return GPU_THREADS if run.on_gpu else TEXT_THREADS


def encode_texts(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads at most the whole weights file, loads the tower, and runs it once per sentence."""
    megabytes = run.settings.backbones[names["backbone"]].backbone.assumed_megabytes()
    sentences = _sentences(run.settings.asked_texts[names["backbone"], names["prompts"]])
    operations = 2.0 * TOWER_SHARE * (megabytes * 1e6 / 4) * TEXT_TOKENS * sentences
    return with_transformers(on_gpu=run.on_gpu).plus(
        (1 + TOWER_SHARE) * megabytes + BLOCK_MEGABYTES, operations / (GPU_RATE if run.on_gpu else CPU_RATE)
    )


def _sentences(texts: TextsEntry) -> int:
    return LEARNED_SENTENCES if texts.is_learned else len(sentences_of(prompt_set(texts.prompts), "part").texts)
