"""The classified images that the page shows: confusions, images of no known kind, and the others by predicted kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from zsad.reporting.class_evaluations import ClassEvaluation

Row = dict[str, Any]  # an image of an evaluation
IF_SORTED = 3  # times as many images in groups of images without a label, and of confusions

_NONE = (
    "None of the known kinds",
    "Their prediction sets are empty: the classifier abstains. The least similar images first.",
)
_CALLED = (
    ("Predicted: {}", ""),
    (
        "Most probably {}, but other kinds are possible",
        "Their prediction sets contain more than the most probable kind, or another one.",
    ),
)


class Group(NamedTuple):
    """Images that are shown together.

    Attributes:
        title: what they have in common.
        note: an explanation in a sentence; may be empty.
        rows: the images to show.
        total: how many there are.
    """

    title: str
    note: str
    rows: list[Row]
    total: int


def groups_of(result: ClassEvaluation, count: int) -> list[Group]:
    """The groups of images to show, of one sample of examples; groups without images are left out.

    First labelled images that were not classified correctly, then images without a label, by predicted kind.

    Args:
        count: images in a group; three times as many confusions, and images without a label.
    """
    known = [row for row in result["images"] if row["true"]]
    unlabelled = [row for row in result["images"] if not row["true"]]
    groups = [*_of_known(result, known, count), *_of_unknown(result, unlabelled, IF_SORTED * count)]
    return [group for group in groups if group.rows]


def _of_known(result: ClassEvaluation, rows: Sequence[Row], count: int) -> list[Group]:
    """Groups of labelled images: wrong predictions, and images of no known kind."""
    shown = set(result["kinds"])
    wrong = [row for row in rows if not row["abstained"] and row["true"] in shown and row["predicted"] != row["true"]]
    strange = [row for row in rows if not row["abstained"] and row["true"] not in shown]
    none = [row for row in rows if row["abstained"]]
    return [
        Group(
            "Confusions",
            "For each pair of kinds, the most certain predictions first.",
            spread_over_pairs(wrong, IF_SORTED * count),
            len(wrong),
        ),
        Group(
            "Of a kind without examples, but predicted as one with examples",
            "The correct answer is: none of the known kinds.",
            spread_over_pairs(strange, count),
            len(strange),
        ),
        Group(*_NONE, sorted(none, key=_likeness)[:count], len(none)),
    ]


def _of_unknown(result: ClassEvaluation, rows: Sequence[Row], count: int) -> list[Group]:
    """Groups of images without a label, by predicted kind; separate groups if the prediction set differs from it."""
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
    """Choose ``count`` rows: the most certain one of each pair of true and predicted kind, then the second ones, ...

    The chosen rows are ordered by pair, the most frequent pair first.
    """
    pairs: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_doubt):
        pairs[row["true"], row["predicted"]].append(row)
    ordered = sorted(pairs.values(), key=len, reverse=True)
    taken = [row for turn in zip_longest(*ordered) for row in turn if row is not None][:count]
    chosen = {row["image_id"] for row in taken}
    return [row for pair in ordered for row in pair if row["image_id"] in chosen]


def _doubt(row: Row) -> tuple[float, str]:
    """Sort key: the most certain image first."""
    return -row["probabilities"][row["predicted"]], row["image_id"]


def _likeness(row: Row) -> tuple[float, str]:
    """Sort key: the image that is least similar to any example first."""
    return max(nearest["similarity"] for nearest in row["nearest"].values()), row["image_id"]
