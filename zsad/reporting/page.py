"""The files of the page: all sections in one HTML file, or an index with one file for each category."""

from __future__ import annotations

import itertools
import math
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from zsad.deciding.batch_verdict import in_percent
from zsad.files.atomic import write_text
from zsad.files.provenance import library_versions
from zsad.reporting.album import Album
from zsad.reporting.contact_sheets import MOST_EMBEDDED, SheetFiles
from zsad.reporting.contents import Contents, Section
from zsad.reporting.entries import PANEL_TITLES
from zsad.reporting.evaluations import METRIC_TITLES
from zsad.reporting.sections import (
    at_a_glance,
    categories,
    category,
    classification,
    contact_sheet,
    cost,
    heading,
    provenance,
    published,
    reading,
    refinement,
    summary,
    sweeps,
    training,
    wins,
    words,
)
from zsad.tables.table import Entry, Table

TEMPLATE = "page.html.jinja"
HEAVIEST = 30.0  # MB
LONGEST_NAME = 255  # bytes of a file name
_NOT_EVERYWHERE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # not allowed in file names on Windows
_ANCHOR = re.compile(r"category-\d+", re.IGNORECASE)


OF_ALL: Sequence[Callable[[Contents], Section | None]] = (
    at_a_glance.section,
    summary.section,
    sweeps.section,
    published.section,
    words.section,
    training.section,
    wins.section,
    cost.section,
    refinement.section,
    classification.section,
)


class RowGroup(NamedTuple):
    """Rows under a common line, each with its method if it has one."""

    title: str
    meaning: str
    rows: list[tuple[str, Sequence[Entry]]]


def write_pages(contents: Contents, output: Path, folder: Path | None, heaviest: float) -> None:
    """Write one page, or one with thumbnails in ``folder``, or an index and a page for each category; all or nothing.

    Args:
        heaviest: the largest size of one page, in MB.

    Raises:
        DataError: the files cannot be written, or the pictures of a contact sheet cannot be read.
    """
    pages = _Pages(contents)
    embeds = _are_light(contents.sheets.values(), heaviest)
    if folder is None:
        write_text(output, "".join(pages.whole(None)))
        return
    beside = os.path.relpath(folder, output.parent).replace(os.sep, "/")
    home = quote(os.path.relpath(output, folder).replace(os.sep, "/"))
    try:
        with _new_folder(folder) as made:
            text = _unless_heavier(pages.whole(None), heaviest) if embeds else None
            if text is None and contents.sheets:
                text = _unless_heavier(pages.whole(f"{beside}/"), heaviest)
                for sheet in contents.sheets.values() if text is not None else ():
                    sheet.write_pictures(made)
            if text is None:
                files = _file_names(contents.anchors)
                for name, file in files.items():
                    write_text(made / file, _of_category(pages, name, files, home, heaviest, made))
                text = "".join(pages.index({name: quote(f"{beside}/{file}") for name, file in files.items()}, beside))
        write_text(output, text)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _of_category(pages: _Pages, name: str, files: Mapping[str, str], home: str, heaviest: float, folder: Path) -> str:
    """The page of one category; it contains its thumbnails if they are small enough, otherwise ``folder`` does."""
    sheet = pages.contents.sheets.get(name)
    if sheet is None or _are_light([sheet], heaviest):
        text = "".join(pages.of_category(name, files, home, None))
        if sheet is None or len(text.encode("utf-8")) <= heaviest * 1e6:
            return text
    sheet.write_pictures(folder)
    return "".join(pages.of_category(name, files, home, ""))


def _are_light(sheets: Iterable[SheetFiles], megabytes: float) -> bool:
    """Whether one page can contain all pictures of the sheets."""
    sheets = list(sheets)
    return sum(sheet.number for sheet in sheets) <= MOST_EMBEDDED and (
        sum(sheet.weight for sheet in sheets) <= megabytes * 1e6
    )


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces ``folder`` when it is complete; an old or incomplete folder is deleted."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    made.mkdir()
    try:
        yield made
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


