"""The name of a shared file: a hash of everything that its content depends on, and of nothing else.

It names no folder, so that users with the same images in different places agree on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zsad.data.image_list import ListedImage
from zsad.files.json_values import canonical_json
from zsad.files.known_hashes import known_sha256

INGREDIENTS = ("stage", "params", "code", "versions")  # of the provenance of a stage


def content_key(
    provenance: Mapping[str, Any],
    records: Sequence[ListedImage],
    *,
    file_format: str,
    model: Mapping[str, Any],
    device: str,
    model_files: Iterable[Path] = (),
    **details: Any,
) -> str:
    """SHA-256, in hexadecimal, of all that a file of features or embeddings depends on.

    Args:
        provenance: of the stage: its name, parameters, the hashes of its code, and the versions of the libraries.
        records: the images, in order; of them their names, sizes and digests count, and where they lie does not.
        file_format: name and version of the format of the file.
        model: what was loaded: the digests of its weights, its revision, its number format.
        device: where it computes; of several devices of one kind, which one does not count.
        model_files: those of a model in a local folder; they hold more than weights, its configuration for instance.
        details: whatever else counts, as plain JSON types.
    """
    weights = model.get("weights_sha256") or {}
    files = {path.name: path for path in model_files if path.name not in weights}
    content = {
        "format": file_format,
        "stage": {name: provenance[name] for name in INGREDIENTS},
        "images": identities(records),
        "model": dict(model),
        "model_files": {name: known_sha256(path) for name, path in files.items()},
        "device": device.partition(":")[0],
        "details": details,
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def images_sha256(records: Sequence[ListedImage]) -> str:
    """SHA-256, in hexadecimal, of a list of images: as that of `zsad.data.image_list`, but without paths and splits."""
    return hashlib.sha256(canonical_json(identities(records)).encode()).hexdigest()


def identities(records: Sequence[ListedImage]) -> list[tuple[str | int | float, ...]]:
    """What tells images apart wherever they lie: name, digest, height and width, and the value that is white if set."""
    return [
        (record.image_id, record.sha256, record.height, record.width, *([record.white] if record.white else []))
        for record in records
    ]
