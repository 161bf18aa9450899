"""Which files of this project a script runs: what a result depends on besides its inputs and parameters.

Snakemake does not see modules that a script imports. A rule therefore passes the content hashes that are found here
as a parameter, so that editing a module re-runs the stages that import it, touching one re-runs nothing, and the
modification times that ``rsync`` or an archive restores do not matter.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from zsad.workflow.known_imports import KnownImports
from zsad.workflow.revisions import REVISIONS

PACKAGE = "zsad"
HASH_LENGTH = 12
TABLES = ("registry.py", "catalogue.py")

# Modules, and packages with all in them, that are neither hashed nor followed, so that an edit makes nothing anew, and
# why. Where an edit of one of them does change results, raise the stage's number in zsad/workflow/revisions.py.
EXEMPT: Mapping[str, str] = MappingProxyType(
    {
        "zsad/__init__.py": "names for notebooks, each imported at its first use; stages import what they use from "
        "where it lies",
        "zsad/errors/": "messages; a job that fails leaves no result. Raise a number if other images are left out, as "
        "the classes of errors decide what is left out as unreadable",
        "zsad/progress.py": "lines in a log and bars on a terminal",
        "zsad/timing.py": "seconds in a log",
        "zsad/lazy.py": "puts off the import of a library",
        "zsad/registry.py": "finds classes by name and refuses wrong parameters; the values in use are parameters of "
        "the rules, and the classes are traced",
        "zsad/workflow/job.py": "log, threads and messages around a stage",
        "zsad/workflow/gpus.py": "which GPU computes, not what; that none does is no reason to compute anew either",
        "zsad/workflow/suitability.py": "refuses images before anything is computed; it sees every scorer",
        "zsad/sharing/": "links to a file of others only if its content key, which holds the code, its images and its "
        "digests agree; another way to form the key gives other keys",
        "zsad/files/atomic.py": "a file is there whole or not at all, whatever is in it",
        "zsad/files/provenance.py": "what is told of a result beside its content; Snakemake compares the parameters",
        "zsad/files/known_hashes.py": "hashes, which are those of the bytes or those that were kept of them",
        "zsad/files/download.py": "what it fetches has the SHA-256 of a catalogue, or is refused",
        "zsad/files/tracked.py": "tells Snakemake of files; their content is tracked by that",
        "zsad/files/user_paths.py": "writes out a home folder; the paths in use are parameters of the rules",
        "zsad/models/hub.py": "finds, downloads and checks weights. Which files of a model are read is decided in "
        "zsad/models/weight_files.py, which is traced; their SHA-256 is in the provenance and in content keys",
        "zsad/segmentation/weights.py": "the same of segmentation models. Raise a number if it takes other files",
        "zsad/models/config_sense.py": "refuses models that make no sense, and changes none",
        "zsad/models/held.py": "which process loads a network, from the same unchanged files; what loads it is traced",
        "zsad/models/memory.py": "what memory is kept, and whether an error means too little of it",
        "zsad/data/impostors.py": "calls by its name what is no image; what is one, decoders decide",
        "zsad/features/architecture.py": "sizes of a network that plans and requests ask for before it is loaded",
        "zsad/features/fitting.py": "refuses parameters that do not fit a network, before it is loaded",
        "zsad/features/execution.py": "device, batches and processes, which change the speed alone",
        "zsad/features/assumed.py": "guesses of what jobs need, for their requests",
        "zsad/scoring/cost.py": "estimates of what jobs need, for their requests",
    }
)


# Packages that a stage imports and never runs, by the name of its script, so that an edit makes nothing of it anew: the
# class of a backbone knows its text tower, which images do not go through.
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
    """Content hashes of a script and of the modules of the package behind it that can change a result.

    Those are what it imports, directly or not, but for what is `EXEMPT` or `UNUSED`, what is imported for type checkers
    alone, and packages with no code of their own. The stage's revision stands for edits of exempt modules that change
    its results.

    A data file that shares a module's folder and stem (``page.py``, ``page.html.jinja``) belongs to that module.
    The tables of names (``scoring/registry.py`` and its kin, and the catalogue of models) are left out, so that a line
    more in one of them is no reason to run what it does not concern; what a table says of the names in use is given
    as ``entries`` instead, or stands among the parameters.

    Args:
        root: the folder that holds the package and the scripts.
        script: path of the script, relative to ``root``.
        entries: ``"module:Class"`` of the parts that the script imports by name at run time.
        revisions: of the stages, by the names of their scripts.

    Returns:
        Path relative to ``root`` to the first 12 hexadecimal digits of its SHA-256; each entry to ``"entry"``; and
        ``"revision"`` to that of the stage.
    """
    entries = list(entries)
    found: set[Path] = set()
    waiting = {root / script, *_traced(root, (entry.partition(":")[0] for entry in entries))}
    unused = root / UNUSED.get(Path(script).stem, script)
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= {file for file in _behind(root, path) - found if unused not in file.parents}
    _known_imports().keep()
    files = sorted({file for path in found for file in _with_data(path)})
    hashes = dict(_named_hash(root, file) for file in files)
    return hashes | dict.fromkeys(entries, "entry") | {"revision": str(revisions[Path(script).stem])}


def is_exempt(path: Path) -> bool:
    """Whether edits of a module, given relative to the folder of the package, make nothing anew."""
    return any(place.as_posix() in _EXEMPT for place in (path, *path.parents))


def import_package_from(root: Path) -> None:
    """Make Python processes that are started from now on import the package that lies in ``root``."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", str(root))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])


