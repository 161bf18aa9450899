"""How good a method is with each value of its swept parameters."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section


def section(contents: Contents) -> Section | None:
    """A plot for each method that a sweep has split up; None without one."""
    if not contents.sweeps:
        return None
    return Section("sweeps.html.jinja", {"plots": contents.sweeps}, "sweeps", "Sweeps")
