"""Download files: completely or not at all, continued after broken connections, and checked.

A file is written to ``NAME.part`` beside its target and renamed when it is complete and correct. The next attempt
continues a broken one if the server or the file's SHA-256 can confirm that both are of the same file; with a SHA-256,
also from another server.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from filelock import FileLock

from zsad.errors import DISK_FULL, ZsadError
from zsad.files.provenance import file_sha256
from zsad.progress import Progress

CHUNK = 256 * 1024  # bytes
CONNECT_SECONDS, SILENCE_SECONDS = 10.0, 30.0
FAILURES = 4  # in a row, none of which got further than the previous ones
PAUSE_SECONDS = 0.5  # before the next attempt; doubled with each failure in a row
BUSY = (408, 425, 429, 500, 502, 503, 504)  # statuses that may change a moment later
GONE = (404, 410)
YES = ("1", "ON", "YES", "TRUE")

logger = logging.getLogger(__name__)


class DownloadError(ZsadError):
    """A file cannot be downloaded, or is not what it should be."""


class SourceError(DownloadError):
    """An address failed, not this machine: another address may work.

    Attributes:
        fault: the cause, a part of a sentence, e.g. ``"404 Not Found"``.
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


class Wanted(NamedTuple):
    """A file to be downloaded; see `fetch`."""

    url: str
    path: Path
    name: str
    sha256: str | None
    size: int | None
    ahead: str | None
    check: Callable[[Path], str] | None


class _InterruptionError(Exception):
    """The server sent nothing, or not all; another attempt may succeed."""


def fetch(
    url: str,
    path: Path,
    *,
    name: str,
    sha256: str | None = None,
    size: int | None = None,
    progress: bool = False,
    ahead: str | None = None,
) -> None:
    """Download a file that has one address; see `fetch_from`."""
    fetch_from([url], path, name=name, sha256=sha256, size=size, progress=progress, ahead=ahead)


def fetch_from(
    urls: Sequence[str],
    path: Path,
    *,
    name: str,
    sha256: str | None = None,
    size: int | None = None,
    progress: bool = False,
    ahead: str | None = None,
    check: Callable[[Path], str] | None = None,
) -> None:
    """Download a file, unless it exists; of several processes one does it, and the others wait.

    Args:
        urls: addresses of the file, tried in order, at least one; redirections are followed.
        path: target; folders are created.
        name: its name in messages, e.g. ``"model 'sam-vit-b'"``.
        sha256: required hash, 64 hexadecimal digits; None if unknown.
        size: required size, bytes; None if unknown.
        progress: show a bar if standard error is a terminal.
        ahead: the command that downloads it ahead, for messages.
        check: returns what a received file is if it is a wrong one, e.g. ``"a page"``; else an empty text.

    Raises:
        SourceError: no address has it: it is missing, refused, unreachable, or of wrong size, hash or kind.
        DownloadError: ``HF_HUB_OFFLINE`` is set, the disk is full, or the folder is not writable.
    """
    wanted = Wanted(urls[0], path, name, sha256.lower() if sha256 else None, size, ahead, check)
    if path.exists():
        return
    if is_offline():
        raise DownloadError(
            f"{name} is not on this machine and HF_HUB_OFFLINE forbids its download; {_by_other_means(wanted)}"
        )
    with _clear_failures(wanted):
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path, path.with_name(f"{path.name}.lock")):
            if not path.exists():
                _fetch_from(urls, wanted, progress)


def is_offline() -> bool:
    """Whether the environment forbids network access, in the form of the Hugging Face hub's client."""
    return (os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or "").upper() in YES


@contextmanager
def alone(path: Path, lock: Path) -> Iterator[None]:
    """Let only one process at a time make a file or folder; ``lock`` is a file beside it."""
    with FileLock(lock):
        yield
    # A process that waits for the lock removed here finds the finished file as well, and does nothing.
    if path.exists():
        lock.unlink(missing_ok=True)


