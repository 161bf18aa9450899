"""Result files that several users share, named by the content key of everything that they depend on.

A result becomes a symbolic link to the shared file, which the first user who needs it makes. The whole file is checked
against its digests before it is used, and its owner is logged. No shared file is ever changed or removed, but a damaged
one is replaced. A file is written under a temporary name, so that a killed process leaves nothing that looks finished,
and two processes that make the same file do not disturb each other.
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
INHERITED = 0o2777 & ~stat.S_IWOTH  # mode bits that a new folder inherits from its parent
STALE_SECONDS = 24 * 3600.0  # an unfinished file without changes for so long is abandoned

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedFile:
    """A shared file that exists or can be made.

    Attributes:
        folder: of the files of its kind.
        key: see `zsad.sharing.content_key`; it is in the file's provenance, too.
        reader: opens it.
        image_ids: that it must contain, in order.
    """

    folder: Path
    key: str
    reader: type[FeatureReader | EmbeddingReader]
    image_ids: Sequence[str]

    @property
    def path(self) -> Path:
        """Path of the shared file."""
        return self.folder / self.key[:2] / f"{self.key}.h5"

    def fault(self) -> str:
        """The fault of the existing file; empty if there is none."""
        try:
            with self.reader(self.path) as file:
                if file.provenance.get("content_key") != self.key:
                    return "its content key differs from its name"
                if file.image_ids != list(self.image_ids):
                    return "it contains other images"
                file.check()
        except DamagedFileError as error:
            return f"it {error.fault}"
        except DataError as error:
            return str(error)
        return ""

    def origin(self) -> str:
        """Owner and time of the file, part of a sentence."""
        status = self.path.lstat()
        try:
            owner = getpwuid(status.st_uid).pw_name
        except KeyError:
            owner = f"user {status.st_uid}"
        return f"of {owner}, {time.strftime('%Y-%m-%d %H:%M', time.localtime(status.st_mtime))}"

    def is_there(self) -> bool:
        """Whether it exists and is intact; a damaged file is logged."""
        if not os.path.lexists(self.path):
            return False
        if fault := self.fault():
            logger.warning("the shared file %s is damaged and is made again: %s; %s", self.path, fault, self.origin())
        return not fault


def provide(output: Path, shared: SharedFile, make: Callable[[Path], None]) -> None:
    """Make ``output`` a link to a shared file, which is made if it does not exist.

    If the shared folder is not writable, the output is an ordinary file.

    Args:
        output: written completely or not at all; an existing file or link is replaced, never written through.
        make: writes the file to the given path, completely or not at all.
    """
    if shared.is_there():
        _link(output, shared.path)
        logger.info("reused from the shared cache: %s; %s", shared.path, shared.origin())
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
            logger.warning("not shared, because %s cannot be created (%s)", shared.path, error.strerror)
            with atomic_path(output) as temporary:
                shutil.copyfile(draft, temporary)
            return
    _link(output, shared.path)
    logger.info("shared with others: %s", shared.path)


def _link(output: Path, target: Path) -> None:
    with atomic_path(output) as temporary:
        temporary.symlink_to(target)


def _new_draft(shared: SharedFile) -> Path:
    """Create an empty temporary file beside the shared one."""
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
    """Make a folder and its parents with the group permissions of the existing parent, but never for all users."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):  # made by another process meanwhile
        folder.mkdir()
        folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode) & INHERITED)


@contextmanager
def _removed_in_the_end(draft: Path) -> Iterator[None]:
    try:
        yield
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, shared: SharedFile) -> None:
    """Give the draft its final name, unless another process was first."""
    draft.chmod(stat.S_IMODE(draft.stat().st_mode) & READ_ONLY)
    try:
        os.link(draft, shared.path)  # unlike renaming, it keeps an existing file
    except FileExistsError:
        if not shared.is_there():
            os.replace(draft, shared.path)
    except OSError:  # a file system without hard links
        os.replace(draft, shared.path)
