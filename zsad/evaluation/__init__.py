"""Metrics against the ground truth; the only package that reads labels."""
