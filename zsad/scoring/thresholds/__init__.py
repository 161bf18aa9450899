"""Thresholds set without labels, one file a rule."""
