"""Where commands that read no further configuration find the models that users share."""

from __future__ import annotations

import os

from zsad.workflow.settings import default_sharing


def share_caches() -> None:
    """Have this process and its children look for models where `config.yaml` says; see `Sharing.variables`.

    Raises:
        ConfigError: the shared folder is absent.
    """
    os.environ.update(default_sharing().variables())
