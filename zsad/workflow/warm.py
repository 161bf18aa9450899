"""Jobs of a run start warm: each is a fork of a process that has imported what its script needs.

A Python that starts, imports numpy, OpenCV or torch and then the modules of a stage takes a second or more, of each of
the hundreds of jobs of a run, most of which work for less. Here the run's own process starts one `warm_process` with
its first job, and has it make a copy for each script, which runs the script's import statements and forks the script's
jobs. What a job imported while it ran is imported there before the next one. So every module is imported once for all
jobs of a script, torch once for all scripts, and nothing that no job needs; the first job waits for no more than it
would have imported by itself.

So it is with the network that a job loads, by `zsad.models.held`: the next jobs of the script are forked from one more
copy, which has loaded it, once for all of them. One network is held at a time, and none while the jobs of a script load
several in turns. A copy in which loading left anything that makes forks unsafe is given up, and jobs load their own.

Snakemake knows nothing of it: what it gets in place of a process has the process id of the fork, so that its benchmarks
measure the job itself, from when the job's imports are there. Memory that a fork shares is counted as its own, as it
would be for a job that runs alone, on a cluster say.

Only on Linux, where a fork is like a fresh process (see `warm_process`), and where Python would be started as such: not
in conda environments, containers or on a cluster. Whatever fails, be it that a server was killed with its jobs, the job
is run by a fresh Python.
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

SWITCH = "ZSAD_WARM"  # environment: 0, no or off has every job start a Python of its own
OFF = ("0", "no", "off", "false")
THREADS = tuple(
    f"{library}_NUM_THREADS" for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
)  # which Snakemake sets for each job; nothing that is imported may start threads, which no fork has
OF_A_JOB = frozenset({*THREADS, "VECLIB_MAXIMUM_THREADS", "TMPDIR", "TMP", "TEMPDIR", "TEMP"})

# What all jobs import, or Snakemake at the beginning of their scripts.
COMMON = ("snakemake.logging", "snakemake.iocontainers", "numpy", "cv2", "h5py", "zsad.workflow.job")
TORCH = "torch"  # large enough to be imported once for all scripts that need it

SECONDS_TO_END = 5.0

Network = tuple[Any, ...]  # as `zsad.models.held.loaded_here` tells of it


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether jobs are to start warm, as far as this machine and its user say."""
    return sys.platform == "linux" and environment.get(SWITCH, "").lower() not in OFF


class WarmJob:
    """A running fork, in place of a `subprocess.Popen`.

    Args:
        pid: its process id.
        connection: tells what it imported and loaded, and how it ends.
        learn: is told what it imported, and the network that it loaded or None.
        start_cold: starts the same job by a fresh Python, for when its server is gone.
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
        """Wait for its end; its exit status, or less than 0 the number of the signal that ended it."""
        while self.returncode is None:
            try:
                told, _ = receive(self._connection)
            except EOFError:  # the kernel has ended the fork with its server
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
        """End it at once."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._cold.pid if self._cold is not None else self.pid, number)


@dataclass
class _Holder:
    """A copy of a script's server that holds a network for its jobs."""

    control: socket
    network: Network


@dataclass
class _Kind:
    """The server of a script.

    Attributes:
        has_torch: whether it was copied from one that has imported torch.
        learned: what jobs imported since it was last told to.
        loaded: the network that the job which ended last had loaded; None if none has.
        wanted: the network that is to be held for the next job.
        holder: what holds one.
        may_hold: whether nothing has gone wrong with that.
    """

    control: socket
    has_torch: bool
    learned: list[str] = field(default_factory=list)
    loaded: Network | None = None
    wanted: Network | None = None
    holder: _Holder | None = None
    may_hold: bool = True

    def learn(self, modules: list[str], network: Network | None) -> None:
        """Note what a job imported, and the network that it loaded: to be held, unless the job before had another."""
        self.learned.extend(modules)
        if network is not None:
            self.wanted = network if self.loaded in (None, network) else None
            self.loaded = network

    def leave_holder(self) -> None:
        """Have the holder end once its jobs have."""
        if self.holder is not None:
            _leave(self.holder.control)
            self.holder = None


class WarmStart:
    """Starts the scripts of a folder warm, by servers of its own that end with it.

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
        """Start a script that Snakemake has written from one of the folder; None where it is to start cold.

        Args:
            script: what Snakemake wrote, whose name ends with that of the script.
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
            send(ours, ([str(script)], os.getcwd(), dict(environment)))  # noqa: PTH109
            pid, _ = receive(ours)
            if pid is not None:
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
        """Leave what made no fork, be it that none is safe, that there is no room for one, or that no server is left.

        Returns:
            Whether that was a holder, so that the script's server itself may still make one.
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
        """Whether a script is one of the folder: another workflow that uses this one has scripts of its own."""
        try:
            return script.read_bytes().endswith((self._scripts / name).read_bytes())
        except OSError:
            return False

    def _kind(self, name: str, script: Path, environment: Mapping[str, str]) -> _Kind | None:
        """The server of a script, which has imported what is known to be needed; None where it has none.

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
        """Have the network held that is wanted, by a copy of a script's server that has imported what was learned."""
        if kind.holder is not None and kind.holder.network != kind.wanted:
            kind.leave_holder()
        if kind.holder is not None and learned:
            with suppress(OSError):  # if it is gone, it will not answer
                send(kind.holder.control, ("modules", learned))
        if kind.holder is None and kind.wanted is not None and kind.may_hold:
            kind.holder = _Holder(_copy(kind.control), kind.wanted)
            send(kind.holder.control, ("hold", kind.wanted))

    def _start_root(self, environment: dict[str, str]) -> None:
        """Start the server that all others are copies of."""
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
        """A server that has imported what stands at the top of a script."""
        assert self._root is not None
        if with_torch and self._with_torch is None:
            self._with_torch = _copy(self._root)
            send(self._with_torch, ("modules", [TORCH]))
        parent = self._with_torch if with_torch else None
        control = _copy(parent or self._root)
        send(control, ("imports", str(script)))
        return _Kind(control, with_torch)


def _ask(control: socket, streams: Sequence[int]) -> socket:
    """Ask a server for a fork with these streams; the connection that it is given."""
    ours, theirs = socket_pair()
    with closing(theirs):
        send(control, ("run", None), [theirs.fileno(), *streams])
    return ours


def _leave(control: socket) -> None:
    """Have a server end once the jobs that it has forked have ended."""
    with closing(control), suppress(OSError):
        send(control, ("leave", None))


def _copy(control: socket) -> socket:
    """Have a server copy itself; what tells the copy what to do."""
    ours, theirs = socket_pair()
    with closing(theirs):
        send(control, ("copy", None), [theirs.fileno()])
    return ours
