"""Any exception ends as one sentence: of a known origin with its fix, of an unknown one with where to report it."""

from __future__ import annotations

import csv
import errno
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import httpx2
import huggingface_hub.errors
import numpy as np
import pytest
import safetensors
import torch
import yaml
from PIL import Image
from pydantic import BaseModel
from snakemake.iocontainers import InputFiles

from paths import REPOSITORY
from zsad.cli import command, listings
from zsad.errors import ConfigError, DamagedFileError, DataError, boundary
from zsad.errors.boundary import known_sentence, sentence_of
from zsad.errors.system import FIXES
from zsad.watching import failures
from zsad.workflow import job
from zsad.workflow.configfiles import read_configuration
from zsad.workflow.variables import set_left_out
from zsad.workflow.workplace import check_cache, check_folders, check_writable


def caught(act: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as failure:  # noqa: PT011
        act()
    return failure.value


def in_hand(monkeypatch: pytest.MonkeyPatch, path: Path, act: Callable[[Path], Any]) -> BaseException:
    """An exception that passes through a function of the package which has ``path`` in hand."""
    names: dict[str, Any] = {"__name__": f"{boundary.PACKAGE}.any"}
    exec("def reading(path, act):\n    return act(path)\n", names)
    return caught(lambda: names["reading"](path, act))


# ---- the system ----


@pytest.mark.parametrize("number", sorted(FIXES), ids=errno.errorcode.get)
def test_an_error_of_the_system_names_the_file_and_the_mend(number: int) -> None:
    said = sentence_of(OSError(number, os.strerror(number), "results/t/a.h5"))
    assert said.startswith("results/t/a.h5 cannot be ")
    assert os.strerror(number) in said or number == errno.ENOSPC
    assert FIXES[number] in said
    assert "unexpected" not in said
    assert "\n" not in said


def test_a_disk_without_an_inode_is_not_called_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "new" / "a.h5"))
    assert "free some space on its disk" in sentence_of(error)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=100, f_favail=0, f_bavail=5, f_flag=0))
    assert "no inode left on its file system); delete files there" in sentence_of(error)
    with pytest.raises(DataError, match="has no inode left for another file; delete files there"):
        check_writable("t", root=tmp_path)
    # Some file systems count none.
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0, f_bavail=5, f_flag=0))
    assert "free some space on its disk" in sentence_of(error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO, errno.EFBIG])
def test_an_error_of_the_system_without_a_path_is_told_all_the_same(number: int) -> None:
    said = known_sentence(OSError(number, os.strerror(number)))
    assert said is not None
    assert ";" in said


def test_what_is_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    file = caught(lambda: (tmp_path / "file" / "deep" / "a").mkdir(parents=True))
    dangling = caught(lambda: (tmp_path / "dangling" / "a").mkdir(parents=True))
    loop = caught(lambda: (tmp_path / "loop" / "a").write_text(""))
    assert f"because {tmp_path}/file is a file where a folder is needed; move it away" in sentence_of(file)
    assert f"because {tmp_path}/dangling is a link to nowhere, which is not a folder; correct" in sentence_of(dangling)
    listed = caught(lambda: list((tmp_path / "file").iterdir()))
    assert f"because {tmp_path}/file is a file where a folder is needed; move it away" in sentence_of(listed)
    assert f"because {tmp_path}/loop is a link to loop, which is not a folder" in sentence_of(loop)


def test_a_name_that_is_no_text_is_shown_all_the_same() -> None:
    said = sentence_of(OSError(errno.EIO, "Input/output error", b"a\xff.png"))
    assert said.encode().startswith(b"a\\udcff.png cannot be read")
    surrogate = caught(lambda: "a\udcff.png".encode())
    assert sentence_of(surrogate) == r"the name 'a\udcff.png' is not text in UTF-8; rename the file"


# ---- libraries ----


class Typed(BaseModel):
    number: int


