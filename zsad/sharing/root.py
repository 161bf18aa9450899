"""Where the shared files lie, and how the processes of a run come to know.

The root travels in the environment, because it is no parameter of any stage: to move it makes nothing anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT_VARIABLE = "ZSAD_SHARED"
FEATURES, EMBEDDINGS = "features", "embeddings"  # folders below the root, one for each stage that shares its files


def shared_folder(kind: str, wanted: int, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of shared files that a job uses; None if it shares nothing.

    Args:
        kind: `FEATURES` or `EMBEDDINGS`.
        wanted: 0 for a job that shares nothing; a resource of its rule.
    """
    return Path(environment[ROOT_VARIABLE]) / kind if wanted else None