@cache
def _behind(root: Path, path: Path) -> frozenset[Path]:
    """The files that are traced of the modules that a file imports."""
    return _traced(root, _imported(path))


def _traced(root: Path, modules: Iterable[str]) -> frozenset[Path]:
    """The files of modules, and of the packages on the way, whose edits are seen."""
    files = {file for module in modules for file in _module_files(root, module)}
    return frozenset(file for file in files if _is_traced(root, file))


@cache
def _is_traced(root: Path, path: Path) -> bool:
    return not (_is_table_of_names(path, root) or is_exempt(path.relative_to(root)) or _is_empty(path))


def _is_table_of_names(path: Path, root: Path) -> bool:
    return path.name in TABLES and path.parent != root / PACKAGE


def _is_empty(path: Path) -> bool:
    """Whether a file makes a folder a package and holds a docstring at most."""
    if path.name != "__init__.py":
        return False
    match ast.parse(path.read_bytes()).body:
        case [] | [ast.Expr(ast.Constant())]:
            return True
    return False


@cache
def _with_data(path: Path) -> tuple[Path, ...]:
    if path.name == "__init__.py":
        return (path,)
    siblings = path.parent.glob(f"{path.stem}.*")
    return (path, *(sibling for sibling in siblings if sibling.suffix not in (".py", ".pyc")))


@cache
def _named_hash(root: Path, file: Path) -> tuple[str, str]:
    return file.relative_to(root).as_posix(), hashlib.sha256(file.read_bytes()).hexdigest()[:HASH_LENGTH]


@cache
def _known_imports() -> KnownImports:
    return KnownImports(Path(__file__))


@cache
def _imported(path: Path) -> tuple[str, ...]:
    content = path.read_bytes()
    return _known_imports().of(content, lambda: _names_in(content, path))


def _names_in(content: bytes, path: Path) -> tuple[str, ...]:
    """The modules of the package that a file imports, and what else it takes of them, which may be modules."""
    names: list[str] = []
    for node in _statements(ast.parse(content, filename=str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in a node that may run, in functions and branches too; expressions, most of a tree, hold none."""
    if isinstance(node, ast.If) and _is_for_type_checkers(node.test):
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from _statements(child)


def _is_for_type_checkers(test: ast.expr) -> bool:
    """Whether a condition is ``TYPE_CHECKING``, which is never true when a program runs."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


@cache
def _module_files(root: Path, module: str) -> tuple[Path, ...]:
    """The file of a dotted name, if it is one, and the ``__init__`` of each package on the way."""
    place = root.joinpath(*module.split("."))
    file = place.with_suffix(".py")
    return (*_package_files(root, place), *([file] if file.is_file() else []))


@cache
def _package_files(root: Path, folder: Path) -> tuple[Path, ...]:
    """The ``__init__`` of a package, if it is one, and of each that it lies in."""
    if folder == root:
        return ()
    file = folder / "__init__.py"
    return (*_package_files(root, folder.parent), *([file] if file.is_file() else []))
