"""Backbones and the extraction of patch features into HDF5."""
