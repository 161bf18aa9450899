"""Inspect photographs: with a stored model, one by one, or by running the workflow."""
