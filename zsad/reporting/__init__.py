"""Overlays, plots and the page."""
