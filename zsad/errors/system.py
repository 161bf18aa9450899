"""Convert errors of the operating system on files to one sentence with the fix."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

FIXES: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "free some space on its disk",
        errno.EDQUOT: "free some of your quota of its disk",
        errno.EFBIG: "raise the limit for the size of files (`ulimit -f`)",
        errno.EROFS: "make its disk writable",
        errno.EACCES: "give yourself the permission for it, and to enter the folders above it",
        errno.EPERM: "give yourself the permission to change it",
        errno.ENOENT: "put it there, or correct its path",
        errno.ENAMETOOLONG: "shorten its name, or the names of the folders above it",
        errno.ELOOP: "remove the link that leads back to itself",
        errno.ENOTDIR: "one of the folders above it is a file: move that away, or correct the path",
        errno.EISDIR: "a folder is in the place of the file: move it away, or correct the path",
        errno.EEXIST: "move away what is in its place",
        errno.ENOTEMPTY: "move away what is in its place",
        errno.EMFILE: "raise the limit for open files (`ulimit -n`), or run with fewer cores",
        errno.ENFILE: "this machine has too many open files: end other programs",
        errno.ESTALE: "its network disk has lost it: wait until the disk is back",
        errno.EIO: "its disk failed: check it, or use another",
        errno.ENXIO: "no device is behind it: correct the path",
        errno.ENODEV: "no device is behind it: correct the path",
        errno.ENOTSUP: "its file system cannot do that: use another disk",
        errno.EXDEV: "its file system cannot do that: use another disk",
        errno.ENOLCK: "its file system has no locks: use another disk",
        errno.ENOTCONN: "its network disk is not connected: connect it",
        errno.EHOSTDOWN: "the server of its network disk is down: wait until the server is back",
        errno.ETIMEDOUT: "its network disk does not answer: wait until the disk is back",
        errno.EBUSY: "another program uses it: end that program",
        errno.ETXTBSY: "another program uses it: end that program",
        errno.ENOMEM: "this machine has too little memory for it: end other programs, or run with fewer cores",
        errno.EINVAL: "its file system does not support that: correct the path, or use another disk",
        errno.EILSEQ: "its file system does not support such a name: rename it",
    }
)
WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # only when writing

OF_FOLDERS = (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP)  # possible problems of a parent folder


def system_sentence(error: OSError, path: str | Path | None = None) -> str | None:
    """One sentence with the file, the error and the fix.

    Args:
        path: of the file; by default the one in the error.

    Returns:
        None if no file is known, or for other kinds of errors.
    """
    named = path if path is not None else error.filename
    if named is None or isinstance(named, int) or error.errno is None or error.errno not in FIXES:
        return None
    what = os.fsdecode(named).encode(errors="backslashreplace").decode()
    reason, fix = error.strerror or errno.errorcode[error.errno], FIXES[error.errno]
    if error.errno == errno.ENOSPC and has_no_inode_left(what):
        reason, fix = "no inode left on its file system", "delete files there, however small"
    if error.errno in OF_FOLDERS and (obstacle := obstacle_to(what, itself=error.errno == errno.ENOTDIR)):
        return f"{what} cannot be read or written, because {obstacle} and run again"
    cannot = "written" if error.errno in WRITTEN else "read or written"
    return f"{what} cannot be {cannot} ({reason}); {fix} and run again"


def is_of_writing(error: OSError, path: Path) -> bool:
    """Whether an error during the writing of a file belongs to that file, not to another one that is being read."""
    return error.filename == str(path) or (error.filename is None and error.errno in FIXES)


def obstacle_to(path: str | Path, *, itself: bool = False) -> str:
    """Why a parent of a path is not a folder, and the fix; empty if all are folders.

    Args:
        itself: whether the path itself must be a folder, too.
    """
    for place in reversed((Path(path), *Path(path).parents)):
        if place.is_dir() or not os.path.lexists(place):
            continue
        if place.is_symlink():
            # A loop cannot be resolved, but its first step can be read.
            return f"{place} is a link to {place.readlink()}, which is not a folder; correct or remove the link"
        if place == Path(path) and not itself:
            return ""  # the path itself may be a file
        return f"{place} is a file where a folder is needed; move it away"
    return ""


def has_no_inode_left(path: str | Path) -> bool:
    """Whether the file system of a path, which need not exist, has space but cannot take another file."""
    place = Path(path).absolute()
    for folder in (place, *place.parents):
        try:
            status = os.statvfs(folder)
        except OSError:
            continue
        return status.f_files > 0 and status.f_favail == 0 and status.f_bavail > 0
    return False
