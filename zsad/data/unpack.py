"""Unpack untrusted archives safely: only plain files and folders, only inside the target, only up to a limit.

The kind of an archive is detected from its content. Nothing in it is trusted: names are checked before anything is
created, and bytes are counted while they are written. Permissions, owners and times inside are ignored, since archives
with read-only folders exist, and old file times confuse a workflow.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Self

from zsad.errors import DISK_FULL, DataError, first_line
from zsad.progress import Progress

CHUNK = 1024 * 1024  # bytes
MAX_MEMBERS = 2_000_000  # files and folders
MAX_HEADER = 1024 * 1024  # bytes of an extended header of a tar, which is read into memory
MAX_AFTER = 64 * CHUNK  # bytes after the end marker of a tar, which is padded to a round size
SHOWN = 24  # first bytes of a file that is not an archive, for the message

FILE, FOLDER = "file", "folder"
IN_THE_WAY = (FileExistsError, NotADirectoryError, IsADirectoryError)
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    RecursionError,  # nested headers of a tar
    ValueError,  # invalid numbers in headers
)
ZIP_ENCRYPTED = 0x1  # bit of a member's flags
JUNK = ("__MACOSX", ".DS_Store")  # added to archives by macOS, as are files that begin with "._"
FIX = "unpack it yourself, if you trust it, and set dataset.root to the folder"
FIXES = {errno.ENAMETOOLONG: FIX, errno.EIO: "check the disk"}

TAR_KINDS = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.DIRTYPE: FOLDER,
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "pipe",
    tarfile.GNUTYPE_SPARSE: "sparse file",
}
ZIP_KINDS = {
    0: FILE,  # written by systems without file types
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFIFO: "pipe",
}


class _Member(NamedTuple):
    """A file or folder in an archive, or an unsupported member.

    Attributes:
        name: as in the archive.
        kind: `FILE`, `FOLDER`, or a word for anything else.
        size: declared size of its content, bytes.
        packed: bytes of the archive read since the previous member.
        open: opens its content.
    """

    name: str
    kind: str
    size: int
    packed: int
    open: Callable[[], IO[bytes]]


class _Reader(NamedTuple):
    """The reader of one kind of archive.

    Attributes:
        members: what is inside, in order; each must be read before the next is asked for.
        announced_bytes: unpacked size as declared by the archive; 0 if it declares none.
    """

    members: Callable[[Path], Iterator[_Member]]
    announced_bytes: Callable[[Path], int]


def unpack(archive: Path, into: Path, *, limit: int, progress: bool = False) -> int:
    """Unpack an archive (zip; tar, also compressed with gzip, bzip2 or xz) into an existing folder.

    Files that macOS adds are left out. After an error the folder contains some of the files; the caller must remove it.

    Args:
        limit: of the unpacked bytes.
        progress: show a bar if standard error is a terminal.

    Returns:
        The number of unpacked bytes.

    Raises:
        DataError: it is not an archive, damaged or encrypted; a member is a link or a device, is outside the folder, or
            exists twice; there are more bytes than allowed or than the disk has space for; the folder is not writable.
    """
    reader = _reader(archive)
    if reader is None:
        what = not_an_archive(archive)
        raise DataError(
            f"{archive} is {what}; perhaps the site answered with a web page: replace it with the archive itself"
        )
    with _clear_failures(archive, into):
        announced = reader.announced_bytes(archive)
        _check_limit(archive, announced, limit)
        # Images hardly compress: the unpacked files take about as much as the archive, or more.
        if max(announced, archive.stat().st_size) > shutil.disk_usage(into).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with Progress(f"unpacking {archive.name}", bar=progress) as way:
            way.start(archive.stat().st_size)
            return _unpack(archive, reader.members(archive), into, limit, way)


def not_an_archive(path: Path) -> str:
    """What a file is that is not an archive, for a message; empty if `unpack` supports it."""
    if _reader(path) is not None:
        return ""
    start = _head(path)[:SHOWN]
    return f"not an archive (it begins with {start.decode('ascii', errors='replace')!r})" if start else "an empty file"


def _unpack(archive: Path, members: Iterator[_Member], into: Path, limit: int, way: Progress) -> int:
    announced, written, files, folders = 0, 0, 0, {into}
    for count, member in enumerate(members, start=1):
        if count > MAX_MEMBERS:
            raise DataError(f"the archive {archive} has more than {MAX_MEMBERS} files and folders; {FIX}")
        place = _place(archive, member)
        announced += member.size if member.kind == FILE else 0
        _check_limit(archive, announced, limit)
        if not _is_junk(place):
            _make_folder(archive, member, into / (place if member.kind == FOLDER else place.parent), folders)
            if member.kind == FILE:
                files += 1
                for size in _write(archive, member, into / place):
                    written += size
                    _check_limit(archive, written, limit)
        way.add(member.packed)
    if files == 0:
        raise DataError(f"the archive {archive} contains no files; replace it with the right one")
    return written


def _place(archive: Path, member: _Member) -> PurePosixPath:
    """The target of a member, relative to the folder.

    Raises:
        DataError: it is outside the folder, or the member is neither file nor folder.
    """
    fault = _fault_of_name(member.name)
    if not fault and member.kind not in (FILE, FOLDER):
        fault = f"which is a {member.kind}"
    place = PurePosixPath(member.name)
    if not fault and member.kind == FILE and not place.parts:
        fault = "which is a file without a name"
    if fault:
        raise DataError(f"the archive {archive} is not safe to unpack because of {member.name!r}, {fault}; {FIX}")
    return place


def _fault_of_name(name: str) -> str:
    """Why a member of this name is not unpacked; empty if it is safe."""
    if name.startswith("/"):
        return "which is an absolute path"
    if "\\" in name or re.match("[A-Za-z]:", name):
        return "which is a path of Windows"
    if ".." in name.split("/"):
        return "which leads out of the folder"
    return "which contains a null character" if "\0" in name else ""


def _is_junk(place: PurePosixPath) -> bool:
    return any(part in JUNK or part.startswith("._") for part in place.parts)


def _make_folder(archive: Path, member: _Member, folder: Path, made: set[Path]) -> None:
    if folder in made:
        return
    with _once(archive, member):
        folder.mkdir(parents=True, exist_ok=True)
    made.add(folder)


def _write(archive: Path, member: _Member, path: Path) -> Iterator[int]:
    """Write the content of a member to a new file; yield the size of each piece before it is written."""
    with _once(archive, member), open(path, "xb") as target, member.open() as source:
        while piece := source.read(CHUNK):
            yield len(piece)
            target.write(piece)


@contextmanager
def _once(archive: Path, member: _Member) -> Iterator[None]:
    """Report that a member's name exists already, instead of the system's error."""
    try:
        yield
    except IN_THE_WAY:
        message = f"the archive {archive} has {member.name!r} twice, or as a file and as a folder; {FIX}"
        raise DataError(message) from None


def _check_limit(archive: Path, size: int, limit: int) -> None:
    if size > limit:
        raise DataError(f"the archive {archive} unpacks to more than {limit} bytes; {FIX}")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.flag_bits & ZIP_ENCRYPTED:
                raise DataError(f"the archive {archive} is encrypted; {FIX}")
            yield _Member(info.filename, _zip_kind(info), info.file_size, info.compress_size, partial(file.open, info))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    kind = ZIP_KINDS.get(stat.S_IFMT(info.external_attr >> 16), "file of unknown kind")
    return FOLDER if kind == FILE and info.is_dir() else kind


def _zip_bytes(archive: Path) -> int:
    with zipfile.ZipFile(archive) as file:
        return sum(info.file_size for info in file.infolist())


class _Header(tarfile.TarInfo):
    """A member's header, read so that a truncated archive is detected.

    The module tarfile accepts an archive that was truncated between two members, or whose next header is damaged, as
    complete. Here only the block of zeros at the end of every tar is accepted as the end.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Parse one block."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError:
            if len(buf) != tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it has no end marker") from None
            if any(buf):
                raise tarfile.ReadError("a header is invalid") from None
            raise  # the end marker
        if header.size < 0 or (header.type not in TAR_KINDS and header.size > MAX_HEADER):
            raise tarfile.ReadError("a header has an impossible size")
        return header

    @classmethod
    def fromtarfile(cls, file: tarfile.TarFile) -> Self:
        """Read a header with its extended headers, whose content newer versions of Python check.

        The module tarfile takes an invalid one as the end, too.
        """
        try:
            return super().fromtarfile(file)
        except tarfile.InvalidHeaderError:  # type: ignore[attr-defined]  # which the type stubs lack
            raise tarfile.ReadError("a header is invalid") from None


