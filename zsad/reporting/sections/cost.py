"""The cost of one more image, and of every stage."""

from __future__ import annotations

from zsad.reporting.contents import Contents, Section
from zsad.tables.cost_tables import stages_table, totals_table
from zsad.tables.table import has_gaps, without_unknown


def section(contents: Contents) -> Section | None:
    """Totals and stages; None if nothing was measured."""
    if contents.costs.empty:
        return None
    totals, stages = map(without_unknown, (totals_table(contents.costs), stages_table(contents.costs)))
    content = {
        "totals": totals,
        "stages": stages,
        "has_gaps": has_gaps(totals) or has_gaps(stages),
        "plot": contents.plots["quality_cost"],
    }
    return Section("cost.html.jinja", content, "cost", "Cost")
