"""Hashes that are kept: never of another content, whatever happens to the file, the cache or the clock."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zsad.files import known_hashes
from zsad.files.known_hashes import known_sha256

LATER = 10 * 10**9  # nanoseconds after which a file has settled


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, where small files are kept too."""
    monkeypatch.setattr(known_hashes, "SMALL", 4)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "zsad" / "sha256"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read whole, in order."""
    paths: list[Path] = []
    real = known_hashes.file_sha256
    monkeypatch.setattr(known_hashes, "file_sha256", lambda path: paths.append(Path(path)) or real(path))
    return paths


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def later(path: Path, nanoseconds: int = LATER) -> int:
    """A time after all changes of a file."""
    state = path.stat()
    return max(state.st_mtime_ns, state.st_ctime_ns) + nanoseconds


def found(path: Path, **options: bool) -> str:
    """The hash as it is given when the file has settled; always checked against that of the content."""
    digest = known_sha256(path, clock=lambda: later(path), **options)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    return digest


def test_a_file_is_read_once_as_long_as_it_is_unchanged(tmp_path: Path, read: list[Path], cache: Path) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    assert len({found(path) for _ in range(3)}) == 1
    assert read == [path]
    assert len(list(cache.iterdir())) == 1
    link = tmp_path / "link.pth"
    link.symlink_to(path)
    found(link)
    assert read == [path]  # as the hub's cache links to the same file from several places
    found(path, anew=True)
    assert read == [path, path]


@pytest.mark.parametrize("change", ["grown", "same size", "time put back", "replaced", "touched"])
def test_a_file_that_has_changed_is_read_again(tmp_path: Path, read: list[Path], change: str) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    before = path.stat()
    found(path)
    if change == "replaced":  # by one of the same size and time
        other = written(tmp_path / "other", b"WEIGHTS")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(path)
    elif change == "touched":
        os.utime(path, ns=(1, 1))
    else:
        path.write_bytes(b"longer weights" if change == "grown" else b"WEIGHTS")
        if change == "time put back":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found(path)
    assert len(read) == 2


@pytest.mark.parametrize("nanoseconds", [-LATER, 0, known_hashes.SETTLED_NS])
def test_a_file_that_may_still_change_within_one_time_is_read_each_time(
    tmp_path: Path, read: list[Path], cache: Path, nanoseconds: int
) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    for _ in range(2):
        known_sha256(path, clock=lambda: later(path, nanoseconds))
    assert len(read) == 2
    assert not cache.exists()  # nor is it kept for later, when it would seem to have settled
    found(path)
    known_sha256(path, clock=lambda: later(path, nanoseconds))  # a clock that is put back
    assert len(read) == 4


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    late = later(path)

    def changes_then(name: Path) -> str:
        digest = hashlib.sha256(name.read_bytes()).hexdigest()
        name.write_bytes(b"WEIGHTS")
        os.utime(name, ns=(1, 1))
        return digest

    monkeypatch.setattr(known_hashes, "file_sha256", changes_then)
    known_sha256(path, clock=lambda: late)
    assert not cache.exists()


def test_a_damaged_cache_is_ignored_and_mended(tmp_path: Path, read: list[Path], cache: Path) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    found(path)
    (kept,) = cache.iterdir()
    entry = json.loads(kept.read_text())
    damages = [
        b"",
        kept.read_bytes()[:-9],
        b"\xff\xfe",
        b"[]",
        b"null",
        json.dumps({**entry, "sha256": entry["sha256"][:-1]}).encode(),
        json.dumps({**entry, "sha256": None}).encode(),
        json.dumps({**entry, "sha256": "z" * 64}).encode(),
        json.dumps({"sha256": "0" * 64}).encode(),
        json.dumps({**entry, "path": "/another", "sha256": "0" * 64}).encode(),
    ]
    for number, damage in enumerate(damages):
        kept.write_bytes(damage)
        found(path)
        found(path)
        assert len(read) == 2 + number


@pytest.mark.parametrize("hindrance", ["a file in the way", "a folder in the way", "no home"])
def test_a_cache_that_cannot_be_written_stops_nobody(
    tmp_path: Path, read: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    if hindrance == "a file in the way":
        cache.parents[1].write_text("")
    elif hindrance == "a folder in the way":
        found(path)
        (kept,) = cache.iterdir()
        kept.unlink()
        kept.mkdir()
        read.clear()
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification has ignored
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    found(path)
    found(path)
    assert len(read) == 2


def test_jobs_side_by_side_keep_a_whole_entry(tmp_path: Path, cache: Path) -> None:
    paths = [written(tmp_path / f"{number}.pth", b"weights %d" % number) for number in range(3)]
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(found, paths * 16))
    assert digests == digests[:3] * 16
    assert len(list(cache.glob("*.json"))) == 3
    assert not list(cache.glob(".*"))


def test_small_files_are_read_and_not_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_hashes, "SMALL", 8)
    found(written(tmp_path / "small.pth", b"weights"))
    assert not cache.exists()
    found(written(tmp_path / "large.pth", b"weights!"))
    assert cache.exists()


def test_an_absent_or_unreadable_file_is_an_error_whatever_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "weights.pth", b"weights")
    found(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        known_sha256(path)
    path.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        known_sha256(path, anew=True)
