"""Our figures compared with published ones."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section
from zsad.tables.against_published import CATEGORY_TITLE, against_tables, protocols_in_words


def section(contents: Contents) -> Section | None:
    """The means, the categories in a closed fold, and both protocols; None if nothing is compared."""
    tables = against_tables(contents.against)
    if not tables:
        return None
    content = {
        "means": [table for table in tables if table.title != CATEGORY_TITLE],
        "categories": [table for table in tables if table.title == CATEGORY_TITLE],
        "protocols": protocols_in_words(contents.against),
    }
    return Section("published.html.jinja", content, "published", "Published figures")
