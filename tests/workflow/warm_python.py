"""Python by a process that has imported the libraries already: what it runs forks from it, and need not import them.

``warm_python.py SOCKET`` waits on a socket until its standard input is closed. ``warm_python.py SOCKET ARGUMENT ...``
runs what ``python ARGUMENT ...`` does, a script or a module (``-m``), in a fork, as the workflow runs its jobs; see
zsad/workflow/warm_process.py. The package is taken from where `python` would take it; see `PackageAhead`. What looks at
processes themselves, their memory, signals or ends, starts `python`. A client that is killed takes its fork with it,
and all that runs in the fork's group.
"""

from __future__ import annotations

import _socket
import importlib
import marshal
import os
import re
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARIES = sys.path[1:]
REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "zsad"

sys.path.insert(0, str(REPOSITORY / PACKAGE / "workflow"))
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

# An import statement of a rule file, over several lines if it has brackets.
IMPORT = re.compile(rf"^ *((?:from|import) {PACKAGE}\b[^\n(]*(?:\([^)]*\))?)", re.MULTILINE)


class PackageAhead:
    """Imports the package from the repository ahead; a fork that imports an unchanged copy of it gets those modules.

    Unchanged are files of the same sizes and times, as in the copies that tests make. The modules take the paths of the
    copy, but for the places in their tracebacks. A package that differs in any file is imported as ever.
    """

    def __init__(self) -> None:
        self._files = _files_in(REPOSITORY / PACKAGE)
        self._modules: dict[str, ModuleType] = {}
        self._places: list[tuple[object, str, Callable[[str], object], str]] = []

    def import_now(self) -> None:
        """Import what the rules and the scripts of the workflow import."""
        sys.path.insert(0, str(REPOSITORY))
        for rules in (REPOSITORY / "Snakefile", *(REPOSITORY / "rules").rglob("*.smk")):
            for statement in IMPORT.findall(rules.read_text()):
                exec(statement, {})
        for script in (REPOSITORY / "workflow_scripts").glob("*.py"):
            warm_process._run_imports(str(script))
        _import_choices()
        del sys.path[0]
        self._modules = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)}
        self._places = [place for module in self._modules.values() for place in _places_in(module)]
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The package, if what `python` would import is a copy of it; None to leave the search to others."""
        if name != PACKAGE:
            return None
        sys.meta_path.remove(self)
        found = PathFinder.find_spec(name)
        if found is None or found.origin is None:
            return None
        copy = Path(found.origin).parent
        if copy != copy.resolve() or _files_in(copy) != self._files:
            return None
        for owner, attribute, kind, inside in self._places:
            setattr(owner, attribute, kind(f"{copy.parent}{inside}"))
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The package; all its modules come with it."""
        sys.modules.update(self._modules)
        self._spec = self._modules[PACKAGE].__spec__
        return self._modules[PACKAGE]

    def exec_module(self, module: ModuleType) -> None:
        """Give it back what Python has set: it was run ahead."""
        module.__spec__ = self._spec


def _import_choices() -> None:
    """Import every class that a configuration can name."""
    from zsad.registry import Registry

    constants = [value for name in list(sys.modules) if _is_ours(name) for value in vars(sys.modules[name]).values()]
    for registry in {id(each): each for each in constants if isinstance(each, Registry)}.values():
        for name in registry.names():
            registry.load(name)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE


def _files_in(package: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file of a package, but for what Python has compiled."""
    found = {}
    for folder, _, names in os.walk(package):
        if not folder.endswith("__pycache__"):
            for name in names:
                path = f"{folder}/{name}"
                known = os.stat(path)  # noqa: PTH116
                found[path.removeprefix(str(package))] = known.st_size, known.st_mtime_ns
    return found


def _places_in(module: ModuleType) -> Iterator[tuple[object, str, Callable[[str], object], str]]:
    """Owners and attributes that name a path in the repository, with the rest of it and what makes one of a text."""
    spec = module.__spec__
    assert spec is not None
    for owner in (module, spec, spec.loader):
        for attribute, value in vars(owner).items():
            match value:
                case str() | Path():
                    kind, text = type(value), str(value)
                case [str(text)]:  # the folder of a package
                    kind = _listed
                case _:
                    continue
            inside = text.removeprefix(str(REPOSITORY))
            if inside != text and inside[:1] in ("", "/") and not text.startswith(sys.prefix):
                yield owner, attribute, kind, inside


def _listed(text: str) -> list[str]:
    return [text]


def keep_parsed_rules(folder: Path) -> None:
    """Have Snakemake keep what it makes of a rule file, for the next run with such a file at such a place.

    Args:
        folder: for what is kept.
    """
    import snakemake.workflow

    parse = snakemake.workflow.parse
    folder.mkdir()

    def parse_once(path: Any, workflow: Any, linemap: dict[int, int], **others: Any) -> tuple[str, int]:
        place = f"snakefile={path.get_path_or_uri(secret_free=True)!r}"
        with workflow.sourcecache.open(path) as file:
            kept = folder / sha256(repr((file.read(), others)).encode()).hexdigest()
        if kept.exists():
            code, count, lines = marshal.loads(kept.read_bytes())
            linemap |= lines
            return code.replace("\0", place), count
        code, count = parse(path, workflow, linemap, **others)
        new = folder / f"{kept.name}.{os.getpid()}"
        new.write_bytes(marshal.dumps((code.replace(place, "\0"), count, linemap)))
        new.rename(kept)
        return code, count

    snakemake.workflow.parse = parse_once


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

    get_argument_parser()  # which imports plugins
    PackageAhead().import_now()
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
