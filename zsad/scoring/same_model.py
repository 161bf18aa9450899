"""Checks that features and texts come from one model, by their provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zsad.scoring.token_source import Texts, TokenSource

DIGESTS = "weights_sha256"  # key of the hashes of the files of weights, by name


def model_difference(texts: Texts, features: TokenSource) -> str:
    """The difference between the models of texts and of features; empty if they seem equal, or one is unknown.

    Each may have files of weights that the other does not need.
    """
    own, other = (_part(source.provenance, "model") for source in (texts, features))
    if not own or not other:
        return ""
    name = own.get("id")
    if name != other.get("id"):
        return f"{name} and {other.get('id')}"
    if own.get("revision") != other.get("revision"):
        return f"{name} of revision {own.get('revision')} and {other.get('revision')}"
    digests, others = (_part(model, DIGESTS) for model in (own, other))
    changed = (file for file in digests if file in others and digests[file] != others[file])
    return next((f"{name} with another {file}" for file in changed), "")


def _part(provenance: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An entry as a mapping; empty if it is not one."""
    part = provenance.get(key)
    return part if isinstance(part, Mapping) else {}
