"""Which classified images the page shows: the confusions, what is none of the kinds shown, and the rest by its kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from zsad.reporting.class_evaluations import ClassEvaluation

Row = dict[str, Any]  # an image of an evaluation
IF_SORTED = 3  # times as many in groups of images whose kind nobody knows, and of confusions

_NONE = (
    "None of the kinds shown",
    "Their prediction sets are empty: the classifier abstains. The least alike first.",
)
_CALLED = (
    ("Called {}", ""),
    (
        "Most probably {}, but another kind is possible",
        "Their prediction sets do not name just the most probable kind.",
    ),
)


class Group(NamedTuple):
    """Images that are shown together.

    Attributes:
        title: what they have in common.
        note: what that means, in a sentence; may be empty.
        rows: the images to show.
        total: how many there are.
    """

    title: str
    note: str
    rows: list[Row]
    total: int


def groups_of(result: ClassEvaluation, count: int) -> list[Group]:
    """The groups of images of the draw that is shown; those without images are left out.

    First those whose kind is known and was not found out, then those whose kind nobody knows, by what they are called.

    Args:
        count: images in a group; three times as many of confusions, and of images whose kind is not known.
    """
    known = [row for row in result["images"] if row["true"]]
    sorted_out = [row for row in result["images"] if not row["true"]]
    groups = [*_of_known(result, known, count), *_of_unknown(result, sorted_out, IF_SORTED * count)]
    return [group for group in groups if group.rows]


def _of_known(result: ClassEvaluation, rows: Sequence[Row], count: int) -> list[Group]:
    """What is wrong, and what is none of the kinds that were shown."""
    shown = set(result["kinds"])
    wrong = [row for row in rows if not row["abstained"] and row["true"] in shown and row["predicted"] != row["true"]]
    strange = [row for row in rows if not row["abstained"] and row["true"] not in shown]
    none = [row for row in rows if row["abstained"]]
    return [
        Group(
            "Confusions",
            "Of each pair of kinds the most certain ones first.",
            spread_over_pairs(wrong, IF_SORTED * count),
            len(wrong),
        ),
        Group(
            "Of a kind that was not shown, and called one that was",
            "The right answer would have been none of the kinds.",
            spread_over_pairs(strange, count),
            len(strange),
        ),
        Group(*_NONE, sorted(none, key=_likeness)[:count], len(none)),
    ]


def _of_unknown(result: ClassEvaluation, rows: Sequence[Row], count: int) -> list[Group]:
    """Images by what they are called, those apart whose prediction set does not say just that."""
    by_kind: dict[bool, defaultdict[str, list[Row]]] = {True: defaultdict(list), False: defaultdict(list)}
    none = [row for row in rows if row["abstained"]]
    for row in rows:
        if not row["abstained"]:
            by_kind[row["prediction_set"] == [row["predicted"]]][row["predicted"]].append(row)
    groups = [
        Group(title.format(kind), note, sorted(of_kind[kind], key=_doubt)[:count], len(of_kind[kind]))
        for (title, note), of_kind in zip(_CALLED, by_kind.values(), strict=True)
        for kind in result["kinds"]
    ]
    return [*groups, Group(*_NONE, sorted(none, key=_likeness)[:count], len(none))]


def spread_over_pairs(rows: Iterable[Row], count: int) -> list[Row]:
    """So many of the rows, the most certain one of each pair of true and predicted kinds before the next of any.

    They are ordered by pair, the most frequent pair first.
    """
    pairs: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_doubt):
        pairs[row["true"], row["predicted"]].append(row)
    ordered = sorted(pairs.values(), key=len, reverse=True)
    taken = [row for turn in zip_longest(*ordered) for row in turn if row is not None][:count]
    chosen = {row["image_id"] for row in taken}
    return [row for pair in ordered for row in pair if row["image_id"] in chosen]


def _doubt(row: Row) -> tuple[float, str]:
    """Sorts the most certain image first."""
    return -row["probabilities"][row["predicted"]], row["image_id"]


def _likeness(row: Row) -> tuple[float, str]:
    """Sorts the image first that is least like any example."""
    return max(nearest["similarity"] for nearest in row["nearest"].values()), row["image_id"]
