"""Description of a method's text prompts for the provenance of its scores and of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsad.files.texts import ANOMALOUS, NORMAL

if TYPE_CHECKING:
    from zsad.scoring.token_source import Texts

ASKED_KEYS = ("category", "part_name", "prompts", "model")  # of the provenance of texts


def describe_texts(texts: Texts) -> dict[str, Any]:
    """Describe sentences and the model that encoded them.

    Args:
        texts: sentences and their embeddings.

    Returns:
        ``category``, ``part_name``, ``prompts`` and ``model`` as far as the texts record them; ``sentences``, their
        number; and ``examples``, the first ``normal`` and the first ``anomalous`` one.
    """
    states = texts.states.tolist()
    return {
        **{key: texts.provenance[key] for key in ASKED_KEYS if key in texts.provenance},
        "sentences": len(texts.sentences),
        "examples": {
            "normal": texts.sentences[states.index(NORMAL)],
            "anomalous": texts.sentences[states.index(ANOMALOUS)],
        },
    }
