"""Python by a process that has imported the libraries already: what it runs forks from it, and need not import them.

``warm_python.py SOCKET`` waits on a socket until its standard input is closed. ``warm_python.py SOCKET ARGUMENT ...``
runs what ``python ARGUMENT ...`` does, a script or a module (``-m``), in a fork, as the workflow runs its jobs; see
zsad/workflow/warm_process.py. The package is taken from where `python` would take it; see imported_ahead.py. What looks
at processes themselves, their memory, signals or ends, starts `python`. A client that is killed takes its fork with it,
and all that runs in the fork's group.
"""

from __future__ import annotations

import _socket
import importlib
import os
import runpy
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

LIBRARIES = sys.path[1:]

sys.path.insert(0, str(Path(__file__).parents[2] / "zsad" / "workflow"))
warm_process = importlib.import_module("warm_process")  # as it lies there: nothing of the package is imported here
del sys.path[0]

# Not huggingface_hub nor what imports it, which reads its environment when it is imported.
AHEAD = (
    *("snakemake.cli", "snakemake.storage", "snakemake.script", "snakemake.benchmark", "smart_open", "nbformat"),
    *("snakemake_executor_plugin_slurm", "snakemake_executor_plugin_slurm_jobstep", "snakemake_executor_plugin_lsf"),
    *("pulp", "yte"),
    *("numpy", "pandas", "scipy.stats", "scipy.ndimage", "cv2", "h5py", "xxhash", "torch", "torch.nn.functional"),
    *("torch._dynamo", "torch.distributed", "safetensors.torch", "tokenizers", "regex"),  # of transformers
    *("PIL.Image", "PIL.ImageOps", "PIL.TiffImagePlugin", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("pydantic", "jinja2", "jsonschema", "yaml", "tqdm", "threadpoolctl", "requests", "docutils.core"),
)


class GroupServer(warm_process.Server):
    """A server whose forks end as a killed Python does, each with its group."""

    def end_fork(self, process: int) -> None:
        with suppress(ProcessLookupError):  # it has only begun, and leads no group yet
            os.killpg(process, signal.SIGKILL)
        os.kill(process, signal.SIGKILL)


def serve(place: str) -> None:
    """Run what is asked for until the standard input is closed."""
    for name in AHEAD:
        importlib.import_module(name)
    from snakemake.cli import get_argument_parser

    from imported_ahead import PackageAhead, keep_parsed_rules

    get_argument_parser()  # which imports plugins
    PackageAhead(warm_process.run_imports).import_now()
    keep_parsed_rules(Path(place).with_name("rules"))
    warm_process.leave_alone_what_is_imported()
    warm_process.LIBRARIES[:] = LIBRARIES
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    listener.bind(f"{place}.coming")
    listener.listen(64)
    Path(f"{place}.coming").rename(place)  # who finds it can connect
    GroupServer(_socket.socket(fileno=0), listener, run).serve()


def run(streams: list[int], request: tuple[list[str], str, dict[str, str]]) -> int:
    """Run ``python ARGUMENT ...`` to its end; its exit status."""
    arguments, folder, environment = request
    os.setpgid(0, 0)
    warm_process.become_fresh(streams, folder, environment)
    sys.modules["snakemake.workflow"].Workflow._rundir = folder  # was looked up when that was imported
    # For what this starts in turn, such as the scripts of jobs.
    sys.executable = environment.get("WARM_PYTHON", sys.executable)
    is_module = arguments[0] == "-m"
    name, *rest = arguments[is_module:]
    sys.argv = [name, *rest]
    warm_process.set_path(environment, first=folder if is_module else str(Path(name).resolve().parent))
    main = partial(runpy.run_module, alter_sys=True) if is_module else runpy.run_path
    status = warm_process.status_of(lambda: main(name, run_name="__main__"), name)
    warm_process.end_as_python_does()
    return status


def ask(place: str, arguments: list[str]) -> int:
    """Have the server run Python with these arguments; its exit status, as a shell gives it."""
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    control.connect(place)
    ours, theirs = warm_process.socket_pair()
    warm_process.send(control, ("run", None), [theirs.fileno(), 0, 1, 2])
    theirs.close()
    warm_process.receive(ours)  # its process id
    warm_process.send(ours, (arguments, os.getcwd(), dict(os.environ)))  # noqa: PTH109
    status, _ = warm_process.receive(ours)
    while isinstance(status, tuple):  # what it imported, and the network that it loaded
        status, _ = warm_process.receive(ours)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    if sys.argv[2:]:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])
