"""What is kept of the imports of files: never of another content, and no trouble where it cannot be kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zsad.workflow.known_imports import KnownImports, Names


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "zsad" / "imports"


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    path = tmp_path / "reader.py"
    path.write_text("first")
    return path


def asked(known: KnownImports, *contents: bytes) -> list[bytes]:
    """What of some contents is parsed; the names that are found are always their own."""
    parsed: list[bytes] = []
    for content in contents:
        names = (content.decode(), "zsad.é")

        def find(content: bytes = content, names: Names = names) -> Names:
            parsed.append(content)
            return names

        assert known.of(content, find) == names
    return parsed


def test_the_next_start_parses_what_is_new_alone(reader: Path) -> None:
    first = KnownImports(reader)
    assert asked(first, b"a", b"b", b"a") == [b"a", b"b"]
    first.keep()
    second = KnownImports(reader)
    assert asked(second, b"b", b"c") == [b"c"]
    second.keep()
    assert asked(KnownImports(reader), b"a", b"b", b"c") == []


def test_runs_side_by_side_keep_what_each_has_found(reader: Path) -> None:
    first, second = KnownImports(reader), KnownImports(reader)
    for known, content in ((first, b"a"), (second, b"b")):
        asked(known, content)
        known.keep()
    assert asked(KnownImports(reader), b"a", b"b") == []


def test_another_way_to_read_imports_starts_anew(reader: Path) -> None:
    known = KnownImports(reader)
    asked(known, b"a")
    known.keep()
    reader.write_text("second")
    assert asked(KnownImports(reader), b"a") == [b"a"]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["b"', "\udcff"])
def test_what_is_not_whole_is_passed_over_and_mended(reader: Path, cache: Path, content: str) -> None:
    known = KnownImports(reader)
    asked(known, b"a")
    known.keep()
    (place,) = cache.iterdir()
    place.write_bytes(content.encode(errors="surrogateescape"))
    again = KnownImports(reader)
    assert asked(again, b"a") == [b"a"]
    again.keep()
    assert asked(KnownImports(reader), b"a") == []


def test_files_that_are_asked_for_no_more_are_forgotten(
    reader: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zsad.workflow.known_imports.MOST", 3)
    for contents in ([b"a", b"b"], [b"b", b"c"], [b"c", b"d"]):
        known = KnownImports(reader)
        asked(known, *contents)
        known.keep()
    assert asked(KnownImports(reader), b"c", b"d", b"b") == [b"b"]
    (place,) = cache.iterdir()
    assert len(json.loads(place.read_text())) == 2


def test_without_a_place_it_is_parsed_each_time(reader: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent.parent))
    for _ in range(2):
        known = KnownImports(reader)
        assert asked(known, b"a") == [b"a"]
        known.keep()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    known = KnownImports(reader)
    assert asked(known, b"a") == [b"a"]
    known.keep()
