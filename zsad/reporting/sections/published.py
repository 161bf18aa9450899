"""Ours beside the published figures that the methods are to meet."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section
from zsad.tables.against_published import CATEGORY_TITLE, against_tables, protocols_in_words


def section(contents: Contents) -> Section | None:
    """The means, the categories folded away, and both protocols; None where nothing is to be met."""
    tables = against_tables(contents.against)
    if not tables:
        return None
    content = {
        "means": [table for table in tables if table.title != CATEGORY_TITLE],
        "categories": [table for table in tables if table.title == CATEGORY_TITLE],
        "protocols": protocols_in_words(contents.against),
    }
    return Section("published.html.jinja", content, "published", "Published figures")
