"""How figures are written wherever a person reads them: tables, the page and the plots.

Metrics and shares are fractions of 1 in memory and in CSV, and per cent with one decimal in what is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable

NOT_AVAILABLE = "n/a"
NOTATION = (
    "All figures are per cent. In brackets: the 95 % confidence interval (bootstrap over images). After ±: the "
    f"standard deviation over the seeds, in rows that are means over several. {NOT_AVAILABLE}: not measured. "
    "The CSV files hold the same figures as fractions of 1."
)


def percent(share: float) -> str:
    """A share as a percentage with one decimal, without the sign, e.g. ``"85.3"``; ``n/a`` for NaN."""
    return NOT_AVAILABLE if math.isnan(share) else f"{100 * share:.1f}"


def decimals(number: float) -> str:
    """A mean number of things with two decimals; ``n/a`` for NaN."""
    return NOT_AVAILABLE if math.isnan(number) else f"{number:.2f}"


def beside(low: float, high: float, deviation: float = math.nan, *, written: Callable[[float], str] = percent) -> str:
    """What stands beside a figure, e.g. ``"± 1.2 (80.1–90.2)"``: deviation over seeds, and interval; each may lack.

    Args:
        written: how a figure of this sort is written.
    """
    spread = "" if math.isnan(deviation) else f"± {written(deviation)}"
    interval = "" if math.isnan(low + high) else f"({written(low)}–{written(high)})"
    return " ".join(filter(None, (spread, interval)))


def with_interval(value: float, low: float, high: float, deviation: float = math.nan) -> str:
    """A figure with what stands beside it, e.g. ``"85.3 (80.1–90.2)"``; ``n/a`` alone if there is no value."""
    added = "" if math.isnan(value) else beside(low, high, deviation)
    return f"{percent(value)} {added}" if added else percent(value)


def signed(difference: float) -> str:
    """A difference of shares in points with its sign, e.g. ``"−2.0"``; empty for NaN."""
    if math.isnan(difference):
        return ""
    points = round(100 * difference, 1) + 0.0  # of zero without the sign
    return f"{points:+.1f}".replace("-", "−")


def quantity(value: float) -> str:
    """Seconds or megabytes with three digits that count, without an exponent; ``n/a`` for NaN."""
    if math.isnan(value):
        return NOT_AVAILABLE
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(digits, 0), 4)}f}"
