"""A web server of files on this machine that misbehaves as it is told."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import pytest

from zsad.files import download


@dataclass
class ServedFile:
    """A file, and how the server is to misbehave over it; may be changed while the server runs.

    Attributes:
        content: its bytes.
        version: sent as ``ETag``; None for a server that marks no versions.
        honours_ranges: whether a part is sent when one is asked for; else the whole.
        honours_versions: whether the whole is sent when a part of another version is asked for.
        announces_size: whether ``Content-Length`` is sent.
        cuts: bytes after which the next answers break, one after the other.
        always_cut: bytes after which every further answer breaks; None for never.
        statuses: what the next answers say in place of sending the file, one after the other.
        stalls: seconds of silence in the middle of the next answers, one after the other.
        redirected_to: path that the client is sent to.
        shift: how much later than asked for a part begins.
    """

    content: bytes
    version: str | None = '"1"'
    honours_ranges: bool = True
    honours_versions: bool = True
    announces_size: bool = True
    cuts: list[int] = field(default_factory=list)
    always_cut: int | None = None
    statuses: list[int] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    redirected_to: str | None = None
    shift: int = 0


class Request(NamedTuple):
    """What a client asked for: path, and its headers ``Range`` and ``If-Range``."""

    path: str
    part: str
    version: str


@dataclass
class FileServer:
    """A running server.

    Attributes:
        endpoint: its address.
        files: by path, which begins with ``/``.
        requests: so far, in order.
    """

    endpoint: str
    files: dict[str, ServedFile] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def parts(self) -> list[str]:
        """The parts that were asked for, in order; empty for the whole."""
        return [request.part for request in self.requests]


def hurry(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Have the client of downloads use the network, receive ``chunk`` bytes at a time, and not pause."""
    monkeypatch.setattr(download, "CHUNK", chunk)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)


@contextmanager
def running_file_server() -> Iterator[FileServer]:
    """Start a server without files on a free port, and stop it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.files = FileServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has gone
            super().handle()

    def do_GET(self) -> None:
        server: FileServer = self.server.files
        asked = Request(self.path, self.headers.get("Range", ""), self.headers.get("If-Range", ""))
        server.requests.append(asked)
        file = server.files.get(self.path)
        if file is None:
            return self._refuse(404)
        if file.redirected_to is not None:
            return self._refuse(302, Location=server.endpoint + file.redirected_to)
        if file.statuses:
            return self._refuse(file.statuses.pop(0))
        start = self._start(file, asked)
        if start and start >= len(file.content):
            return self._refuse(416, **{"Content-Range": f"bytes */{len(file.content)}"})
        self._send(file, start + file.shift if start else 0)

    def _start(self, file: ServedFile, asked: Request) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.part)
        is_other_version = asked.version and file.honours_versions and asked.version != file.version
        return int(wanted[1]) if wanted and file.honours_ranges and not is_other_version else 0

    def _send(self, file: ServedFile, start: int) -> None:
        self.send_response(206 if start else 200)
        if file.version is not None:
            self.send_header("ETag", file.version)
        if file.announces_size:
            self.send_header("Content-Length", str(len(file.content) - start))
        else:
            self.send_header("Connection", "close")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        self.end_headers()
        cut = file.cuts.pop(0) if file.cuts else file.always_cut
        self.close_connection = self.close_connection or cut is not None or not file.announces_size
        content = file.content[start:][:cut]
        middle = len(content) // 2
        self.wfile.write(content[:middle])
        if file.stalls:
            time.sleep(file.stalls.pop(0))
        self.wfile.write(content[middle:])

    def _refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
