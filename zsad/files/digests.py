"""Digests of a result file's own bytes, stored in the file and checked while it is read.

The HDF5 content is followed by a table with the end and the XXH3 checksum of each block, and by a SHA-256 of the
table::

    content | end and checksum of each block, 8 bytes each | SHA-256 | bytes of content, number of blocks, mark

HDF5 itself ignores bytes after its content. The bytes are checked before HDF5 parses them, so that a damaged file
cannot mislead it, and each block is checked once per open file. Blocks begin where the writer began a large write, such
as the features of an image, which are then read without a byte of another block. Anyone who can write the file can also
write matching digests: they detect accidents, not intent.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from zsad.errors import DamagedFileError, DataError, first_line

BLOCK = 1 << 21  # most bytes; more would not stay in the processor's cache until their checksum is computed
MARK = b"zsaddig1"
FOOTER = struct.Struct(
    "<32sQQ8s"
)  # SHA-256 of the table and of the following numbers, bytes of content, number of blocks, mark
ENTRY = np.dtype([("end", "<u8"), ("checksum", "<u8")])
KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


def append_digests(path: Path, starts: Iterable[int] = ()) -> None:
    """Append the digests of a file's content to it.

    Args:
        starts: where blocks begin, in bytes, besides those that `BLOCK` requires.
    """
    buffer = memoryview(bytearray(BLOCK))
    with path.open("rb+", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        ends = _ends(size, starts)
        table = np.zeros(len(ends), ENTRY)
        table["end"] = ends
        start = 0
        for number, end in enumerate(ends):
            block = buffer[: end - start]
            _fill(file.fileno(), block, start)
            table["checksum"][number] = xxhash.xxh3_64_intdigest(block)
            start = end
        file.seek(size)
        rest = memoryview(table.tobytes() + _footer(table.tobytes(), size, len(ends)))
        while rest:
            rest = rest[file.write(rest) :]


def _ends(size: int, starts: Iterable[int]) -> list[int]:
    """Where blocks end, ascending."""
    cuts = sorted({start for start in starts if 0 < start < size} | {size})
    return [min(end, cut) for begin, cut in pairwise([0, *cuts]) for end in range(begin + BLOCK, cut + BLOCK, BLOCK)]


def _footer(table: bytes, size: int, count: int) -> bytes:
    unsigned = FOOTER.pack(bytes(32), size, count, MARK)
    return FOOTER.pack(hashlib.sha256(table + unsigned).digest(), size, count, MARK)


class CheckedFile(io.RawIOBase):
    """The content of a file with digests, for HDF5; everything that is read is checked.

    Attributes:
        damage: the mismatch that was found, part of a sentence; empty so far if there is none.

    Raises:
        DataError: it does not exist, cannot be read, or is not a regular file.
        DamagedFileError: it has no digests, or they contradict each other.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.damage = ""
        self._descriptor = -1  # Python closes what could not be opened, too
        self._descriptor = _opened(path)
        try:
            self._read_table()
        except BaseException:
            self.close()
            raise
        self._place = 0
        self._is_checked = bytearray(len(self._ends))

    def check(self) -> None:
        """Check all blocks that have not been read yet.

        Raises:
            DamagedFileError: a block does not match its checksum.
        """
        try:
            for number, is_checked in enumerate(self._is_checked):
                if not is_checked:
                    self._checked_block(number)
        except OSError as error:
            raise DamagedFileError(self.path, self.damage or f"cannot be read ({first_line(error)})") from None

    def readinto(self, buffer: Any) -> int:
        """Read from the current position.

        Raises:
            OSError: a block does not match its checksum.
        """
        view = memoryview(buffer).cast("B")
        place, stop = self._place, min(self._place + len(view), self._size)
        number = bisect_right(self._ends, place)
        while place < stop:
            start, end = self._starts[number], self._ends[number]
            length = min(end, stop) - place
            piece = view[:length]
            if length == end - start:
                _fill(self._descriptor, piece, place)
                if not self._is_checked[number]:
                    self._compare(number, piece)
            elif self._is_checked[number]:
                _fill(self._descriptor, piece, place)
            else:
                piece[:] = self._checked_block(number)[place - start : place - start + length]
            view, place, number = view[length:], place + length, number + 1
        done = max(0, stop - self._place)
        self._place += done
        return done

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position in the content."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """The position in the content."""
        return self._place

    def close(self) -> None:
        """Close the file."""
        if not self.closed and self._descriptor >= 0:
            os.close(self._descriptor)
        super().close()

    def _read_table(self) -> None:
        total = os.fstat(self._descriptor).st_size
        footer = os.pread(self._descriptor, FOOTER.size, max(0, total - FOOTER.size))
        if len(footer) < FOOTER.size or not footer.endswith(MARK):
            raise DamagedFileError(
                self.path, "is not a readable HDF5 file of this version (it has no digest of its content at its end)"
            )
        size: int
        count: int
        _, size, count, _ = FOOTER.unpack(footer)
        self._size = size
        if total != self._size + count * ENTRY.itemsize + FOOTER.size:
            raise DamagedFileError(self.path, "is not a readable HDF5 file (its size has changed)")
        table = os.pread(self._descriptor, count * ENTRY.itemsize, self._size)
        if _footer(table, self._size, count) != footer:
            raise DamagedFileError(self.path, "is damaged (its digests contradict each other)")
        entries = np.frombuffer(table, ENTRY)
        self._checksums: list[int] = entries["checksum"].tolist()
        self._ends: list[int] = entries["end"].tolist()
        self._starts = [0, *self._ends[:-1]]
        if self._ends[-1:] != [self._size] or any(
            not 0 < end - start <= BLOCK for start, end in zip(self._starts, self._ends, strict=True)
        ):
            raise DamagedFileError(
                self.path, "is not a readable HDF5 file of this version (its digests have another format)"
            )

    def _checked_block(self, number: int) -> memoryview:
        """Read and check a block of which only a part is requested."""
        start = self._starts[number]
        content = memoryview(bytearray(self._ends[number] - start))
        _fill(self._descriptor, content, start)
        self._compare(number, content)
        return content

    def _compare(self, number: int, content: memoryview) -> None:
        if xxhash.xxh3_64_intdigest(content) != self._checksums[number]:
            start, end = self._starts[number], self._ends[number]
            self.damage = self.damage or f"is damaged (its bytes {start} to {end - 1} do not match their digest)"
            raise OSError(self.damage)
        self._is_checked[number] = 1


def _fill(descriptor: int, view: memoryview, place: int) -> None:
    """Read bytes from a position.

    Raises:
        OSError: the file ends too early.
    """
    while view:
        count = os.preadv(descriptor, [view], place)
        if not count:
            raise OSError("it was truncated while it was read")
        view, place = view[count:], place + count


def _opened(path: Path) -> int:
    """Open a regular file and return its descriptor; a pipe, whose opening would block, is rejected."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISREG(kind):
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISREG(kind):
                return descriptor
            os.close(descriptor)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    name = next((name for is_so, name in KINDS if is_so(kind)), "a device")
    raise DataError(f"{path} is {name}, not a regular file; move it away and run again")
