"""Which files of this project a script runs: what a result depends on besides its inputs and parameters.

Snakemake does not see modules that a script imports. A rule therefore passes the content hashes that are found here
as a parameter, so that editing a module re-runs the stages that import it, touching one re-runs nothing, and the
modification times that ``rsync`` or an archive restores do not matter.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "zsad"
HASH_LENGTH = 12
TABLES = ("registry.py", "catalogue.py")


def code_hashes(root: Path, script: str, entries: Iterable[str] = ()) -> dict[str, str]:
    """Content hashes of a script and of all modules of the package that it imports, directly or not.

    A data file that shares a module's folder and stem (``page.py``, ``page.html.jinja``) belongs to that module.
    The tables of names (``scoring/registry.py`` and its kin, and the catalogue of models) are left out, so that a line
    more in one of them is no reason to run what it does not concern; what a table says of the names in use is given
    as ``entries`` instead, or stands among the parameters.

    Args:
        root: the folder that holds the package and the scripts.
        script: path of the script, relative to ``root``.
        entries: ``"module:Class"`` of the parts that the script imports by name at run time.

    Returns:
        Path relative to ``root`` to the first 12 hexadecimal digits of its SHA-256; and each entry to ``"entry"``.
    """
    entries = list(entries)
    found: set[Path] = set()
    waiting = [root / script]
    for entry in entries:
        waiting.extend(_module_files(root, entry.partition(":")[0]))
    while waiting:
        path = waiting.pop()
        if path in found or _is_table_of_names(path, root):
            continue
        found.add(path)
        for module in _imported(path):
            waiting.extend(_module_files(root, module))
    files = sorted({file for path in found for file in _with_data(path)})
    return dict(_named_hash(root, file) for file in files) | dict.fromkeys(entries, "entry")


def import_package_from(root: Path) -> None:
    """Make Python processes that are started from now on import the package that lies in ``root``."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", str(root))]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])


def _is_table_of_names(path: Path, root: Path) -> bool:
    return path.name in TABLES and path.parent != root / PACKAGE


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
def _imported(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    for node in _statements(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in a node, in functions and branches too; expressions, most of a tree, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from _statements(child)


@cache
def _module_files(root: Path, module: str) -> tuple[Path, ...]:
    """The file of a dotted name, if it is one, and the ``__init__`` of each package on the way."""
    steps = module.split(".")
    files = [root.joinpath(*steps[:depth], "__init__.py") for depth in range(1, len(steps) + 1)]
    files.append(root.joinpath(*steps).with_suffix(".py"))
    return tuple(file for file in files if file.is_file())
