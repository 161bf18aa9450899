"""The structure of the library: imports run one way, and few modules lie outside a package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from paths import REPOSITORY

PACKAGE = "zsad"
MOST_LOOSE_MODULES = 12

Graph = dict[str, set[str]]


@cache
def imports(root: Path) -> Graph:
    """Each module of the package with those that it imports, in functions and for type checking too."""
    files = {dotted(path.relative_to(root)): path for path in (root / PACKAGE).rglob("*.py")}
    return {
        module: {found for name in named(path) if (found := nearest(name, files)) and found != module}
        for module, path in files.items()
    }


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def named(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def nearest(name: str, files: dict[str, Path]) -> str | None:
    """The module that a name is, or lies in; None for other packages."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name or None


def of_packages(graph: Graph) -> Graph:
    """The same between what lies directly in the package: its packages as wholes, and loose modules."""
    whole: Graph = {}
    for module, imported in graph.items():
        place = top(module)
        whole.setdefault(place, set()).update(top(name) for name in imported)
        whole[place].discard(place)
    return whole


def top(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_itself_by_a_detour() -> None:
    assert circle(imports(REPOSITORY)) == []


def test_no_package_imports_itself_by_a_detour() -> None:
    assert circle(of_packages(imports(REPOSITORY))) == []


def test_few_modules_lie_outside_a_package() -> None:
    loose = sorted(path.name for path in (REPOSITORY / PACKAGE).glob("*.py"))
    assert len(loose) <= MOST_LOOSE_MODULES, loose


@pytest.mark.parametrize(
    "code",
    [
        "from zsad.b import any_name",
        "import zsad.b.c",
        "def late():\n    from zsad import b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from zsad.b.c import Any",
    ],
)
def test_a_circle_is_noticed_wherever_its_import_stands(tmp_path: Path, code: str) -> None:
    for name, content in {"__init__": "", "a": code, "b/__init__": "", "b/c": "from zsad.a import x"}.items():
        path = tmp_path / PACKAGE / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert circle(of_packages(imports(tmp_path)))
