"""The stage that joins the feature files of several backbones into one, which scorers read like any other.

The files of the members may be shared between users (`zsad.sharing`); the joined file is not, since joining takes about
as long as copying.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import DataError
from zsad.features.joined_tokens import joined, joined_vectors
from zsad.features.joint import Joint
from zsad.files.features import FeatureReader, FeatureWriter
from zsad.files.provenance import inherited
from zsad.grids import JOINT_LAYER, finest
from zsad.progress import progress

SAME = ("images_sha256", "subset", "view")  # keys of the provenance that must be equal for all members

logger = logging.getLogger(__name__)


def join_features(*, features: Sequence[Path], joint: Joint, output: Path, provenance: Mapping[str, Any]) -> None:
    """Write the features of a joint backbone, image by image; on an error there is no output.

    Args:
        features: feature files of the members, in the order of ``joint.members``, of the same images.
        output: the feature file, written completely or not at all.
        provenance: of the job; that of the members is added.

    Raises:
        DataError: the files are not of the same images, or one is damaged.
    """
    start = time.monotonic()
    with ExitStack() as stack:
        readers = [stack.enter_context(FeatureReader(path)) for path in features]
        _check_together(readers)
        first = readers[0]
        grid_sizes = [
            finest(tuple(reader.grid_sizes[index].tolist()) for reader in readers) for index in range(len(first))
        ]
        names = [member.name for member in joint.members]
        details = {
            "model": _model(names, readers),
            "device": "cpu",
            "members": {
                name: {**reader.provenance, "layers": reader.layers}
                for name, reader in zip(names, readers, strict=True)
            },
        }
        with FeatureWriter(
            output,
            first.image_ids,
            {**inherited(first.provenance), **provenance, **details},
            layers=[JOINT_LAYER],
            channels=sum(len(reader.layers) * reader.channels for reader in readers),
            grid_sizes=np.array(grid_sizes),
            cls_source=" and ".join(dict.fromkeys(reader.cls_source for reader in readers)),
        ) as writer:
            patches = [rows * columns for rows, columns in grid_sizes]
            for index in progress(range(len(first)), total=len(first), label="joining", work=patches):
                writer.write(
                    index,
                    joined([reader.half_tokens(index) for reader in readers], joint.shares),
                    joined_vectors([reader.cls_tokens_of(index) for reader in readers], joint.shares),
                )
            writer.provenance["seconds"] = round(time.monotonic() - start, 3)
    logger.info("joined %s on %d images", ", ".join(names), len(first))


def _model(names: Sequence[str], readers: Sequence[FeatureReader]) -> dict[str, Any]:
    """The model in the provenance of all later results."""
    models = {name: reader.provenance.get("model") for name, reader in zip(names, readers, strict=True)}
    return {"id": " + ".join(names), "revision": None, "weights_sha256": None, "members": models}


def _check_together(readers: Sequence[FeatureReader]) -> None:
    """Check that all members have features of the same images and views.

    Raises:
        DataError: they do not.
    """
    first = readers[0]
    for reader in readers[1:]:
        known = [key for key in SAME if key in first.provenance and key in reader.provenance]
        agrees = all(first.provenance[key] == reader.provenance[key] for key in known)
        if reader.image_ids != first.image_ids or not agrees:
            raise DataError(f"{reader.path} and {first.path} are not of the same images; delete both and run again")