def damaged(content: bytes, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def act(path: Path) -> Any:
        path.write_bytes(content)
        return read(path)

    return act


def cut_tar(path: Path) -> None:
    with tarfile.open(path) as archive:
        archive.getmembers()


READ = {
    "JSON": damaged(b"{", lambda path: json.loads(path.read_text())),
    "text": damaged(b"\xff\xfe\x00", lambda path: path.read_text(encoding="utf-8")),
    "YAML": damaged(b"a: [", lambda path: yaml.safe_load(path.read_text())),
    "CSV": damaged(b'"a" b', lambda path: list(csv.reader([path.read_text()], strict=True))),
    "ZIP": damaged(b"PK", lambda path: zipfile.ZipFile(path)),
    "TAR": damaged(b"ustar", cut_tar),
    "pickle": damaged(b"\x80\x04\x95", lambda path: pickle.loads(path.read_bytes())),
    "tensors": damaged(b"\x00" * 9, lambda path: safetensors.safe_open(path, "pt").keys()),
    "checkpoint": damaged(b"PK\x03\x04 no", lambda path: torch.load(path, weights_only=True)),
    "HDF5": damaged(b"\x89HDF\r\n\x1a\n" + b"\0" * 60, h5py.File),
    "image": damaged(b"no image", Image.open),
    "data class": damaged(b"{}", lambda path: Typed.model_validate({"number": "many"})),
}


@pytest.mark.parametrize("kind", READ)
def test_content_that_a_library_cannot_read_names_the_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = in_hand(monkeypatch, tmp_path / "the.file", READ[kind])
    said = sentence_of(error)
    assert str(tmp_path / "the.file") in said, error
    assert "unexpected" not in said
    assert "\n" not in said
    # Where no file is known, nothing is made up.
    assert kind in ("YAML", "checkpoint", "ZIP", "HDF5") or "unexpected error" in sentence_of(
        error.with_traceback(None)
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "there is too little memory"),
        (caught(lambda: np.empty(2**59)), "there is too little memory (Unable to allocate 4.00 EiB"),
        (caught(lambda: np.empty(2**60)), "there is too little memory (array is too big"),
        (caught(lambda: torch.empty(2**58)), "there is too little memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "the device has too little memory"),
        (RuntimeError("CUDA error: an illegal memory access"), "the graphics card failed"),
        (RuntimeError("cannot cache function 'f': no locator available for file 'x.py'"), "set NUMBA_CACHE_DIR"),
        (RuntimeError("can't start new thread"), "run with fewer cores"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "set TMPDIR to one"),
        (BlockingIOError(11, "Unable to synchronously open file (unable to lock file, errno = 11)"), "another program"),
        (RuntimeError("Could not determine home directory."), "set HOME to a folder"),
        (KeyError("getpwuid(): uid not found: 4711"), "set USER to any name"),
        (
            RuntimeError("Error(s) in loading state_dict for ViT:\n\tsize mismatch for a: x"),
            "do not fit its config.json",
        ),
        (caught(lambda: torch.ones(2, 3) @ torch.ones(2, 3)), "do not fit its config.json"),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), "`pip install timm`"),
        (ModuleNotFoundError("No module named 'cv2.x'", name="cv2.x"), "`pip install opencv-python-headless`"),
        (
            ImportError("Using `bitsandbytes` 4-bit needs it: `pip install -U bitsandbytes`"),
            "`pip install bitsandbytes`",
        ),
        (ImportError("libGL.so.1: cannot open shared object file"), "a package is broken"),
        (BrokenProcessPool("terminated"), "was killed, most likely because memory ran out"),
        (httpx2.ConnectError("refused"), "a server cannot be reached (refused)"),
        (huggingface_hub.errors.OfflineModeIsEnabled("offline"), "the model hub cannot be reached (offline)"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "a server cannot be reached"),
        (OSError("Can't load the configuration of 'x'.\nIf you"), "a model cannot be loaded (Can't load"),
        (caught(lambda: "ö".encode("ascii")), "set LC_ALL=C.UTF-8"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_other_known_origins(error: BaseException, said: str) -> None:
    assert said in sentence_of(error)
    assert "unexpected" not in sentence_of(error)


def test_a_missing_part_of_the_package_is_no_missing_package() -> None:
    assert "unexpected error" in sentence_of(ModuleNotFoundError("No module named 'zsad.x'", name="zsad.x"))
    assert "unexpected error" in sentence_of(ImportError("cannot import name 'x' from 'numpy'", name="numpy"))


def test_an_unknown_error_says_what_happened_where_to_report_it_and_where_the_traceback_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = sentence_of(ValueError("two\nlines"), traceback_in="results/a.log")
    assert said.startswith("unexpected error (ValueError: two); ")
    assert "with the traceback in results/a.log, on " in said
    assert "(ValueError)" in sentence_of(ValueError())
    assert "shown with ZSAD_DEBUG=1" in sentence_of(ValueError())
    assert len(sentence_of(ValueError("x" * 10_000))) < 700
    page = "https://example.org/zsad/issues"
    monkeypatch.setattr(boundary, "metadata", lambda _: SimpleNamespace(get_all=lambda _: [f"Issues, {page}"]))
    assert sentence_of(ValueError()).endswith(f"on {page}")


def test_the_cause_of_an_error_is_told_and_what_it_merely_happened_beside_is_not() -> None:
    def raised(by: BaseException | None) -> None:
        try:
            raise OSError(errno.EROFS, "Read-only file system", "a.h5")
        except OSError:
            if by is None:
                raise TypeError("a bug") from None
            raise TypeError("a bug") from by

    full = OSError(errno.ENOSPC, "No space left on device", "b.h5")
    assert sentence_of(caught(lambda: raised(full))).startswith("b.h5 cannot be written")
    assert "unexpected error (TypeError: a bug)" in sentence_of(caught(lambda: raised(None)))


# ---- the job frame ----


def run_job(log: Path, act: Callable[[], Any]) -> None:
    frame = SimpleNamespace(
        rule="score_images",
        input=InputFiles(),
        params=SimpleNamespace(cfg="{}", code="{}"),
        resources={},
        threads=1,
        log=[str(log)],
    )
    with job.job(frame):  # type: ignore[arg-type]
        act()


@pytest.fixture
def own_logging(monkeypatch: pytest.MonkeyPatch):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = True


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "said", "has_traceback"),
    [
        (ConfigError("a sentence; fix it"), "a sentence; fix it", False),
        (OSError(errno.EROFS, "Read-only file system", "a.h5"), "a.h5 cannot be written (Read-only", True),
        (ValueError("never thought of"), "unexpected error (ValueError: never thought of)", True),
    ],
    ids=["ours", "known", "unknown"],
)
@pytest.mark.usefixtures("own_logging")
def test_a_job_ends_with_a_sentence_and_keeps_the_traceback_in_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, said: str, has_traceback: bool
) -> None:
    log = tmp_path / "logs" / "job.log"
    ended = caught(lambda: run_job(log, lambda: fail(error)))
    assert isinstance(ended, SystemExit)
    assert ended.code == 1
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 1
    assert shown[0].startswith(f"zsad: score_images: {said}")
    lines = log.read_text().splitlines()
    assert f" ERROR zsad.workflow.job: {said}" in lines[-1]
    assert ("Traceback (most recent call last):" in lines) == has_traceback
    if "unexpected" in said:
        assert f"the traceback in {log}" in shown[0]


