"""Thresholds found without labels, one file a rule."""
