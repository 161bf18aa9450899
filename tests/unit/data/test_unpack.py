"""What is unpacked is plain files inside the folder, of a size that was allowed; anything else is one sentence."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zsad.data import unpack as module
from zsad.data.unpack import not_an_archive, unpack
from zsad.errors import DataError

IMAGE = np.random.default_rng(0).bytes(6000)
FILES = {"set/a/0.png": IMAGE, "set/b c/ü.png": IMAGE[:7], "set/empty.txt": b""}
SIZE = 6007
LIMIT = 10_000
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}
FIX = "; unpack it yourself, if you trust it, and set dataset.root to the folder"


def tar_of(*members: tarfile.TarInfo | tuple[str, bytes], **options: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as file:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                file.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return stream.getvalue()


def zipped_link(name: str, target: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "data" / "set").mkdir(parents=True)
    return tmp_path / "data" / "set"


def saved(tmp_path: Path, content: bytes, name: str = "archive.bin") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sentence(archive: Path, into: Path, limit: int = LIMIT) -> str:
    with pytest.raises(DataError) as caught:
        unpack(archive, into, limit=limit)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    # whatever the archive holds, nothing comes to lie outside, and nothing but plain files and folders inside
    around = [path for path in archive.parent.rglob("*") if path != archive and into not in path.parents]
    assert sorted(around) == [into.parent, into]
    assert all(stat.S_ISREG(path.lstat().st_mode) or path.is_dir() for path in into.rglob("*"))
    return str(caught.value).replace(str(archive), "ARCHIVE")


ARCHIVES = {ending: pack(tar_of(*FILES.items())) for ending, pack in PACKERS.items()} | {
    "zip": zip_of(*FILES.items()),
    "zip stored": zip_of(*FILES.items(), compression=zipfile.ZIP_STORED),
    "zip lzma": zip_of(*FILES.items(), compression=zipfile.ZIP_LZMA),
    "tar gnu": tar_of(*FILES.items(), format=tarfile.GNU_FORMAT),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_every_kind_is_told_by_its_content_and_gives_the_same_files(kind: str, tmp_path: Path, into: Path) -> None:
    archive = saved(tmp_path, ARCHIVES[kind], "wrong_ending.rar")
    assert not_an_archive(archive) == ""
    assert unpack(archive, into, limit=SIZE) == SIZE
    assert contents(into) == FILES


def test_names_longer_than_a_header_and_empty_folders_are_unpacked(tmp_path: Path, into: Path) -> None:
    name = "/".join(["x" * 99] * 5) + ".png"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        archive = saved(tmp_path, tar_of(special("./", tarfile.DIRTYPE), special("hollow", tarfile.DIRTYPE),
                                         (f"./{name}", IMAGE), format=form))  # fmt: skip
        unpack(archive, into, limit=LIMIT)
        assert contents(into) == {name: IMAGE}
        assert (into / "hollow").is_dir()
        shutil.rmtree(into)
        into.mkdir()


def test_permissions_and_times_inside_are_left_aside(tmp_path: Path, into: Path) -> None:
    folder = special("set", tarfile.DIRTYPE)
    folder.mode, folder.mtime = 0o555, 0
    file = tarfile.TarInfo("set/0.png")
    file.mode, file.mtime, file.uid = 0o6777, 0, 12345
    info = zipfile.ZipInfo("set/1.png", (1980, 1, 1, 0, 0, 0))
    info.external_attr = (stat.S_IFREG | 0o4777) << 16
    unpack(saved(tmp_path, tar_of(folder, file)), into, limit=LIMIT)
    unpack(saved(tmp_path, zip_of((info, IMAGE))), into, limit=LIMIT)
    mask = os.umask(0)
    os.umask(mask)
    for path in (into / "set/0.png", into / "set/1.png"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
        assert path.stat().st_uid == os.getuid()
        assert path.stat().st_mtime > (tmp_path / "archive.bin").stat().st_mtime - 60
    assert stat.S_IMODE((into / "set").stat().st_mode) == 0o777 & ~mask


def test_what_macos_adds_is_left_out(tmp_path: Path, into: Path) -> None:
    junk = [("__MACOSX/set/._0.png", b"?"), ("set/._0.png", b"?"), ("set/.DS_Store", b"?")]
    for archive in (tar_of(("set/0.png", IMAGE), *junk), zip_of(*junk, ("set/1.png", IMAGE))):
        assert unpack(saved(tmp_path, archive), into, limit=LIMIT) == len(IMAGE)
    assert contents(into) == {"set/0.png": IMAGE, "set/1.png": IMAGE}


OUTSIDE = {
    "../evil.png": "which leads out of the folder",
    "set/../../evil.png": "which leads out of the folder",
    "set/..": "which leads out of the folder",
    "/tmp/evil.png": "which is an absolute path",
    "//evil.png": "which is an absolute path",
    "C:evil.png": "which is a path of Windows",
    "C:/evil.png": "which is a path of Windows",
    "..\\evil.png": "which is a path of Windows",
    "\\\\server\\share\\evil.png": "which is a path of Windows",
}


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize(("name", "fault"), OUTSIDE.items())
def test_a_path_out_of_the_folder_is_refused(
    pack: Callable[..., bytes], name: str, fault: str, tmp_path: Path, into: Path
) -> None:
    archive = saved(tmp_path, pack(("good.png", IMAGE), (name, b"evil")))
    assert sentence(archive, into) == f"the archive ARCHIVE is not safe to unpack because of {name!r}, {fault}{FIX}"


def test_a_folder_out_of_the_folder_is_refused(tmp_path: Path, into: Path) -> None:
    for archive in (tar_of(special("../evil", tarfile.DIRTYPE)), zip_of(("../evil/", b""))):
        assert "which leads out of the folder" in sentence(saved(tmp_path, archive), into)


def test_a_path_out_of_the_folder_in_an_extended_header_is_refused(tmp_path: Path, into: Path) -> None:
    info = tarfile.TarInfo("harmless.png")
    info.pax_headers = {"path": "../" + 200 * "x"}
    assert "which leads out of the folder" in sentence(saved(tmp_path, tar_of(info)), into)
    info.pax_headers = {"path": "null\0character"}
    assert "which contains a null character" in sentence(saved(tmp_path, tar_of(info)), into)


NO_FILES = {
    "symbolic link": (tar_of(special("to", tarfile.SYMTYPE, "/etc")), "'to', which is a link"),
    "link inside": (tar_of(("a", b""), special("to", tarfile.SYMTYPE, "a")), "'to', which is a link"),
    "link, then a file below": (
        tar_of(special("to", tarfile.SYMTYPE, ".."), ("to/evil.png", b"evil")),
        "'to', which is a link",
    ),
    "hard link": (tar_of(("a", b""), special("to", tarfile.LNKTYPE, "../x")), "'to', which is a link"),
    "device": (tar_of(special("null", tarfile.CHRTYPE)), "'null', which is a device"),
    "block device": (tar_of(special("disk", tarfile.BLKTYPE)), "'disk', which is a device"),
    "pipe": (tar_of(special("pipe", tarfile.FIFOTYPE)), "'pipe', which is a pipe"),
    "unknown": (tar_of(special("odd", b"Z")), "'odd', which is a file of unknown kind"),
    "zipped link": (zip_of(zipped_link("to", b"/etc")), "'to', which is a link"),
    "zipped link, then a file below": (
        zip_of(zipped_link("to", b".."), ("to/evil.png", b"evil")),
        "'to', which is a link",
    ),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_neither_file_nor_folder_is_refused(kind: str, tmp_path: Path, into: Path) -> None:
    archive, what = NO_FILES[kind]
    assert (
        sentence(saved(tmp_path, archive), into) == f"the archive ARCHIVE is not safe to unpack because of {what}{FIX}"
    )


@pytest.mark.parametrize(
    "members",
    [
        [("a.png", b"1"), ("a.png", b"2")],
        [("a.png", b"1"), ("./a.png", b"2")],
        [("a", b"1"), ("a/b.png", b"2")],
        [("a/b.png", b"1"), ("a", b"2")],
    ],
)
@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_taken_is_refused(
    pack: Callable[..., bytes], members: list[tuple[str, bytes]], tmp_path: Path, into: Path
) -> None:
    archive = saved(tmp_path, pack(*members))
    name = members[1][0]
    assert sentence(archive, into) == f"the archive ARCHIVE has {name!r} twice, or as a file and as a folder{FIX}"
    assert b"2" not in contents(into).values()


def understating(archive: bytes) -> bytes:
    """A zip whose directory says that the first member has ten bytes."""
    place = archive.index(b"PK\x01\x02") + 24
    return archive[:place] + (10).to_bytes(4, "little") + archive[place + 4 :]


def test_more_than_the_limit_is_not_written(tmp_path: Path, into: Path) -> None:
    zeros = [("0.png", bytes(6000)), ("1.png", bytes(6000))]
    many = "the archive ARCHIVE unpacks to more than 10000 bytes" + FIX
    assert sentence(saved(tmp_path, zip_of(*zeros)), into) == many
    assert contents(into) == {}  # a zip says beforehand what comes
    assert sentence(saved(tmp_path, gzip.compress(tar_of(*zeros))), into) == many
    assert set(contents(into)) == {"0.png"}


def test_bytes_are_counted_whatever_is_announced(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = saved(tmp_path, zip_of(("0.png", bytes(6000)), ("1.png", bytes(6000))))
    members = module._zip_members
    lying = module._Reader(lambda path: (member._replace(size=1) for member in members(path)), lambda _: 2)
    monkeypatch.setattr(module, "READERS", {b"PK\x03\x04": lying})
    monkeypatch.setattr(module, "CHUNK", 100)
    assert "more than 10000 bytes" in sentence(archive, into)
    assert sum(map(len, contents(into).values())) <= LIMIT


def test_a_directory_that_understates_sizes_gives_no_more_than_it_says(tmp_path: Path, into: Path) -> None:
    archive = saved(tmp_path, understating(zip_of(("0.png", bytes(6000)))))
    assert "is damaged or truncated" in sentence(archive, into)
    assert sum(map(len, contents(into).values())) <= 10


def test_junk_is_counted_too(tmp_path: Path, into: Path) -> None:
    archive = saved(tmp_path, gzip.compress(tar_of(("._0.png", bytes(LIMIT + 1)))))
    assert "more than 10000 bytes" in sentence(archive, into)


def test_too_many_members_are_refused(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    archive = saved(tmp_path, tar_of(*((f"{index}.png", b"") for index in range(4))))
    assert sentence(archive, into) == f"the archive ARCHIVE has more than 3 files and folders{FIX}"


def test_a_header_of_a_gigabyte_is_not_read(tmp_path: Path, into: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        info = special("long", kind)
        info.size = 2**30
        archive = saved(tmp_path, gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(20_000)))
        assert "is damaged or truncated (a header has an impossible size)" in sentence(archive, into)


def test_an_invalid_extended_header_is_not_the_end(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer versions of Python check the content of such a header; any version may check more."""
    process = tarfile.TarInfo._proc_pax

    def check(self: tarfile.TarInfo, file: tarfile.TarFile) -> tarfile.TarInfo:
        if self.offset:
            raise tarfile.InvalidHeaderError("invalid header")
        return process(self, file)

    monkeypatch.setattr(tarfile.TarInfo, "_proc_pax", check)
    assert "is damaged or truncated (a header is invalid)" in sentence(saved(tmp_path, ARCHIVES["tar"]), into)


