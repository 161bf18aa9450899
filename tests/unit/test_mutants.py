"""What `make mutants` is told: tests of each module, mutations that change nothing, and what is drawn."""

from __future__ import annotations

import ast

import pytest

from mutants.choice import (
    Mutation,
    Site,
    annotations,
    changed_line,
    equal_mutations,
    is_annotation,
    is_left_out,
    lines_gone,
    modules_of,
    sample,
    test_files,
)
from paths import REPOSITORY

SOURCE = """
from x import y

def f(a: int | None, *, b: "x | y" = 1 | 2) -> float | None:
    c: int | str = a | b
    return c

class Options:
    d: int | None = 3
"""


def test_each_module_has_tests_that_are_there() -> None:
    listed = test_files()
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


def test_annotations_are_not_mutated_and_what_is_computed_is() -> None:
    places = [
        Site((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.BinOp)
    ]
    kept = [place.start for place in places if not is_annotation(place, annotations(SOURCE))]
    lines = SOURCE.splitlines()
    assert sorted(lines[line - 1][column:][:5] for line, column in kept) == ["1 | 2", "a | b", "int |"]
    assert (9, lines[8].index("int")) in kept  # pydantic reads it


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


def test_a_sample_has_one_mutation_a_place_and_a_larger_one_holds_it() -> None:
    sites = [Site((line, 0), (line, 1)) for line in range(1, 20)]
    every = [Mutation(site, operator, number) for number, site in enumerate(sites) for operator in "abc"]
    small, large, all_sites = (sample(every, count, "0 module") for count in (5, 9, 100))
    assert large[:5] == small
    assert sorted(one.site for one in all_sites) == sites
    assert {one.operator for one in all_sites} == set("abc")
    assert sample(every[::-1], 5, "0 module") == small != sample(every, 5, "1 module")


def test_a_mutation_is_named_by_the_line_that_it_changes() -> None:
    assert changed_line("a\n  b = 1\nc", "a\n  b = 2\nc") == (2, "b = 1", "b = 2")