class _Pages:
    """The pages of one data set; their common content is made once."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.of_all = [found for section in OF_ALL if (found := section(contents))]
        self.of_categories = {name: category.section(contents, name) for name in contents.categories}
        self.to_read = reading.section(contents)
        self.anchors = {name: f"#{anchor}" for name, anchor in contents.anchors.items()}
        self.shared = _shared(contents, self.of_all, (self.to_read, provenance.section(contents, [])))

    def whole(self, beside: str | None) -> Iterator[str]:
        """The single page, in pieces; ``beside`` as in `zsad.reporting.sections.contact_sheet.section`."""
        categories = self.contents.categories
        parts = [part for name in categories for part in self._parts(name, beside)]
        sections = [*self.of_all, *parts, self.to_read, provenance.section(self.contents, categories)]
        folder = (beside or "").rstrip("/")
        return _generated(self.shared, sections=sections, complete=beside is None, places=self.anchors, folder=folder)

    def of_category(self, name: str, files: Mapping[str, str], home: str, beside: str | None) -> Iterator[str]:
        """The page of one category, in pieces."""
        places = {other: self.anchors[name] if other == name else quote(file) for other, file in files.items()}
        sections = [*self._parts(name, beside), self.to_read, provenance.section(self.contents, [name])]
        return _generated(self.shared, sections=sections, only=name, places=places, home=home)

    def index(self, places: Mapping[str, str], folder: str) -> Iterator[str]:
        """The page with links to the pages of the categories, in pieces."""
        sections = [*self.of_all, categories.section(self.contents), *self.shared["closing"]]
        return _generated(self.shared, sections=sections, places=places, folder=folder)

    def _parts(self, name: str, beside: str | None) -> list[Section]:
        kinds = classification.of_category(self.contents, name, beside)
        sheet = contact_sheet.section(self.contents, name, beside)
        return [self.of_categories[name], *filter(None, (kinds, sheet))]


def _shared(contents: Contents, of_all: Sequence[Section], closing: Sequence[Section]) -> dict[str, Any]:
    """The values that the templates of all pages and sections can use."""
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
    complete: bool = False,
    only: str = "",
    home: str = "",
    folder: str = "",
) -> Iterator[str]:
    """The text of a page in pieces; ``only`` is the category of a page for one category."""
    template = _environment().get_template(TEMPLATE)
    own = {"sections": sections, "places": places, "complete": complete, "only": only, "home": home, "folder": folder}
    templates = {section.template for section in sections}
    own |= {"has_sheets": contact_sheet.TEMPLATE in templates, "has_kinds": classification.TEMPLATE in templates}
    return template.generate({**shared, **own, "album": Album()})


def _unless_heavier(text: Iterable[str], megabytes: float) -> str | None:
    """The whole text; None if it is larger, and then the rest of it is not made."""
    parts, left = [], megabytes * 1e6
    for part in text:
        left -= len(part.encode("utf-8"))
        if left < 0:
            return None
        parts.append(part)
    return "".join(parts)


def _file_names(anchors: Mapping[str, str]) -> dict[str, str]:
    """The file name of each category's page: the name of the category, if every file system accepts it.

    Users send the folder to others, whose file systems may ignore case. A category with the name of another one's
    anchor gets its own anchor as a name, because the names would be equal.
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
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\u00a0%")
    environment.filters["rate"] = in_percent
    environment.filters["in_groups"] = _in_groups
    environment.filters["sentence"] = lambda text: text if text.endswith((".", "!", "?")) else f"{text}."
    environment.filters["titled"] = lambda title: title[:1].upper() + title[1:]
    environment.tests["missing"] = lambda value: value is None or (isinstance(value, float) and math.isnan(value))
    return environment


def _in_groups(table: Table) -> list[RowGroup]:
    """The rows in groups with a common line, if the table has groups, otherwise all in one group."""
    place = table.header.index("method") if "method" in table.header else None
    rows = [("" if place is None else str(row[place]), row) for row in table.rows]
    if not table.apart:
        return [RowGroup("", "", rows)]
    return [
        RowGroup(title, table.meanings.get(title, ""), [(method, row[1:]) for method, row in group])
        for title, group in itertools.groupby(rows, key=lambda pair: str(pair[1][0]))
    ]
