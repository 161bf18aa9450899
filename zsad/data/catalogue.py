"""The published data sets: where they lie, what they hold, and under which terms.

The facts stand in ``catalogue.yaml``, the one place with addresses and checksums.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from zsad.errors import DataError
from zsad.errors.mistakes import reason_of

CATALOGUE_PATH = Path(__file__).with_suffix(".yaml")
UNVERIFIED = "unverified:"  # how `Archive.verified` begins if nothing can tell a right file from a wrong one


class Facts(BaseModel):
    """Base of the facts: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Archive(Facts):
    """One file that is downloaded and unpacked, or fetched by the user by hand.

    Attributes:
        file: its name among the archives on this machine, maybe in a folder; the ending says how it is packed.
        urls: direct links, tried in order; none where a site gives no direct link.
        sha256, size: what it must have (size in bytes); None where nobody could say.
        verified: how sure that is: a sentence that says where hash and size come from, or, after `UNVERIFIED`, that
            there is no hash.
        into: folder, inside the data set's, that it is unpacked into; ``"."`` for the data set's own.
        by_hand: where to click to get it, a sentence; needed if there are no ``urls``.
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
    """A Python package that holds the images of a data set; it is found where it is installed, and never imported.

    Attributes:
        name: of the distribution, e.g. ``"elpv-dataset"``.
        version: the one that was verified; another is used as well, and the check says so.
        extra: of this project, which installs it: ``pip install "zsad[extra]"``.
        folder: what the layout takes for its root, from the folder that packages are installed into.
        verified: what is known of this version, a sentence.
    """

    name: str
    version: str
    extra: str
    folder: str
    verified: str

    @property
    def command(self) -> str:
        """What installs it."""
        return f'pip install "zsad[{self.extra}]"'


class ImageCounts(Facts):
    """How many images a category has by what its authors published; None where they do not say."""

    train: int | None = None
    test: int | None = None


class DatasetFacts(Facts):
    """A published data set; its name is that of its layout in `zsad.data.layouts.registry.LAYOUTS`.

    Attributes:
        title: as its authors write it.
        citation: authors, title, venue, year.
        licence: its name, and in short what it forbids.
        homepage: where its authors offer it.
        categories: the published ones, for comparison with the disk, which decides what is read.
        textures: those of the categories that its authors call textures, the others being objects; none if they make
            no such difference.
        root: folder, inside the unpacked archives, that holds the categories; ``"."`` for the top.
        unpacked_bytes: size on disk, about; None if unknown.
        archives: what is downloaded; none for a data set that must be fetched as its authors say, or has a package.
        package: what holds the images in place of archives; None for most data sets.
        notes: what a user should know, a sentence each.
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
        """Whether the user must fetch some of it."""
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
        DataError: somebody has changed the file, so that it cannot be understood.
    """
    return read_catalogue(CATALOGUE_PATH)


def facts_of(layout: str) -> DatasetFacts | None:
    """The facts of the data set that a layout is for; None for a layout that is for anybody's images."""
    return datasets().get(layout)


def read_catalogue(path: Path) -> dict[str, DatasetFacts]:
    """The data sets that a file describes, by name.

    Raises:
        DataError: it cannot be read, is no YAML, or has a key that does not exist or a value that makes no sense.
    """
    try:
        return TypeAdapter(dict[str, DatasetFacts]).validate_python(yaml.load(path.read_bytes(), yaml.CSafeLoader))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"the catalogue of data sets {path} cannot be read ({reason}); restore it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"the catalogue of data sets {path} is no YAML ({reason}); correct or restore it") from None
    except ValidationError as error:
        raise DataError(f"the catalogue of data sets {path} is wrong: {_problem(error)}; correct it") from None


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no key {place}"
    return f"{place or 'the file'}: {reason_of(first)}"
