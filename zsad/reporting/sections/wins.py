"""Comparison of methods in pairs, over the categories, from the paired bootstrap."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section
from zsad.tables.comparisons import comparison_tables


def section(contents: Contents) -> Section | None:
    """A table for each headline metric that has a verdict; None if none has."""
    known = contents.comparisons[contents.comparisons["verdict"] != ""]
    tables = comparison_tables(known, with_means=True)
    return Section("wins.html.jinja", {"tables": tables}, "wins", "Comparisons") if tables else None