class _Tar(tarfile.TarFile):
    """A tar file; declares its list of headers that were read, which the type stubs lack."""

    members: list[tarfile.TarInfo]


_Stream = IO[bytes] | gzip.GzipFile


def _tar_reader(decompressed: Callable[[IO[bytes]], AbstractContextManager[_Stream]]) -> _Reader:
    def members(archive: Path) -> Iterator[_Member]:
        with open(archive, "rb") as packed, decompressed(packed) as stream:
            yield from _tar_members(packed, stream)
            _read_to_the_end(stream)

    return _Reader(members, lambda _: 0)


def _read_to_the_end(stream: _Stream) -> None:
    """Read a decompressor to its end, where its checksum is."""
    for _ in range(MAX_AFTER // CHUNK):
        if not stream.read(CHUNK):
            return
    raise tarfile.ReadError("it continues after its end marker")


def _tar_members(packed: IO[bytes], stream: _Stream) -> Iterator[_Member]:
    with _Tar(fileobj=stream, tarinfo=_Header) as file:
        before, offset = 0, 0
        while (info := file.next()) is not None:
            if file.offset <= offset:  # a negative size in an extended header would cause an endless loop
                raise tarfile.ReadError("a member ends before it begins")
            offset = file.offset
            now = packed.tell()
            yield _Member(info.name, _tar_kind(info), info.size, now - before, partial(_content, file, info))
            before = now
            file.members.clear()  # else it would keep all headers in memory


def _content(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = file.extractfile(info)
    if content is None:
        raise tarfile.ReadError("a file has no content")
    return content


def _tar_kind(info: tarfile.TarInfo) -> str:
    return "sparse file" if info.issparse() else TAR_KINDS.get(info.type, "file of unknown kind")


# ---------------------------------------------------------------------------------------------------------- what it is

ZIP = _Reader(_zip_members, _zip_bytes)
TAR = _tar_reader(nullcontext)
READERS = {
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,  # an empty archive
    b"\x1f\x8b": _tar_reader(gzip.open),
    b"BZh": _tar_reader(bz2.open),
    b"\xfd7zXZ\0": _tar_reader(lzma.open),
}


def _reader(archive: Path) -> _Reader | None:
    """The reader of a file, by its first bytes; None if it is not an archive."""
    head = _head(archive)
    for magic, reader in READERS.items():
        if head.startswith(magic):
            return reader
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")  # it has a checksum
    except (tarfile.HeaderError, ValueError):
        return None
    return TAR


def _head(archive: Path) -> bytes:
    try:
        with open(archive, "rb") as stream:
            return stream.read(tarfile.BLOCKSIZE)
    except OSError as error:
        raise DataError(f"{archive} cannot be read ({error.strerror}); make it readable") from None


@contextmanager
def _clear_failures(archive: Path, into: Path) -> Iterator[None]:
    try:
        yield
        return
    except DAMAGE as error:
        message = _damaged(archive, error)
    except NotImplementedError as error:  # a compression method that `zipfile` does not support
        message = f"the archive {archive} cannot be unpacked here ({first_line(error)}); {FIX}"
    except OSError as error:
        if error.errno is None:  # from a decompressor
            message = _damaged(archive, error)
        elif error.errno in DISK_FULL:
            message = f"the disk of {into.parent} has no space for the contents of {archive}; free some"
        else:
            fix = FIXES.get(error.errno, "make this folder writable")
            message = f"the archive {archive} cannot be unpacked into {into.parent} ({error.strerror}); {fix}"
    raise DataError(message) from None


def _damaged(archive: Path, error: Exception) -> str:
    return f"the archive {archive} is damaged or truncated ({first_line(error)}); replace it with a complete one"
