"""Metrics against the ground truth, and tables; the only place that sees labels."""
