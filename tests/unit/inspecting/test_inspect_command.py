"""`zsad inspect --model` from the shell: answers, exit statuses, standard input, watching, results, and kills."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inspected import Inspected, draw_part, inspected
from zsad.cli import main
from zsad.inspecting import watching
from zsad.inspecting.inspector import load
from zsad.inspecting.kept import Kept

FEW = (
    "4 references are too few for p-values that hold in finite samples at 5 %, which 19 allow; the tail of their "
    "patches decides."
)
SECONDS = 120  # after which a process that says nothing has failed, on any machine
TABLES = {"defects.csv", "images.csv", "coco.json", "coco_polygons.json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    """Photographs and a model; not to be changed."""
    return inspected(tmp_path_factory.mktemp("made"), params={"rotations": False})


@pytest.fixture
def place(made: Inspected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of photographs, good and defective, and the model."""
    shutil.copytree(made.photographs[0].parents[1], tmp_path / "photos {1}")
    shutil.copy(made.model, tmp_path / "m.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answers(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_is_answered_a_line_a_photograph(
    place: Path, made: Inspected, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "photos {1}", "--model", "m.h5", "--json"]) == 0
    said = answers(capsys)
    assert [each["path"] for each in said] == [
        str(Path("photos {1}", *path.parts[-2:])) for path in sorted(made.photographs)
    ]
    expected = load(made.model).inspect(made.photographs[-1])
    assert said[-1] == {
        "path": str(Path("photos {1}", *made.photographs[-1].parts[-2:])),
        "score": expected.score,
        "peak": expected.peak,
        "decision": True,
        "p_value": 1e-6,
        "false_alarms": None,
        "threshold": expected.threshold,
        "pixel_threshold": expected.pixel_threshold,
        "threshold_from": "references",
        "regions": [json.loads(json.dumps(region._asdict())) for region in expected.regions],
        "note": FEW,
    }
    assert len(expected.regions) >= 1
    assert main(["inspect", "photos {1}", "--model", "m.h5"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines] == [
        {True: "defective", False: "good"}[each["decision"]] for each in said
    ]
    assert all(each["path"] in line for each, line in zip(said, lines, strict=True))
    assert captured.err == f"{sum(each['decision'] for each in said)} of 5 photographs called defective\n{FEW}\n"


def test_the_status_tells_of_defects_on_request_and_of_photographs_that_failed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = "photos {1}/good/a {x} [1].PNG", "photos {1}/hole/c.png"
    Path("cut.png").write_bytes(Path(bad).read_bytes()[:400])
    high = ["--threshold", "100"]
    for arguments, status in (
        ([bad], 0),
        ([bad, "--fail-on-defect"], 3),
        ([bad, "--fail-on-defect", *high], 0),
        ([good, "cut.png", *high], 1),
        (["nowhere.png", bad], 1),
        (["cut.png", bad, "--fail-on-defect"], 3),
        (["cut.png", good, "--fail-on-defect", *high], 1),
    ):
        assert main(["inspect", *arguments, "--model", "m.h5"]) == status, arguments
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == len([word for word in arguments if word.endswith(("png", "PNG"))])
        assert [line.startswith("failed") for line in shown] == [
            word in ("cut.png", "nowhere.png") for word in arguments if word.endswith(("png", "PNG"))
        ]
    assert main(["inspect", "cut.png", "--model", "m.h5", "--json"]) == 1
    (said,) = answers(capsys)
    assert said.keys() == {"path", "error"}
    assert said["error"].startswith("cut.png cannot be read as an image")


REFUSED = [
    (
        ["--method", "gmm"],
        "--method cannot be combined with --model: the model has its own method; leave out one of the two",
    ),
    (["--backbone", "dinov2-small"], "--backbone cannot be combined with --model"),
    (["--references", "good"], "--references cannot be combined with --model"),
    (["-"], "'-' for standard input cannot be combined with other photographs"),
    (["--watch"], "is not a folder; --watch needs a folder"),
    (["--out", "m.h5"], "--out m.h5 cannot be written to"),
    (["--threshold", "robust"], "there is no threshold rule 'robust'; did you mean 'robust_tail'?"),
    (["--threshold", "nan"], "the threshold is nan"),
    (["--device", "gpu"], "there is no device 'gpu'"),
    (["empty"], "the folder empty and its subfolders contain no photograph"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_what_makes_no_sense_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    Path("empty").mkdir()
    assert main(["inspect", "photos {1}/hole/c.png", *arguments, "--model", "m.h5"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("zsad: ")
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["p", "--watch"], "--watch needs --model"),
        (["p", "--device", "cpu"], "--device needs --model"),
        (["-"], "paths on standard input need --model"),
        (["-", "--model", "m.h5", "--watch"], "cannot be combined with --watch"),
        (["p", "--model", "gone.h5"], "the model gone.h5 does not exist"),
    ],
)
def test_what_lacks_a_model_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", *arguments]) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1


def test_results_are_kept_under_names_that_do_not_collide(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        shutil.copytree("photos {1}/hole", f"{name}/hole")
    Path("a/hole/notes.png").write_text("no image")
    assert main(["inspect", "a", "b", "--model", "m.h5", "--json", "--out", "kept"]) == 1
    said = [each for each in answers(capsys) if "error" not in each]
    kept = Path("kept")
    assert {path.name for path in kept.iterdir() if path.is_file()} == {*TABLES, ".zsad-inspect.lock"}
    for kind in ("masks", "maps", "overlays"):
        assert len(list((kept / kind).rglob("*.png"))) == len(said) == 6
    coco = json.loads((kept / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == [each["path"] for each in said]
    assert len(coco["annotations"]) == sum(len(each["regions"]) for each in said)
    with (kept / "defects.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == [each["path"] for each in said for _ in each["regions"]]
    expected = load("m.h5").inspect("a/hole/c.png")
    with Image.open(kept / "masks/a/hole/c.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask) > 0, expected.mask)
    with Image.open(kept / "overlays/b/hole/turned.png") as overlay:
        assert overlay.size == Image.open("a/hole/turned.jpg").size[::-1]  # EXIF turns it
    assert not [path for path in kept.rglob(".*") if path.name != ".zsad-inspect.lock"]


def test_a_photograph_that_goes_or_changes_in_between_is_told(place: Path) -> None:
    said = load("m.h5").inspect("photos {1}/hole/c.png")
    with Kept(Path("kept"), {}, list) as kept:
        assert kept.add(said) is said
        Image.fromarray(draw_part(0, (30, 30))).save(said.path)
        assert "changed during the inspection" in str(kept.add(said).error)
        said.path.unlink()
        assert "does not exist" in str(kept.add(said).error)
    assert len(json.loads(Path("kept/coco.json").read_text())["images"]) == 1


def test_two_inspections_do_not_write_to_one_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Kept(Path("kept"), {}, list):
        assert main(["inspect", "photos {1}", "--model", "m.h5", "--out", "kept"]) == 1
        assert "another inspection writes to kept" in capsys.readouterr().err
        assert main(["inspect", "photos {1}", "--model", "m.h5", "--out", "other"]) == 0
    assert main(["inspect", "photos {1}", "--model", "m.h5", "--out", "kept"]) == 0


def test_results_do_not_go_among_the_photographs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "photos {1}", "--model", "m.h5", "--out", "photos {1}"]) == 1
    assert "give another folder for the results" in capsys.readouterr().err
    for _ in range(2):  # what the first leaves is not inspected by the second
        assert main(["inspect", "photos {1}", "--model", "m.h5", "--json", "--out", "photos {1}/results"]) == 0
        assert len(answers(capsys)) == 5


# ---- in processes of their own ----


@contextmanager
def inspecting(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "zsad.cli", "inspect", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def line_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def test_paths_on_standard_input_are_answered_as_they_come(place: Path) -> None:
    with inspecting("-", "--model", "m.h5", "--json", "--fail-on-defect", "--out", "kept") as process:
        shutil.copy("photos {1}/hole/c.png", os.fsdecode(b"photos {1}/raw\xff.png"))
        for name in ("good/Prüfling Ä.png", "gone.png", "good", os.fsdecode(b"raw\xff.png"), "hole/c.png"):
            path = f"photos {{1}}/{name}"
            process.stdin.write(os.fsencode(f"{path}\r\n"))
            process.stdin.flush()
            said = line_of(process)  # before the next path is written
            assert said["path"] == path
            assert ("error" in said) == (name in ("gone.png", "good"))
        process.stdin.close()
        assert process.wait(SECONDS) == 3
        assert process.stderr.read() == b""
    assert {path.name for path in Path("kept").glob("*.*")} >= TABLES


def test_watching_answers_what_appears_and_ends_in_order(place: Path) -> None:
    line = Path("line")
    line.mkdir()
    with inspecting(str(line), "--watch", "--model", "m.h5", "--json", "--out", "line/kept") as process:
        for place_, name in enumerate(("1.png", "sub/Ä {2}.PNG")):
            (line / name).parent.mkdir(exist_ok=True)
            content = Path("photos {1}/hole/c.png").read_bytes()
            with (line / name).open("wb") as writing:
                writing.write(content[:500])
                writing.flush()
                time.sleep(2 * watching.INTERVAL * place_)
                writing.write(content[500:])
            said = line_of(process)
            assert (said["path"], said["decision"]) == (str(line / name), True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert process.stderr.read() == b""
        assert process.stdout.read() == b""
    kept = json.loads((line / "kept" / "coco.json").read_text())
    assert [image["file_name"] for image in kept["images"]] == ["1.png", "sub/Ä {2}.PNG"]


def test_a_kill_leaves_nothing_half_written(place: Path) -> None:
    for number in range(30):
        Image.fromarray(draw_part(number, (200, 200), defect=True)).save(f"photos {{1}}/{number}.png")
    with inspecting("photos {1}", "--model", "m.h5", "--json", "--out", "kept") as process:
        for _ in range(3):
            line_of(process)
        process.kill()
        process.wait(SECONDS)
    kept = Path("kept")
    for path in [path for path in kept.rglob("*.png") if not path.name.startswith(".")]:
        with Image.open(path) as picture:
            picture.load()
    assert not TABLES & {path.name for path in kept.iterdir()}
    assert main(["inspect", "photos {1}", "--model", "m.h5", "--out", "kept"]) == 0
    assert {path.name for path in kept.iterdir()} >= TABLES
    assert {path.name for path in kept.iterdir() if path.name.startswith(".")} == {".zsad-inspect.lock"}


def test_one_photograph_needs_neither_snakemake_nor_what_draws(place: Path) -> None:
    code = (
        "import sys\nfrom zsad.cli import main\n"
        "status = main(['inspect', 'photos {1}/hole/c.png', '--model', 'm.h5'])\n"
        "print(status, *(name for name in ('snakemake', 'matplotlib', 'pandas', 'scipy', 'sklearn', 'transformers') "
        "if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS)
    assert done.stderr.splitlines() == ["1 of 1 photographs called defective", FEW, "0"]


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["inspect", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in ("references", "model", "threshold", "method", "backbone", "out", "json", "watch", "fail-on-defect"):
        assert f"--{option}" in shown


def test_a_device_that_is_asked_for_is_used(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "photos {1}/hole/c.png", "--model", "m.h5", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("defective")


def test_shared_weights_are_looked_for_where_a_backbone_has_some(
    place: Path, monkeypatch: pytest.MonkeyPatch, write_png: Callable[..., Path]
) -> None:
    monkeypatch.setenv("ZSAD_SHARED", str(place / "nowhere"))
    assert main(["inspect", "photos {1}/hole/c.png", "--model", "m.h5"]) == 0  # the filter bank has none
    assert os.environ["ZSAD_SHARED"] == str(place / "nowhere")
