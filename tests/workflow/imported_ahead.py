"""The package and its rules in a process whose forks run the workflow: imported and parsed once for all copies."""

from __future__ import annotations

import marshal
import os
import re
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "zsad"

# An import statement of a rule file, over several lines if it has brackets.
IMPORT = re.compile(rf"^ *((?:from|import) {PACKAGE}\b[^\n(]*(?:\([^)]*\))?)", re.MULTILINE)


class PackageAhead:
    """Imports the package from the repository ahead; a fork that imports an unchanged copy of it gets those modules.

    Unchanged are files of the same sizes and times, as in the copies that tests make. The modules take the paths of the
    copy, but for the places in their tracebacks. A package that differs in any file is imported as ever.

    Args:
        run_imports: runs the import statements at the top of a script.
    """

    def __init__(self, run_imports: Callable[[str], None]) -> None:
        self._run_imports = run_imports
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
            self._run_imports(str(script))
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
    """Have Snakemake keep what it makes of a rule file, for the next run with the same file, wherever it lies.

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
