"""A part is built from its name and parameters, or refused in one sentence."""

from __future__ import annotations

import pytest
from pydantic import Field

from zsad.errors import ConfigError
from zsad.registry import Choice, Options, Registry


class Sieve(Options):
    """A part for these tests."""

    mesh: int = Field(3, ge=1, description="mesh width")
    fine: bool = Field(False, description="fine or coarse")


class Other(Choice):
    """A part that is not registered."""


REGISTRY: Registry[Sieve] = Registry("sieve", {"plain": f"{__name__}:Sieve", "broken": "zsad.nowhere:Sieve"})


def test_a_part_is_built_with_defaults_and_given_parameters() -> None:
    assert REGISTRY.build("plain", {"mesh": 5}).parameters() == {"mesh": 5, "fine": False}
    assert REGISTRY.names() == ["plain", "broken"]
    assert REGISTRY.entry("plain") == f"{__name__}:Sieve"


def test_a_part_is_known_by_its_name() -> None:
    assert REGISTRY.name_of(REGISTRY.build("plain")) == "plain"
    with pytest.raises(ValueError, match="is not a registered sieve"):
        REGISTRY.name_of(Other())


def test_numbers_given_as_text_are_read() -> None:
    assert REGISTRY.build("plain", {"mesh": "5", "fine": "true"}) == Sieve(mesh=5, fine=True)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("plane", {}, r"there is no sieve 'plane'; did you mean 'plain'\?"),
        ("xyz", {}, r"there is no sieve 'xyz'; choose from: broken, plain"),
        ("plain", {"mehs": 1}, r"methods\.a: unknown parameter 'mehs'; did you mean 'mesh'\?"),
        ("plain", {"mesh": 0}, r"methods\.a: mesh = 0 is not valid: it must be at least 1"),
        ("plain", {"mesh": "five"}, r"methods\.a: mesh = 'five' is not valid: it must be a whole number"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_sentence(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        REGISTRY.build(name, params, where="methods.a")
    assert "\n" not in str(caught.value)


def test_parts_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Sieve().mesh = 4
