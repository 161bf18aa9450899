"""The stage that turns a subset of a category's images into a feature file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.images import read_image
from zsad.data.manifest import read_manifest
from zsad.data.subsets import select
from zsad.errors import DataError
from zsad.features.base import Backbone, Tokens
from zsad.features.views import variants
from zsad.progress import progress
from zsad.provenance import file_sha256
from zsad.store import FeatureWriter

logger = logging.getLogger(__name__)


def extract_features(
    *,
    manifest: Path,
    category: str,
    subset: str,
    view: str,
    backbone: Backbone,
    device: str,
    output: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write the features of a subset, image by image; on an error there is no output.

    Args:
        manifest: the category's manifest; its labels are not read.
        category: name, for messages.
        subset: see `zsad.data.subsets`.
        view: see `zsad.features.views`; the tokens are those of the changed image, and are not changed back.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        provenance: of the stage; what was extracted, from what and by what is added.

    Raises:
        ConfigError: an unknown view, or a parameter that does not fit the model.
        DataError: an empty subset, an unreadable or changed image, features that are not finite.
        ModelError: the model cannot be used.
    """
    views = variants(view)
    start = time.monotonic()
    records = select(read_manifest(manifest), subset, category)
    extractor = backbone.load(device)
    details = {
        "manifest_sha256": file_sha256(manifest),
        "subset": subset,
        "view": view,
        "model": extractor.model,
        "device": extractor.device,
        "backbone": backbone.parameters(),
    }
    logger.info("%d images of %s (%s, %s) on %s", len(records), category, subset, view, extractor.device)
    with FeatureWriter(
        output,
        [record.image_id + variant.suffix for record in records for variant in views],
        {**provenance, **details},
        layers=extractor.layers,
        channels=extractor.channels,
        grid_sizes=np.array([extractor.grid_size(record.height, record.width) for record in records for _ in views]),
        cls_source=extractor.cls_source,
    ) as writer:
        index = 0
        for record in progress(records, total=len(records), label=f"features of {category}"):
            image = read_image(record.path, record.sha256)
            for variant in views:
                tokens = extractor.extract(variant.of(image))
                _check_finite(tokens, record.path)
                writer.write(index, tokens.patch_tokens, tokens.cls_tokens)
                index += 1
        writer.provenance["seconds"] = round(time.monotonic() - start, 3)


def _check_finite(tokens: Tokens, path: str) -> None:
    if not (np.isfinite(tokens.patch_tokens).all() and np.isfinite(tokens.cls_tokens).all()):
        raise DataError(
            f"the backbone gives features that are not finite for {path}; use dtype float32 or another model"
        )
