"""A published data set is whole and right or absent, and nothing of the user's is touched."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from file_server import FileServer, ServedFile, hurry, running_file_server
from zsad.data import download_dataset as module
from zsad.data.catalogue import Archive, DatasetFacts
from zsad.data.download_dataset import acquire, download_dataset
from zsad.errors import ConfigError, ZsadError
from zsad.files import download
from zsad.files.json_files import read_json, write_json

FILES = {
    f"top/{category}/test/good/{index}.png": np.random.default_rng([index, len(category)]).bytes(900)
    for index in range(3)
    for category in ("bolt", "nut")
}
TABLES = {"splits/all.csv": b"image,split\n"}
CHUNK = 100  # bytes
PAGE = b"<!DOCTYPE html><html><body>Log in, please</body></html>"


def tar_gz(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return gzip.compress(stream.getvalue())


IMAGES_ARCHIVE, TABLES_ARCHIVE = tar_gz(FILES), tar_gz(TABLES)
IMAGES_SHA256 = hashlib.sha256(IMAGES_ARCHIVE).hexdigest()
OTHER_ARCHIVE = tar_gz({"other/0.png": b"0"})


@pytest.fixture(scope="module")
def running() -> Iterator[FileServer]:
    with running_file_server() as server:
        yield server


@pytest.fixture
def server(running: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """A server with two mirrors of the images and one address of the tables; the client does not pause."""
    running.files = {
        "/a/images.tar.gz": ServedFile(IMAGES_ARCHIVE),
        "/b/images.tar.gz": ServedFile(IMAGES_ARCHIVE, version='"b"'),
        "/tables.tar.gz": ServedFile(TABLES_ARCHIVE),
    }
    running.requests.clear()
    hurry(monkeypatch, CHUNK)
    return running


@pytest.fixture
def facts(server: FileServer) -> DatasetFacts:
    """Bolts and nuts, in an archive with two mirrors and known hash, and tables in one of which nothing is known."""
    images = Archive(
        file="images.tar.gz",
        urls=tuple(f"{server.endpoint}/{mirror}/images.tar.gz" for mirror in "ab"),
        sha256=IMAGES_SHA256,
        size=len(IMAGES_ARCHIVE),
        verified="made here",
    )
    tables = Archive(
        file="tables/tables.tar.gz", urls=(f"{server.endpoint}/tables.tar.gz",), verified="unverified: -", into="top"
    )
    return DatasetFacts(
        title="Bolts and Nuts",
        citation="-",
        licence="CC BY 4.0: any use, with attribution",
        homepage="https://example.org/bolts",
        categories={"bolt": None, "nut": None},
        root="top",
        archives=(images, tables),
    )


def changed(facts: DatasetFacts, **changes: object) -> DatasetFacts:
    """Facts in which the archive of the images is another."""
    images = Archive(**{**facts.archives[0].model_dump(), **changes})
    return facts.model_copy(update={"archives": (images, *facts.archives[1:])})


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if name != module.MARK}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


WHOLE = FILES | {f"top/{name}": content for name, content in TABLES.items()}


def sentence(facts: DatasetFacts, here: Path, kind: type[ZsadError] = ZsadError) -> str:
    """What is said; afterwards there is no data set and nothing half-made, but what the user had is there."""
    before = contents(here) if here.is_dir() else {}
    with pytest.raises(kind) as caught:
        acquire("bolts", facts, here)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    if here.is_dir():
        assert {item for item in before.items() if not item[0].endswith(".lock")} <= set(contents(here).items())
        assert not list(here.glob(".bolts.partial-*"))
        assert ("bolts" in names(here)) == any(name.startswith("bolts/") for name in before)
    return str(caught.value)


def put(here: Path, content: bytes, file: str = "images.tar.gz") -> Path:
    path = here / "archives" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_data_set_is_fetched_and_unpacked_once(facts: DatasetFacts, server: FileServer, here: Path) -> None:
    assert acquire("bolts", facts, here) == here / "bolts"
    assert contents(here / "bolts") == WHOLE
    assert names(here) == ["archives", "bolts"]
    assert [request.path for request in server.requests] == ["/a/images.tar.gz", "/tables.tar.gz"]
    shutil.rmtree(here / "archives")  # to save disk
    assert acquire("bolts", facts, here) == here / "bolts"
    assert len(server.requests) == 2
    assert names(here) == ["bolts"]


def test_the_record_says_what_the_data_set_was_made_from(
    facts: DatasetFacts, here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "datasets", lambda: {"bolts": facts})
    with caplog.at_level(logging.INFO):
        download_dataset("bolts", here, here / "bolts.json")
    tables_sha256 = hashlib.sha256(TABLES_ARCHIVE).hexdigest()
    assert read_json(here / "bolts.json") == {
        "dataset": "bolts",
        "title": "Bolts and Nuts",
        "licence": "CC BY 4.0: any use, with attribution",
        "root": (here / "bolts" / "top").as_posix(),
        "archives": [
            {"file": "images.tar.gz", "size": len(IMAGES_ARCHIVE), "sha256": IMAGES_SHA256, "into": "."},
            {"file": "tables/tables.tar.gz", "size": len(TABLES_ARCHIVE), "sha256": tables_sha256, "into": "top"},
        ],
    }
    assert f"no published SHA-256 for {here}/archives/tables/tables.tar.gz; computed: {tables_sha256}" in caplog.text
    assert (
        sum(
            message.startswith("downloading the archive images.tar.gz of Bolts and Nuts: 100 %")
            for message in caplog.messages
        )
        == 1
    )
    written = (here / "bolts.json").read_bytes()
    (here / "bolts.json").unlink()
    download_dataset("bolts", here, here / "bolts.json")
    assert (here / "bolts.json").read_bytes() == written
    with pytest.raises(ConfigError, match=r"^there is no published data set 'bolt'; did you mean 'bolts'\?$"):
        download_dataset("bolt", here, here / "bolt.json")


def test_of_two_that_write_the_record_one_waits_and_finds_it_written(
    facts: DatasetFacts, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a third process leaves the folder meanwhile, and removes the lock of that."""
    monkeypatch.setattr(module, "datasets", lambda: {"bolts": facts})
    record, written = here / "bolts.json", []
    acquire("bolts", facts, here)

    def write(path: Path, contents: dict[str, object]) -> None:
        written.append(path)
        with download.alone(here / "bolts", here / ".bolts.lock"):
            pass
        others.append(pool.submit(download_dataset, "bolts", here, record))
        with pytest.raises(TimeoutError):
            others[0].result(timeout=0.3)
        write_json(path, contents)

    monkeypatch.setattr(module, "write_json", write)
    others: list[Future[Path]] = []
    with ThreadPoolExecutor() as pool:
        root = download_dataset("bolts", here, record)
        assert others[0].result() == root
    assert written == [record]
    assert read_json(record)["root"] == root.as_posix()
    assert names(here) == ["archives", "bolts", "bolts.json"]


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_server_that_cuts_every_tenth_off_ends_in_the_same_data_set(
    tenth: int, facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    cut = len(IMAGES_ARCHIVE) * tenth // 10
    server.files["/a/images.tar.gz"].cuts = [cut]
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE
    assert server.parts()[:2] == ["", f"bytes={cut // CHUNK * CHUNK}-"]


@pytest.mark.parametrize(
    "bad",
    [
        ServedFile(IMAGES_ARCHIVE, statuses=[404]),
        ServedFile(IMAGES_ARCHIVE, statuses=[403]),
        ServedFile(IMAGES_ARCHIVE, statuses=[500] * 4),
        ServedFile(IMAGES_ARCHIVE, always_cut=0),
        ServedFile(IMAGES_ARCHIVE[:-1]),
        ServedFile(OTHER_ARCHIVE),
        ServedFile(IMAGES_ARCHIVE[::-1]),
        ServedFile(PAGE),
        ServedFile(PAGE, announces_size=False),
    ],
    ids=["404", "403", "500", "silent", "short", "other", "wrong hash", "page", "page of unknown size"],
)
def test_where_one_mirror_fails_the_next_is_taken(
    bad: ServedFile, facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    server.files["/a/images.tar.gz"] = bad
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE
    assert (here / "archives" / "images.tar.gz").read_bytes() == IMAGES_ARCHIVE


def test_where_all_mirrors_fail_the_sentence_names_each_and_what_can_be_done_by_hand(
    facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    facts = changed(facts, by_hand="fill in the form at https://example.org/form")
    server.files["/a/images.tar.gz"] = ServedFile(b"", statuses=[404])
    server.files["/b/images.tar.gz"] = ServedFile(OTHER_ARCHIVE)
    assert sentence(facts, here, download.DownloadError) == (
        "the archive images.tar.gz of Bolts and Nuts cannot be downloaded from any of its 2 addresses: "
        f"{server.endpoint}/a/images.tar.gz (404 Not Found), {server.endpoint}/b/images.tar.gz sent "
        f"{len(OTHER_ARCHIVE)} bytes, not {len(IMAGES_ARCHIVE)}; run again later, or download it in "
        f"another way, e.g. with a browser, and save it as {here}/archives/images.tar.gz (by hand: "
        "fill in the form at https://example.org/form)"
    )
    server.files["/b/images.tar.gz"] = ServedFile(IMAGES_ARCHIVE)
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE


def test_a_page_in_place_of_an_archive_of_which_nothing_is_known_is_not_kept(
    facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    server.files["/tables.tar.gz"] = ServedFile(PAGE)
    message = sentence(facts, here)
    assert (
        f"{server.endpoint}/tables.tar.gz sent not an archive (it begins with '<!DOCTYPE html><html><bo');" in message
    )
    assert not (here / "archives/tables/tables.tar.gz").exists()
    server.files["/tables.tar.gz"] = ServedFile(TABLES_ARCHIVE)
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE


def test_what_was_put_there_by_hand_is_checked_and_not_fetched(
    facts: DatasetFacts, server: FileServer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    put(here, IMAGES_ARCHIVE)
    assert ("HF_HUB_OFFLINE forbids its download; download it first with network access (`zsad download bolts`)") in (
        sentence(facts, here)
    )
    put(here, TABLES_ARCHIVE, "tables/tables.tar.gz")
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE
    assert server.requests == []


WRONG = {
    "truncated": (IMAGES_ARCHIVE[:500], f"it has 500 bytes, not {len(IMAGES_ARCHIVE)}"),
    "other": (OTHER_ARCHIVE, f"it has {len(OTHER_ARCHIVE)} bytes, not {len(IMAGES_ARCHIVE)}"),
    "changed": (
        IMAGES_ARCHIVE[:-1] + b"?",
        f"its SHA-256 is {hashlib.sha256(IMAGES_ARCHIVE[:-1] + b'?').hexdigest()}, not {IMAGES_SHA256}",
    ),
    "page": (PAGE, "not an archive (it begins with '<!DOCTYPE html><html><bo')"),
    "empty": (b"", "an empty file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_archive_that_was_put_there_is_named_and_left_alone(
    kind: str, facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    content, what = WRONG[kind]
    path = put(here, content)
    message = sentence(facts, here, ZsadError)
    assert message.startswith(f"{path} is ")
    assert what in message
    assert message.endswith("; move it away, so that it is downloaded, or replace it with the right one")
    assert path.read_bytes() == content
    path.rename(here / "away")
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE


def test_an_archive_that_is_damaged_and_has_no_hash_is_found_when_it_is_unpacked(
    facts: DatasetFacts, here: Path
) -> None:
    path = put(here, TABLES_ARCHIVE[:-20], "tables/tables.tar.gz")
    assert sentence(facts, here).startswith(f"the archive {path} is damaged or truncated (")
    put(here, TABLES_ARCHIVE, "tables/tables.tar.gz")
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE


def test_what_only_the_user_can_fetch_is_asked_for_before_anything_else(
    facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    gated = [
        Archive(file=f"gated/{name}.zip", verified="unverified: -", by_hand="log in at https://example.org/gate")
        for name in "abcde"
    ]
    facts = facts.model_copy(update={"archives": (*facts.archives, *gated)})
    assert sentence(facts, here, download.DownloadError) == (
        "Bolts and Nuts must be downloaded by hand: for gated/a.zip, log in at https://example.org/gate; "
        f"put missing files at: {here}/archives/gated/a.zip, {here}/archives/gated/b.zip, "
        f"{here}/archives/gated/c.zip, and 2 more (`zsad datasets --json` lists them) (licence: CC BY "
        "4.0: any use, with attribution; homepage: https://example.org/bolts)"
    )
    assert server.requests == []


def test_a_data_set_without_archives_names_its_page(facts: DatasetFacts, here: Path) -> None:
    assert sentence(facts.model_copy(update={"archives": ()}), here) == (
        "Bolts and Nuts is not offered as archives; get it from https://example.org/bolts (licence: CC BY 4.0: any "
        "use, with attribution) and set dataset.root to its folder"
    )


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_folder_of_the_users_is_not_touched(
    is_empty: bool, facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    own = here / "bolts" / "bolt" / "mine.png"
    (own.parent if is_empty else own).parent.mkdir(parents=True)
    if not is_empty:
        own.write_bytes(b"mine")
    with pytest.raises(ZsadError) as caught:
        acquire("bolts", facts, here)
    assert str(caught.value) == (
        f"{here}/bolts exists but was not unpacked by zsad; set dataset.root to it to use it as it is, or move it away"
    )
    assert server.requests == []
    assert names(here) == ["bolts"]
    assert contents(here) == ({} if is_empty else {"bolts/bolt/mine.png": b"mine"})


def test_a_data_set_of_other_archives_is_not_taken_for_this_one(facts: DatasetFacts, here: Path) -> None:
    acquire("bolts", facts, here)
    for other in (
        changed(facts, sha256="0" * 64),
        changed(facts, into="elsewhere"),
        changed(facts, file="images2.tar.gz"),
        facts.model_copy(update={"archives": facts.archives[:1]}),
    ):
        message = sentence(other, here)
        assert message.startswith(
            f"{here}/bolts was unpacked from other archives than Bolts and Nuts has now (differing: "
        )
    (here / "bolts" / module.MARK).write_text("{}")
    assert "is damaged, so that the contents of" in sentence(facts, here)
    assert contents(here / "bolts") == WHOLE


def test_an_archive_without_the_folder_of_the_categories_leaves_nothing(facts: DatasetFacts, here: Path) -> None:
    message = sentence(facts.model_copy(update={"root": "Top"}), here)
    assert message.startswith(
        "there is no folder Top in images.tar.gz, tables/tables.tar.gz, where the images of Bolts"
    )
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE


def test_archives_unpack_to_no_more_than_the_data_set_has_altogether(facts: DatasetFacts, here: Path) -> None:
    size = sum(map(len, WHOLE.values()))
    facts = facts.model_copy(update={"unpacked_bytes": (size - 6) * 2 // 3})
    assert "tables.tar.gz unpacks to more than " in sentence(facts, here)
    acquire("bolts", facts.model_copy(update={"unpacked_bytes": (size + 6) * 2 // 3}), here)
    assert contents(here / "bolts") == WHOLE


def test_a_malicious_archive_leaves_nothing(facts: DatasetFacts, here: Path) -> None:
    evil = tar_gz(FILES | {"../../evil.png": b"evil"})
    put(here, evil)
    unpinned = changed(facts, sha256=None, size=None)
    assert "'../../evil.png', which leads out of the folder" in sentence(unpinned, here)
    assert not list(here.parent.rglob("evil.png"))


def test_a_full_disk_is_one_sentence_and_a_rerun_with_space_ends_well(
    facts: DatasetFacts, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
        assert sentence(facts, here) == (
            f"the disk of {here}/archives has no space for the archive images.tar.gz of Bolts and Nuts; free some"
        )
    with monkeypatch.context() as patch:
        known = facts.model_copy(update={"unpacked_bytes": usage.free * 2})
        assert sentence(known, here) == (
            f"the disk of {here} has no space for Bolts and Nuts; free some, or set dataset.download_to"
        )

    def fails(*_: object) -> Iterator[int]:
        yield 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("zsad.data.unpack._write", fails)
        assert sentence(facts, here) == (
            f"the disk of {here} has no space for the contents of {here}/archives/images.tar.gz; free some"
        )
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE


def test_a_place_that_cannot_be_written_to_is_named(
    facts: DatasetFacts, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write_text("in the way")
    assert sentence(facts, here) == (
        f"Bolts and Nuts cannot be kept in {here} (File exists); make this folder writable, or set dataset.download_to"
    )
    here.unlink()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(here))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refused)
        assert "(Permission denied); make this folder writable, or set dataset.download_to" in sentence(facts, here)
    acquire("bolts", facts, here)
    for name in ("open", "mkdir"):  # what is there is used where nothing can be written
        monkeypatch.setattr(os, name, refused)
    assert acquire("bolts", facts, here) == here / "bolts"


KILLED = """
import sys, time
from pathlib import Path
from zsad.data import unpack
from zsad.data.download_dataset import acquire
from zsad.data.catalogue import DatasetFacts

write = unpack._write
def slow(*arguments):
    yield from write(*arguments)
    time.sleep(float(sys.argv[3]))
unpack._write = slow
acquire("bolts", DatasetFacts.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def start(facts: DatasetFacts, here: Path) -> Iterator[Callable[[float], subprocess.Popen[str]]]:
    """Start another process that acquires the data set, slowly."""
    processes = []

    def start_process(pause: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", KILLED, facts.model_dump_json(), str(here), str(pause)]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start_process
    for process in processes:
        process.kill()
        process.communicate()


def test_a_process_that_is_killed_while_it_unpacks_leaves_no_data_set_and_the_next_one_makes_it(
    start: Callable[[float], subprocess.Popen[str]], facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    process = start(30.0)
    wait_until(lambda: any(path.suffix == ".png" for path in here.glob(".bolts.partial-*/**/*")), process)
    process.kill()
    process.wait()
    assert not (here / "bolts").exists()
    assert list(here.glob(".bolts.partial-*"))
    server.requests.clear()
    acquire("bolts", facts, here)
    assert contents(here / "bolts") == WHOLE
    assert server.requests == []  # the archives were there
    assert names(here) == ["archives", "bolts"]


def test_of_two_processes_one_makes_it_and_the_other_waits(
    start: Callable[[float], subprocess.Popen[str]], facts: DatasetFacts, server: FileServer, here: Path
) -> None:
    processes = [start(0.05), start(0.05)]
    for process in processes:
        assert process.wait(60) == 0, process.stderr.read()
    assert contents(here / "bolts") == WHOLE
    assert len(server.requests) == 2
    assert names(here) == ["archives", "bolts"]


def test_of_several_threads_one_makes_it(facts: DatasetFacts, server: FileServer, here: Path) -> None:
    server.files["/a/images.tar.gz"].stalls = [0.2]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: acquire("bolts", facts, here), range(4))) == {here / "bolts"}
    assert contents(here / "bolts") == WHOLE
    assert len(server.requests) == 2


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