@pytest.mark.usefixtures("own_logging")
def test_a_job_whose_log_cannot_be_written_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").touch()
    ended = caught(lambda: run_job(tmp_path / "logs" / "job.log", lambda: None))
    assert isinstance(ended, SystemExit)
    assert f"{tmp_path}/logs cannot be read or written (File exists); move away" in capsys.readouterr().err


@pytest.mark.usefixtures("own_logging")
@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(3)], ids=["interrupted", "exit"])
def test_an_interrupt_passes_through_a_job(tmp_path: Path, end: BaseException) -> None:
    assert caught(lambda: run_job(tmp_path / "job.log", lambda: fail(end))) is end


# ---- the command line ----


def run_command(monkeypatch: pytest.MonkeyPatch, act: Callable[[Any], Any]) -> int:
    monkeypatch.setattr(listings, "show_methods", act)
    return command.main(["methods"])


def test_a_command_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(monkeypatch, lambda _: fail(ValueError("never thought of"))) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "zsad: unexpected error (ValueError: never thought of)" in shown
    (tmp_path / "file").touch()
    assert command.main(["demo", str(tmp_path / "file" / "x")]) == 1
    assert f"{tmp_path}/file is a file where a folder is needed" in capsys.readouterr().err
    monkeypatch.setenv("ZSAD_DEBUG", "1")
    assert run_command(monkeypatch, lambda _: fail(ValueError("never thought of"))) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    for end in (KeyboardInterrupt(), SystemExit(3)):
        assert caught(lambda end=end: run_command(monkeypatch, lambda _: fail(end))) is end