class _Part:
    """The received part of a file, and the server's mark of its version."""

    def __init__(self, wanted: Wanted) -> None:
        self.path = wanted.path.with_name(f"{wanted.path.name}.part")
        self._mark = wanted.path.with_name(f"{wanted.path.name}.part.version")
        self._url = wanted.url

    @property
    def size(self) -> int:
        """Number of received bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> str:
        """The mark of the version, for the header ``If-Range``; empty if this address gave none."""
        if not self._mark.exists():
            return ""
        url, _, version = self._mark.read_text(encoding="utf-8", errors="replace").partition("\n")
        return version if url == self._url else ""

    def begin(self, version: str) -> None:
        """Start again with a version."""
        self.discard()
        if version:
            self._mark.write_text(f"{self._url}\n{version}", encoding="utf-8")

    def discard(self) -> None:
        """Remove the received part."""
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Move the complete file to its target."""
        with open(self.path, "rb") as stream:
            os.fsync(stream.fileno())
        self._mark.unlink(missing_ok=True)
        os.replace(self.path, path)


def _fetch_from(urls: Sequence[str], wanted: Wanted, progress: bool) -> None:
    """Try one address after the other."""
    faults = []
    for url in urls:
        try:
            return _fetch(wanted._replace(url=url), progress)
        except SourceError as error:
            if len(urls) == 1:
                raise
            logger.warning("%s cannot be downloaded from %s: %s", wanted.name, url, error.fault)
            faults.append(error.fault if url in error.fault else f"{url} ({error.fault})")
    raise SourceError(_no_address(wanted, faults), "no address has it")


def _fetch(wanted: Wanted, progress: bool) -> None:
    logger.info("downloading %s from %s to %s", wanted.name, wanted.url, wanted.path)
    part = _Part(wanted)
    was_begun = part.size > 0
    _receive(wanted, part, progress)
    problem = _problem(wanted, part)
    if problem and was_begun:  # the earlier attempt may have been for another file
        part.discard()
        _receive(wanted, part, progress)
        problem = _problem(wanted, part)
    if problem:
        part.discard()
        message = f"{wanted.name} is not the expected file: {problem}"
        raise SourceError(f"{message}; run again, or get it from another source and save it as {wanted.path}", problem)
    part.finish(wanted.path)


def _receive(wanted: Wanted, part: _Part, progress: bool) -> None:
    """Send requests until the file is complete, or no more progress is made."""
    furthest, failures = part.size, 0
    with Progress(f"downloading {wanted.name}", bar=progress) as way:
        while True:
            try:
                return _ask(wanted, part, way)
            except _InterruptionError as interruption:
                reason = str(interruption)
            failures = 0 if part.size > furthest else failures + 1
            furthest = max(furthest, part.size)
            if failures == FAILURES:
                raise SourceError(_gave_up(wanted, part, reason), reason)
            logger.info("%s: %s after %d bytes; trying again", wanted.name, reason, part.size)
            time.sleep(PAUSE_SECONDS * 2**failures)


def _ask(wanted: Wanted, part: _Part, way: Progress) -> None:
    """Receive the missing bytes, or the whole file if the server does not send parts.

    Raises:
        _InterruptionError: another attempt may get further.
        SourceError: no further attempt can succeed.
    """
    if 0 < part.size == wanted.size:
        return
    if not _can_be_continued(wanted, part):
        part.discard()
    try:
        response = requests.get(
            wanted.url, headers=_headers(part), stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS)
        )
    except requests.RequestException as error:
        host = urlsplit(wanted.url).netloc
        raise _InterruptionError(f"{host} cannot be reached ({type(error).__name__})") from None
    with response:
        _check_status(wanted, response)
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            _check_announced_size(wanted, part, response)
            if _whole_size(response) == part.size:
                return
            part.discard()
            raise _InterruptionError("the server has less than was received")
        is_part = response.status_code == HTTPStatus.PARTIAL_CONTENT
        if is_part and not _fits(response, part):
            part.discard()
            raise _InterruptionError("the server sent another part than requested")
        _check_announced_size(wanted, part, response)
        if not is_part:
            part.begin(_version(response))
        try:
            _write(response, part, way)
        except requests.RequestException:
            raise _InterruptionError("the connection broke") from None


def _can_be_continued(wanted: Wanted, part: _Part) -> bool:
    """Whether a mixture of two versions of the file would be detected."""
    return wanted.sha256 is not None or part.version != ""


def _headers(part: _Part) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # parts are counted in bytes of the file itself
    if part.size > 0:
        headers["Range"] = f"bytes={part.size}-"
        if part.version:
            headers["If-Range"] = part.version
    return headers


