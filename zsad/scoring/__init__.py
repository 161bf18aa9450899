"""Anomaly scores from patch features, one file a method."""
