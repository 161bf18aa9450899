"""The image of each category that the best method finds most anomalous."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section


def section(contents: Contents) -> Section | None:
    """A picture a category; None without galleries."""
    glances = [
        {
            "category": category,
            "content": gallery,
            "entry": gallery["groups"][0]["entries"][0],
            "measured": contents.is_measured(category),
        }
        for category in contents.categories
        if (gallery := contents.galleries.get(category, {}).get(contents.best))
    ]
    if not glances:
        return None
    return Section("at_a_glance.html.jinja", {"best": contents.names[contents.best], "glances": glances})
