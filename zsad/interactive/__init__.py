"""Functions for notebooks and scripts; the package ``zsad`` offers them by name."""
