"""Which modules are mutated, which tests must notice, and which mutations are tried; needs no further library."""

from __future__ import annotations

import ast
import io
import random
import tokenize
import tomllib
import warnings
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "zsad/adaptation",
    "zsad/classification",
    "zsad/scoring",
    "zsad/deciding",
    "zsad/evaluation",
    "zsad/refinement",
)

# Operators of Cosmic Ray that are left out, and why.
LEFT_OUT = (
    "core/RemoveDecorator",  # the change is no operator or constant; most of them leave no importable module
    "core/Replace*_Eq_Is",  # numbers and texts that are equal are often one object, by chance
    "core/Replace*_NotEq_IsNot",
    "core/Replace*_Is_Eq",  # what is one object is equal
    "core/Replace*_IsNot_NotEq",
)

LONE_STAR = ("*", ",")
UNSEEN_KEYWORDS = ("frozen", "strict")  # of dataclasses and `zip`: they tell a programmer of a mistake


class Site(NamedTuple):
    """Where a mutation begins and ends: line from 1, column from 0, the end excluded."""

    start: tuple[int, int]
    end: tuple[int, int]


class Mutation(NamedTuple):
    """One change of a module, as Cosmic Ray finds it again: an operator and a number of its places."""

    site: Site
    operator: str
    occurrence: int


class Equal(NamedTuple):
    """A mutation that no test can notice.

    Attributes:
        module: its path in the repository.
        before: the line that is changed, without its indentation.
        after: the line as changed.
        reason: why nothing follows from it.
    """

    module: str
    before: str
    after: str
    reason: str

    @property
    def change(self) -> tuple[str, str, str]:
        """What it is named by."""
        return named(self.module, self.before, self.after)


def squeezed(line: str) -> str:
    """A line without its spaces: mutations set them as no formatter does."""
    return "".join(line.split())


def named(module: str, before: str, after: str) -> tuple[str, str, str]:
    """What a mutation is known by, wherever its line stands in the module."""
    return module, squeezed(before), squeezed(after)


def modules_of(repository: Path) -> list[str]:
    """The paths in the repository of all modules that are mutated, in order."""
    found = (path for package in PACKAGES for path in (repository / package).rglob("*.py"))
    return sorted(path.relative_to(repository).as_posix() for path in found if path.name != "__init__.py")


def listed_tests() -> dict[str, list[str]]:
    """The test files of each module."""
    return tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))


def equal_mutations() -> list[Equal]:
    """Those that are known to change nothing that can be seen."""
    listed = tomllib.loads((HERE / "equal.toml").read_text(encoding="utf-8"))
    return [Equal(**entry) for entry in listed.get("equal", [])]


def lines_gone(equal: Iterable[Equal], repository: Path) -> list[Equal]:
    """Equal mutations of lines, or modules, that are no longer there."""
    return [one for one in equal if squeezed(one.before) not in _lines(repository / one.module)]


def is_left_out(operator: str) -> bool:
    """Whether an operator of Cosmic Ray is not used."""
    return any(fnmatchcase(operator, pattern) for pattern in LEFT_OUT)


def is_within(site: Site, spans: Sequence[Site]) -> bool:
    """Whether a place is in one of the spans."""
    return any(span.start <= site.start and site.end <= span.end for span in spans)


def unseen(source: str) -> list[Site]:
    """Where a module says something to programmers and type checkers alone, so that no result can depend on it.

    These are the annotations of functions and variables, but not those of a class's own variables, which pydantic
    reads; what is imported for type checkers; the keywords of `UNSEEN_KEYWORDS`; and the star that makes arguments
    keywords.
    """
    tree = ast.parse(source)
    fields = {field for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for field in node.body}
    found: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.arg) or (isinstance(node, ast.AnnAssign) and node not in fields):
            found.append(node.annotation)
        elif isinstance(node, ast.Call):
            found += [keyword.value for keyword in node.keywords if keyword.arg in UNSEEN_KEYWORDS]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found.append(node.test)
    spans = [Site((a.lineno, a.col_offset), (a.end_lineno, a.end_col_offset)) for a in found if a is not None]
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    return spans + [
        Site(one.start, one.end) for one, after in pairwise(tokens) if (one.string, after.string) == LONE_STAR
    ]


def is_python(source: str) -> bool:
    """Whether it can be compiled: some operators take the stars of arguments for products."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(source, "mutated", "exec")
    except SyntaxError:
        return False
    return True


def drawn(mutations: Iterable[Mutation], seed: str) -> list[Mutation]:
    """One mutation at each place, drawn at random and in an order drawn at random, the same for the same seed."""
    by_site: dict[Site, list[Mutation]] = {}
    for mutation in sorted(mutations):
        by_site.setdefault(mutation.site, []).append(mutation)
    rng = random.Random(seed)
    of_sites = [rng.choice(of_site) for of_site in by_site.values()]
    rng.shuffle(of_sites)
    return of_sites


def changed_line(before: str, after: str) -> tuple[int, str, str]:
    """Number from 1, and text without indentation, before and after, of the line in which two sources differ."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    number, (old, new) = next((n, pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    return number, old.strip(), new.strip()


def _lines(path: Path) -> set[str]:
    return {squeezed(line) for line in path.read_text(encoding="utf-8").splitlines()} if path.is_file() else set()
