"""Links to the pages of the categories, on the index of a large page."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section


def section(contents: Contents) -> Section:
    """The categories with their numbers of images."""
    categories = [
        {
            "name": category,
            "images": len(contents.of(category)[0]["images"]),
            "counts": contents.of(category)[0]["counts"],
            "measured": contents.is_measured(category),
        }
        for category in contents.categories
    ]
    return Section("categories.html.jinja", {"categories": categories})
