"""The published data sets: addresses, contents and licences.

The facts are in ``catalogue.yaml``, the only place with addresses and checksums.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from zsad.errors import DataError
from zsad.errors.mistakes import reason_of

CATALOGUE_PATH = Path(__file__).with_suffix(".yaml")
UNVERIFIED = "unverified:"  # the start of `Archive.verified` if there is no hash to check a file by


class Facts(BaseModel):
    """Base of the facts: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Archive(Facts):
    """One file that is downloaded and unpacked, or that the user downloads by hand.

    Attributes:
        file: its name among the archives on this machine, perhaps in a folder; the suffix gives the compression.
        urls: direct links, tried in order; empty if the site has no direct link.
        sha256, size: the expected hash and size in bytes; None if unknown.
        verified: a sentence that says where hash and size come from, or, after `UNVERIFIED`, that there is no hash.
        into: folder that it is unpacked into, relative to the data set's folder; ``"."`` for that folder itself.
        by_hand: how to download it by hand, a sentence; required if there are no ``urls``.
    """

    file: str
    urls: tuple[str, ...] = ()
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    size: int | None = Field(None, gt=0)
    verified: str
    into: str = "."
    by_hand: str | None = None

    @model_validator(mode="after")
    def _can_be_had(self) -> Archive:
        if not self.urls and not self.by_hand:
            raise ValueError("an archive needs urls, or by_hand")
        return self


class Package(Facts):
    """A Python package that holds the images of a data set; it is located where it is installed and never imported.

    Attributes:
        name: of the distribution, e.g. ``"elpv-dataset"``.
        version: the verified one; another version is used too, with a warning from the check.
        extra: the extra of this project that installs it: ``pip install "zsad[extra]"``.
        folder: the root for the layout, relative to the folder that packages are installed into.
        verified: how this version was verified, a sentence.
    """

    name: str
    version: str
    extra: str
    folder: str
    verified: str

    @property
    def command(self) -> str:
        """The shell command that installs it."""
        return f'pip install "zsad[{self.extra}]"'


class ImageCounts(Facts):
    """The published number of images of a category; None where its authors do not give it."""

    train: int | None = None
    test: int | None = None


class DatasetFacts(Facts):
    """A published data set; it has the name of its layout in `zsad.data.layouts.registry.LAYOUTS`.

    Attributes:
        title: as its authors write it.
        citation: authors, title, venue, year.
        licence: its name and, in short, its restrictions.
        homepage: the authors' page with the download.
        categories: the published ones, for comparison; the categories on disk are those that are read.
        textures: the categories that its authors call textures (the others are objects); empty if they make no such
            distinction.
        root: folder, inside the unpacked archives, that holds the categories; ``"."`` for the top.
        unpacked_bytes: approximate size on disk; None if unknown.
        archives: the files that are downloaded; empty for a data set that the user must get from its authors, or that
            has a package.
        package: the Python package that holds the images instead of archives; None for most data sets.
        notes: further information for users, a sentence each.
    """

    title: str
    citation: str
    licence: str
    homepage: str
    categories: dict[str, ImageCounts | None]
    textures: tuple[str, ...] = ()
    root: str = "."
    unpacked_bytes: int | None = None
    archives: tuple[Archive, ...] = ()
    package: Package | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_by_hand(self) -> bool:
        """Whether the user must download some of it by hand."""
        return self.package is None and not (self.archives and all(archive.urls for archive in self.archives))

    @model_validator(mode="after")
    def _comes_one_way(self) -> DatasetFacts:
        if self.archives and self.package:
            raise ValueError("a data set has archives or a package, not both")
        return self


@cache
def datasets() -> dict[str, DatasetFacts]:
    """All published data sets by name, in the order of the file.

    Raises:
        DataError: the file was changed and is no longer valid.
    """
    return read_catalogue(CATALOGUE_PATH)


def facts_of(layout: str) -> DatasetFacts | None:
    """The facts of the data set of a layout; None for a layout for the user's own images."""
    return datasets().get(layout)


def read_catalogue(path: Path) -> dict[str, DatasetFacts]:
    """The data sets that a file describes, by name.

    Raises:
        DataError: it cannot be read, is not YAML, or has an unknown key or an invalid value.
    """
    try:
        return TypeAdapter(dict[str, DatasetFacts]).validate_python(yaml.load(path.read_bytes(), yaml.CSafeLoader))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"the catalogue of data sets {path} cannot be read ({reason}); restore it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"the catalogue of data sets {path} is not YAML ({reason}); correct or restore it") from None
    except ValidationError as error:
        raise DataError(f"the catalogue of data sets {path} is wrong: {_problem(error)}; correct it") from None


def _problem(error: ValidationError) -> str:
    """The first error and its place."""
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no key {place}"
    return f"{place or 'the file'}: {reason_of(first)}"
