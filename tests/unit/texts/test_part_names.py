"""What an object is called: the category's name in words, or what the configuration says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from zsad.errors import ConfigError
from zsad.registry import Options
from zsad.texts.part_names import PartNames, check_part_names, part_name


@pytest.mark.parametrize(
    ("category", "part_names", "expected"),
    [
        ("metal_nut", None, "metal nut"),
        ("pipe-fryum__2", {}, "pipe fryum 2"),
        ("pcb1", {"pcb1": "printed circuit board"}, "printed circuit board"),
        ("pcb2", {"pcb1": "printed circuit board"}, "pcb2"),
        ("01", None, "01"),
        ("pcb1", "object", "object"),
        ("kabel", "  Kabel   mit Stecker ", "Kabel mit Stecker"),
        ("pcb1", {"pcb1": "T-shirt_2"}, "T-shirt_2"),
        ("pcb1", {"pcb1": "می\u200cخ"}, "می\u200cخ"),  # some scripts need signs that nobody sees
    ],
)
def test_an_object_is_called_as_configured_or_as_its_category_in_words(
    category: str, part_names: Mapping[str, str] | str | None, expected: str
) -> None:
    assert part_name(category, part_names) == expected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it must not be empty"),
        (" \t", "it must not be empty"),
        ("\u200b \ufeff", "it must not be empty"),
        ("a\u202eb", r"it must be one line of text, without '\u202e'"),
        ("a\nb", r"it must be one line of text, without '\n'"),
        ("a\x85b", r"it must be one line of text, without '\x85'"),
        ("a\0", r"it must be one line of text, without '\x00'"),
        ("a\u2028b", r"it must be one line of text, without '\u2028'"),
        ("a\ud800", r"it must be one line of text, without '\ud800'"),
        ("a {} b", "it must not contain '{', since braces are placeholders"),
        ("a}", "it must not contain '}'"),
    ],
)
def test_a_name_that_fits_no_sentence_is_refused_in_one(name: str, reason: str) -> None:
    for part_names, where in (({"pcb1": name}, "dataset.part_names.pcb1"), (name, "dataset.part_names")):
        with pytest.raises(ConfigError) as caught:
            part_name("pcb1", part_names)
        assert str(caught.value).startswith(f"{where} = {name!r} is not valid: {reason}")
        assert "\n" not in str(caught.value)


def test_a_category_whose_name_is_no_word_needs_one() -> None:
    with pytest.raises(
        ConfigError,
        match=r"category '_-' is not usable as the name of an object \(it must not be "
        r"empty\); give",
    ):
        part_name("_-")
    assert part_name("_-", {"_-": "bolt"}) == "bolt"


class Section(Options):
    """As the configuration's section has them."""

    part_names: PartNames | None = None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"pcb1": ""}, "dataset: part_names.pcb1 = '' is not valid: it must not be empty"),
        ({"pcb1": 5}, "5"),
        ("{}", r"part_names = '\{\}' is not valid"),
        (["a"], "part_names"),
        ({"pcb1": None}, "part_names.pcb1 = null is not valid: it must be text"),
    ],
)
def test_the_configuration_refuses_the_same(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Section.build({"part_names": value}, where="dataset")
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


def test_the_configuration_takes_names_by_category_or_one_for_all() -> None:
    assert Section.build({"part_names": {"a": "big  bolt"}}, where="dataset").part_names == {"a": "big bolt"}
    assert Section.build({"part_names": "object"}, where="dataset").part_names == "object"
    assert Section.build({}, where="dataset").part_names is None


def test_a_name_for_a_category_that_does_not_exist_is_refused() -> None:
    for fine in (None, "object", {}, {"ring": "washer"}):
        check_part_names(fine, ["ring", "brick"])
    with pytest.raises(
        ConfigError,
        match=r"^dataset\.part_names has a name for the category 'rings', which does not exist; did you mean 'ring'\?$",
    ):
        check_part_names({"ring": "washer", "rings": "washer"}, ["ring", "brick"])
