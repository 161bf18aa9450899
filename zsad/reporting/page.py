"""The files of the page: its sections in one HTML file, or an index with a file a category."""

from __future__ import annotations

import itertools
import math
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from zsad.files.atomic import write_text
from zsad.files.provenance import library_versions
from zsad.reporting.album import Album
from zsad.reporting.contents import Contents, Section
from zsad.reporting.entries import PANEL_TITLES
from zsad.reporting.evaluations import METRIC_TITLES
from zsad.reporting.sections import (
    at_a_glance,
    categories,
    category,
    cost,
    heading,
    provenance,
    reading,
    refinement,
    summary,
    wins,
)
from zsad.tables.table import Entry, Table

TEMPLATE = "page.html.jinja"
HEAVIEST = 30.0  # MB
LONGEST_NAME = 255  # bytes of a file name
_NOT_EVERYWHERE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # in names of files: Windows takes none of these
_ANCHOR = re.compile(r"category-\d+", re.IGNORECASE)


OF_ALL: Sequence[Callable[[Contents], Section | None]] = (
    at_a_glance.section,
    summary.section,
    wins.section,
    cost.section,
    refinement.section,
)


class RowGroup(NamedTuple):
    """Rows under one line, each with its method if it has one."""

    title: str
    meaning: str
    rows: list[tuple[str, Sequence[Entry]]]


def write_pages(contents: Contents, output: Path, folder: Path | None, heaviest: float) -> None:
    """Write one page, or an index and a page a category in ``folder``; all or nothing of them.

    Args:
        heaviest: what one page may weigh, in MB.

    Raises:
        DataError: nothing can be written.
    """
    of_all = [found for section in OF_ALL if (found := section(contents))]
    of_categories = {name: category.section(contents, name) for name in contents.categories}
    to_read = reading.section(contents)
    shared = _shared(contents, of_all, (to_read, provenance.section(contents, [])))
    anchors = {name: f"#{anchor}" for name, anchor in contents.anchors.items()}
    sections = [*of_all, *of_categories.values(), to_read, provenance.section(contents, contents.categories)]
    whole = _generated(shared, sections=sections, whole=True, places=anchors)
    if folder is None:
        write_text(output, "".join(whole))
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if (light := _unless_heavier(whole, heaviest)) is not None:
        write_text(output, light)
        return
    files = _file_names(contents.anchors)
    try:
        home = quote(os.path.relpath(output, folder).replace(os.sep, "/"))
        for name, section in of_categories.items():
            places = {other: anchors[name] if other == name else quote(file) for other, file in files.items()}
            sections = [section, to_read, provenance.section(contents, [name])]
            part = _generated(shared, sections=sections, only=name, places=places, home=home)
            write_text(folder / files[name], "".join(part))
        beside = os.path.relpath(folder, output.parent).replace(os.sep, "/")
        places = {name: quote(f"{beside}/{file}") for name, file in files.items()}
        sections = [*of_all, categories.section(contents), *shared["closing"]]
        write_text(output, "".join(_generated(shared, sections=sections, places=places, folder=beside)))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _shared(contents: Contents, of_all: Sequence[Section], closing: Sequence[Section]) -> dict[str, Any]:
    """What the templates of all pages and sections may show."""
    return {
        "dataset": contents.dataset,
        "heading": heading.section(contents),
        "navigation": of_all,
        "closing": closing,
        "measured": any(map(contents.is_measured, contents.categories)),
        "methods": list(contents.names.values()),
        "protocol": contents.protocol,
        "panel_titles": PANEL_TITLES,
        "titles": METRIC_TITLES,
        "versions": library_versions(),
    }


def _generated(
    shared: Mapping[str, Any],
    *,
    sections: Sequence[Section],
    places: Mapping[str, str],
    whole: bool = False,
    only: str = "",
    home: str = "",
    folder: str = "",
) -> Iterator[str]:
    """The text of a page in pieces; ``only`` is the category that it is about, if it is about one."""
    template = _environment().get_template(TEMPLATE)
    own = {"sections": sections, "places": places, "whole": whole, "only": only, "home": home, "folder": folder}
    return template.generate({**shared, **own, "album": Album()})


def _unless_heavier(text: Iterable[str], megabytes: float) -> str | None:
    """The text in one; None if it is heavier, and then no more of it is made than tells that."""
    parts, left = [], megabytes * 1e6
    for part in text:
        left -= len(part.encode("utf-8"))
        if left < 0:
            return None
        parts.append(part)
    return "".join(parts)


def _file_names(anchors: Mapping[str, str]) -> dict[str, str]:
    """What the page of each category is called: like the category, where every file system takes that name.

    The folder is sent to others, whose files may not tell capital letters from small ones. A category that is called
    like another's anchor gets its own anchor, as the names would be the same.
    """
    folded = {name: unicodedata.normalize("NFC", name).casefold() for name in anchors}
    called = Counter(folded.values())
    return {
        name: f"{name if called[alike] == 1 and _may_name_a_file(name) else anchors[name]}.html"
        for name, alike in folded.items()
    }


def _may_name_a_file(name: str) -> bool:
    if _NOT_EVERYWHERE.search(name) or _ANCHOR.fullmatch(name):
        return False
    return len(f".{name}.html.12345678.tmp".encode()) <= LONGEST_NAME


@cache
def _environment() -> Environment:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here / "sections"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["significant"] = lambda value: "n/a" if value is None else f"{value:.4g}"
    environment.filters["in_groups"] = _in_groups
    environment.filters["titled"] = lambda title: title[:1].upper() + title[1:]
    environment.tests["missing"] = lambda value: value is None or (isinstance(value, float) and math.isnan(value))
    return environment


def _in_groups(table: Table) -> list[RowGroup]:
    """The rows under the lines that they share, if the table sets them apart, or all in one group."""
    place = table.header.index("method") if "method" in table.header else None
    rows = [("" if place is None else str(row[place]), row) for row in table.rows]
    if not table.apart:
        return [RowGroup("", "", rows)]
    return [
        RowGroup(title, table.meanings.get(title, ""), [(method, row[1:]) for method, row in group])
        for title, group in itertools.groupby(rows, key=lambda pair: str(pair[1][0]))
    ]
