"""Provenance of a result: parameters, inputs, model, library versions, device, seed and seconds."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

VERSIONED_PACKAGES = (
    "zsad",
    "numpy",
    "h5py",
    "opencv-python-headless",
    "pillow",
    "pillow-heif",
    "scipy",
    "torch",
    "transformers",
    "segment-anything",
)
INHERITED_KEYS = ("contents_sha256", "image_list_sha256", "images_sha256", "model", "subset", "view", "white")


def library_versions() -> dict[str, str]:
    """Installed versions of the packages that can affect results."""
    versions = {"python": platform.python_version()}
    for package in VERSIONED_PACKAGES:
        try:
            versions[package] = _version(package)
        except PackageNotFoundError:
            continue
    return versions


def _version(package: str) -> str:
    """The version from the metadata; faster than parsing the whole description of a package."""
    found = distribution(package)
    line = re.search(r"^Version: *(\S+) *$", found.read_text("METADATA") or "", re.MULTILINE)
    return found.version if line is None else line[1]


def stage_provenance(stage: str, params: Mapping[str, Any], **details: Any) -> dict[str, Any]:
    """Provenance of one stage: its name, parameters and library versions, plus ``details``."""
    return {"stage": stage, "params": dict(params), "versions": library_versions(), **details}


def inherited(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an input's provenance that also applies to results made from it."""
    return {key: provenance[key] for key in INHERITED_KEYS if key in provenance}


def contents_sha256(contents: Mapping[str, str]) -> str:
    """SHA-256, in hexadecimal, of a set of images: of their names and bytes, independent of their order.

    Args:
        contents: the SHA-256 of each image's bytes, by its identifier.
    """
    return hashlib.sha256(json.dumps(sorted(contents.items())).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
