"""The folder of shared files, and how the processes of a run find it.

The root is passed in the environment, because it is not a parameter of any stage: moving it makes nothing again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT_VARIABLE = "ZSAD_SHARED"
FEATURES, EMBEDDINGS = "features", "embeddings"  # folders below the root, one per stage that shares its files


def shared_folder(kind: str, wanted: int, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of shared files that a job uses; None if it shares nothing.

    Args:
        kind: `FEATURES` or `EMBEDDINGS`.
        wanted: 0 for a job that shares nothing; a resource of its rule.
    """
    return Path(environment[ROOT_VARIABLE]) / kind if wanted else None
