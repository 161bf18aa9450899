"""How numbers are written on the page and in the figures."""

from __future__ import annotations

import math

NOT_AVAILABLE = "n/a"


def shown(value: float) -> str:
    """A metric as text: three decimals, or ``n/a``."""
    return NOT_AVAILABLE if math.isnan(value) else f"{value:.3f}"


def limits(low: float, high: float) -> str:
    """Confidence limits as text, e.g. ``"0.90–0.97"``; empty if there are none."""
    return "" if math.isnan(low + high) else f"{low:.2f}–{high:.2f}"


def with_limits(value: float, low: float, high: float) -> str:
    """A metric with its confidence limits, e.g. ``"0.943 (0.90–0.97)"``; ``n/a`` if there is no value."""
    interval = limits(low, high)
    return f"{shown(value)} ({interval})" if interval and not math.isnan(value) else shown(value)


def signed(difference: float) -> str:
    """A difference with its sign and three decimals, e.g. ``"−0.020"``; empty for NaN."""
    if math.isnan(difference):
        return ""
    rounded = round(difference, 3) + 0.0  # of zero without the sign
    return f"{rounded:+.3f}".replace("-", "−")
