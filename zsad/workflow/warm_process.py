"""A process with the imports of jobs, which runs each job in a fork of itself.

`zsad.workflow.warm` starts it and explains when and why. This file is run as a script, so that it only imports the
standard library by itself. It receives commands on a socket, its standard input, and ends when the socket is closed,
which the kernel does if the parent process is killed. The kernel also kills its forks with it.

A process can be forked safely as long as it has one thread and has not started a GPU. Both are checked before each
fork; if a fork is unsafe, the job starts a new Python.

A fork shares with its parent what a new Python would have after the same imports, and perhaps a network that
`zsad.models.held` holds for jobs that would load it from the same files. The following are reset here: streams, working
folder, environment, search path, arguments, the main module, random numbers of numpy, the folder of temporary files,
and the handling of Ctrl-C.
"""

from __future__ import annotations

# Not `socket`, whose import takes longer than everything else that a client needs.
import _socket
import ast
import gc
import importlib
import marshal
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

HELD = "zsad.models.held"  # knows the network that a job has loaded, and holds one for forks
SECONDS_TO_SETTLE = 0.2  # for which an ended thread may still be listed

LONGEST = 1 << 20  # bytes of a message
COMING = {"run": 4, "copy": 1}  # open files in a message
FILES = max(COMING.values())

# A request for a job: arguments of Python, working folder, environment.
Request = tuple[list[str], str, dict[str, str]]


# Messages, which are sent and received completely or not at all.


