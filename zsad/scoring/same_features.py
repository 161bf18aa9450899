"""Checks that features come from the same backbone as those that weights were learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from zsad.errors import DataError
from zsad.scoring.same_model import DIGESTS

if TYPE_CHECKING:
    from zsad.scoring.token_source import TokenSource

SHAPE: Final = ("layers", "channels", "cls_source")  # which every source of tokens has
MODEL, BACKBONE, MEMBERS = "model", "backbone", "members"
# Parameters of a backbone for the place of its model, for texts, for facts of `SHAPE`, or for the
# number format, which hardly changes tokens.
ELSEWHERE: Final = ("model", "revision", "sha256", "tokenizer", "layers", "dtype", MEMBERS)
MOST_SHOWN = 60  # characters of a value in a sentence


def feature_facts(tokens: TokenSource) -> dict[str, Any]:
    """Facts about features, stored with weights learned from them.

    ``"layers"``, ``"channels"``, ``"cls_source"``; ``"model"`` and ``"backbone"`` (its parameters) from the provenance,
    None if it has none.
    """
    known = {MODEL: tokens.provenance.get(MODEL), BACKBONE: tokens.provenance.get(BACKBONE)}
    return {"layers": list(tokens.layers), "channels": tokens.channels, "cls_source": tokens.cls_source, **known}


def check_same(first: TokenSource, *others: TokenSource) -> None:
    """Check that features come from one backbone.

    Raises:
        DataError: they come from different ones.
    """
    for other in others:
        if differing := difference(feature_facts(first), feature_facts(other)):
            raise DataError(
                f"{first.path} and {other.path} come from different backbones ({differing}); delete both and run again"
            )


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The difference between features, with both values, e.g. ``"resolution: 518 and 448"``; empty if none is known.

    The resolution and other parameters of a backbone may differ even if layers and channels do not. A missing model or
    backbone counts as the same.

    Args:
        one, other: see `feature_facts`.
    """
    of_backbone = _of_parameters(_mapping(one.get(BACKBONE)), _mapping(other.get(BACKBONE)))
    of_model = _of_models(_mapping(one.get(MODEL)), _mapping(other.get(MODEL)))
    shape = ((name, one.get(name), other.get(name)) for name in SHAPE)
    return of_model or of_backbone or next((_both_values(*each) for each in shape if each[1] != each[2]), "")


def _of_models(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The difference between models: by their weights, if both are known, whatever their names."""
    if not one or not other:
        return ""
    digests, others = (_mapping(model.get(DIGESTS)) for model in (one, other))
    if common := digests.keys() & others.keys():
        changed = next((file for file in sorted(common) if digests[file] != others[file]), "")
        if changed and one.get("id") == other.get("id"):
            return f"{one.get('id')} with another {changed}"
        return _both_values(MODEL, one.get("id"), other.get("id")) if changed else ""
    if one.get("id") != other.get("id"):
        return _both_values(MODEL, one.get("id"), other.get("id"))
    if one.get("revision") != other.get("revision"):
        return _both_values(f"revision of {one.get('id')}", one.get("revision"), other.get("revision"))
    members, them = (_mapping(model.get(MEMBERS)) for model in (one, other))  # of a joined backbone
    return next(filter(None, (_of_models(_mapping(members[name]), _mapping(them.get(name))) for name in members)), "")


def _of_parameters(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The parameter in which backbones differ; parameters that only one of them has are ignored."""
    for name in one:
        if name in other and name not in ELSEWHERE and one[name] != other[name]:
            return _both_values(name, one[name], other[name])
    members, them = (_members(params) for params in (one, other))
    return next(filter(None, (_of_parameters(members[name], them.get(name, {})) for name in members)), "")


def _members(params: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The parameters of the members of a joined backbone, by name."""
    members = params.get(MEMBERS)
    known = [_mapping(member) for member in members] if isinstance(members, list | tuple) else []
    return {str(member.get("name")): _mapping(member.get("params")) for member in known}


def _both_values(name: str, one: Any, other: Any) -> str:
    return f"{name}: {_short(one)} and {_short(other)}"


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def _mapping(value: Any) -> Mapping[str, Any]:
    """An entry as a mapping; empty if it is not one."""
    return value if isinstance(value, Mapping) else {}
