"""What `make mutants` is told: tests of each module, mutations that change nothing, and what is drawn."""

from __future__ import annotations

import ast
import re

import pytest

from mutants.choice import (
    Mutation,
    Site,
    changed_line,
    drawn,
    equal_mutations,
    is_left_out,
    is_python,
    is_within,
    lines_gone,
    listed_tests,
    modules_of,
    unseen,
)
from paths import REPOSITORY

SOURCE = """
from x import TYPE_CHECKING, y

if TYPE_CHECKING:
    import z

def f(a: int | None, *, b: "x | y" = 1 | 2) -> float | None:
    c: int | str = a | b
    return zip(c, a, strict=True)

class Options:
    d: int | None = 3
"""


def test_each_module_has_tests_that_are_there() -> None:
    listed = listed_tests()
    assert sorted(listed) == modules_of(REPOSITORY)
    assert [test for tests in listed.values() for test in tests if not (REPOSITORY / test).is_file()] == []
    assert [module for module, tests in listed.items() if not tests] == []


def test_the_listed_equal_mutations_are_of_lines_that_are_there_and_say_why() -> None:
    listed = equal_mutations()
    assert lines_gone(listed, REPOSITORY) == []
    assert [one for one in listed if one.before == one.after or len(one.reason) < 20] == []
    assert len(set(listed)) == len(listed)
    gone = listed[0]._replace(before="no = such + line")
    elsewhere = listed[0]._replace(module="zsad/scoring/no_such_module.py")
    assert lines_gone([listed[0], gone, elsewhere], REPOSITORY) == [gone, elsewhere]


def test_what_only_programmers_see_is_not_mutated_and_what_is_computed_is() -> None:
    kept = []
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.BinOp | ast.Constant) or getattr(node, "id", "") == "TYPE_CHECKING":
            place = Site((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
            if not is_within(place, unseen(SOURCE)):
                kept.append(ast.unparse(node))
    line, text = next((n, text) for n, text in enumerate(SOURCE.splitlines(), start=1) if "*," in text)
    assert is_within(Site((line, text.index("*,")), (line, text.index("*,") + 1)), unseen(SOURCE))
    # the last two are a class's own variable, which pydantic reads
    assert sorted(kept) == ["1", "1 | 2", "2", "3", "None", "a | b", "int | None"]


@pytest.mark.parametrize(
    ("operator", "left_out"),
    [
        ("core/RemoveDecorator", True),
        ("core/ReplaceComparisonOperator_Eq_Is", True),
        ("core/ReplaceComparisonOperator_Eq_IsNot", False),
        ("core/ReplaceComparisonOperator_Is_IsNot", False),
        ("core/ReplaceComparisonOperator_LtE_Lt", False),
        ("core/NumberReplacer", False),
    ],
)
def test_what_can_change_nothing_is_left_out(operator: str, left_out: bool) -> None:
    assert is_left_out(operator) == left_out


def test_a_draw_has_one_mutation_a_place_in_an_order_of_its_seed() -> None:
    sites = [Site((line, 0), (line, 1)) for line in range(1, 20)]
    every = [Mutation(site, operator, number) for number, site in enumerate(sites) for operator in "abc"]
    found = drawn(every, "0 module")
    assert sorted(one.site for one in found) == sites != [one.site for one in found]
    assert {one.operator for one in found} == set("abc")
    assert drawn(every[::-1], "0 module") == found != drawn(every, "1 module")


def test_what_is_no_python_is_no_mutation() -> None:
    assert is_python("f(**options)")
    assert not is_python("f(>>options)")


def test_a_mutation_is_named_by_the_line_that_it_changes() -> None:
    assert changed_line("a\n  b = 1\nc", "a\n  b = 2\nc") == (2, "b = 1", "b = 2")


def test_what_it_needs_is_pinned_and_nothing_of_it_is_pinned_elsewhere() -> None:
    own, *others = (
        {name.lower().replace("_", "-"): version for name, version in re.findall(r"^([\w.-]+)(.*)$", text, re.M)}
        for text in (
            (REPOSITORY / name).read_text(encoding="utf-8")
            for name in ("tests/mutants/requirements.txt", "requirements.txt", "requirements-dev.txt")
        )
    )
    assert "cosmic-ray" in own
    assert all(re.fullmatch(r"==[\d.]+", version) for version in own.values())
    assert [name for name in own for pins in others if name in pins] == []
