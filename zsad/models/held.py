"""A network that a process holds for its forks, which share its memory.

A run loads the network of its jobs once: a job reports the network that it loaded, the parent process of the next jobs
loads the same (see `zsad.workflow.warm`), and each of them uses it as if it had loaded it itself. The held network is
as read from its files, in float32 on the CPU, before a number format or device is chosen. It is used only if the files
have not changed since: neither their names, sizes or inodes nor the change times of their content and inodes.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from zsad.files.tracked import local_files
from zsad.models.weight_files import files_beside

if TYPE_CHECKING:
    from torch import Tensor


class Weighted(Protocol):
    """A module of torch, or an object with its parameters."""

    def parameters(self) -> Iterable[Tensor]:
        """See `torch.nn.Module.parameters`."""

    def buffers(self) -> Iterable[Tensor]:
        """See `torch.nn.Module.buffers`."""


Network = TypeVar("Network", bound=Weighted)
Argument = str | bool | int

MOST_FILES = 64  # in a network's folder, at most: each job checks each file, and reports it in a message
SHARE = 1 / 4  # of the free memory, at most, for a held network
SETTLED_NS = 2 * 10**9  # a more recent change may be followed by another one with the same times
ONE_BY_ONE = {"HF_DEACTIVATE_ASYNC_LOAD": "1"}  # prevents `transformers` from starting threads, which make forks unsafe

# Of a file: name, size in bytes, device, inode, and change times of its content and inode, ns since 1970.
State = tuple[str, int, int, int, int, int]

logger = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A loaded network, described by plain values for messages between processes.

    Attributes:
        loader: ``"module:function"`` that loads it from the folder or file and the arguments.
        source: its folder or file, absolute.
        arguments: further arguments.
        states: of all files that it may be read from.
        size: of its weights in memory, bytes.
    """

    loader: str
    source: str
    arguments: tuple[Argument, ...]
    states: tuple[State, ...]
    size: int

    def is_of(self, other: Loaded) -> bool:
        """Whether it is the same network."""
        return self._replace(size=0) == other._replace(size=0)


class _Process:
    """The network that this process holds for others, and the one that it has loaded itself."""

    held: tuple[Loaded, Weighted] | None = None
    loaded: Loaded | None = None


def take_or_load(loader: str, source: Path, arguments: tuple[Argument, ...], load: Callable[[], Network]) -> Network:
    """Take the network that the parent process holds for the same files, or else load it.

    The caller owns it: the next call in this process loads it again.

    Args:
        loader, source, arguments: see `Loaded`; ``load`` does the same as that loader.
    """
    asked = Loaded(loader, str(source.absolute()), arguments, _states(source), size=0)
    if _Process.held is not None and _Process.held[0].is_of(asked):
        _Process.loaded = _Process.held[0]
        network: Network = _Process.held[1]  # type: ignore[assignment]  # by the same loader
        _Process.held = None
        logger.info("used the network that the parent process had loaded from %s", source)
        return network
    network = load()
    logger.info("loaded the network from %s", source)
    _Process.loaded = asked._replace(size=_bytes_of(network)) if _is_settled(asked.states) else None
    return network


def loaded_here() -> tuple[Any, ...] | None:
    """The network that this process took or loaded last, as plain values; None without one, or if its files are new."""
    return None if _Process.loaded is None else tuple(_Process.loaded)


def hold(values: tuple[Any, ...]) -> None:
    """Load a network reported by another process's `loaded_here`, for forks of this process.

    Nothing is held if the network would take too much of the free memory, or if its files have changed.

    Raises:
        Exception: any exception of its loading.
    """
    wanted = Loaded(*values)
    if wanted.size > SHARE * free_memory():
        return
    module, _, function = wanted.loader.partition(":")
    load = getattr(importlib.import_module(module), function)
    source = Path(wanted.source)
    with _environment(ONE_BY_ONE):
        network = load(source, *wanted.arguments)
    if _states(source) == wanted.states:
        _Process.held = wanted, network


def free_memory(told_in: Path = Path("/proc/meminfo")) -> int:
    """Memory that this machine has available, bytes; 0 if unknown."""
    try:
        lines = told_in.read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)


def _states(source: Path) -> tuple[State, ...]:
    """The states of all files in a folder, or of one file and those read with it; empty if they must not be held.

    Links are followed, like those of the hub's cache.
    """
    try:
        files = [Path(path) for path in local_files(str(source))] + files_beside(source)
        return tuple(map(_state_of, files)) if len(files) <= MOST_FILES else ()
    except OSError:  # which its loading reports
        return ()


def _state_of(path: Path) -> State:
    found = path.stat()
    return path.name, found.st_size, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _is_settled(states: tuple[State, ...]) -> bool:
    return bool(states) and all(max(state[-2:]) + SETTLED_NS < time.time_ns() for state in states)


def _bytes_of(network: Weighted) -> int:
    tensors = {id(tensor): tensor for each in (network.parameters(), network.buffers()) for tensor in each}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment during the block; forks have their own environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