@pytest.mark.parametrize(
    ("target", "variables", "status", "said"),
    [
        (">/dev/full", {}, 1, "zsad: the output cannot be written (No space left on device); send it elsewhere\n"),
        (">&-", {}, 0, ""),
        ("| true", {}, 0, ""),
        (">/dev/null", {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, 0, ""),
        ("<&- >/dev/null", {"HOME": "/dev/null", "TMPDIR": "/nonexistent"}, 0, ""),
    ],
    ids=["full", "closed", "not read", "locale", "service user"],
)
def test_the_command_line_bears_with_its_surroundings(
    target: str, variables: dict[str, str], status: int, said: str
) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{sys.executable}' -m zsad.cli datasets {target}"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, said)


# ---- Snakemake ----


@pytest.fixture
def snakemakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Snakemake's logger with a terminal and a file."""
    logger = failures.logger
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "filters", [])
    terminal = io.StringIO()
    logger.addHandler(logging.StreamHandler(terminal))
    logger.addHandler(logging.FileHandler(tmp_path / "run.log"))
    failures.tell_failures_in_sentences()
    yield terminal, tmp_path / "run.log"
    logger.handlers[1].close()


def test_what_fails_in_snakemake_is_told_in_a_sentence(snakemakes: tuple[io.StringIO, Path]) -> None:
    from snakemake.exceptions import print_exception

    terminal, log = snakemakes
    print_exception(caught(lambda: fail(NotADirectoryError(errno.ENOTDIR, "Not a directory", "/dev/null/x"))), {})
    assert terminal.getvalue() == (
        "zsad: /dev/null/x cannot be read or written, because /dev/null is a file where a folder is needed; move it "
        "away and run again\n"
    )
    assert "Traceback (most recent call last)" in log.read_text()
    print_exception(caught(lambda: fail(KeyError("x"))), {})
    assert (
        f"unexpected error (KeyError: 'x'); this is a bug in the program: report it, with the traceback in {log}"
    ) in terminal.getvalue()
    assert "Traceback" not in terminal.getvalue()


def test_a_function_of_a_rule_is_told_of_by_its_rule(snakemakes: tuple[io.StringIO, Path]) -> None:
    from snakemake.exceptions import InputFunctionException, print_exception

    def evaluate() -> None:
        rule = SimpleNamespace(name="build_manifest", lineno=1, snakefile="data.smk")
        rule.workflow = SimpleNamespace(linemaps={})
        try:
            fail(DataError("images is empty; fill it"))
        except DataError as error:
            raise InputFunctionException(error, wildcards={"category": "tile"}, rule=rule)  # noqa: B904

    print_exception(caught(evaluate), {})
    assert snakemakes[0].getvalue() == "zsad: build_manifest: images is empty; fill it\n"


def test_a_function_is_told_of_where_snakemake_raises_its_error_again(snakemakes: tuple[io.StringIO, Path]) -> None:
    """As it does for jobs that are found while it looks up others: the cause is another one then."""
    from snakemake.exceptions import InputFunctionException, print_exception

    def evaluate(error: Exception) -> None:
        rule = SimpleNamespace(name="build_page", lineno=1, snakefile="report.smk")
        rule.workflow = SimpleNamespace(linemaps={})
        kept = InputFunctionException(error, wildcards={"dataset": "t"}, rule=rule)
        try:
            fail(KeyError("a job"))
        except KeyError:
            raise kept  # noqa: B904

    print_exception(caught(lambda: evaluate(caught(lambda: fail(DamagedFileError(Path("a.csv"), "is torn"))))), {})
    assert snakemakes[0].getvalue() == "zsad: build_page: a.csv is torn; delete it and run again\n"
    print_exception(caught(lambda: evaluate(caught(lambda: fail(ValueError("odd"))))), {})
    assert "zsad: build_page: unexpected error (" in snakemakes[0].getvalue()


