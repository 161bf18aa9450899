"""A shared file is made once, is never changed, and does not stand in the way of anybody who cannot use it."""

from __future__ import annotations

import getpass
import logging
import multiprocessing
import os
import re
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_files import random_tokens, write_features
from zsad.errors import DataError
from zsad.files.digests import append_digests
from zsad.files.features import FEATURES_FORMAT, FeatureReader
from zsad.sharing import files
from zsad.sharing.files import STALE_SECONDS, SharedFile, provide

KEY, OTHER_KEY = "ab" * 32, "ac" * 32
IDS = ["test/0.png", "test/1.png"]
TOKENS = random_tokens(0, (2, 3), (4, 4))


def make(path: Path, key: str = KEY, ids: list[str] = IDS) -> None:
    write_features(path, TOKENS, ids, content_key=key)


def must_not_be_made(path: Path) -> None:
    pytest.fail(f"{path} is computed")


@pytest.fixture
def shared(tmp_path: Path) -> SharedFile:
    """A file that nobody has made yet."""
    (tmp_path / "root").mkdir()
    return SharedFile(tmp_path / "root" / "features", KEY, FeatureReader, IDS)


@pytest.fixture
def made(shared: SharedFile, tmp_path: Path) -> SharedFile:
    """The same, made by somebody else."""
    provide(tmp_path / "else" / "f.h5", shared, make)
    return shared


def entries(shared: SharedFile) -> list[str]:
    return sorted(path.name for path in shared.path.parent.iterdir())


def holds_the_tokens(output: Path) -> bool:
    with FeatureReader(output) as reader:
        return all(np.array_equal(reader.half_tokens(i), TOKENS[i].astype(np.float16)) for i in range(len(IDS)))


