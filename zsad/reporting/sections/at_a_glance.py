"""The image of each category that the best method finds most anomalous."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section
from zsad.reporting.decisions import verdict_of
from zsad.reporting.evaluations import key_of


def section(contents: Contents) -> Section | None:
    """One picture for each category; None without galleries."""
    glances = [
        {
            "category": category,
            "content": gallery,
            "entry": gallery["groups"][0]["entries"][0],
            "measured": contents.is_measured(category),
            "verdict": verdict_of(next(one for one in contents.of(category) if key_of(one) == contents.best)).words,
        }
        for category in contents.categories
        if (gallery := contents.galleries.get(category, {}).get(contents.best))
    ]
    if not glances:
        return None
    return Section("at_a_glance.html.jinja", {"best": contents.names[contents.best], "glances": glances})
