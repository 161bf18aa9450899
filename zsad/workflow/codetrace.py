"""Find the code that a script runs, on which its result depends besides inputs and parameters.

Snakemake does not see the modules that a script imports. A rule therefore passes the content hashes found here as a
parameter, so that editing a module re-runs the stages that import it, touching one re-runs nothing, and modification
times restored by ``rsync`` or an archive do not matter.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType

from zsad.workflow.known_imports import KnownImports
from zsad.workflow.revisions import REVISIONS

PACKAGE = "zsad"
HASH_LENGTH = 12
TABLES = ("registry.py", "catalogue.py")

# Modules, and whole packages, that are neither hashed nor followed, so that an edit re-runs nothing, with the reason.
# If an edit of one of them does change results, raise the stage's number in zsad/workflow/revisions.py.
EXEMPT: Mapping[str, str] = MappingProxyType(
    {
        "zsad/__init__.py": "names for notebooks, imported at first use; stages import from the modules",
        "zsad/errors/": "messages; a failed job leaves no result. Raise a number if other images are left out, "
        "since the classes of errors decide which images count as unreadable",
        "zsad/progress.py": "lines in a log and bars on a terminal",
        "zsad/timing.py": "seconds in a log",
        "zsad/lazy.py": "delays the import of a library",
        "zsad/registry.py": "finds classes by name and rejects wrong parameters; the values in use are parameters of "
        "the rules, and the classes are traced",
        "zsad/workflow/job.py": "log, threads and messages around a stage",
        "zsad/workflow/gpus.py": "which GPU computes, not what; a run without a GPU need not compute again",
        "zsad/workflow/suitability.py": "rejects images before anything is computed; it imports every scorer",
        "zsad/sharing/": "links to a shared file only if its content key, which includes the code, its images and "
        "its digests match; another way to form the key gives other keys",
        "zsad/files/atomic.py": "files are written completely or not at all, whatever their content",
        "zsad/files/provenance.py": "facts about a result besides its content; Snakemake compares the parameters",
        "zsad/files/known_hashes.py": "hashes of the bytes, computed or cached",
        "zsad/files/download.py": "a downloaded file has the SHA-256 of a catalogue, or is rejected",
        "zsad/files/tracked.py": "reports files to Snakemake, which tracks their content",
        "zsad/files/user_paths.py": "expands a home folder; the paths in use are parameters of the rules",
        "zsad/models/hub.py": "finds, downloads and checks weights. Which files of a model are read is decided in "
        "zsad/models/weight_files.py, which is traced; their SHA-256 is in the provenance and in content keys",
        "zsad/segmentation/weights.py": "the same for segmentation models. Raise a number if it reads other files",
        "zsad/models/config_sense.py": "rejects invalid models, and changes none",
        "zsad/models/held.py": "which process loads a network, from the same unchanged files; what loads it is traced",
        "zsad/models/memory.py": "memory management, and recognising errors of too little memory",
        "zsad/data/impostors.py": "names the kind of a file that is not an image; decoders decide what is an image",
        "zsad/features/architecture.py": "sizes of a network for plans and requests before it is loaded",
        "zsad/features/fitting.py": "rejects parameters that do not fit a network, before it is loaded",
        "zsad/features/execution.py": "device, batches and processes, which only change the speed",
        "zsad/features/assumed.py": "estimated needs of jobs, for their requests",
        "zsad/scoring/cost.py": "estimated needs of jobs, for their requests",
    }
)


# Packages that a stage imports but never runs, by the name of its script, so that an edit does not re-run the stage:
# the class of a backbone imports its text tower, which images do not use.
UNUSED: Mapping[str, str] = MappingProxyType(
    {
        "extract_features": "zsad/models/texts",
        "join_features": "zsad/models/texts",
    }
)

_EXEMPT = frozenset(place.rstrip("/") for place in EXEMPT)


def code_hashes(
    root: Path, script: str, entries: Iterable[str] = (), *, revisions: Mapping[str, int] = REVISIONS
) -> dict[str, str]:
    """Content hashes of a script and of the imported modules of the package that can change a result.

    Those are its direct and indirect imports, except `EXEMPT` and `UNUSED` modules, imports only for type checkers, and
    packages without code of their own. The stage's revision represents edits of exempt modules that change its results.

    A data file that shares a module's folder and stem (``page.py``, ``page.html.jinja``) belongs to that module. The
    tables of names (``scoring/registry.py`` and similar ones, and the catalogue of models) are left out, so that a new
    line in one of them re-runs only what it concerns; the entries of the names in use are given as ``entries`` instead,
    or are among the parameters.

    Args:
        root: the folder of the package and the scripts.
        script: path of the script, relative to ``root``.
        entries: ``"module:Class"`` of the classes that the script imports by name at run time.
        revisions: of the stages, by the names of their scripts.

    Returns:
        Path relative to ``root`` to the first 12 hexadecimal digits of its SHA-256; each entry to ``"entry"``; and
        ``"revision"`` to that of the stage.
    """
    entries = list(entries)
    place = str(root)
    found: set[str] = set()
    waiting = {script, *_traced(place, (entry.partition(":")[0] for entry in entries))}
    unused = UNUSED.get(Path(script).stem, script)
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= {file for file in _behind(place, path) - found if not file.startswith(f"{unused}/")}
    _known_imports().keep()
    files = sorted({file for path in found for file in _with_data(place, path)}, key=lambda file: file.split("/"))
    hashes = {file: _hash(place, file) for file in files}
    return hashes | dict.fromkeys(entries, "entry") | {"revision": str(revisions[Path(script).stem])}


def is_exempt(path: Path) -> bool:
    """Whether edits of a module, given relative to the folder of the package, re-run nothing."""
    return any(place.as_posix() in _EXEMPT for place in (path, *path.parents))


def import_package_from(root: Path) -> None:
    """Make Python processes that are started from now on import the package in ``root``."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", str(root))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])


