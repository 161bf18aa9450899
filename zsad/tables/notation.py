"""The notation of figures for readers: in tables, on the page and in plots.

Metrics and shares are fractions of 1 in memory and in CSV files, and per cent with one decimal for readers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

NOT_AVAILABLE = "n/a"
NOTATION = (
    "All figures are per cent. In brackets: the 95 % confidence interval (bootstrap over images). After ±: the "
    f"standard deviation over the random seeds, in rows that are means over several. {NOT_AVAILABLE}: not measured. "
    "The CSV files contain the same figures as fractions of 1."
)


def percent(share: float) -> str:
    """A share as a percentage with one decimal, without the sign, e.g. ``"85.3"``; ``n/a`` for NaN."""
    return NOT_AVAILABLE if math.isnan(share) else f"{100 * share:.1f}"


def decimals(number: float) -> str:
    """A mean count with two decimals; ``n/a`` for NaN."""
    return NOT_AVAILABLE if math.isnan(number) else f"{number:.2f}"


def spread_and_interval(
    low: float, high: float, deviation: float = math.nan, *, written: Callable[[float], str] = percent
) -> str:
    """The deviation over random seeds and the interval of a figure, e.g. ``"± 1.2 (80.1–90.2)"``; each optional.

    Args:
        written: formats such a figure.
    """
    spread = "" if math.isnan(deviation) else f"± {written(deviation)}"
    interval = "" if math.isnan(low + high) else f"({written(low)}–{written(high)})"
    return " ".join(filter(None, (spread, interval)))


def with_interval(value: float, low: float, high: float, deviation: float = math.nan) -> str:
    """A figure with its deviation and interval, e.g. ``"85.3 (80.1–90.2)"``; only ``n/a`` if there is no value."""
    added = "" if math.isnan(value) else spread_and_interval(low, high, deviation)
    return f"{percent(value)} {added}" if added else percent(value)


def signed(difference: float) -> str:
    """A difference of shares in points with its sign, e.g. ``"−2.0"``; empty for NaN."""
    if math.isnan(difference):
        return ""
    points = round(100 * difference, 1) + 0.0  # zero without a sign
    return f"{points:+.1f}".replace("-", "−")


def quantity(value: float) -> str:
    """Seconds or megabytes with three significant digits, without an exponent; ``n/a`` for NaN."""
    if math.isnan(value):
        return NOT_AVAILABLE
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(digits, 0), 4)}f}"
