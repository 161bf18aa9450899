"""The stage that turns a subset of a category's images into a feature file."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.data.images import read_image
from zsad.data.manifest import ImageRecord, read_manifest
from zsad.data.subsets import VIEWS, select
from zsad.errors import ConfigError, DataError, nearest_hint
from zsad.features.base import Backbone, Tokens
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
        view: ``"original"``, or ``"hflip"`` for the tokens of the images mirrored left to right (which are not
            mirrored back).
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        provenance: of the stage; what was extracted, from what and by what is added.

    Raises:
        ConfigError: an unknown view, or a parameter that does not fit the model.
        DataError: an empty subset, an unreadable or changed image, features that are not finite.
        ModelError: the model cannot be used.
    """
    if view not in VIEWS:
        raise ConfigError(f"there is no view '{view}'{nearest_hint(view, VIEWS)}")
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
        [record.image_id for record in records],
        {**provenance, **details},
        layers=extractor.layers,
        channels=extractor.channels,
        grid_sizes=np.array([extractor.grid_size(record.height, record.width) for record in records]),
        cls_source=extractor.cls_source,
    ) as writer:
        for index, record in enumerate(progress(records, total=len(records), label=f"features of {category}")):
            tokens = extractor.extract(_viewed(record, view))
            _check_finite(tokens, record)
            writer.write(index, tokens.patch_tokens, tokens.cls_tokens)
        writer.provenance["seconds"] = round(time.monotonic() - start, 3)


def _viewed(record: ImageRecord, view: str) -> np.ndarray:
    image = read_image(record.path, record.sha256)
    return np.ascontiguousarray(image[:, ::-1]) if view == "hflip" else image


def _check_finite(tokens: Tokens, record: ImageRecord) -> None:
    if not (np.isfinite(tokens.patch_tokens).all() and np.isfinite(tokens.cls_tokens).all()):
        raise DataError(
            f"the backbone gives features that are not finite for {record.path}; use dtype float32 or another model"
        )
