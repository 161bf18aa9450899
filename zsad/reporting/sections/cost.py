"""What one more image takes, and what every stage took."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section
from zsad.tables.cost_tables import stages_table, totals_table


def section(contents: Contents) -> Section | None:
    """Totals and stages; None if nothing was measured."""
    if contents.costs.empty:
        return None
    content = {
        "totals": totals_table(contents.costs),
        "stages": stages_table(contents.costs),
        "plot": contents.plots["quality_cost"],
    }
    return Section("cost.html.jinja", content, "cost", "Cost")
