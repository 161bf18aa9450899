"""Archives from elsewhere are unpacked without trust: only plain files and folders, only inside, only so much.

The kind of an archive is told by its content. Nothing of it is believed: names are checked before anything is made,
and bytes are counted as they are written. Permissions, owners and times inside are left aside, since archives with
read-only folders exist, and files that are older than what was made before them confuse a workflow.
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
MAX_AFTER = 64 * CHUNK  # bytes after the end mark of a tar, which is filled up to a round size
SHOWN = 24  # first bytes of what is no archive, for the message

FILE, FOLDER = "file", "folder"
IN_THE_WAY = (FileExistsError, NotADirectoryError, IsADirectoryError)
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    RecursionError,  # a tar's headers of headers of headers
    ValueError,  # numbers in headers that are none
)
ZIP_ENCRYPTED = 0x1  # bit of a member's flags
JUNK = ("__MACOSX", ".DS_Store")  # what macOS adds to archives; and files that begin with "._"
MEND = "unpack it yourself, if you trust it, and set dataset.root to the folder"
MENDS = {errno.ENAMETOOLONG: MEND, errno.EIO: "check the disk"}

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
    tarfile.GNUTYPE_SPARSE: "file with holes",
}
ZIP_KINDS = {
    0: FILE,  # made where files have no type
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFIFO: "pipe",
}


class _Member(NamedTuple):
    """A file or folder in an archive, or what should not be there.

    Attributes:
        name: as it stands in the archive.
        kind: `FILE`, `FOLDER`, or a word for anything else.
        size: of its content as announced, bytes.
        packed: how much of the archive has been read with it, bytes since the member before.
        open: gives its content.
    """

    name: str
    kind: str
    size: int
    packed: int
    open: Callable[[], IO[bytes]]


class _Reader(NamedTuple):
    """How archives of one kind are read.

    Attributes:
        members: what is inside, in order; each must be read before the next is asked for.
        announced_bytes: so much comes out by what the archive says beforehand; 0 if it says nothing.
    """

    members: Callable[[Path], Iterator[_Member]]
    announced_bytes: Callable[[Path], int]


def unpack(archive: Path, into: Path, *, limit: int, progress: bool = False) -> int:
    """Unpack an archive (zip; tar, also packed with gzip, bzip2 or xz) into a folder, which exists.

    Files that macOS adds are left out. After an error the folder holds some of the files; it is for the caller to
    remove.

    Args:
        limit: of the bytes that come out.
        progress: show a bar if standard error is a terminal.

    Returns:
        How many bytes came out.

    Raises:
        DataError: no archive, damaged or encrypted; a member that is a link or a device, that lies outside of the
            folder, or that is there twice; more bytes than allowed, or than the disk has; a folder that cannot be
            written to.
    """
    reader = _reader(archive)
    if reader is None:
        what = not_an_archive(archive)
        raise DataError(f"{archive} is {what}; maybe the site answered with a page: replace it by the archive itself")
    with _clear_failures(archive, into):
        announced = reader.announced_bytes(archive)
        _check_limit(archive, announced, limit)
        # Images hardly get smaller: what comes out takes about as much as the archive, or more.
        if max(announced, archive.stat().st_size) > shutil.disk_usage(into).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with Progress(f"unpacking {archive.name}", bar=progress) as way:
            way.start(archive.stat().st_size)
            return _unpack(archive, reader.members(archive), into, limit, way)


def not_an_archive(path: Path) -> str:
    """What a file is that is none of the archives that `unpack` knows, for a message; empty if it is one."""
    if _reader(path) is not None:
        return ""
    start = _head(path)[:SHOWN]
    return f"no archive (it begins with {start.decode('ascii', errors='replace')!r})" if start else "an empty file"


def _unpack(archive: Path, members: Iterator[_Member], into: Path, limit: int, way: Progress) -> int:
    announced, written, files, folders = 0, 0, 0, {into}
    for count, member in enumerate(members, start=1):
        if count > MAX_MEMBERS:
            raise DataError(f"the archive {archive} has more than {MAX_MEMBERS} files and folders; {MEND}")
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
        raise DataError(f"the archive {archive} has no files in it; replace it by the right one")
    return written


def _place(archive: Path, member: _Member) -> PurePosixPath:
    """Where a member goes, relative to the folder.

    Raises:
        DataError: outside of it, or the member is neither file nor folder.
    """
    fault = _fault_of_name(member.name)
    if not fault and member.kind not in (FILE, FOLDER):
        fault = f"which is a {member.kind}"
    place = PurePosixPath(member.name)
    if not fault and member.kind == FILE and not place.parts:
        fault = "which is a file without a name"
    if fault:
        raise DataError(f"the archive {archive} is not safe to unpack because of {member.name!r}, {fault}; {MEND}")
    return place


def _fault_of_name(name: str) -> str:
    """Why nothing of this name is unpacked; empty if it may be."""
    if name.startswith("/"):
        return "which is an absolute path"
    if "\\" in name or re.match("[A-Za-z]:", name):
        return "which is a path of Windows"
    if ".." in name.split("/"):
        return "which leads out of the folder"
    return "which has a null character in it" if "\0" in name else ""


def _is_junk(place: PurePosixPath) -> bool:
    return any(part in JUNK or part.startswith("._") for part in place.parts)


def _make_folder(archive: Path, member: _Member, folder: Path, made: set[Path]) -> None:
    if folder in made:
        return
    with _once(archive, member):
        folder.mkdir(parents=True, exist_ok=True)
    made.add(folder)


def _write(archive: Path, member: _Member, path: Path) -> Iterator[int]:
    """Write the content of a member to a file that must be new; give the size of each piece before it is written."""
    with _once(archive, member), open(path, "xb") as target, member.open() as source:
        while piece := source.read(CHUNK):
            yield len(piece)
            target.write(piece)


@contextmanager
def _once(archive: Path, member: _Member) -> Iterator[None]:
    """Say that a member's name is taken in place of what the system says."""
    try:
        yield
    except IN_THE_WAY:
        message = f"the archive {archive} has {member.name!r} twice, or as a file and as a folder; {MEND}"
        raise DataError(message) from None


