"""A download is whole and right or absent, whatever the network does; a failure is one sentence."""

from __future__ import annotations

import errno
import hashlib
import io
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from file_server import FileServer, ServedFile, hurry, running_file_server
from zsad.files import download
from zsad.files.download import DownloadError, SourceError, fetch, fetch_from

CONTENT = np.random.default_rng(0).bytes(5000)
OTHER = np.random.default_rng(1).bytes(5000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CHUNK = 100  # bytes
NOTHING_LISTENS = "http://127.0.0.1:9/file"


@pytest.fixture(scope="module")
def running() -> Iterator[FileServer]:
    with running_file_server() as server:
        yield server


@pytest.fixture
def server(running: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """A server with one file, and a client that receives small chunks and does not pause."""
    running.files = {"/file": ServedFile(CONTENT)}
    running.requests.clear()
    hurry(monkeypatch, CHUNK)
    return running


@pytest.fixture
def get(server: FileServer, tmp_path: Path) -> Callable[..., Path]:
    """Fetch the file into an empty folder, and return its path."""

    def get_file(**options: object) -> Path:
        path = tmp_path / "folder" / "file.bin"
        fetch(f"{server.endpoint}/file", path, name="the file", **options)
        return path

    return get_file


def left_in(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "folder").iterdir())


def sentence(get: Callable[..., Path], **options: object) -> str:
    with pytest.raises(DownloadError) as caught:
        get(**options)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("checks", [{}, {"sha256": SHA256}, {"sha256": SHA256.upper(), "size": len(CONTENT)}])
def test_a_file_is_downloaded_once_and_nothing_lies_beside_it(
    server: FileServer, get: Callable[..., Path], tmp_path: Path, checks: dict[str, object]
) -> None:
    assert get(**checks).read_bytes() == CONTENT
    assert get(**checks).read_bytes() == CONTENT
    assert left_in(tmp_path) == ["file.bin"]
    assert server.parts() == [""]


def test_an_empty_file_and_one_of_unknown_size_are_downloaded_too(server: FileServer, get: Callable[..., Path]) -> None:
    server.files["/file"] = ServedFile(CONTENT, announces_size=False)
    path = get()
    assert path.read_bytes() == CONTENT
    path.unlink()
    server.files["/file"] = ServedFile(b"")
    assert get(size=0).read_bytes() == b""


def test_a_redirection_is_followed(server: FileServer, get: Callable[..., Path]) -> None:
    server.files = {"/file": ServedFile(b"", redirected_to="/elsewhere"), "/elsewhere": ServedFile(CONTENT)}
    assert get(sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("version", ['"1"', None])
def test_a_connection_that_is_cut_is_taken_up_where_it_broke(
    server: FileServer, get: Callable[..., Path], version: str | None
) -> None:
    server.files["/file"] = ServedFile(CONTENT, version=version, cuts=[1000, 0, 2000, 1])
    assert get(sha256=SHA256).read_bytes() == CONTENT
    assert server.parts() == ["", "bytes=1000-", "bytes=1000-", "bytes=3000-", *server.parts()[4:]]
    assert {request.version for request in server.requests[1:]} == {version or ""}


def test_a_connection_that_is_always_cut_ends_well_as_long_as_it_gets_further(
    server: FileServer, get: Callable[..., Path]
) -> None:
    server.files["/file"].always_cut = 300
    assert get().read_bytes() == CONTENT
    assert len(server.requests) == 17


def test_silence_is_a_cut(server: FileServer, get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE_SECONDS", 0.1)
    server.files["/file"].stalls = [0.3]
    assert get().read_bytes() == CONTENT
    first, *others = server.parts()
    assert first == ""
    assert set(others) == {"bytes=2500-"}  # a machine that is busy may be silent once more


def test_a_server_that_ignores_ranges_is_asked_for_the_whole_again(
    server: FileServer, get: Callable[..., Path], tmp_path: Path
) -> None:
    server.files["/file"] = ServedFile(CONTENT, honours_ranges=False, cuts=[1000, 500, 2000])
    assert get(sha256=SHA256).read_bytes() == CONTENT
    assert server.parts() == ["", "bytes=1000-", "bytes=500-", "bytes=2000-"]


def test_a_server_that_sends_another_part_is_asked_for_the_whole(server: FileServer, get: Callable[..., Path]) -> None:
    server.files["/file"] = ServedFile(CONTENT, cuts=[1000], shift=7)
    assert get().read_bytes() == CONTENT
    assert server.parts() == ["", "bytes=1000-", ""]


def test_a_cut_for_ever_keeps_what_came_and_the_next_attempt_continues_it(
    server: FileServer, get: Callable[..., Path], tmp_path: Path
) -> None:
    server.files["/file"] = ServedFile(CONTENT, cuts=[1500], always_cut=0)
    assert sentence(get) == (
        "the download of the file stopped after 1500 bytes (the connection broke); run again to continue it"
    )
    assert left_in(tmp_path) == ["file.bin.lock", "file.bin.part", "file.bin.part.version"]
    server.requests.clear()
    server.files["/file"] = ServedFile(CONTENT)
    assert get().read_bytes() == CONTENT
    assert server.parts() == ["bytes=1500-"]
    assert left_in(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("honours_versions", [True, False])
def test_what_came_of_another_version_is_not_continued(
    server: FileServer, get: Callable[..., Path], honours_versions: bool
) -> None:
    server.files["/file"] = ServedFile(OTHER, cuts=[1500], always_cut=0)
    sentence(get)
    server.files["/file"] = ServedFile(CONTENT, version='"2"', honours_versions=honours_versions)
    assert get().read_bytes() == CONTENT


def test_what_came_of_another_file_is_found_by_the_hash_and_fetched_anew(
    server: FileServer, get: Callable[..., Path]
) -> None:
    server.files["/file"] = ServedFile(OTHER, version=None, cuts=[1500], always_cut=0)
    sentence(get, sha256=SHA256)
    server.requests.clear()
    server.files["/file"] = ServedFile(CONTENT, version=None)
    assert get(sha256=SHA256).read_bytes() == CONTENT
    assert server.parts() == ["bytes=1500-", ""]


@pytest.mark.parametrize("version", [None, 'W/"1"'])
def test_a_mixture_that_nobody_would_notice_is_not_made(
    server: FileServer, get: Callable[..., Path], version: str | None
) -> None:
    server.files["/file"] = ServedFile(CONTENT, version=version, cuts=[1500, 2000])
    assert get().read_bytes() == CONTENT
    assert server.parts() == ["", "", ""]


@pytest.mark.parametrize("options", [{"sha256": SHA256}, {"sha256": SHA256, "size": len(CONTENT)}])
def test_a_part_that_is_whole_already_is_checked_and_taken(
    server: FileServer, get: Callable[..., Path], tmp_path: Path, options: dict[str, object]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.bin.part").write_bytes(CONTENT)
    assert get(**options).read_bytes() == CONTENT
    assert server.parts() == ([] if "size" in options else ["bytes=5000-"])


def test_a_part_that_is_longer_than_the_file_is_dropped(
    server: FileServer, get: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.bin.part").write_bytes(CONTENT + b"more")
    assert get(sha256=SHA256).read_bytes() == CONTENT
    assert server.parts() == ["bytes=5004-", ""]


def test_a_killed_process_leaves_no_file_and_the_next_one_continues(
    server: FileServer, get: Callable[..., Path], tmp_path: Path
) -> None:
    content = 100 * CONTENT
    server.files["/file"] = ServedFile(content, stalls=[30.0])
    path, part = tmp_path / "folder" / "file.bin", tmp_path / "folder" / "file.bin.part"
    program = (
        "import sys\nfrom pathlib import Path\nfrom zsad.files import download\n"
        "download.CHUNK = 20000\ndownload.fetch(sys.argv[1], Path(sys.argv[2]), name='the file')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, f"{server.endpoint}/file", str(path)])
    try:
        wait_until(lambda: part.exists() and part.stat().st_size > 0)
    finally:
        process.kill()
        process.wait()
    assert not path.exists()
    received = part.stat().st_size
    server.requests.clear()
    assert get().read_bytes() == content
    assert server.parts() == [f"bytes={received}-"]


def test_of_several_downloads_at_once_one_is_made(server: FileServer, get: Callable[..., Path], tmp_path: Path) -> None:
    server.files["/file"].stalls = [0.2]
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: get(sha256=SHA256), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.parts() == [""]
    assert left_in(tmp_path) == ["file.bin"]


def test_who_waited_for_a_download_that_failed_makes_it(
    server: FileServer, get: Callable[..., Path], tmp_path: Path
) -> None:
    server.files["/file"] = ServedFile(CONTENT, stalls=[0.2], cuts=[500, 0, 0, 0, 0])
    with ThreadPoolExecutor(2) as pool:
        attempts = [pool.submit(get, sha256=SHA256) for _ in range(2)]
    assert sorted(type(attempt.exception()).__name__ for attempt in attempts) == ["NoneType", "SourceError"]
    assert (tmp_path / "folder" / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("progress", "is_terminal"), [(True, True), (True, False), (False, True)])
def test_a_bar_is_shown_on_a_terminal_and_only_if_asked_for(
    get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, progress: bool, is_terminal: bool
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    get(progress=progress)
    assert ("the file" in stream.getvalue()) == (progress and is_terminal)


def test_a_server_that_is_busy_is_asked_again(server: FileServer, get: Callable[..., Path]) -> None:
    server.files["/file"].statuses = [503, 500, 429]
    assert get().read_bytes() == CONTENT


def test_a_server_that_stays_busy_is_quoted(server: FileServer, get: Callable[..., Path], tmp_path: Path) -> None:
    server.files["/file"].statuses = [503] * 9
    host = server.endpoint.removeprefix("http://")
    path = tmp_path / "folder" / "file.bin"
    assert sentence(get) == (
        f"the file cannot be downloaded because {host} answers 503 Service Unavailable; run again later, or save "
        f"{server.endpoint}/file as {path}"
    )
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, "the file is not at {url} (404 Not Found)"),
        (410, "the file is not at {url} (410 Gone)"),
        (401, "the file cannot be downloaded from {url} (401 Unauthorized)"),
        (403, "the file cannot be downloaded from {url} (403 Forbidden)"),
        (418, "the file cannot be downloaded from {url} (418 I'm a Teapot)"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(
    server: FileServer, get: Callable[..., Path], tmp_path: Path, status: int, expected: str
) -> None:
    server.files["/file"].statuses = [status]
    message = sentence(get)
    assert message.startswith(expected.format(url=f"{server.endpoint}/file"))
    assert message.endswith(
        f"; download it in another way, e.g. with a browser, and save it as {tmp_path}/folder/file.bin"
    )
    assert len(server.requests) == 1


def test_a_server_that_cannot_be_reached_is_named_with_the_way_out(server: FileServer, tmp_path: Path) -> None:
    def get(**options: object) -> None:
        fetch(NOTHING_LISTENS, tmp_path / "file.bin", name="the file", **options)

    assert sentence(get, ahead="zsad download it") == (
        "the file cannot be downloaded because 127.0.0.1:9 cannot be reached (ConnectionError); run "
        "again later, or download it first with network access (`zsad download it`), or save "
        f"{NOTHING_LISTENS} as {tmp_path / 'file.bin'}"
    )
    assert not (tmp_path / "file.bin").exists()


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_mode_asks_nothing_but_takes_what_is_there(
    server: FileServer, get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert sentence(get, ahead="zsad download it") == (
        "the file is not on this machine and HF_HUB_OFFLINE forbids its download; download it first "
        f"with network access (`zsad download it`), or save {server.endpoint}/file as "
        f"{tmp_path}/folder/file.bin"
    )
    assert server.requests == []
    monkeypatch.setenv(variable, "0")
    path = get()
    monkeypatch.setenv(variable, "1")
    assert get() == path


@pytest.mark.parametrize("cuts", [[], [1000]])
def test_content_of_the_wrong_hash_is_refused_and_not_kept(
    server: FileServer, get: Callable[..., Path], tmp_path: Path, cuts: list[int]
) -> None:
    server.files["/file"] = ServedFile(OTHER, cuts=cuts)
    message = sentence(get, sha256=SHA256)
    assert message.startswith(
        f"the file is not the expected file: the SHA-256 of the file from {server.endpoint}/file is "
    )
    assert message.endswith(
        f"not {SHA256}; run again, or get it from another source and save it as {tmp_path}/folder/file.bin"
    )
    assert left_in(tmp_path) == ["file.bin.lock"]
    server.files["/file"] = ServedFile(CONTENT)
    assert get(sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("announces_size", [True, False])
def test_content_of_the_wrong_size_is_refused_and_not_kept(
    server: FileServer, get: Callable[..., Path], tmp_path: Path, announces_size: bool
) -> None:
    # What is announced is refused before it is received.
    cut = 0 if announces_size else None
    server.files["/file"] = ServedFile(CONTENT, announces_size=announces_size, always_cut=cut)
    assert "the file is not the expected file: " in sentence(get, size=4999)
    assert f"{server.endpoint}/file sent 5000 bytes, not 4999" in sentence(get, size=4999)
    assert left_in(tmp_path) == ["file.bin.lock"]


def test_a_full_disk_is_noticed_before_and_while_writing_and_what_came_is_kept(
    server: FileServer, get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = f"the disk of {tmp_path}/folder has no space for the file; free some"
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4999))
        assert sentence(get) == full
        assert left_in(tmp_path) == ["file.bin.lock"]

    def write_some(response: object, part: object, bar: object) -> None:
        part.path.write_bytes(CONTENT[:1200])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(download, "_write", write_some)
        assert sentence(get) == full
    server.requests.clear()
    assert get().read_bytes() == CONTENT
    assert server.parts() == ["bytes=1200-"]


def test_a_folder_that_cannot_be_written_to_is_named(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    assert sentence(get) == (
        f"the file cannot be written to {tmp_path}/folder (File exists); make this folder writable"
    )


@pytest.fixture
def mirrors(server: FileServer, tmp_path: Path) -> Callable[..., Path]:
    """Fetch the file from the first of two mirrors that has it."""
    server.files = {"/a": ServedFile(CONTENT, version='"a"'), "/b": ServedFile(CONTENT, version='"b"')}

    def get_file(**options: object) -> Path:
        path = tmp_path / "folder" / "file.bin"
        fetch_from([f"{server.endpoint}/a", f"{server.endpoint}/b"], path, name="the file", **options)
        return path

    return get_file


def test_the_first_mirror_is_asked_first_and_the_second_only_after_it(
    server: FileServer, mirrors: Callable[..., Path]
) -> None:
    mirrors().unlink()
    assert [request.path for request in server.requests] == ["/a"]
    server.files["/a"].statuses = [503, 404]  # busy is asked again, gone is not
    assert mirrors().read_bytes() == CONTENT
    assert [request.path for request in server.requests] == ["/a", "/a", "/a", "/b"]


def test_a_mirror_that_cannot_be_reached_is_passed_over(server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.bin"
    fetch_from([NOTHING_LISTENS, f"{server.endpoint}/file"], path, name="the file", sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_what_one_mirror_began_the_next_one_continues_only_if_the_hash_can_tell(
    server: FileServer, mirrors: Callable[..., Path]
) -> None:
    def interrupt() -> None:
        server.requests.clear()
        server.files["/a"] = ServedFile(CONTENT, version='"a"', cuts=[1500], always_cut=0)

    interrupt()
    path = mirrors(sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == ("/b", "bytes=1500-", "")  # the mark of one mirror says nothing to another
    path.unlink()
    interrupt()
    assert mirrors().read_bytes() == CONTENT
    assert server.requests[-1] == ("/b", "", "")


def test_what_one_mirror_began_of_another_file_is_found_and_fetched_anew(
    server: FileServer, mirrors: Callable[..., Path]
) -> None:
    server.files["/a"] = ServedFile(OTHER, cuts=[1500], always_cut=0)
    assert mirrors(sha256=SHA256, size=len(CONTENT)).read_bytes() == CONTENT
    assert server.parts()[-2:] == ["bytes=1500-", ""]


def test_a_mirror_with_a_wrong_file_does_not_cost_what_another_one_began(
    server: FileServer, mirrors: Callable[..., Path]
) -> None:
    server.files["/a"] = ServedFile(b"<html>", version=None)
    server.files["/b"] = ServedFile(CONTENT, cuts=[1500], always_cut=0)
    assert "; run again to continue after 1500 bytes, or download it in another way" in sentence(
        mirrors, sha256=SHA256, size=len(CONTENT)
    )
    server.files["/b"] = ServedFile(CONTENT)
    assert mirrors(sha256=SHA256, size=len(CONTENT)).read_bytes() == CONTENT
    assert server.parts()[-1] == "bytes=1500-"


@pytest.mark.parametrize("bad", [OTHER, CONTENT[:-1], b""])
def test_a_wrong_file_on_one_mirror_is_passed_over_and_on_all_it_is_an_error_that_names_them(
    server: FileServer, mirrors: Callable[..., Path], tmp_path: Path, bad: bytes
) -> None:
    server.files["/a"] = ServedFile(bad)
    path = mirrors(sha256=SHA256)
    assert path.read_bytes() == CONTENT
    path.unlink()
    server.files["/b"] = ServedFile(bad)
    digest = hashlib.sha256(bad).hexdigest()
    assert sentence(mirrors, sha256=SHA256) == (
        "the file cannot be downloaded from any of its 2 addresses: the SHA-256 of the file from "
        f"{server.endpoint}/a is {digest}, not {SHA256}, the SHA-256 of the file from "
        f"{server.endpoint}/b is {digest}, not {SHA256}; run again later, or download it in "
        f"another way, e.g. with a browser, and save it as {path}"
    )
    assert left_in(tmp_path) == ["file.bin.lock"]


def test_what_a_check_does_not_like_is_passed_over(server: FileServer, mirrors: Callable[..., Path]) -> None:
    def check(path: Path) -> str:
        return "a page" if path.read_bytes().startswith(b"<html>") else ""

    server.files["/a"] = ServedFile(b"<html>")
    assert mirrors(check=check).read_bytes() == CONTENT
    mirrors().unlink()
    server.files["/b"] = ServedFile(b"<html>")
    assert f"{server.endpoint}/a sent a page, {server.endpoint}/b sent a page; run again" in sentence(
        mirrors, check=check
    )


def test_a_fault_of_this_machine_is_not_blamed_on_a_mirror(
    server: FileServer, mirrors: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        assert "has no space for the file; free some" in sentence(mirrors)
    assert [request.path for request in server.requests] == ["/a"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE forbids" in sentence(mirrors)
    with pytest.raises(DownloadError) as caught:
        mirrors()
    assert not isinstance(caught.value, SourceError)


def test_the_end_is_logged_once_although_the_connection_breaks(
    server: FileServer, get: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    server.files["/file"].cuts = [1234, 700, 2000]
    with caplog.at_level("INFO"):
        get(sha256=SHA256)
    lines = [message for message in caplog.messages if message.startswith("downloading the file: ")]
    assert [re.sub(r", \d+\.\d s$", "", line) for line in lines][-1] == "downloading the file: 100 %"
    assert sum("100 %" in line for line in lines) == 1


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
