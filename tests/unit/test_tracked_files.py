"""Files whose names Snakemake would misread are followed all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zsad.tracked_files import is_literal, literal, stamp

MISREAD = ("a{1}.png", "{3F2504E0-4F89}.png", "{category}/x.png", "<b>/x.png", "x<results>.png", "{x", "y}", "<", ">")
TAKEN_LITERALLY = ("a.png", "Ä 1 (2).JPG", "50%.png", "a[1]*?.png", "$HOME.png", "a,b;c.png", "ro'\"t/x.png")


@pytest.mark.parametrize("name", MISREAD)
def test_a_name_with_syntax_of_snakemake_has_a_stamp_in_place_of_being_an_input(name: str) -> None:
    assert not is_literal(name)
    assert literal([name, "a.png"]) == ["a.png"]
    assert stamp([name, "a.png"]) == stamp([name]) != stamp([f"{name}{name}"])


@pytest.mark.parametrize("name", TAKEN_LITERALLY)
def test_any_other_name_is_an_input(name: str) -> None:
    assert is_literal(name)
    assert literal([Path(name)]) == [name]
    assert stamp([name]) == ""


def test_a_stamp_changes_with_size_time_and_presence(tmp_path: Path) -> None:
    path = tmp_path / "{1}.png"
    seen = [stamp([path])]
    for content, time in ((b"a", 1), (b"a", 2), (b"ab", 2)):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        seen.append(stamp([path]))
    assert all(one != other for index, one in enumerate(seen) for other in seen[:index])
