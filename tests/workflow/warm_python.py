"""Python by a process that has imported the libraries already: what it runs forks from it, and need not import them.

``warm_python.py SOCKET`` waits on a socket until its standard input ends. ``warm_python.py SOCKET ARGUMENT ...`` runs
what ``python ARGUMENT ...`` does, a script or a module (``-m``), with the same streams, folder and environment, in a
process of its own. Nothing of the package is imported ahead: it is taken from where `python` would take it. What looks
at processes themselves, their memory, signals or ends, starts `python`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

# Not huggingface_hub nor what imports it, which reads its environment when it is imported.
AHEAD = (
    *("snakemake.cli", "snakemake.storage", "snakemake.script", "snakemake_executor_plugin_slurm", "pulp", "yte"),
    *("numpy", "pandas", "scipy.stats", "scipy.ndimage", "cv2", "h5py", "xxhash", "torch", "torch.nn.functional"),
    *("PIL.Image", "PIL.ImageOps", "PIL.TiffImagePlugin", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("pydantic", "jinja2", "jsonschema", "yaml", "tqdm", "threadpoolctl", "requests", "docutils.core"),
)


def serve(place: str) -> None:
    """Run what is asked for until the standard input ends."""
    import importlib

    for name in AHEAD:
        importlib.import_module(name)
    from snakemake.cli import get_argument_parser

    get_argument_parser()  # which imports plugins
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _attend(connection)
            connection.close()


def ask(place: str, arguments: list[str]) -> int:
    """Have the server run Python with these arguments; its exit status, as a shell gives it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        socket.send_fds(connection, [b"!"], [0, 1, 2])
        request = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        connection.sendall(json.dumps(request).encode() + b"\n")
        return int(connection.makefile().readline())


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _attend(connection: socket.socket) -> None:
    """Run what is asked for in a child, end it should who asked go away, and tell its exit status."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile().readline())
    ended, alive = os.pipe()
    child = os.fork()
    if child == 0:
        connection.close()
        os._exit(_run(streams, **request))
    os.close(alive)
    for stream in streams:
        os.close(stream)
    if connection in select.select([connection, ended], [], [])[0]:
        os.kill(child, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):
        connection.sendall(f"{status if status >= 0 else 128 - status}\n".encode())
    os._exit(0)


def _run(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    import atexit
    import runpy
    import traceback

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    os.chdir(folder)
    sys.modules["snakemake.workflow"].Workflow._rundir = folder  # was looked up when that was imported
    os.environ.clear()
    os.environ.update(environment)
    # For what this starts in turn, such as the scripts of jobs.
    sys.executable = environment.get("WARM_PYTHON", sys.executable)
    asked = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    is_module = arguments[0] == "-m"
    name, *rest = arguments[is_module:]
    sys.path[:] = [folder if is_module else str(Path(name).resolve().parent), *asked, *LIBRARIES]
    sys.argv = [name, *rest]
    try:
        if is_module:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(name, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    LIBRARIES = sys.path[1:]
    serve(sys.argv[1])
