"""Inputs of a scorer besides image features: sentences, and published trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.errors import ConfigError, DataError
from zsad.files.known_hashes import known_sha256
from zsad.scoring.describe_texts import describe_texts
from zsad.scoring.same_model import model_difference

if TYPE_CHECKING:
    from zsad.scoring.base import Scorer
    from zsad.scoring.token_source import Texts, TokenSource


def check_texts(scorer: Scorer, readers: Mapping[str, TokenSource], texts: Texts | None) -> None:
    """Check that a scorer that needs texts has them, from the same model as its features.

    Args:
        readers: the features to read, by role.

    Raises:
        ValueError: texts are missing, or given but not used.
        DataError: another model made the features.
    """
    source = readers.get(scorer.text_role)
    if (texts is None) != (source is None):
        raise ValueError(f"texts are {'missing' if texts is None else 'not used by the scorer here'}")
    if texts is None or source is None:
        return
    if reason := model_difference(texts, source):
        raise DataError(
            f"{texts.path} and {source.path} come from different models ({reason}), so that their vectors cannot be "
            "compared; delete both and run again"
        )


def learned_digests(scorer: Scorer) -> dict[str, str]:
    """The SHA-256 of each file of published weights that the scorer reads, by its parameter.

    Raises:
        ConfigError: a file is absent.
    """
    return {param: _digest(path, param) for param, path in scorer.learned_files().items()}


def describe_inputs(scorer: Scorer, texts: Texts | None) -> dict[str, Any]:
    """Text prompts and published weights of a scorer, for the provenance; empty for most scorers.

    Raises:
        ConfigError: a file of weights is absent.
    """
    learned = learned_digests(scorer)
    return {
        **({} if texts is None else {"texts": describe_texts(texts)}),
        **({"learned_files": learned} if learned else {}),
    }


def _digest(path: str, param: str) -> str:
    if not Path(path).is_file():
        raise ConfigError(f"{param}: {path} does not exist; correct the path, or put the file there")
    return known_sha256(path)
