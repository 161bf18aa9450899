"""What the operating system says of a file that it does not read or write, as one sentence with its mend."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

MENDS: Mapping[int, str] = MappingProxyType(
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
        errno.ESTALE: "its network disk has lost it: wait until that is back",
        errno.EIO: "its disk fails: check it, or use another",
        errno.ENXIO: "nothing is behind it: correct the path",
        errno.ENODEV: "nothing is behind it: correct the path",
        errno.ENOTSUP: "its file system cannot do that: use another disk",
        errno.EXDEV: "its file system cannot do that: use another disk",
        errno.ENOLCK: "its file system has no locks: use another disk",
        errno.ENOTCONN: "its network disk is not connected: connect it",
        errno.EHOSTDOWN: "the server of its network disk is down: wait until that is back",
        errno.ETIMEDOUT: "its network disk does not answer: wait until that is back",
        errno.EBUSY: "another program holds it: end that",
        errno.ETXTBSY: "another program holds it: end that",
        errno.ENOMEM: "this machine has too little memory for it: end other programs, or run with fewer cores",
        errno.EINVAL: "its file system does not take that: correct the path, or use another disk",
        errno.EILSEQ: "its file system does not take such a name: rename it",
    }
)
WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of what is written alone

OF_FOLDERS = (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP)  # what may be amiss in a folder above


def system_sentence(error: OSError, path: str | Path | None = None) -> str | None:
    """What happened to which file, and what mends it.

    Args:
        path: of what; by default as the error has it.

    Returns:
        None where no file is known, or the error is of another kind.
    """
    named = path if path is not None else error.filename
    if named is None or isinstance(named, int) or error.errno is None or error.errno not in MENDS:
        return None
    what = os.fsdecode(named).encode(errors="backslashreplace").decode()
    reason, mend = error.strerror or errno.errorcode[error.errno], MENDS[error.errno]
    if error.errno == errno.ENOSPC and has_no_inode_left(what):
        reason, mend = "no inode left on its file system", "delete files there, however small"
    if error.errno in OF_FOLDERS and (obstacle := obstacle_to(what, itself=error.errno == errno.ENOTDIR)):
        return f"{what} cannot be read or written, for {obstacle} and run again"
    cannot = "written" if error.errno in WRITTEN else "read or written"
    return f"{what} cannot be {cannot} ({reason}); {mend} and run again"


def is_of_writing(error: OSError, path: Path) -> bool:
    """Whether an error, met while a file is written, is of that file and not of another that is read meanwhile."""
    return error.filename == str(path) or (error.filename is None and error.errno in MENDS)


def obstacle_to(path: str | Path, *, itself: bool = False) -> str:
    """What keeps the folders above a path from being such, and what mends it; empty if nothing does.

    Args:
        itself: whether the path is to be a folder, too.
    """
    for place in reversed((Path(path), *Path(path).parents)):
        if place.is_dir() or not os.path.lexists(place):
            continue
        if place.is_symlink():
            # A loop cannot be resolved, but its first step can be read.
            return f"{place} is a link to {place.readlink()}, which is no folder; correct or remove the link"
        if place == Path(path) and not itself:
            return ""  # a file in a place where a file may be
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
