"""Splits: support, calibration images and queries of a classifier, one table for each classifier.

It has the kind of an image only if the classifier is shown it: for support and calibration images. For queries it has
no kind, even if the kind is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

from zsad.data.kind_names import require_usable
from zsad.errors import DataError
from zsad.files.table_digest import RUN_AGAIN, read_table, write_table

Role = Literal["support", "calibration", "query", "left_out"]
ROLES: tuple[Role, ...] = ("query", "support", "calibration", "left_out")
REMARK = "remark"  # a column with a sentence for the reader, and the role of a row with nothing else
TEST = "test"  # the source of examples sampled from the test images
Shots = int | Literal["all"]


@dataclass(frozen=True)
class SplitRow:
    """The role of one image for a classifier, in the samples of one seed.

    Attributes:
        seed: random seed of the sample.
        source: ``"test"``, or the name of the support that it comes from.
        image_id: in the list of images of that source.
        role: its role; ``left_out`` is not used, as a copy of another image.
        rank: of a support or calibration image among those of its kind, from 1; the sample of K shots has the support
            images of ranks 1 to K. None for others.
        kind: as shown to the classifier; empty for others.
        sha256: of the image's bytes.
    """

    seed: int
    source: str
    image_id: str
    role: Role
    rank: int | None
    kind: str
    sha256: str


COLUMNS = (*(field.name for field in fields(SplitRow)), REMARK)


class Draw(NamedTuple):
    """One sample of the examples of a classifier: a seed and a number of shots.

    Attributes:
        support, calibration: labelled images, sorted by kind and rank.
        queries: identifiers of the test images to classify; the same for all shots of a seed.
    """

    seed: int
    shots: Shots
    support: list[SplitRow]
    calibration: list[SplitRow]
    queries: list[str]


def write_split(path: str | Path, rows: Iterable[SplitRow], remarks: Iterable[str] = ()) -> None:
    """Write a split, sorted by seed, source and image.

    Args:
        remarks: sentences for the reader, e.g. which kind is not shown because it has too few images.
    """
    ordered = sorted(rows, key=lambda row: (row.seed, row.source, row.image_id))
    cells = [[*(getattr(row, field.name) for field in fields(SplitRow)), ""] for row in ordered]
    told = [[remark if name == REMARK else REMARK if name == "role" else "" for name in COLUMNS] for remark in remarks]
    write_table(path, COLUMNS, [*cells, *told])


def read_split(path: str | Path) -> list[SplitRow]:
    """Read a split.

    Raises:
        DataError: the file is absent, was changed after it was made, or is not a split.
    """
    return read_split_and_remarks(path)[0]


def read_remarks(path: str | Path) -> list[str]:
    """The sentences for the reader in a split.

    Raises:
        DataError: see `read_split`.
    """
    return read_split_and_remarks(path)[1]


def read_split_and_remarks(path: str | Path) -> tuple[list[SplitRow], list[str]]:
    """Read both at once, since checking a split of many images and seeds takes a while.

    Raises:
        DataError: see `read_split`.
    """
    rows = read_table(path, COLUMNS, what="split of a classifier")
    try:
        split = [_row(row) for row in rows if row["role"] != REMARK]
    except ValueError as error:
        raise DataError(f"{path} is not a split of a classifier ({error}); {RUN_AGAIN}") from None
    return split, [row[REMARK] for row in rows if row["role"] == REMARK]


def draws_of(rows: Sequence[SplitRow], shots: Sequence[Shots]) -> list[Draw]:
    """The samples of a split: for each seed, in order, one for each number of shots.

    Raises:
        DataError: a kind has fewer support images than shots.
    """
    draws = []
    for seed in sorted({row.seed for row in rows}):
        of_seed = [row for row in rows if row.seed == seed]
        support, calibration = (_ranked(of_seed, role) for role in ("support", "calibration"))
        queries = [row.image_id for row in of_seed if row.role == "query"]
        for count in shots:
            most = len(rows) if count == "all" else count
            shown = [row for row in support if (row.rank or 0) <= most]
            _require_shots(support, count)
            draws.append(Draw(seed, count, shown, calibration, queries))
    return draws


def check_split(rows: Sequence[SplitRow]) -> None:
    """Reject rows that are not a split, before a classifier learns from its own queries.

    Raises:
        ValueError: an image has two roles, ranks are missing, a labelled image is among the queries or has the content
            of another, seeds differ in the kinds that they show, or there are fewer than two kinds.
        DataError: kinds have invalid names.
    """
    kinds = kinds_of(rows)
    if len(kinds) < 2:
        raise ValueError("it shows fewer than two kinds")
    require_usable(kinds, "a split")
    for seed in sorted({row.seed for row in rows}):
        _check_seed([row for row in rows if row.seed == seed], kinds)


def kinds_of(rows: Iterable[SplitRow]) -> list[str]:
    """The kinds that a split shows to the classifier, sorted."""
    return sorted({row.kind for row in rows if row.role == "support"})


def setting_of(shots: Shots) -> str:
    """The setting of a classifier, by its number of examples; never zero-shot."""
    return f"few-shot-defects-{shots}"


def _ranked(rows: Iterable[SplitRow], role: Role) -> list[SplitRow]:
    return sorted((row for row in rows if row.role == role), key=lambda row: (row.kind, row.rank or 0))


def _require_shots(support: Sequence[SplitRow], shots: Shots) -> None:
    for kind, rows in groupby(support, key=lambda row: row.kind):
        count = len(list(rows))
        if shots != "all" and count < shots:
            raise DataError(f"the split has {count} support images of '{kind}', not {shots}; {RUN_AGAIN}")


def _check_seed(rows: Sequence[SplitRow], kinds: Sequence[str]) -> None:
    seed = rows[0].seed
    shown = [row for row in rows if row.kind]
    if kinds_of(rows) != list(kinds) or {row.kind for row in shown} != {*kinds}:
        raise ValueError(f"seed {seed} shows other kinds")
    if len({(row.source, row.image_id) for row in rows}) < len(rows):
        raise ValueError(f"seed {seed} has an image twice")
    if len({row.sha256 for row in shown}) < len(shown):
        raise ValueError(f"seed {seed} shows an image twice")
    queries = [row for row in rows if row.role == "query"]
    if not queries or any(row.source != TEST for row in queries):
        raise ValueError(f"seed {seed} has no queries among the test images")
    if {row.sha256 for row in shown} & {row.sha256 for row in queries}:
        raise ValueError(f"seed {seed} has a labelled image among its queries")
    ranked = sorted(shown, key=lambda row: (row.role, row.kind, row.rank or 0))
    for (role, kind), group in groupby(ranked, key=lambda row: (row.role, row.kind)):
        ranks = [row.rank for row in group]
        if ranks != list(range(1, len(ranks) + 1)):
            raise ValueError(f"the {role} images of '{kind}' have the ranks {ranks}")


def _row(cells: dict[str, str]) -> SplitRow:
    role = next((role for role in ROLES if role == cells["role"]), None)
    if role is None:
        raise ValueError(f"'{cells['role']}' is not a role")
    is_shown = role in ("support", "calibration")
    if is_shown != bool(cells["kind"]) or is_shown != bool(cells["rank"]):
        raise ValueError(f"{cells['image_id']} as {role} has the kind '{cells['kind']}'")
    if not cells["image_id"] or not cells["source"] or not cells["sha256"]:
        raise ValueError(f"'{cells['image_id']}' is not identified by source, name and content")
    return SplitRow(
        seed=int(cells["seed"]),
        source=cells["source"],
        image_id=cells["image_id"],
        role=role,
        rank=int(cells["rank"]) if cells["rank"] else None,
        kind=cells["kind"],
        sha256=cells["sha256"],
    )