def test_headers_that_lead_in_circles_come_to_an_end(tmp_path: Path, into: Path) -> None:
    for size in ("-2048", "-1536"):  # to before the first header, and to that header itself
        backwards = tarfile.TarInfo("back.png")
        backwards.pax_headers = {"size": size}
        assert "(a member ends before it begins)" in sentence(saved(tmp_path, tar_of(backwards)), into)
    nested = special("././@LongLink", tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT)
    assert "is damaged" in sentence(saved(tmp_path, nested * 5000), into)


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_was_cut_off_is_noticed_wherever_it_was(
    kind: str, tenth: int, tmp_path: Path, into: Path
) -> None:
    content = ARCHIVES[kind]
    if kind in ("tar", "tar gnu"):  # what comes after the end mark would not be missed
        content = content.rstrip(b"\0")
    message = sentence(saved(tmp_path, content[: len(content) * tenth // 10]), into)
    assert message.startswith("the archive ARCHIVE is damaged or truncated (")
    assert message.endswith("); replace it with a complete one")


@pytest.mark.parametrize("kind", ["tar", "tar gnu"])
def test_a_tar_that_was_cut_off_between_two_files_is_noticed(kind: str, tmp_path: Path, into: Path) -> None:
    content = ARCHIVES[kind]
    with tarfile.open(fileobj=io.BytesIO(content)) as file:
        between = [member.offset for member in file.getmembers()][1:]
    for place in between:
        assert "(it has no end marker)" in sentence(saved(tmp_path, content[:place]), into)
        shutil.rmtree(into)
        into.mkdir()


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz", "zip", "zip stored"])
def test_a_byte_that_changed_on_the_way_is_noticed(kind: str, tmp_path: Path, into: Path) -> None:
    content = bytearray(ARCHIVES[kind])
    content[len(content) // 2] ^= 0x55
    assert "ARCHIVE is damaged or truncated (" in sentence(saved(tmp_path, bytes(content)), into)


def test_the_checksum_at_the_end_of_a_stream_is_looked_at(tmp_path: Path, into: Path) -> None:
    content = bytearray(ARCHIVES["tar.gz"])
    content[-8] ^= 1
    assert "CRC" in sentence(saved(tmp_path, bytes(content)), into)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html>log in, please</html>", "not an archive (it begins with '<!DOCTYPE html><html>log')"),
        (b"", "an empty file"),
        (b"\xff\xd8\xff\xe0", "not an archive (it begins with '����')"),
        (bytes(10240), "not an archive (it begins with "),
        (b"line\nbreak", "not an archive (it begins with 'line\\nbreak')"),
    ],
)
def test_what_is_no_archive_is_shown(content: bytes, what: str, tmp_path: Path, into: Path) -> None:
    archive = saved(tmp_path, content, "visa.tar.xz")
    assert not_an_archive(archive).startswith(what)
    message = sentence(archive, into)
    assert message.startswith(f"ARCHIVE is {what}")
    assert message.endswith("; perhaps the site answered with a web page: replace it with the archive itself")


def test_a_packed_file_that_is_no_tar_and_an_archive_of_nothing_are_refused(tmp_path: Path, into: Path) -> None:
    assert "a header is invalid" in sentence(saved(tmp_path, gzip.compress(b"?" * 2000)), into)
    for hollow in (zip_of(), gzip.compress(tar_of()), tar_of(special("set", tarfile.DIRTYPE))):
        assert "contains no files" in sentence(saved(tmp_path, hollow), into)


def test_an_encrypted_zip_is_named(tmp_path: Path, into: Path) -> None:
    archive = bytearray(zip_of(("0.png", IMAGE)))
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    assert sentence(saved(tmp_path, bytes(archive)), into) == f"the archive ARCHIVE is encrypted{FIX}"


def test_a_method_that_the_library_does_not_know_is_named(tmp_path: Path, into: Path) -> None:
    archive = bytearray(zip_of(("0.png", IMAGE)))
    archive[8] = archive[archive.index(b"PK\x01\x02") + 10] = 9  # "deflate64"
    message = sentence(saved(tmp_path, bytes(archive)), into)
    assert message.startswith("the archive ARCHIVE cannot be unpacked here (")
    assert message.endswith(FIX)


def test_a_full_disk_is_noticed_before_and_while_writing(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = f"the disk of {into.parent} has no space for the contents of ARCHIVE; free some"
    usage = shutil.disk_usage(tmp_path)
    archive = saved(tmp_path, zip_of(("0.png", bytes(6000))))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5999))
        assert sentence(archive, into) == full
        assert contents(into) == {}

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write", fails)
    assert sentence(archive, into) == full


def test_a_name_that_the_disk_cannot_hold_and_a_file_that_cannot_be_read_are_named(tmp_path: Path, into: Path) -> None:
    archive = saved(tmp_path, zip_of(("x" * 300, b"")))
    assert sentence(archive, into) == (
        f"the archive ARCHIVE cannot be unpacked into {into.parent} (File name too long){FIX}"
    )
    archive.unlink()
    assert sentence(archive, into) == "ARCHIVE cannot be read (No such file or directory); make it readable"


def test_headers_are_not_kept_in_memory(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    following = tarfile.TarFile.next
    monkeypatch.setattr(tarfile.TarFile, "next", lambda file: kept.append(len(file.members)) or following(file))
    unpack(saved(tmp_path, tar_of(*((f"{index}.png", b"") for index in range(50)))), into, limit=LIMIT)
    assert max(kept) <= 1


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar here")
@pytest.mark.parametrize("option", ["-c", "-cz", "-cj", "-cJ", "--format=v7 -c", "--format=posix -c"])
def test_what_the_program_tar_packs_is_unpacked(option: str, tmp_path: Path, into: Path) -> None:
    source = tmp_path / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    packed = subprocess.run(["tar", *option.split(), "-f", "-", "."], cwd=source, capture_output=True, check=False)
    if packed.returncode != 0:
        pytest.skip(f"tar {option} does not work here")
    assert unpack(saved(tmp_path, packed.stdout), into, limit=LIMIT) == SIZE
    assert contents(into) == FILES


def test_a_bar_is_shown_on_a_terminal(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    unpack(saved(tmp_path, ARCHIVES["tar.gz"], "set.tar.gz"), into, limit=LIMIT, progress=True)
    assert "unpacking set.tar.gz" in stream.getvalue()
