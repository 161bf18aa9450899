"""Python by a process that has imported the libraries already: what it runs forks from it, and need not import them.

``warm_python.py SOCKET`` waits on a socket until its standard input ends. ``warm_python.py SOCKET ARGUMENT ...`` runs
what ``python ARGUMENT ...`` does, a script or a module (``-m``), with the same streams, folder and environment, in a
process of its own. Nothing of the package is imported ahead: it is taken from where `python` would take it. What looks
at processes themselves, their memory, signals or ends, starts `python`.
"""

from __future__ import annotations

# Not `socket` nor `json`, which take longer than all else that who asks does, once for each job of a run.
import _socket
import marshal
import os
import sys

# Not huggingface_hub nor what imports it, which reads its environment when it is imported.
AHEAD = (
    *("snakemake.cli", "snakemake.storage", "snakemake.script", "snakemake_executor_plugin_slurm", "pulp", "yte"),
    *("numpy", "pandas", "scipy.stats", "scipy.ndimage", "cv2", "h5py", "xxhash", "torch", "torch.nn.functional"),
    *("torch._dynamo", "torch.distributed", "safetensors.torch", "tokenizers", "regex"),  # of transformers
    *("PIL.Image", "PIL.ImageOps", "PIL.TiffImagePlugin", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("pydantic", "jinja2", "jsonschema", "yaml", "tqdm", "threadpoolctl", "requests", "docutils.core"),
)


def serve(place: str) -> None:
    """Run what is asked for until the standard input ends."""
    import importlib
    import select
    import signal
    import socket
    from contextlib import suppress

    for name in AHEAD:
        importlib.import_module(name)
    from snakemake.cli import get_argument_parser

    get_argument_parser()  # which imports plugins
    _leave_alone_what_is_imported()
    running: dict[int, tuple[int, socket.socket]] = {}  # who runs for whom, by a pipe that closes as that ends
    asking: dict[int, int] = {}  # who runs for a connection
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        events = select.poll()
        events.register(sys.stdin, select.POLLIN)
        events.register(listener, select.POLLIN)
        print("ready", flush=True)
        while (number := events.poll()[0][0]) != sys.stdin.fileno():
            if number == listener.fileno():
                connection, _ = listener.accept()
                ended, process = _start(connection, others=[listener, *(each for _, each in running.values())])
                running[ended] = process, connection
                asking[connection.fileno()] = process
                events.register(ended, 0)  # told of as it is closed
                events.register(connection, 0)
            elif number in running:
                events.unregister(number)
                os.close(number)
                process, connection = running.pop(number)
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                with suppress(BrokenPipeError):
                    connection.sendall(str(status if status >= 0 else 128 - status).encode())
                if asking.pop(connection.fileno(), None):
                    events.unregister(connection)
                connection.close()
            else:
                events.unregister(number)
                os.kill(asking.pop(number), signal.SIGTERM)  # who asked is gone


def ask(place: str, arguments: list[str]) -> int:
    """Have the server run Python with these arguments; its exit status, as a shell gives it."""
    streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in range(3))
    request = marshal.dumps((arguments, os.getcwd(), dict(os.environ)))  # noqa: PTH109
    connection = _socket.socket(_socket.AF_UNIX)
    connection.connect(place)
    connection.sendmsg([len(request).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    connection.sendall(request)
    return int(connection.recv(16))


def _leave_alone_what_is_imported() -> None:
    """Keep a process from visiting, and so copying, all that it shares, to collect garbage or as it ends."""
    import gc
    import weakref

    gc.collect()
    for each in gc.get_objects():
        if type(each) is weakref.finalize:
            each.atexit = False
    gc.freeze()


def _start(connection: _socket.socket, others: list[_socket.socket]) -> tuple[int, int]:
    """Start what is asked for; a pipe's end that is told of as closed when that has ended, and the process."""
    ended, alive = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ended)
        for other in others:
            other.close()
        _attend(connection)
    os.close(alive)
    return ended, process


def _attend(connection: _socket.socket) -> None:
    """Run what is asked for, and end."""
    import socket

    status = 1
    try:
        size, streams, _, _ = socket.recv_fds(connection, 8, 3)
        with connection.makefile("rb") as request:
            asked = marshal.loads(request.read(int.from_bytes(size, "big")))
        connection.close()
        status = _run(streams, *asked)
    finally:
        os._exit(status)


def _run(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    import atexit
    import runpy
    import traceback
    from pathlib import Path

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