def test_the_first_makes_it_and_the_second_links_to_it(
    shared: SharedFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name, making in (("a", make), ("b", must_not_be_made)):
        output = tmp_path / name / "f.h5"
        provide(output, shared, making)
        assert output.readlink() == shared.path
        assert holds_the_tokens(output)
        assert [path.name for path in output.parent.iterdir()] == ["f.h5"]
    assert entries(shared) == [f"{KEY}.h5"]
    owner = getpass.getuser()
    made, taken = caplog.messages
    assert made == f"shared with others: {shared.path}"
    assert re.fullmatch(rf"reused from the shared cache: {shared.path}; of {owner}, \d{{4}}-\d\d-\d\d \d\d:\d\d", taken)


def test_a_hit_writes_nothing_to_the_shared_folder(made: SharedFile, tmp_path: Path) -> None:
    def state() -> dict[Path, os.stat_result]:
        found = {path: path.stat() for path in [made.folder, *made.folder.rglob("*")]}
        return {path: (info.st_ino, info.st_mtime_ns, info.st_mode) for path, info in found.items()}

    before = state()
    provide(tmp_path / "a" / "f.h5", made, must_not_be_made)
    assert state() == before


def truncate(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def replace_by(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        write(path)

    return damage


def write_foreign_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["format"] = FEATURES_FORMAT


def flip(place: float) -> Callable[[Path], None]:
    """Change one bit at a share of the file's length."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 4
        path.chmod(0o644)
        path.write_bytes(content)

    return damage


def rewritten(change: Callable[[h5py.File, Path], None]) -> Callable[[Path], None]:
    """Change the content by HDF5 itself, and give it digests that agree."""

    def damage(path: Path) -> None:
        path.chmod(0o644)
        with h5py.File(path, "r+", libver="latest") as file:
            change(file, path)
        append_digests(path)

    return damage


def with_an_external_link(file: h5py.File, path: Path) -> None:
    del file["cls_tokens"]
    file["cls_tokens"] = h5py.ExternalLink(other_file(path), "/cls_tokens")


def with_a_soft_link(file: h5py.File, _: Path) -> None:
    file.move("cls_tokens", "elsewhere")
    file["cls_tokens"] = h5py.SoftLink("/elsewhere")


def with_external_storage(file: h5py.File, path: Path) -> None:
    shape = file["cls_tokens"].shape
    del file["cls_tokens"]
    raw = path.with_suffix(".raw")
    raw.write_bytes(bytes(10_000))
    file.create_dataset("cls_tokens", shape, np.float32, external=[(str(raw), 0, h5py.h5f.UNLIMITED)])


def with_a_virtual_dataset(file: h5py.File, path: Path) -> None:
    shape = file["cls_tokens"].shape
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[:] = h5py.VirtualSource(other_file(path), "cls_tokens", shape)
    del file["cls_tokens"]
    file.create_virtual_dataset("cls_tokens", layout)


def with_a_claim(file: h5py.File, _: Path) -> None:
    del file["cls_tokens"]
    file.create_dataset("cls_tokens", (2, 2, 1 << 40), np.float32)


def with_a_larger_grid(file: h5py.File, _: Path) -> None:
    file["grid_size"][0] = [1 << 30, 1 << 30]


def with_a_group(file: h5py.File, _: Path) -> None:
    file.create_group("more")["again"] = file["/"]


def other_file(path: Path) -> str:
    other = path.with_name("other.h5")
    make(other)
    return str(other)


DAMAGES = {
    "truncated": truncate,
    "empty": replace_by(Path.touch),
    "text": replace_by(lambda path: path.write_text("no HDF5")),
    "foreign HDF5": replace_by(write_foreign_hdf5),
    "of another key": replace_by(lambda path: make(path, OTHER_KEY)),
    "of other images": replace_by(lambda path: make(path, KEY, IDS[::-1])),
    "dangling link": replace_by(lambda path: path.symlink_to("nothing")),
    "noise": replace_by(lambda path: path.write_bytes(np.random.default_rng(0).bytes(20_000))),
    "flipped at its start": flip(0.0),
    "flipped in the middle": flip(0.5),
    "flipped in its digests": flip(0.995),
    "pipe": replace_by(os.mkfifo),
    "link to a device": replace_by(lambda path: path.symlink_to("/dev/zero")),
    "external link": rewritten(with_an_external_link),
    "soft link": rewritten(with_a_soft_link),
    "external storage": rewritten(with_external_storage),
    "virtual dataset": rewritten(with_a_virtual_dataset),
    "claim of more than there is": rewritten(with_a_claim),
    "claim of a larger grid": rewritten(with_a_larger_grid),
    "group in itself": rewritten(with_a_group),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_told_of_and_made_anew(
    made: SharedFile, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    damage(made.path)
    provide(tmp_path / "a" / "f.h5", made, make)
    assert f"the shared file {made.path} is damaged and is made again" in caplog.text
    assert made.fault() == ""
    assert holds_the_tokens(tmp_path / "a" / "f.h5")
    assert [name for name in entries(made) if not name.startswith(("other.", f"{KEY}.raw"))] == [f"{KEY}.h5"]


def test_a_folder_in_the_place_of_a_shared_file_is_left_alone(
    made: SharedFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made.path.unlink()
    (made.path / "kept").mkdir(parents=True)
    provide(tmp_path / "a" / "f.h5", made, make)
    assert f"the shared file {made.path} is damaged and is made again: {made.path} is a folder" in caplog.text
    assert (made.path / "kept").is_dir()
    assert holds_the_tokens(tmp_path / "a" / "f.h5")


def test_a_deleted_file_leaves_links_that_readers_call_absent_and_is_made_again(
    made: SharedFile, tmp_path: Path
) -> None:
    output = tmp_path / "else" / "f.h5"
    made.path.unlink()
    with pytest.raises(DataError, match=r"f\.h5 does not exist; run the step that makes it"):
        FeatureReader(output)
    provide(output, made, make)
    assert holds_the_tokens(output)


def test_a_result_that_is_written_in_place_of_a_link_leaves_the_shared_file_alone(
    made: SharedFile, tmp_path: Path
) -> None:
    before = made.path.read_bytes()
    output = tmp_path / "else" / "f.h5"
    make(output, OTHER_KEY)
    assert not output.is_symlink()
    assert made.path.read_bytes() == before


def a_file_in_the_way(shared: SharedFile, _: pytest.MonkeyPatch) -> None:
    shared.folder.touch()


def read_only(_: SharedFile, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    patch.setattr(Path, "touch", refuse)


def not_to_be_put_there(shared: SharedFile, _: pytest.MonkeyPatch) -> None:
    shared.path.mkdir(parents=True)


@pytest.mark.parametrize("hinder", [a_file_in_the_way, read_only, not_to_be_put_there])
def test_where_nothing_can_be_written_the_result_is_an_ordinary_file(
    shared: SharedFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hinder: Callable[[SharedFile, pytest.MonkeyPatch], None],
) -> None:
    hinder(shared, monkeypatch)
    output = tmp_path / "a" / "f.h5"
    provide(output, shared, make)
    assert not output.is_symlink()
    assert holds_the_tokens(output)
    assert "not shared, because" in caplog.text
    assert [path.name for path in (tmp_path / "root").rglob(".*")] == []


def test_a_failure_leaves_nothing(shared: SharedFile, tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise DataError("an image is unreadable")

    with pytest.raises(DataError, match="unreadable"):
        provide(tmp_path / "a" / "f.h5", shared, fail)
    assert entries(shared) == []
    assert not (tmp_path / "a").exists()


def test_a_file_system_without_hard_links_will_do(
    shared: SharedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.os, "link", refuse)
    provide(tmp_path / "a" / "f.h5", shared, make)
    assert holds_the_tokens(shared.path)
    assert entries(shared) == [f"{KEY}.h5"]


def test_whoever_is_second_to_finish_takes_the_file_of_the_first(shared: SharedFile, tmp_path: Path) -> None:
    inodes = []

    def overtaken(path: Path) -> None:
        make(path)
        provide(tmp_path / "b" / "f.h5", shared, make)
        inodes.append(shared.path.stat().st_ino)

    provide(tmp_path / "a" / "f.h5", shared, overtaken)
    assert [shared.path.stat().st_ino] == inodes
    assert (tmp_path / "a" / "f.h5").samefile(tmp_path / "b" / "f.h5")
    assert entries(shared) == [f"{KEY}.h5"]


def test_two_processes_that_make_it_at_once_do_not_disturb_each_other(shared: SharedFile, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    together = context.Barrier(2)

    def make_together(path: Path) -> None:
        together.wait(20)
        make(path)
        together.wait(20)

    names = ("a", "b")
    workers = [
        context.Process(target=provide, args=(tmp_path / name / "f.h5", shared, make_together)) for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert entries(shared) == [f"{KEY}.h5"]
    for name in names:
        assert (tmp_path / name / "f.h5").readlink() == shared.path
        assert holds_the_tokens(tmp_path / name / "f.h5")


def killed(path: Path) -> None:
    path.write_text("half")
    path.with_name(f".{path.name}.1.tmp").write_text("half")  # as the writers of result files leave it
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_leaves_is_not_taken_for_a_result_and_goes_after_a_day(
    shared: SharedFile, tmp_path: Path
) -> None:
    worker = multiprocessing.get_context("fork").Process(target=provide, args=(tmp_path / "a.h5", shared, killed))
    worker.start()
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL
    left = entries(shared)
    assert len(left) == 2
    assert all(name.startswith(".") for name in left)
    assert not (tmp_path / "a.h5").exists()

    provide(tmp_path / "b.h5", shared, make)
    assert entries(shared) == sorted([*left, f"{KEY}.h5"])  # somebody may still be writing to them

    shared.path.unlink()
    for name in left:
        long_ago = (shared.path.parent / name).stat().st_mtime - STALE_SECONDS - 60
        os.utime(shared.path.parent / name, (long_ago, long_ago))
    provide(tmp_path / "b.h5", shared, make)
    assert entries(shared) == [f"{KEY}.h5"]


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    """Set the mask of new files; it is put back in the end."""
    before = os.umask(0o022)
    yield lambda mask: os.umask(mask)
    os.umask(before)


@pytest.mark.parametrize(
    ("root", "mask", "folder", "file"),
    [
        (0o2775, 0o022, 0o2775, 0o444),  # a group's folder stays one, whatever the mask of who comes first
        (0o2770, 0o027, 0o2770, 0o440),
        (0o755, 0o022, 0o755, 0o444),
        (0o1777, 0o000, 0o775, 0o444),  # never to be written to by everybody
    ],
)
def test_folders_are_as_open_to_the_group_as_the_root_and_files_are_read_only(
    shared: SharedFile, tmp_path: Path, umask: Callable[[int], None], root: int, mask: int, folder: int, file: int
) -> None:
    (tmp_path / "root").chmod(root)
    umask(mask)
    provide(tmp_path / "a" / "f.h5", shared, make)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (shared.folder, shared.path.parent, shared.path)]
    assert modes == [folder, folder, file]


def test_a_moved_root_is_a_missing_file_and_then_a_hit(made: SharedFile, tmp_path: Path) -> None:
    output = tmp_path / "else" / "f.h5"
    shutil.move(tmp_path / "root", tmp_path / "moved")
    assert output.is_symlink()
    assert not output.exists()
    provide(output, SharedFile(tmp_path / "moved" / "features", KEY, FeatureReader, IDS), must_not_be_made)
    assert holds_the_tokens(output)
