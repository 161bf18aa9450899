"""Start the jobs of a run warm: each job is a fork of a process with its script's imports.

Starting Python and importing numpy, OpenCV or torch and the modules of a stage takes a second or more. A run has
hundreds of jobs, most of which compute for less. So the run's own process starts one `warm_process` with its first job.
That process forks a server for each script, which runs the script's import statements and forks the script's jobs.
Modules that a job imported while it ran are imported there before the next job. So every module is imported once for
all jobs of a script, torch once for all scripts, and no unneeded module is imported; the first job waits no longer than
for its own imports.

The network of a job is shared likewise, by `zsad.models.held`: the next jobs of the script are forked from a further
server, which has loaded the network once for all of them. One network is held at a time, and none while the jobs of a
script load several in turns. If loading makes forks unsafe, that server is given up, and jobs load the network
themselves.

Snakemake does not notice this: it gets a process object with the process id of the fork, so that its benchmarks measure
the job itself, after the job's imports. Memory shared with the server counts as the fork's own, as it would for a job
that runs alone, e.g. on a cluster.

This is only done on Linux, where a fork behaves like a new process (see `warm_process`), and if Python would be started
directly: not in conda environments, containers or on a cluster. If anything fails, e.g. a server was killed with its
jobs, the job is run by a new Python.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from _socket import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from zsad.workflow import warm_process
from zsad.workflow.warm_process import receive, send, socket_pair

SWITCH = "ZSAD_WARM"  # environment: with 0, no or off every job starts its own Python
OFF = ("0", "no", "off", "false")
THREADS = tuple(
    f"{library}_NUM_THREADS" for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
)  # which Snakemake sets for each job; imports must not start threads, which forks lose
OF_A_JOB = frozenset({*THREADS, "VECLIB_MAXIMUM_THREADS", "TMPDIR", "TMP", "TEMPDIR", "TEMP"})

# Imports of all jobs, or of Snakemake at the beginning of their scripts.
COMMON = ("snakemake.logging", "snakemake.iocontainers", "numpy", "cv2", "h5py", "zsad.workflow.job")
TORCH = "torch"  # large enough to be imported once for all scripts that need it

SECONDS_TO_END = 5.0

Network = tuple[Any, ...]  # as returned by `zsad.models.held.loaded_here`


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether jobs start warm, by this machine and the user's environment."""
    return sys.platform == "linux" and environment.get(SWITCH, "").lower() not in OFF


class WarmJob:
    """A running fork, in place of a `subprocess.Popen`.

    Args:
        pid: its process id.
        connection: receives its imports, its loaded network and its exit status.
        learn: called with its imports, and its loaded network or None.
        start_cold: starts the same job with a new Python, if its server is gone.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        pid: int,
        connection: socket,
        learn: Callable[[list[str], Network | None], None],
        start_cold: Callable[[], subprocess.Popen[Any]],
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection
        self._learn = learn
        self._start_cold = start_cold
        self._cold: subprocess.Popen[Any] | None = None

    def wait(self) -> int:
        """Wait for its end; return its exit status, or the negative number of the signal that ended it."""
        while self.returncode is None:
            try:
                told, _ = receive(self._connection)
            except EOFError:  # the kernel has killed the fork with its server
                self._cold = self._start_cold()
                self.returncode = self._cold.wait()
            else:
                if isinstance(told, tuple):
                    self._learn(*told)
                else:
                    self.returncode = int(told)
        self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """Kill the process."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._cold.pid if self._cold is not None else self.pid, number)


@dataclass
class _Holder:
    """A fork of a script's server that holds a network for its jobs."""

    control: socket
    network: Network


@dataclass
class _Kind:
    """The server of a script.

    Attributes:
        has_torch: whether it was forked from a server that has imported torch.
        learned: imports of jobs since the server last imported modules.
        loaded: the network loaded by the job that ended last; None if there is none.
        wanted: the network to hold for the next job.
        holder: the server that holds a network.
        may_hold: whether holding has not failed.
    """

    control: socket
    has_torch: bool
    learned: list[str] = field(default_factory=list)
    loaded: Network | None = None
    wanted: Network | None = None
    holder: _Holder | None = None
    may_hold: bool = True

    def learn(self, modules: list[str], network: Network | None) -> None:
        """Record a job's imports and its network, which is held unless the previous job had another."""
        self.learned.extend(modules)
        if network is not None:
            self.wanted = network if self.loaded in (None, network) else None
            self.loaded = network

    def leave_holder(self) -> None:
        """Let the holder end after its jobs."""
        if self.holder is not None:
            _leave(self.holder.control)
            self.holder = None


