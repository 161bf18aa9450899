"""The name of a shared file: a hash of everything that its content depends on, and of nothing else.

It includes no folder, so that users with the same images in different places get the same name.
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
    """SHA-256, in hexadecimal, of everything that a file of features or embeddings depends on.

    Args:
        provenance: of the stage: its name, parameters, the hashes of its code, and the versions of the libraries.
        records: the images, in order; their names, sizes and digests count, but not their folders.
        file_format: name and version of the format of the file.
        model: the loaded model: the digests of its weights, its revision, its number format.
        device: the device of the computation; its index among several of one kind does not count.
        model_files: files of a model in a local folder; they include its configuration.
        details: everything else that counts, as plain JSON types.
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
    """SHA-256, in hexadecimal, of a list of images as in `zsad.data.image_list`, but without paths and splits."""
    return hashlib.sha256(canonical_json(identities(records)).encode()).hexdigest()


def identities(records: Sequence[ListedImage]) -> list[tuple[str | int | float, ...]]:
    """What identifies images in any folder: name, digest, height and width, and the white value if set."""
    return [
        (record.image_id, record.sha256, record.height, record.width, *([record.white] if record.white else []))
        for record in records
    ]
