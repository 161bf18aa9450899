"""Photographs that are looked at as they come: by a stored model, or by a run of the workflow underneath."""
