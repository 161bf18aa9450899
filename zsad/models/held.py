"""A network that a process has loaded for the processes that are forked from it, which share its memory.

A run loads the network of its jobs once: a job tells what it loaded, the process that the next ones are forked from
loads the same (see `zsad.workflow.warm`), and each of them takes it as if it had loaded it itself. What is held is a
network as it comes from its files, in float32 on the CPU, before anybody chooses its number format or its device. It is
taken only if nothing about the files has changed since: neither their names, sizes or inodes nor the times of change of
their content and of their entries.
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
    """A module of torch, or what has one."""

    def parameters(self) -> Iterable[Tensor]:
        """See `torch.nn.Module.parameters`."""

    def buffers(self) -> Iterable[Tensor]:
        """See `torch.nn.Module.buffers`."""


Network = TypeVar("Network", bound=Weighted)
Argument = str | bool | int

MOST_FILES = 64  # beside which a network may lie: each is looked at by each job, and told of in a message
SHARE = 1 / 4  # of the memory that is free, which a network that is held may take
SETTLED_NS = 2 * 10**9  # a file that changed later than that may change again without showing it by its times
ONE_BY_ONE = {"HF_DEACTIVATE_ASYNC_LOAD": "1"}  # has `transformers` start no threads, with which no fork is safe

# Of a file: name, size in bytes, device, inode, and times of change of its content and of its entry, ns since 1970.
State = tuple[str, int, int, int, int, int]

logger = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """A network that was loaded, by plain values that a process can tell another.

    Attributes:
        loader: ``"module:function"`` of what loads it, given the folder or file and the arguments.
        source: the folder or the file that it comes from, absolute.
        arguments: what else it depends on.
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
    """What this process holds for others, and what it has loaded by itself."""

    held: tuple[Loaded, Weighted] | None = None
    loaded: Loaded | None = None


def take_or_load(loader: str, source: Path, arguments: tuple[Argument, ...], load: Callable[[], Network]) -> Network:
    """A network that the process before this one has loaded from the same files, or else by loading it.

    It belongs to whoever takes it: the next one to ask in this process has it loaded.

    Args:
        loader, source, arguments: see `Loaded`; ``load`` does what that loader does.
    """
    asked = Loaded(loader, str(source.absolute()), arguments, _states(source), size=0)
    if _Process.held is not None and _Process.held[0].is_of(asked):
        _Process.loaded = _Process.held[0]
        network: Network = _Process.held[1]  # type: ignore[assignment]  # by the same loader
        _Process.held = None
        logger.info("took the network that the process before had loaded from %s", source)
        return network
    network = load()
    logger.info("loaded the network from %s", source)
    _Process.loaded = asked._replace(size=_bytes_of(network)) if _is_settled(asked.states) else None
    return network


def loaded_here() -> tuple[Any, ...] | None:
    """The network that this process took or loaded last, by plain values; None if none, or if its files are new."""
    return None if _Process.loaded is None else tuple(_Process.loaded)


def hold(values: tuple[Any, ...]) -> None:
    """Load a network that another process has told of by `loaded_here`, for those that are forked from this one.

    Nothing is held if the network would take too much of the memory that is free, or if its files have changed.

    Raises:
        Exception: whatever its loading raises.
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
    """Memory that this machine can give without taking it from others, bytes; 0 if it does not say."""
    try:
        lines = told_in.read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)


def _states(source: Path) -> tuple[State, ...]:
    """Of all files in a folder, or of one and those that are read beside it; empty where nothing is to be held of them.

    Links are followed, as those of the hub's cache.
    """
    try:
        files = [Path(path) for path in local_files(str(source))] + files_beside(source)
        return tuple(map(_state_of, files)) if len(files) <= MOST_FILES else ()
    except OSError:  # which its loading tells of
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
    """Variables of the environment for the length of the block; forks have an environment of their own."""
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
