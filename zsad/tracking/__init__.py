"""Log finished runs to experiment trackers (MLflow, Weights & Biases), from their tables and plots."""
