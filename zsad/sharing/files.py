"""Result files that several users share, called by the content key of all that they depend on.

A result becomes a symbolic link to the shared file, which is made by whoever needs it first. All of it is checked
against its digests before it is taken, and its owner stands in the log. No shared file is ever changed or removed, but
a damaged one is replaced. What is being written has a name of its own, so that a killed process leaves nothing that
looks finished, and two that make the same file at once do not disturb each other.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwuid
from typing import TYPE_CHECKING

from zsad.errors import DamagedFileError, DataError
from zsad.files.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsad.files.embeddings import EmbeddingReader
    from zsad.files.features import FeatureReader

READ_ONLY = 0o444
INHERITED = 0o2777 & ~stat.S_IWOTH  # of the mode of a folder, what a folder made in it takes over
STALE_SECONDS = 24 * 3600.0  # nobody writes for so long without a byte reaching the file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedFile:
    """A file that may be there, or be made.

    Attributes:
        folder: of the files of its kind.
        key: see `zsad.sharing.content_key`; it stands in the file's provenance too.
        reader: opens it.
        image_ids: that it must hold, in order.
    """

    folder: Path
    key: str
    reader: type[FeatureReader | EmbeddingReader]
    image_ids: Sequence[str]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / self.key[:2] / f"{self.key}.h5"

    def fault(self) -> str:
        """What is wrong with the file that is there; empty if nothing is."""
        try:
            with self.reader(self.path) as file:
                if file.provenance.get("content_key") != self.key:
                    return "it holds another content key than its name"
                if file.image_ids != list(self.image_ids):
                    return "it holds other images"
                file.check()
        except DamagedFileError as error:
            return f"it {error.fault}"
        except DataError as error:
            return str(error)
        return ""

    def origin(self) -> str:
        """Whose file it is and since when, part of a sentence."""
        status = self.path.lstat()
        try:
            owner = getpwuid(status.st_uid).pw_name
        except KeyError:
            owner = f"user {status.st_uid}"
        return f"of {owner}, {time.strftime('%Y-%m-%d %H:%M', time.localtime(status.st_mtime))}"

    def is_there(self) -> bool:
        """Whether it is there and whole; a file that is not is told of."""
        if not os.path.lexists(self.path):
            return False
        if fault := self.fault():
            logger.warning("the shared file %s is damaged and is made anew: %s; %s", self.path, fault, self.origin())
        return not fault


def provide(output: Path, shared: SharedFile, make: Callable[[Path], None]) -> None:
    """Have ``output`` link to a shared file, which is made if it is not there.

    Where the shared folder cannot be written to, the output is an ordinary file.

    Args:
        output: written whole or not at all; what is there already is replaced, never written through.
        make: writes the file to the path that it is given, whole or not at all.
    """
    if shared.is_there():
        _link(output, shared.path)
        logger.info("taken from the shared cache: %s; %s", shared.path, shared.origin())
        return
    try:
        draft = _new_draft(shared)
    except OSError as error:
        logger.warning("not shared, because %s cannot be written to (%s)", shared.folder, error.strerror)
        make(output)
        return
    with _removed_in_the_end(draft):
        make(draft)
        try:
            _publish(draft, shared)
        except OSError as error:
            logger.warning("not shared, because %s cannot be put there (%s)", shared.path, error.strerror)
            with atomic_path(output) as temporary:
                shutil.copyfile(draft, temporary)
            return
    _link(output, shared.path)
    logger.info("shared with others: %s", shared.path)


def _link(output: Path, target: Path) -> None:
    with atomic_path(output) as temporary:
        temporary.symlink_to(target)


def _new_draft(shared: SharedFile) -> Path:
    """An empty file beside the shared one, which nobody else writes to."""
    folder = shared.path.parent
    _make_folder(folder)
    for left in [*folder.glob(f".{shared.key}.*"), *folder.glob(f"..{shared.key}.*")]:
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink()
    draft = folder / f".{shared.key}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    draft.touch(exist_ok=False)
    return draft


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it as open to the group as the one that they are made in, never to everybody."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):  # made by somebody else meanwhile
        folder.mkdir()
        folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode) & INHERITED)


@contextmanager
def _removed_in_the_end(draft: Path) -> Iterator[None]:
    try:
        yield
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, shared: SharedFile) -> None:
    """Give the draft its name, unless somebody else was first."""
    draft.chmod(stat.S_IMODE(draft.stat().st_mode) & READ_ONLY)
    try:
        os.link(draft, shared.path)  # unlike a renaming, it lets an existing file be
    except FileExistsError:
        if not shared.is_there():
            os.replace(draft, shared.path)
    except OSError:  # a file system without hard links
        os.replace(draft, shared.path)