def _check_status(wanted: Wanted, response: requests.Response) -> None:
    status = response.status_code
    if response.ok or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    answer = f"{status} {response.reason}".strip()
    if status in BUSY:
        raise _InterruptionError(f"{urlsplit(wanted.url).netloc} answers {answer}")
    reason = f"is not at {wanted.url}" if status in GONE else f"cannot be downloaded from {wanted.url}"
    raise SourceError(f"{wanted.name} {reason} ({answer}); {_from_elsewhere(wanted)}", answer)


def _fits(response: requests.Response, part: _Part) -> bool:
    """Whether a part that is sent continues the received part."""
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    same_version = not part.version or _version(response) in ("", part.version)
    return first == str(part.size) and same_version


def _version(response: requests.Response) -> str:
    """The server's mark of this version of the file; a weak mark does not distinguish versions byte by byte."""
    mark = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if not mark or mark.startswith("W/") else mark


def _whole_size(response: requests.Response) -> int | None:
    """Size of the file, not of the part that is sent, as declared by the server."""
    if "Content-Range" in response.headers:
        size = response.headers["Content-Range"].rpartition("/")[2]
    else:
        size = response.headers.get("Content-Length", "") if response.ok else ""
    return int(size) if size.isdecimal() else None


def _check_announced_size(wanted: Wanted, part: _Part, response: requests.Response) -> None:
    """Reject a file of the wrong size, or without space for it, before it replaces the received part."""
    size = _whole_size(response)
    if size is None:
        return
    if wanted.size is not None and size != wanted.size:
        fault = _wrong_size(wanted, size)
        raise SourceError(f"{wanted.name} is not the expected file: {fault}; {_from_elsewhere(wanted)}", fault)
    if size - part.size > shutil.disk_usage(part.path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(response: requests.Response, part: _Part, way: Progress) -> None:
    way.start(_whole_size(response), part.size)
    with open(part.path, "ab") as stream:
        for chunk in response.iter_content(CHUNK):
            stream.write(chunk)
            way.add(len(chunk))


def _problem(wanted: Wanted, part: _Part) -> str:
    """The fault of the received file; empty if there is none."""
    if wanted.size is not None and part.size != wanted.size:
        return _wrong_size(wanted, part.size)
    if wanted.sha256 is not None and (digest := file_sha256(part.path)) != wanted.sha256:
        return f"the SHA-256 of the file from {wanted.url} is {digest}, not {wanted.sha256}"
    if wanted.check is not None and (what := wanted.check(part.path)):
        return f"{wanted.url} sent {what}"
    return ""


def _wrong_size(wanted: Wanted, size: int) -> str:
    return f"{wanted.url} sent {size} bytes, not {wanted.size}"


def _gave_up(wanted: Wanted, part: _Part, reason: str) -> str:
    if part.size > 0 and _can_be_continued(wanted, part):
        return f"the download of {wanted.name} stopped after {part.size} bytes ({reason}); run again to continue it"
    return f"{wanted.name} cannot be downloaded because {reason}; run again later, or {_by_other_means(wanted)}"


def _no_address(wanted: Wanted, faults: Sequence[str]) -> str:
    part = _Part(wanted)
    further = f"to continue after {part.size} bytes" if part.size > 0 and wanted.sha256 is not None else "later"
    return (
        f"{wanted.name} cannot be downloaded from any of its {len(faults)} addresses: {', '.join(faults)}; run again "
        f"{further}, or {_from_elsewhere(wanted)}"
    )


def _from_elsewhere(wanted: Wanted) -> str:
    return f"download it in another way, e.g. with a browser, and save it as {wanted.path}"


def _by_other_means(wanted: Wanted) -> str:
    ahead = f"download it first with network access (`{wanted.ahead}`), or " if wanted.ahead else ""
    return f"{ahead}save {wanted.url} as {wanted.path}"


@contextmanager
def _clear_failures(wanted: Wanted) -> Iterator[None]:
    folder = wanted.path.parent
    try:
        yield
        return
    except OSError as error:
        if error.errno in DISK_FULL:
            message = f"the disk of {folder} has no space for {wanted.name}; free some"
        else:
            reason = error.strerror or type(error).__name__
            message = f"{wanted.name} cannot be written to {folder} ({reason}); make this folder writable"
    raise DownloadError(message) from None