def socket_pair() -> tuple[_socket.socket, _socket.socket]:
    """The two ends of a connection for messages."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)


def send(end: _socket.socket, message: Any, files: Iterable[int] = ()) -> None:
    """Send a message of plain values, with open files.

    Raises:
        OSError: the other end is closed, or the message is too long.
    """
    numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in files)
    beside = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)] if numbers else []
    end.sendmsg([marshal.dumps(message)], beside)


def receive(end: _socket.socket) -> tuple[Any, list[int]]:
    """Wait for a message and its open files.

    Raises:
        EOFError: the other end is closed.
    """
    try:
        text, beside, _, _ = end.recvmsg(LONGEST, _socket.CMSG_SPACE(4 * FILES))
    except ConnectionError:
        text, beside = b"", []
    if not text:
        raise EOFError
    numbers = b"".join(data for _, _, data in beside)
    files = [int.from_bytes(numbers[place : place + 4], sys.byteorder) for place in range(0, len(numbers), 4)]
    for number in files:
        os.set_inheritable(number, False)
    return marshal.loads(text), files


class Server:
    """Executes the commands on its control sockets, in order, until the first of them is closed.

    Messages are ``("run", None)`` with a connection and three streams: fork, and run in the fork the request that the
    client sends on that connection once it has the process id; ``("copy", None)`` with a control socket: fork another
    server with that control; ``("imports", path)``: run the import statements at the top of a script; ``("modules",
    names)``: import modules; ``("hold", values)``: load the network that a job has reported; ``("leave", None)``: stop,
    and end after all forks. Only the first has answers: the process id, or None if no fork is safe; and at its end, its
    imports, its loaded network or None, and its exit status.

    Args:
        listener: accepts further control sockets; None for none.
        run: called in a fork with three streams and a request, returns the exit status; `run_script` if None.
    """

    def __init__(
        self,
        control: _socket.socket,
        listener: _socket.socket | None = None,
        run: Callable[[list[int], Request], int] | None = None,
    ) -> None:
        import select

        self._run_request = run or run_script

        self._events = select.poll()
        self._control = control
        self._listener = listener
        self._controls: dict[int, _socket.socket] = {}
        self._running: dict[int, tuple[int, _socket.socket | None]] = {}  # by a pipe that closes when a fork ends
        self._asking: dict[int, int] = {}  # process id by connection
        self._is_leaving = False
        self._add_control(control)
        if listener is not None:
            self._events.register(listener, select.POLLIN)

    def serve(self) -> None:
        """Execute commands until the first control is closed, or after ``leave`` all forks have ended."""
        while self._running if self._is_leaving else self._control.fileno() >= 0:
            number, _ = self._events.poll()[0]  # only one, since handling it may close others and reuse their numbers
            if self._listener is not None and number == self._listener.fileno():
                self._add_control(_accepted(self._listener))
            elif number in self._controls:
                self._obey(self._controls[number])
            elif number in self._running:
                self._tell_end(number)
            else:  # the client is gone
                self._events.unregister(number)
                self.end_fork(self._asking.pop(number))

    def end_fork(self, process: int) -> None:
        """End a fork whose client is gone."""
        os.kill(process, signal.SIGTERM)

    def _add_control(self, control: _socket.socket) -> None:
        import select

        self._controls[control.fileno()] = control
        self._events.register(control, select.POLLIN)

    def _obey(self, control: _socket.socket) -> None:
        try:
            (verb, what), files = receive(control)
        except EOFError:
            self._events.unregister(control)
            del self._controls[control.fileno()]
            control.close()
            return
        match verb:
            case "run" | "copy" if len(files) < COMING[verb]:  # too many are open; the client finds its own end closed
                for number in files:
                    os.close(number)
            case "run":
                self._run(_socket.socket(fileno=files[0]), files[1:])
            case "copy":
                self._copy(_socket.socket(fileno=files[0]))
            case "imports":
                with suppress(Exception):  # the job itself reports it
                    run_imports(what)
                leave_alone_what_is_imported()
            case "modules":
                _import(what)
                leave_alone_what_is_imported()
            case "hold":
                with suppress(Exception):  # a job that cannot load it reports why
                    importlib.import_module(HELD).hold(what)
                _wait_for_threads_to_end()
                leave_alone_what_is_imported()
            case "leave":
                self._is_leaving = True

    def _run(self, connection: _socket.socket, streams: list[int]) -> None:
        """Run the request on a connection in a fork."""
        process = self._fork(connection)
        if process == 0:
            self._become_fork()
            _attend(connection, streams, self._run_request)
        for stream in streams:
            os.close(stream)
        with suppress(OSError):  # the client may be gone
            send(connection, process)
        if process is None:
            connection.close()

    def _copy(self, control: _socket.socket) -> None:
        """Fork another server."""
        if self._fork(None) == 0:
            self._become_fork()
            status = 1
            try:
                Server(control).serve()
                status = 0
            finally:
                os._exit(status)
        control.close()

    def _fork(self, connection: _socket.socket | None) -> int | None:
        """Fork; return 0 in the fork, as `os.fork`, and None if it is unsafe or the system lacks resources."""
        parent = os.getpid()
        try:
            if not is_safe_to_fork():
                return None
            ended, alive = os.pipe()
        except OSError:
            return None
        try:
            process = os.fork()
        except OSError:
            os.close(ended)
            process = None
        if process == 0:
            _begin_fork(parent, ended)
            return 0
        os.close(alive)
        if process is None:
            return None
        self._running[ended] = process, connection
        self._events.register(ended, 0)  # reported when it is closed
        if connection is not None:
            self._asking[connection.fileno()] = process
            self._events.register(connection, 0)
        return process

    def _become_fork(self) -> None:
        """Close everything that belongs to the parent."""
        others = [*self._controls.values(), *([self._listener] if self._listener is not None else [])]
        others += [connection for _, connection in self._running.values() if connection is not None]
        for other in others:
            other.close()
        for number in self._running:
            os.close(number)

    def _tell_end(self, number: int) -> None:
        """Report a fork's exit status to its client."""
        self._events.unregister(number)
        os.close(number)
        process, connection = self._running.pop(number)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if connection is None:
            return
        if self._asking.pop(connection.fileno(), None):
            self._events.unregister(connection)
        with suppress(OSError):
            send(connection, status)
        connection.close()


def _accepted(listener: _socket.socket) -> _socket.socket:
    number, _ = listener._accept()  # type: ignore[attr-defined]
    return _socket.socket(fileno=number)


def is_safe_to_fork() -> bool:
    """Whether a fork of this process behaves like a new one: only this thread runs, and no GPU was started."""
    return len(list(Path("/proc/self/task").iterdir())) == 1 and not any(map(_is_gpu, _open_files()))


def _wait_for_threads_to_end() -> None:
    import time

    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while not is_safe_to_fork() and time.monotonic() < deadline:
        time.sleep(SECONDS_TO_SETTLE / 20)


def _open_files() -> Iterator[str]:
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            yield str(file.readlink())


def _is_gpu(path: str) -> bool:
    return path.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri"))