def _check_limit(archive: Path, size: int, limit: int) -> None:
    if size > limit:
        raise DataError(f"the archive {archive} unpacks to more than {limit} bytes; {MEND}")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.flag_bits & ZIP_ENCRYPTED:
                raise DataError(f"the archive {archive} is encrypted; {MEND}")
            yield _Member(info.filename, _zip_kind(info), info.file_size, info.compress_size, partial(file.open, info))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    kind = ZIP_KINDS.get(stat.S_IFMT(info.external_attr >> 16), "file of an odd kind")
    return FOLDER if kind == FILE and info.is_dir() else kind


def _zip_bytes(archive: Path) -> int:
    with zipfile.ZipFile(archive) as file:
        return sum(info.file_size for info in file.infolist())


class _Header(tarfile.TarInfo):
    """A member's header, in an archive that is whole.

    The module takes an archive that was cut off between two members, or whose next header is damaged, for one that ends
    there. Only the block of zeros that ends every tar is an end here.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Understand one block."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError:
            if len(buf) != tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it ends without an end mark") from None
            if any(buf):
                raise tarfile.ReadError("what should be a header is none") from None
            raise  # the end mark
        if header.size < 0 or (header.type not in TAR_KINDS and header.size > MAX_HEADER):
            raise tarfile.ReadError("a header of an impossible size")
        return header


class _Tar(tarfile.TarFile):
    """A tar; the headers that it keeps of what it has read are there, though no type says so."""

    members: list[tarfile.TarInfo]


_Stream = IO[bytes] | gzip.GzipFile


def _tar_reader(decompressed: Callable[[IO[bytes]], AbstractContextManager[_Stream]]) -> _Reader:
    def members(archive: Path) -> Iterator[_Member]:
        with open(archive, "rb") as packed, decompressed(packed) as stream:
            yield from _tar_members(packed, stream)
            _read_to_the_end(stream)

    return _Reader(members, lambda _: 0)


def _read_to_the_end(stream: _Stream) -> None:
    """Let a decompressor see its end, where its checksum stands."""
    for _ in range(MAX_AFTER // CHUNK):
        if not stream.read(CHUNK):
            return
    raise tarfile.ReadError("it goes on after its end mark")


def _tar_members(packed: IO[bytes], stream: _Stream) -> Iterator[_Member]:
    with _Tar(fileobj=stream, tarinfo=_Header) as file:
        before, offset = 0, 0
        while (info := file.next()) is not None:
            if file.offset <= offset:  # a negative size in an extended header; it would go round for ever
                raise tarfile.ReadError("a member that ends before it begins")
            offset = file.offset
            now = packed.tell()
            yield _Member(info.name, _tar_kind(info), info.size, now - before, partial(_content, file, info))
            before = now
            file.members.clear()  # it would keep all headers in memory


def _content(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = file.extractfile(info)
    if content is None:
        raise tarfile.ReadError("a file without content")
    return content


def _tar_kind(info: tarfile.TarInfo) -> str:
    return "file with holes" if info.issparse() else TAR_KINDS.get(info.type, "file of an odd kind")


# ---------------------------------------------------------------------------------------------------------- what it is

ZIP = _Reader(_zip_members, _zip_bytes)
TAR = _tar_reader(nullcontext)
READERS = {
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,  # an empty one
    b"\x1f\x8b": _tar_reader(gzip.open),
    b"BZh": _tar_reader(bz2.open),
    b"\xfd7zXZ\0": _tar_reader(lzma.open),
}


def _reader(archive: Path) -> _Reader | None:
    """How a file is read, by its first bytes; None if it is no archive."""
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
    except NotImplementedError as error:  # a method of compression that `zipfile` does not know
        message = f"the archive {archive} cannot be unpacked here ({first_line(error)}); {MEND}"
    except OSError as error:
        if error.errno is None:  # from a decompressor
            message = _damaged(archive, error)
        elif error.errno in DISK_FULL:
            message = f"the disk of {into.parent} has no space for what is in {archive}; free some"
        else:
            mend = MENDS.get(error.errno, "make this folder writable")
            message = f"the archive {archive} cannot be unpacked into {into.parent} ({error.strerror}); {mend}"
    raise DataError(message) from None


def _damaged(archive: Path, error: Exception) -> str:
    return f"the archive {archive} is damaged or was cut off ({first_line(error)}); replace it by a whole one"
