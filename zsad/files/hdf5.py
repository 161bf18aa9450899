"""Base classes of all results in HDF5: atomic writing, checksums, and one clear message for a damaged file.

Every file has the attributes ``format`` and ``provenance`` (JSON), and digests of its bytes (`zsad.files.digests`),
which are checked when it is read. Each format has its own module.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from zsad.errors import DamagedFileError, DataError, first_line
from zsad.files.atomic import atomic_path
from zsad.files.digests import CheckedFile, append_digests
from zsad.files.json_values import without_nan

PIECE = 1 << 16  # bytes; larger writes get their own blocks among the digests


class Reader:
    """An open HDF5 result file; a context manager."""

    _format: str  # empty for any format
    _noun: str
    _has_images = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._bytes = CheckedFile(self.path)
        self._datasets: dict[str, h5py.Dataset] = {}  # opening one takes longer than reading a little of it
        try:
            with self._damage_told():
                self._file = h5py.File(self._bytes, "r")
                found = self._file.attrs.get("format")
                if self._format and found != self._format:
                    raise DamagedFileError(
                        self.path, f"is not a {self._noun} file (format {found!r}, expected {self._format!r})"
                    )
                _refuse_strangers(self._file.id)
                self.image_ids: list[str] = self._file["image_id"].asstr()[:].tolist() if self._has_images else []
                self.provenance: dict[str, Any] = json.loads(self._file.attrs["provenance"])
                self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Read the small datasets completely."""

    def check(self) -> None:
        """Check the parts that have not been read yet, too.

        Raises:
            DamagedFileError: a part differs from what was written.
        """
        self._bytes.check()

    def _read(self, name: str, place: Any) -> np.ndarray:
        """Read a part of a dataset."""
        with self._damage_told():
            if name not in self._datasets:
                self._datasets[name] = self._file[name]
            part: np.ndarray = self._datasets[name][place]
            return part

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        """Raise one clear error for any exception of HDF5 on damaged bytes."""
        if self._bytes.closed:
            raise DataError(f"{self.path} has been closed; open it again to read from it")
        try:
            yield
        except DataError:
            raise
        except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            fault = self._bytes.damage or f"is not a readable HDF5 file ({first_line(error)})"
            raise DamagedFileError(self.path, fault) from None

    def __len__(self) -> int:
        return len(self.image_ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "_file"):
            self._file.close()
        self._bytes.close()


def _refuse_strangers(group: h5py.h5g.GroupID, *, may_have_groups: bool = True) -> None:
    """Reject unexpected members, which may lead to other files or claim more data than the file has.

    By the low-level interface, in a third of the time: this is a large part of opening a small file.
    """
    for name in group:
        said = name.decode(errors="replace")
        if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{said} is a link")
        content = h5py.h5o.open(group, name)
        if isinstance(content, h5py.h5g.GroupID) and may_have_groups:
            _refuse_strangers(content, may_have_groups=False)
        elif isinstance(content, h5py.h5d.DatasetID):
            _refuse_foreign_data(content, said)
        else:
            raise ValueError(f"{said} is not a dataset")


def _refuse_foreign_data(dataset: h5py.h5d.DatasetID, name: str) -> None:
    """Reject a dataset with data in another file or without data."""
    creation = dataset.get_create_plist()
    layout = creation.get_layout()
    if creation.get_external_count() or layout == h5py.h5d.VIRTUAL:
        raise ValueError(f"{name} is in another file")
    if dataset.shape is None or (layout != h5py.h5d.CHUNKED and dataset.get_storage_size() < _nbytes(dataset)):
        raise ValueError(f"{name} has no content")


def _nbytes(dataset: h5py.h5d.DatasetID) -> int:
    size: int = math.prod(dataset.shape) * dataset.dtype.itemsize
    return size


class _Disk(io.FileIO):
    """A file for HDF5 to write to, which reports an error once and then ignores all writes.

    The library itself silently loses what it cannot write while it closes a file, and aborts the process.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None
        self.pieces: set[int] = set()  # positions of large writes

    def write(self, data: Any) -> int:
        """Write all bytes."""
        content = rest = memoryview(data).cast("B")
        if len(content) >= PIECE:
            self.pieces |= {self.tell(), self.tell() + len(content)}
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
            raise
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


@contextmanager
def written(path: Path) -> Iterator[h5py.File]:
    """Create an HDF5 file and flush it to the disk at the end; images are written at once, since each is a chunk."""
    with _Disk(path) as disk:
        try:
            with h5py.File(disk, "w", libver="latest", rdcc_nbytes=0) as file:
                yield file
        finally:
            if disk.failure is not None:
                raise disk.failure
    append_digests(path, disk.pieces)


class Writer:
    """An HDF5 result file in the making; a context manager that keeps the file only if its block succeeds."""

    _format: str

    def __init__(self, path: str | Path, image_ids: Sequence[str], provenance: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.image_ids = list(image_ids)
        self.provenance = dict(provenance)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            self._file = stack.enter_context(written(temporary))
            stack.push(lambda kind, *_: self._finish() if kind is None else None)
            self._file.attrs["format"] = self._format
            self._file.create_dataset("image_id", data=self.image_ids, dtype=h5py.string_dtype())
            self._create()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def _finish(self) -> None:
        self._file.attrs["provenance"] = json.dumps(without_nan(self.provenance), sort_keys=True)

    def _create(self) -> None:
        raise NotImplementedError


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Read the provenance of a result in HDF5 of any kind.

    Raises:
        DataError: it does not exist or is damaged, as far as it is read.
    """
    with _AnyReader(path) as reader:
        return reader.provenance


class _AnyReader(Reader):
    _format = ""
    _noun = "result"
    _has_images = False