class WarmStart:
    """Starts the scripts of a folder warm, with its own servers, which end with it.

    Args:
        scripts: the folder of the workflow's scripts.
    """

    def __init__(self, scripts: Path) -> None:
        self._scripts = scripts
        self._lock = threading.Lock()
        self._environment: dict[str, str] = {}
        self._process: subprocess.Popen[Any] | None = None
        self._root: socket | None = None
        self._with_torch: socket | None = None
        self._kinds: dict[str, _Kind | None] = {}
        self._is_closed = False

    def start(
        self,
        script: Path,
        environment: Mapping[str, str],
        streams: Sequence[int],
        start_cold: Callable[[], subprocess.Popen[Any]],
    ) -> WarmJob | None:
        """Start a script that Snakemake wrote from one of the folder; return None if it must start cold.

        Args:
            script: the file from Snakemake, whose name ends with that of the script.
            streams: standard input, output and error.
            start_cold: see `WarmJob`.
        """
        name = script.name.partition(".")[2]
        if not self._is_ours(name, script):
            return None
        holder = job = None
        try:
            with self._lock:
                kind = self._kind(name, script, environment)
                if kind is None:
                    return None
                holder = kind.holder
                ours = _ask(kind.control if holder is None else holder.control, streams)
            pid, _ = receive(ours)
            if pid is not None:
                # Only now, or else a short job might report its imports before the server reports its process id.
                send(ours, ([str(script)], os.getcwd(), dict(environment)))  # noqa: PTH109
                job = WarmJob(pid, ours, partial(self._learn, name), start_cold)
        except (OSError, EOFError):
            pass
        if job is not None:
            return job
        with self._lock:
            if not self._give_up(name, holder):
                return None
        return self.start(script, environment, streams, start_cold)

    def _give_up(self, name: str, holder: _Holder | None) -> bool:
        """Give up a server that made no fork, since forks are unsafe, resources are missing, or the server is gone.

        Returns:
            Whether it was a holder, so that the script's server itself may still make a fork.
        """
        kind = self._kinds.get(name)
        if kind is None:
            self._kinds[name] = None
            return False
        kind.leave_holder()
        kind.may_hold = False
        if holder is None:
            _leave(kind.control)
            self._kinds[name] = None
        return holder is not None

    def _learn(self, name: str, modules: list[str], network: Network | None) -> None:
        with self._lock:
            kind = self._kinds.get(name)
            if kind is not None:
                kind.learn(modules, network)

    def close(self) -> None:
        """End all servers."""
        with self._lock:
            self._is_closed = True
            kinds = [kind for kind in self._kinds.values() if kind is not None]
            controls = [kind.control for kind in kinds]
            holders = [kind.holder.control for kind in kinds if kind.holder is not None]
            for control in (*holders, *controls, self._with_torch, self._root):
                if control is not None:
                    control.close()
            if self._process is not None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(SECONDS_TO_END)

    def _is_ours(self, name: str, script: Path) -> bool:
        """Whether a script is from the folder: another workflow that uses this one has its own scripts."""
        try:
            return script.read_bytes().endswith((self._scripts / name).read_bytes())
        except OSError:
            return False

    def _kind(self, name: str, script: Path, environment: Mapping[str, str]) -> _Kind | None:
        """The server of a script, with the known imports; None if it has none.

        Raises:
            OSError: a server is gone.
        """
        shared = {key: value for key, value in environment.items() if key not in OF_A_JOB}
        if self._root is None and not self._is_closed:
            self._start_root(shared)
        if self._is_closed or self._root is None or shared != self._environment:
            return None
        if name not in self._kinds:
            self._kinds[name] = self._copy_for(script, with_torch=False)
        kind = self._kinds[name]
        if kind is None:
            return None
        learned, kind.learned = kind.learned, []
        if TORCH in learned and not kind.has_torch:
            before, kind = kind, self._copy_for(script, with_torch=True)
            kind.loaded, kind.wanted, kind.may_hold = before.loaded, before.wanted, before.may_hold
            _leave(before.control)
            self._kinds[name] = kind
        if learned:
            send(kind.control, ("modules", learned))
        self._prepare_holder(kind, learned)
        return kind

    def _prepare_holder(self, kind: _Kind, learned: list[str]) -> None:
        """Hold the wanted network in a fork of a script's server with all learned imports."""
        if kind.holder is not None and kind.holder.network != kind.wanted:
            kind.leave_holder()
        if kind.holder is not None and learned:
            with suppress(OSError):  # if it is gone, it does not answer
                send(kind.holder.control, ("modules", learned))
        if kind.holder is None and kind.wanted is not None and kind.may_hold:
            kind.holder = _Holder(_copy(kind.control), kind.wanted)
            send(kind.holder.control, ("hold", kind.wanted))

    def _start_root(self, environment: dict[str, str]) -> None:
        """Start the server that all others are forked from."""
        self._environment = environment
        ours, theirs = socket_pair()
        with closing(theirs):
            self._process = subprocess.Popen(
                [sys.executable, warm_process.__file__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**environment, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": ""},
            )
        self._root = ours
        send(ours, environment.get("PYTHONPATH", ""))
        send(ours, ("modules", COMMON))
        atexit.register(self.close)

    def _copy_for(self, script: Path, *, with_torch: bool) -> _Kind:
        """Fork a server that runs the imports at the top of a script."""
        assert self._root is not None
        if with_torch and self._with_torch is None:
            self._with_torch = _copy(self._root)
            send(self._with_torch, ("modules", [TORCH]))
        parent = self._with_torch if with_torch else None
        control = _copy(parent or self._root)
        send(control, ("imports", str(script)))
        return _Kind(control, with_torch)


def _ask(control: socket, streams: Sequence[int]) -> socket:
    """Request a fork with these streams from a server; return the connection to it."""
    ours, theirs = socket_pair()
    with closing(theirs):
        send(control, ("run", None), [theirs.fileno(), *streams])
    return ours


def _leave(control: socket) -> None:
    """Let a server end after its forked jobs."""
    with closing(control), suppress(OSError):
        send(control, ("leave", None))


def _copy(control: socket) -> socket:
    """Fork a server; return the control socket of the new one."""
    ours, theirs = socket_pair()
    with closing(theirs):
        send(control, ("copy", None), [theirs.fileno()])
    return ours
