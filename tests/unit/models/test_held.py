"""What a process holds for those that are forked from it is taken once, and only while its files are as they were."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from zsad.models import held
from zsad.models.held import free_memory, hold, loaded_here, take_or_load

LOADER = f"{__name__}:network_of"
ARGUMENTS = ("sdpa", True)


def network_of(source: Path, attention: str, projected: bool) -> torch.nn.Module:
    network = torch.nn.Linear(2, 2, bias=False)
    network.weight.data.fill_(len((source / "weights").read_bytes()))
    return network


@pytest.fixture(autouse=True)
def nothing_is_held() -> Iterator[None]:
    yield
    held._Process.held = held._Process.loaded = None


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(held, "SETTLED_NS", 0)
    (tmp_path / "weights").write_text("123")
    return tmp_path


def asked(source: Path, arguments: tuple[str | bool, ...] = ARGUMENTS, loader: str = LOADER) -> torch.nn.Module:
    return take_or_load(loader, source, arguments, lambda: network_of(source, "sdpa", True))


def held_network(source: Path) -> torch.nn.Module:
    """Have one held as by the process before."""
    asked(source)
    hold(loaded_here())
    assert held._Process.held is not None
    return held._Process.held[1]


def test_it_is_taken_once_and_told_of_again(source: Path) -> None:
    network = held_network(source)
    told = loaded_here()
    assert asked(source) is network
    assert loaded_here() == told
    assert asked(source) is not network  # whoever took it may have changed it


@pytest.mark.parametrize(
    ("arguments", "loader"), [(("sdpa", False), LOADER), (("eager", True), LOADER), (ARGUMENTS, "elsewhere:network_of")]
)
def test_another_one_is_loaded(source: Path, arguments: tuple[str | bool, ...], loader: str) -> None:
    network = held_network(source)
    assert asked(source, arguments, loader) is not network
    assert asked(source) is network


@pytest.mark.parametrize("change", ["content", "longer", "replaced", "one more", "gone", "touched"])
def test_changed_files_are_loaded_anew(source: Path, change: str) -> None:
    network, weights = held_network(source), source / "weights"
    before = weights.stat()
    time.sleep(0.01)  # more than the resolution of the file system's clock
    match change:
        case "content" | "longer":
            weights.write_text("321" if change == "content" else "1234")
        case "replaced":
            (source.parent / "new").write_text("321")
            (source.parent / "new").rename(weights)
        case "one more":
            (source / "config.json").write_text("{}")
        case "gone":
            (source / "weights").rename(source.parent / "other")
            (source / "weights").symlink_to(source.parent / "other")
    if change != "touched":
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        weights.touch()
    assert asked(source) is not network
    assert asked(source) is not network


def test_of_a_single_file_its_neighbours_do_not_count(source: Path) -> None:
    states = held._states(source / "weights")
    (source / "other").write_text("")
    assert held._states(source / "weights") == states
    (source / "preprocessor_config.json").write_text("{}")
    assert [state[0] for state in held._states(source / "weights")] == ["weights", "preprocessor_config.json"]


def test_files_that_may_change_unseen_and_too_many_are_not_told_of(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "SETTLED_NS", 10**12)
    asked(source)
    assert loaded_here() is None
    monkeypatch.setattr(held, "SETTLED_NS", 0)
    asked(source)
    assert loaded_here() is not None
    monkeypatch.setattr(held, "MOST_FILES", 0)
    asked(source)
    assert loaded_here() is None


def test_nothing_is_held_that_is_too_large_or_that_has_changed(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(source)
    told = loaded_here()
    assert told[-1] == 16  # four values in float32
    monkeypatch.setattr(held, "free_memory", lambda: 63)
    hold(told)
    assert held._Process.held is None
    monkeypatch.setattr(held, "free_memory", lambda: 64)
    hold(told)
    assert held._Process.held is not None
    held._Process.held = None
    (source / "weights").write_text("1234")
    hold(told)
    assert held._Process.held is None


def test_threads_of_loading_are_switched_off_for_its_length(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setitem(globals(), "network_of", lambda *_: seen.append(os.environ.get("HF_DEACTIVATE_ASYNC_LOAD")))
    monkeypatch.delenv("HF_DEACTIVATE_ASYNC_LOAD", raising=False)
    states = held._states(source)
    hold((LOADER, str(source), ARGUMENTS, states, 0))
    assert seen == ["1"]
    assert "HF_DEACTIVATE_ASYNC_LOAD" not in os.environ


def test_free_memory_is_what_the_system_can_give(tmp_path: Path) -> None:
    told = tmp_path / "meminfo"
    assert free_memory(told) == 0
    told.write_text("MemTotal:  9 kB\nMemFree:  1 kB\nMemAvailable:      3 kB\n")
    assert free_memory(told) == 3072
