"""The section ``sharing`` of the configuration, and its effect on the caches of models and data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from zsad.errors import ConfigError
from zsad.files.user_paths import UserPath
from zsad.registry import Options
from zsad.sharing.root import EMBEDDINGS, FEATURES, ROOT_VARIABLE

# Only the models of the hub: HF_HOME would share the user's token as well.
HUB_CACHE = "HF_HUB_CACHE"
MOVED_BY_USER = ("HF_HOME", HUB_CACHE, "HUGGINGFACE_HUB_CACHE")
TORCH_HOME = "TORCH_HOME"


class SharingOptions(Options):
    """The options of the section."""

    root: UserPath | None = Field(
        None,
        description="a folder for weights and data sets; null for the one in the environment variable ZSAD_SHARED, "
        "if it is set",
    )
    features: bool = Field(
        False, description="whether features are stored there too, and reused if another user has made them"
    )
    embeddings: bool = Field(False, description="the same for embeddings of segmentation models")


class Sharing:
    """What a run shares, and in which folder.

    Args:
        options: the section of the configuration.
        environment: of this process.

    Attributes:
        root: absolute; None if nothing is shared.

    Raises:
        ConfigError: the root does not exist or is not a folder, or files are to be shared without a root.
    """

    def __init__(self, options: SharingOptions, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._switches = {FEATURES: options.features, EMBEDDINGS: options.embeddings}
        source = "sharing.root" if options.root else ROOT_VARIABLE
        root = options.root or SharingOptions.build({"root": environment.get(ROOT_VARIABLE)}, where=ROOT_VARIABLE).root
        if not root:
            if asked := [kind for kind, is_shared in self._switches.items() if is_shared]:
                raise ConfigError(
                    f"sharing.{asked[0]} is true but no folder is given; set sharing.root or the environment variable "
                    f"{ROOT_VARIABLE} to a folder"
                )
            self.root = None
            return
        self.root = Path(root).absolute()
        if not self.root.is_dir():
            fault = "is not a folder" if self.root.exists() else "does not exist"
            raise ConfigError(
                f"the shared folder {self.root} {fault}; make it (`mkdir -p {self.root}; chmod 2775 {self.root}`), or "
                f"correct {source}"
            )

    @property
    def downloads(self) -> Path | None:
        """Folder of downloaded data sets, unless the configuration sets another."""
        return self.root and self.root / "data"

    def resource(self, kind: str) -> int:
        """Whether jobs share files of a kind, as a resource of a rule: unlike a parameter, its change runs nothing.

        It is a number, because Snakemake requires text resources to be equal for all jobs of a group.
        """
        return int(self._switches[kind])

    def variables(self) -> dict[str, str]:
        """The environment variables for this process and its children, except those that the user has set.

        They must be set before the client of the hub is imported.
        """
        if self.root is None:
            return {}
        variables = {ROOT_VARIABLE: str(self.root)}
        if not any(self._environment.get(name) for name in MOVED_BY_USER):
            variables[HUB_CACHE] = str(self.root / "huggingface" / "hub")
        if not self._environment.get(TORCH_HOME):
            variables[TORCH_HOME] = str(self.root / "torch")
        return variables

    def described(self) -> str:
        """A text for users: what is shared, and where."""
        if self.root is None:
            return "nothing"
        kinds = ["weights", "data", *(kind for kind, is_shared in self._switches.items() if is_shared)]
        return f"{', '.join(kinds)} in {self.root}"
