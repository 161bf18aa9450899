"""Download a published data set, or take archives put there by hand, check and unpack them: completely or not at all.

The archives are in ``archives/``, and the data set in a folder of its name. It is unpacked into a temporary folder and
renamed when it is complete; `MARK` inside records the archives. Anything else that is found in its place, or in the
place of an archive, belongs to the user and is left as it is.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from zsad.data.catalogue import Archive, DatasetFacts, datasets
from zsad.data.unpack import not_an_archive, unpack
from zsad.errors import DISK_FULL, ConfigError, DataError, nearest_hint
from zsad.files.download import DownloadError, SourceError, alone, fetch_from
from zsad.files.json_files import read_json, write_json
from zsad.files.provenance import file_sha256

ARCHIVES = "archives"  # folder of the archives of all data sets
MARK = ".unpacked.json"  # in the folder of a data set that was unpacked by this module
SLACK = 1.5  # times the reported size of a data set
EXPANSION, ALLOWANCE = 10, 10**9  # limit for a data set of unknown size: a factor of its archives, plus bytes
SHOWN = 3  # names of archives in one message

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """An archive as it is on this machine.

    Attributes:
        file: its name below the folder of archives.
        size: bytes.
        sha256: 64 hexadecimal digits.
        into: folder that it is unpacked into, relative to the data set's folder.
    """

    file: str
    size: int
    sha256: str
    into: str


def download_dataset(
    name: str, download_to: Path, record: Path, *, progress: bool = False, by_command: bool = False
) -> Path:
    """Download a published data set, and write a record of its archives.

    Args:
        name: as in the catalogue.
        download_to: folder of all downloads.
        record: where to write JSON with the keys ``dataset, title, licence, root, archives``.
        progress: show bars if standard error is a terminal.
        by_command: whether ``zsad download`` is running, so that messages do not recommend it.

    Returns:
        The folder of the categories.

    Raises:
        ConfigError: there is no such data set.
        DownloadError: it comes as a package.
        DataError, DownloadError: see `acquire`.
    """
    facts = datasets().get(name)
    if facts is None:
        raise ConfigError(f"there is no published data set '{name}'{nearest_hint(name, datasets())}")
    if facts.package:
        raise DownloadError(
            f"{facts.title} comes as the Python package {facts.package.name} and is not downloaded; run "
            f"`{facts.package.command}`"
        )
    folder = acquire(name, facts, download_to, progress=progress, by_command=by_command)
    root = folder / facts.root
    contents = {
        "dataset": name,
        "title": facts.title,
        "licence": facts.licence,
        "root": root.as_posix(),
        "archives": [found._asdict() for found in _marked(folder)],
    }
    # One after the other, since each would treat the unfinished record of another as the remains of a killed process.
    # The lock is not that of the folder, which a process removes as it leaves it, whoever may hold it by then.
    with _clear_failures(facts, download_to), alone(record, download_to / f".{record.name}.lock"):
        if not _is_record(record, contents):
            write_json(record, contents)
    return root


def _is_record(record: Path, contents: Mapping[str, Any]) -> bool:
    """Whether a record has these contents."""
    try:
        return record.exists() and read_json(record) == contents
    except DataError:  # damaged, or removed since
        return False


def acquire(
    name: str, facts: DatasetFacts, download_to: Path, *, progress: bool = False, by_command: bool = False
) -> Path:
    """Download and unpack a data set; of several processes one does so, and the others wait.

    Args:
        name: of its folder.
        download_to: folder of all downloads; created if necessary.
        progress: show bars if standard error is a terminal.
        by_command: see `download_dataset`.

    Returns:
        The folder that the archives were unpacked into; the categories are in ``facts.root`` below it.

    Raises:
        DownloadError: an archive can only be downloaded by hand, or no address has it; see `fetch_from`.
        DataError: an existing archive is not the right one or cannot be unpacked safely; an existing folder is the
            user's own; there is no space; a folder is not writable.
    """
    target = download_to / name
    if os.path.lexists(target):  # without the lock, which needs a writable folder
        _check_mark(target, facts)
        return target
    with _clear_failures(facts, download_to):
        download_to.mkdir(parents=True, exist_ok=True)
        with alone(target, download_to / f".{name}.lock"):
            if os.path.lexists(target):
                _check_mark(target, facts)
            else:
                _make(name, facts, target, progress, None if by_command else f"zsad download {name}")
    return target


def _make(name: str, facts: DatasetFacts, target: Path, progress: bool, ahead: str | None) -> None:
    """Download missing archives, unpack all beside the target, and rename."""
    for stale in target.parent.glob(f".{name}.partial-*"):  # of a process that was killed
        shutil.rmtree(stale)
    found = _found_archives(facts, target.parent / ARCHIVES, progress, ahead)
    partial = target.parent / f".{name}.partial-{os.getpid()}"
    partial.mkdir()
    try:
        _unpack_all(facts, found, target.parent / ARCHIVES, partial, progress)
        write_json(partial / MARK, {"archives": [archive._asdict() for archive in found]})
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    logger.info("unpacked %s into %s; its archives are no longer needed", facts.title, target)


def _found_archives(facts: DatasetFacts, folder: Path, progress: bool, ahead: str | None) -> list[Found]:
    """The archives of a data set in ``folder``, downloaded if necessary and checked."""
    if not facts.archives:
        raise DownloadError(
            f"{facts.title} is not offered as archives; get it from {facts.homepage} (licence: {facts.licence}) and "
            "set dataset.root to its folder"
        )
    missing = [archive for archive in facts.archives if not os.path.lexists(folder / archive.file)]
    if by_hand := [archive for archive in missing if not archive.urls]:  # reported before anything slow begins
        raise DownloadError(_must_be_fetched(facts, by_hand, folder))
    found = []
    for archive in facts.archives:
        path = folder / archive.file
        if archive in missing:
            _fetch(facts, archive, path, progress, ahead)
        sha256 = archive.sha256 if archive in missing else None  # a downloaded archive has been checked
        found.append(_checked(facts, archive, path, sha256))
    return found


def _fetch(facts: DatasetFacts, archive: Archive, path: Path, progress: bool, ahead: str | None) -> None:
    try:
        fetch_from(
            archive.urls,
            path,
            name=f"the archive {archive.file} of {facts.title}",
            sha256=archive.sha256,
            size=archive.size,
            progress=progress,
            ahead=ahead,
            check=not_an_archive,
        )
    except SourceError as error:
        by_hand = f" (by hand: {archive.by_hand})" if archive.by_hand else ""
        raise DownloadError(f"{error}{by_hand}") from None


def _must_be_fetched(facts: DatasetFacts, missing: Sequence[Archive], folder: Path) -> str:
    paths = ", ".join(str(folder / archive.file) for archive in missing[:SHOWN])
    more = f", and {len(missing) - SHOWN} more (`zsad datasets --json` lists them)" if len(missing) > SHOWN else ""
    first = missing[0]
    return (
        f"{facts.title} must be downloaded by hand: for {first.file}, {first.by_hand}; put missing files at: "
        f"{paths}{more} (licence: {facts.licence}; homepage: {facts.homepage})"
    )


def _checked(facts: DatasetFacts, archive: Archive, path: Path, sha256: str | None) -> Found:
    """Return the facts of an archive if it is the right one; its SHA-256 is computed unless it is known already."""
    fix = "move it away" + (", so that it is downloaded" if archive.urls else "") + ", or replace it with the right one"
    if what := not_an_archive(path):
        raise DataError(f"{path} is {what}, not the archive of {facts.title}; {fix}")
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        raise DataError(f"{path} is not the archive of {facts.title}: it has {size} bytes, not {archive.size}; {fix}")
    sha256 = sha256 or file_sha256(path)
    if archive.sha256 is None:
        logger.warning("there is no published SHA-256 for %s; computed: %s", path, sha256)
    elif sha256 != archive.sha256:
        raise DataError(
            f"{path} is not the archive of {facts.title}: its SHA-256 is {sha256}, not {archive.sha256}; {fix}"
        )
    return Found(archive.file, size, sha256, archive.into)


def _unpack_all(facts: DatasetFacts, found: Sequence[Found], archives: Path, into: Path, progress: bool) -> None:
    """Unpack archives, together no more than the limit for the data set."""
    if (facts.unpacked_bytes or 0) > shutil.disk_usage(into).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    left = _limit(facts, found)
    for archive in found:
        folder = into / archive.into
        folder.mkdir(parents=True, exist_ok=True)
        left -= unpack(archives / archive.file, folder, limit=left, progress=progress)
    if not (into / facts.root).is_dir():
        files = ", ".join(archive.file for archive in found[:SHOWN])
        raise DataError(
            f"there is no folder {facts.root} in {files}, where the images of {facts.title} are expected; unpack it "
            "yourself and set dataset.root to the folder of the categories"
        )


def _limit(facts: DatasetFacts, found: Sequence[Found]) -> int:
    """How many bytes the archives may unpack to."""
    if facts.unpacked_bytes is not None:
        return int(SLACK * facts.unpacked_bytes)
    return EXPANSION * sum(archive.size for archive in found) + ALLOWANCE


def _check_mark(target: Path, facts: DatasetFacts) -> None:
    """Reject a folder that was not unpacked from the archives of the catalogue."""
    found = {archive.file: archive for archive in _marked(target)}
    published = {archive.file: archive for archive in facts.archives}
    others = [file for file in {**published, **found} if not _is_same(published.get(file), found.get(file))]
    if others:
        raise DataError(
            f"{target} was unpacked from other archives than {facts.title} has now (differing: "
            f"{', '.join(others[:SHOWN])}); set dataset.root to it to use it as it is, or move it away"
        )


def _is_same(published: Archive | None, found: Found | None) -> bool:
    if published is None or found is None:
        return False
    return published.into == found.into and published.sha256 in (None, found.sha256)


def _marked(target: Path) -> list[Found]:
    """The archives that a folder was unpacked from.

    Raises:
        DataError: it was not made by this program.
    """
    mark = target / MARK
    if not mark.is_file():
        raise DataError(
            f"{target} exists but was not unpacked by zsad; set dataset.root to it to use it as it is, or move it away"
        )
    try:
        return [Found(**archive) for archive in read_json(mark)["archives"]]
    except (DataError, KeyError, TypeError):
        raise DataError(
            f"{mark} is damaged, so that the contents of {target} are unknown; set dataset.root to this folder to use "
            "it as it is, or move it away"
        ) from None


@contextmanager
def _clear_failures(facts: DatasetFacts, folder: Path) -> Iterator[None]:
    try:
        yield
        return
    except OSError as error:
        if error.errno in DISK_FULL:
            message = f"the disk of {folder} has no space for {facts.title}; free some, or set dataset.download_to"
        else:
            reason = error.strerror or type(error).__name__
            message = (
                f"{facts.title} cannot be kept in {folder} ({reason}); make this folder writable, or "
                "set dataset.download_to"
            )
    raise DataError(message) from None