def test_of_another_workflow_only_errors_of_this_one_are_told(
    snakemakes: tuple[io.StringIO, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakemake.exceptions import print_exception

    monkeypatch.setattr(failures.logger, "filters", [])
    failures.tell_failures_in_sentences(REPOSITORY, of_all=False)
    terminal, _ = snakemakes
    print_exception(caught(lambda: fail(KeyError("of the host"))), {})
    assert "KeyError" in terminal.getvalue()
    assert "zsad:" not in terminal.getvalue()
    print_exception(caught(lambda: read_configuration(Path("absent.yaml"))), {})
    print_exception(caught(lambda: set_left_out("one", {}, None)), {})  # of this one by where it was raised
    sentences = [line for line in terminal.getvalue().splitlines() if line.startswith("zsad:")]
    assert len(sentences) == 2
    assert "absent.yaml cannot be read" in sentences[0]
    assert "unexpected error (AttributeError" in sentences[1]


def test_a_sentence_that_the_rules_pass_on_stands_alone(snakemakes: tuple[io.StringIO, Path]) -> None:
    from snakemake.exceptions import WorkflowError, print_exception

    def passed_on() -> None:
        try:
            fail(DataError("images is empty; fill it"))
        except DataError as error:
            raise WorkflowError(str(error)) from None

    print_exception(caught(passed_on), {})
    assert snakemakes[0].getvalue() == "zsad: images is empty; fill it\n"


def test_an_error_of_the_system_that_snakemake_passes_on_has_its_mend(snakemakes: tuple[io.StringIO, Path]) -> None:
    from snakemake.exceptions import WorkflowError, print_exception

    def passed_on() -> None:
        try:
            fail(OSError(errno.EROFS, "Read-only file system", "results/t"))
        except OSError as error:
            raise WorkflowError(error)  # noqa: B904

    print_exception(caught(passed_on), {})
    assert (
        snakemakes[0].getvalue().startswith("zsad: results/t cannot be written (Read-only file system); make its disk")
    )


def test_what_snakemake_says_itself_stays(
    snakemakes: tuple[io.StringIO, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakemake.exceptions import WorkflowError, print_exception

    print_exception(WorkflowError("the lock of another run"), {})
    assert snakemakes[0].getvalue() == "WorkflowError:\nthe lock of another run\n"
    monkeypatch.setenv("ZSAD_DEBUG", "1")
    print_exception(caught(lambda: fail(KeyError("x"))), {})
    assert "Traceback" in snakemakes[0].getvalue()


def test_a_reader_who_leaves_ends_no_run() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", buffering=1) as pipe:
        stream = failures.PatientStream(pipe)
        stream.write("read\n")
        os.close(reader)
        for _ in range(3):
            stream.write("not read\n")
            stream.flush()


# ---- the place to work in ----


@pytest.mark.parametrize("folder", ["results", "results/t", "results/t/logs", "results/t/benchmarks", ".snakemake"])
@pytest.mark.parametrize("kind", ["file", "dangling link", "link to a file", "link to itself"])
def test_what_is_in_the_place_of_a_folder_of_results_is_refused(folder: str, kind: str, tmp_path: Path) -> None:
    place = tmp_path / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "a file").touch()
    targets = {"dangling link": "nowhere", "link to a file": tmp_path / "a file", "link to itself": place.name}
    if kind in targets:
        place.symlink_to(targets[kind])
    else:
        place.touch()
    with pytest.raises(DataError) as refused:
        check_folders("t", root=tmp_path)
    what = "a file; move it away" if kind == "file" else "a link to "
    assert str(refused.value).startswith(f"{place}, where a run keeps its files, is {what}")
    place.unlink()
    check_folders("t", root=tmp_path)


@pytest.mark.parametrize("home", ["/dev/null", "/proc", "/proc/none"])
def test_a_user_without_a_home_is_told_what_to_set(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith("/proc") and access(path, mode))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    with pytest.raises(
        DataError, match=rf"keep its cache in {home}/.cache, because .*; set XDG_CACHE_HOME to a folder"
    ):
        check_cache()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    check_cache()


def test_links_to_folders_are_as_good_as_folders(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").symlink_to("elsewhere")
    check_folders("t", root=tmp_path)
    check_writable("t", root=tmp_path)


@pytest.mark.parametrize("folder", ["", "results", "results/t", "results/t/logs", ".snakemake"])
def test_a_folder_that_belongs_to_another_is_refused(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    check_writable("t", root=tmp_path)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place and access(path, mode))
    with pytest.raises(
        DataError, match=r"cannot be written, because you cannot write to .*, which belongs to \w+; ask for"
    ):
        check_writable("t", root=tmp_path)