def _begin_fork(parent: int, ended: int) -> None:
    """Make this fork end with its parent; it must never continue in the parent's place."""
    try:
        end_with(parent)
        os.close(ended)
    except BaseException:
        os._exit(1)


def end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends for any reason."""
    import ctypes

    set_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it has already ended
        os._exit(1)


def leave_alone_what_is_imported() -> None:
    """Prevent garbage collection and exit in forks from visiting, and so copying, shared memory."""
    import weakref

    gc.collect()
    for each in gc.get_objects():
        if type(each) is weakref.finalize:
            each.atexit = False
    gc.freeze()


def run_imports(script: str) -> None:
    """Run the import statements at the top of a script."""
    tree = ast.parse(Path(script).read_bytes())
    imports: list[ast.stmt] = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    exec(compile(ast.Module(imports, type_ignores=[]), script, "exec"), {})


def _import(names: Iterable[str]) -> None:
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _imported_since(before: set[str]) -> list[str]:
    """The modules that were imported from files since then, in order."""
    since = [(name, module) for name, module in list(sys.modules.items()) if name not in before]
    return [name for name, module in since if getattr(getattr(module, "__spec__", None), "has_location", False)]


# In the fork of a job.


def _network_loaded() -> Any:
    """The job's report of its loaded network, as plain values; None if there is none."""
    held = sys.modules.get(HELD)
    return None if held is None else held.loaded_here()


def _attend(connection: _socket.socket, streams: list[int], run: Callable[[list[int], Request], int]) -> None:
    """Run the request, report the imports, and end."""
    status = 1
    try:
        before = set(sys.modules)
        asked, _ = receive(connection)
        status = run(streams, asked)
        with suppress(OSError):
            send(connection, (_imported_since(before), _network_loaded()))
    finally:
        if isinstance(status, signal.Signals):
            signal.signal(status, signal.SIG_DFL)
            os.kill(os.getpid(), status)
        os._exit(status)


def run_script(streams: list[int], request: Request) -> int:
    """Run ``python SCRIPT ARGUMENT ...``; return its exit status, or the signal to end with."""
    arguments, folder, environment = request
    become_fresh(streams, folder, environment)
    set_path(environment, first=str(Path(arguments[0]).resolve().parent))
    sys.argv = arguments
    status = status_of(lambda: runpy.run_path(arguments[0], run_name="__main__"), arguments[0])
    end_as_python_does()
    return status


def become_fresh(streams: list[int], folder: str, environment: dict[str, str]) -> None:
    """Set streams, working folder and environment, and reset process-specific state."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, handler in HANDLED.items():
        signal.signal(number, handler)
    if "tempfile" in sys.modules:
        vars(sys.modules["tempfile"])["tempdir"] = None  # looked up in the environment again
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def set_path(environment: Mapping[str, str], *, first: str | None = None) -> None:
    """Set the module search path as in a new Python with that environment."""
    asked = [str(Path(path).absolute()) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*([first] if first is not None else []), *asked, *LIBRARIES]


def status_of(main: Callable[[], object], script: str | None = None) -> int:
    """Run a main program like Python; return its exit status, or the signal to end with.

    Args:
        script: its path; tracebacks are shown from there.
    """
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int):
            return end.code
        if end.code is not None:
            print(end.code, file=sys.stderr)
        return int(end.code is not None)
    except BaseException as error:
        frames = _within(script, error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        return signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _within(script: str | None, frames: TracebackType | None) -> TracebackType | None:
    """A traceback from the script on; the whole one if it does not reach the script."""
    first = frames
    while first is not None and first.tb_frame.f_code.co_filename != script:
        first = first.tb_next
    return first or frames


def end_as_python_does() -> None:
    """Do what Python does at exit, except clearing modules."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]  # waits for other threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


# The initial state of this process.

LIBRARIES = sys.path[1:]  # it is started without PYTHONPATH
HANDLED = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


def main() -> None:
    """Serve on the standard input; the first message is PYTHONPATH."""
    control = _socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for number in HANDLED:  # Ctrl-C and similar signals are for jobs; this process ends with its parent
        signal.signal(number, signal.SIG_IGN)
    with suppress(EOFError):
        os.environ["PYTHONPATH"], _ = receive(control)
        set_path(os.environ)
        Server(control).serve()


if __name__ == "__main__":
    main()
