"""The shared models, for commands that read no further configuration."""

from __future__ import annotations

import os

from zsad.workflow.settings import default_sharing


def share_caches() -> None:
    """Make this process and its children look for models in the folder of `config.yaml`; see `Sharing.variables`.

    Raises:
        ConfigError: the shared folder is missing.
    """
    os.environ.update(default_sharing().variables())