# Below, paths are strings relative to the root, since every start handles thousands of them.


@cache
def _behind(root: str, file: str) -> frozenset[str]:
    """The traced files of the modules that a file imports."""
    return _traced(root, _imported(root, file))


def _traced(root: str, modules: Iterable[str]) -> frozenset[str]:
    """The traced files of modules, and of their parent packages."""
    files = {file for module in modules for file in _module_files(root, module)}
    return frozenset(file for file in files if _is_traced(root, file))


@cache
def _is_traced(root: str, file: str) -> bool:
    return not (_is_table_of_names(file) or is_exempt(Path(file)) or _is_empty(root, file))


def _is_table_of_names(file: str) -> bool:
    folder, _, name = file.rpartition("/")
    return name in TABLES and folder != PACKAGE


def _is_empty(root: str, file: str) -> bool:
    """Whether a file is an ``__init__`` with at most a docstring."""
    if file.rpartition("/")[2] != "__init__.py":
        return False
    match ast.parse(_content(root, file)).body:
        case [] | [ast.Expr(ast.Constant())]:
            return True
    return False


@cache
def _with_data(root: str, file: str) -> tuple[str, ...]:
    """A file, and the data files that belong to it."""
    folder, _, name = file.rpartition("/")
    if name == "__init__.py":
        return (file,)
    siblings = _names_by_stem(root, folder).get(name.removesuffix(".py"), ())
    return (file, *(f"{folder}/{sibling}" for sibling in siblings if not sibling.endswith((".py", ".pyc"))))


@cache
def _names_by_stem(root: str, folder: str) -> Mapping[str, list[str]]:
    """The names of the files in a folder, by what is before their first dot; none if there is no such folder."""
    found: dict[str, list[str]] = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(f"{root}/{folder}") as entries:
        for entry in entries:
            if entry.is_file():
                found.setdefault(entry.name.partition(".")[0], []).append(entry.name)
    return found


def _has(root: str, folder: str, stem: str) -> bool:
    """Whether a folder has the Python file with that stem."""
    return f"{stem}.py" in _names_by_stem(root, folder).get(stem, ())


@cache
def _content(root: str, file: str) -> bytes:
    return Path(root, file).read_bytes()


@cache
def _hash(root: str, file: str) -> str:
    return hashlib.sha256(_content(root, file)).hexdigest()[:HASH_LENGTH]


@cache
def _known_imports() -> KnownImports:
    return KnownImports(Path(__file__))


@cache
def _imported(root: str, file: str) -> tuple[str, ...]:
    content = _content(root, file)
    return _known_imports().of(content, lambda: _names_in(content, file))


def _names_in(content: bytes, file: str) -> tuple[str, ...]:
    """The modules of the package that a file imports, and the names imported from them, which may be modules."""
    names: list[str] = []
    for node in _statements(ast.parse(content, filename=file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in a node that may run, also in functions and branches; expressions contain none."""
    if isinstance(node, ast.If) and _is_for_type_checkers(node.test):
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from _statements(child)


def _is_for_type_checkers(test: ast.expr) -> bool:
    """Whether a condition is ``TYPE_CHECKING``, which is false at run time."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


@cache
def _module_files(root: str, module: str) -> tuple[str, ...]:
    """The file of a dotted name, if there is one, and the ``__init__`` of each parent package."""
    place = module.replace(".", "/")
    folder, _, stem = place.rpartition("/")
    file = (f"{place}.py",) if folder and _has(root, folder, stem) else ()
    return (*_package_files(root, place), *file)


@cache
def _package_files(root: str, folder: str) -> tuple[str, ...]:
    """The ``__init__`` of a package, if it is one, and of each parent package."""
    if not folder:
        return ()
    file = (f"{folder}/__init__.py",) if _has(root, folder, "__init__") else ()
    return (*_package_files(root, folder.rpartition("/")[0]), *file)
