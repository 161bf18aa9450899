"""Galleries, plots and the page."""
