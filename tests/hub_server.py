"""A small stand-in for the Hugging Face hub on this machine: as much of its interface as a download needs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest

SMALL_FILE = 1000  # bytes; the hub stores larger ones by their SHA-256, as weights always are


@dataclass
class Repository:
    """What the hub knows of one model, and how it is to misbehave.

    Attributes:
        files: content by name.
        commit: what the branch ``main`` points to.
        gated: whether files are refused.
        cut_after: bytes after which the connection breaks, once for each name.
        sent_instead: content that is sent for a name in place of the file that its hash belongs to.
    """

    files: dict[str, bytes]
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    gated: bool = False
    cut_after: dict[str, int] = field(default_factory=dict)
    sent_instead: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path) -> Repository:
        """A model with the files of a folder."""
        return cls({path.name: path.read_bytes() for path in folder.iterdir()})


@dataclass
class Hub:
    """A running server.

    Attributes:
        models: repository by id; may be changed while the server runs.
        requests: method, path and range of each request so far.
        down: whether every request is answered with 503.
    """

    endpoint: str
    models: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    down: bool = False

    def sent_files(self) -> list[str]:
        """Names of the files that were sent, in part or whole, in order."""
        return [path.rsplit("/", 1)[1] for method, path, _ in self.requests if method == "GET" and "/resolve/" in path]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Start an empty hub on a free port, and stop it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Let the hub's client ask ``endpoint``, with a local cache of its own and nobody logged in."""
    from huggingface_hub import constants

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    huggingface_hub.close_session()  # its connections belong to an earlier server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub: Hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range", "")))
        if hub.down:
            return self._refuse(503, "")
        if model := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            return self._answer_about(model[1], model[2], model[3] or "main")
        if file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^/]+)", path):
            return self._send_file(*file.groups())
        return self._refuse(404, "RepoNotFound")

    def _answer_about(self, hub_id: str, question: str | None, revision: str) -> None:
        if (repository := self._repository(hub_id, revision)) is None:
            return
        if question == "tree":
            return self._send_json([_entry(name, content) for name, content in repository.files.items()])
        self._send_json(
            {"id": hub_id, "sha": repository.commit, "siblings": [{"rfilename": name} for name in repository.files]}
        )

    def _send_file(self, hub_id: str, revision: str, name: str) -> None:
        if (repository := self._repository(hub_id, revision)) is None:
            return
        if repository.gated:
            return self._refuse(403, "GatedRepo")
        if name not in repository.files:
            return self._refuse(404, "EntryNotFound")
        etag = _etag(repository.files[name])
        content = repository.sent_instead.get(name, repository.files[name])
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = repository.cut_after.pop(name, None)
        self.wfile.write(content[start:cut])
        self.close_connection = self.close_connection or cut is not None

    def _repository(self, hub_id: str, revision: str) -> Repository | None:
        """The model; None, and refused, if there is no such model or revision."""
        repository = self.server.hub.models.get(hub_id)
        if repository is None:
            self._refuse(404, "RepoNotFound")
        elif revision not in ("main", repository.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            return repository
        return None

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    if len(content) > SMALL_FILE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(name: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
    if len(content) > SMALL_FILE:
        entry["lfs"] = {"oid": _etag(content), "size": len(content), "pointerSize": 134}
    return entry
