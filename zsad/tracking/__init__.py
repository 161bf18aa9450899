"""Finished runs written to trackers of experiments (MLflow, Weights & Biases), from their tables and plots."""
