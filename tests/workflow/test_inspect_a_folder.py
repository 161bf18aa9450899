"""`zsad inspect PHOTOS` all the way through the workflow, with messy names, another time, and killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paths import REPOSITORY
from warm import warm_python
from zsad.errors import DataError
from zsad.files.csv_files import read_table
from zsad.inspecting.place import Place

pytestmark = pytest.mark.slow

SECONDS = 240
NAMES = ("a b.PNG", "-{x}.png", "'q' 100 %.png", "same.png", "same.jpg", "sub/same.png")
DEFECTIVE = "ärger ß.png"


def photographs(folder: Path, names: tuple[str, ...] = NAMES, *, defective: str = "") -> Path:
    for seed, name in enumerate((*names, *filter(None, [defective]))):
        pixels = np.random.default_rng(seed).integers(110, 140, (64, 80, 3), dtype=np.uint8)
        if name == defective:
            pixels[20:40, 20:60] = (0, 255, 0)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


def command(python: str, *words: str) -> list[str]:
    return [python, "-m", "zsad.cli", "inspect", *words, "--backbone", "embedded", "--json"]


def started(python: str, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(python, *words),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def state(folder: Path) -> dict[str, int]:
    results = folder / "results"
    return {
        path.relative_to(results).as_posix(): path.stat().st_mtime_ns
        for path in results.rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


def test_photographs_are_compared_with_good_ones_and_only_what_changed_is_made_anew(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos {x} ü", defective=DEFECTIVE)
    (folder / "broken.png").write_bytes(b"no image")
    photographs(tmp_path / "good", ("1.png", "2.png", "3.png"))
    before = sorted(path for path in folder.rglob("*"))
    words = (".", "--references", "../good")
    status, out, err = finished(started(warm_python(), folder, *words))
    answers = [json.loads(line) for line in out.splitlines()]
    assert status == 1, err  # for the one that cannot be read
    assert sorted(path for path in folder.rglob("*")) == before
    assert answers[0]["path"] == str(folder / DEFECTIVE)
    assert answers[0]["decision"] is True
    assert answers[0]["regions"]
    assert {answer["path"] for answer in answers[:-1]} == {str(folder / name) for name in (*NAMES, DEFECTIVE)}
    assert [answer["score"] for answer in answers[:-1]] == sorted((a["score"] for a in answers[:-1]), reverse=True)
    assert "cannot be read as an image" in answers[-1]["error"]

    place = tmp_path / "photos {x} ü-inspection"
    made = place / "results" / "photos_x"
    exports = made / "photos _x_ ü" / "exports" / "memory_bank"
    assert (made / "report.html").is_file()
    assert len(json.loads((exports / "coco.json").read_text())["images"]) == len(answers) - 1
    assert DEFECTIVE in {row["image"] for row in read_table(exports / "defects.csv")}
    for kind in ("masks", "maps", "overlays"):
        assert len(list((exports / kind).rglob("*.png"))) == len(answers) - 1
    model = made / "photos _x_ ü" / "models" / "memory_bank.h5"
    assert f"--model '{model}'" in err

    # The model that was made says the same of a photograph.
    asked = subprocess.run(
        [warm_python(), "-m", "zsad.cli", "inspect", f"{folder / DEFECTIVE}", "--model", str(model), "--json"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    alone = json.loads(asked.stdout)
    assert alone["score"] == pytest.approx(answers[0]["score"], abs=1e-6)
    for figure in ("peak", "threshold", "pixel_threshold", "p_value"):
        assert alone[figure] == pytest.approx(answers[0][figure], abs=1e-6)
    assert (alone["threshold_from"], alone["note"]) == (answers[0]["threshold_from"], answers[0]["note"])
    assert "3 references are too few for p-values that hold in finite samples at 5 %" in alone["note"]
    assert err.count("3 references are too few") == 1
    assert f"of {len(answers) - 1} photographs" in err

    times = state(place)
    status, out, err = finished(
        started(warm_python(), tmp_path, folder.name, "--references", "good", "--threshold", "9")
    )
    assert [json.loads(line)["decision"] for line in out.splitlines()[:-1]] == [False] * (len(answers) - 1), err
    again = {path for path, time in state(place).items() if times.get(path) != time}
    assert any(path.endswith("/scores/memory_bank.h5") or path.endswith("/images.csv") for path in again)
    assert not [path for path in again if "/features/" in path or "/models/" in path]


def test_a_table_of_files_is_inspected_and_a_failure_is_one_sentence(tmp_path: Path) -> None:
    first = photographs(tmp_path / "a" / "photos", ("1.png", "2.png"))
    second = photographs(tmp_path / "b" / "photos", ("1.png",), defective="2.png")
    status, out, err = finished(started(warm_python(), tmp_path, str(first), str(second), "--out", "out"))
    assert status == 0, err
    assert {json.loads(line)["path"] for line in out.splitlines()} == {
        str(folder / name) for folder in (first, second) for name in ("1.png", "2.png")
    }
    with (tmp_path / "out" / "photographs.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["image_id"] for row in csv.DictReader(stream)] == [
            *("a/photos/1.png", "a/photos/2.png", "b/photos/1.png", "b/photos/2.png"),
        ]
    assert list((tmp_path / "out").glob("results/*/*/exports/mutual/masks/b/photos/2.png"))

    for name in ("1.png", "2.png"):
        (first / name).write_bytes(b"no image")
    status, out, err = finished(started(warm_python(), tmp_path, str(first), "--out", "bad"))
    assert (status, out) == (1, "")
    assert "Traceback" not in err
    (sentence,) = [line for line in err.splitlines() if line.startswith("zsad: none of")]
    assert "can be used" in sentence


def test_a_killed_inspection_ends_whole_and_the_next_one_goes_on(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos", ("1.png", "2.png"))
    place = Place(tmp_path / "out")
    words = (folder.name, "--out", "out")
    process = started(sys.executable, tmp_path, *words)
    try:
        wait_for("results/*/photos/images.csv", place.folder, process)
        status, _, said = finished(started(warm_python(), tmp_path, *words))
        assert status == 1
        assert "another inspection is running" in said
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    deadline = time.monotonic() + SECONDS
    while is_used(place):  # Snakemake and its jobs end with what started them
        assert time.monotonic() < deadline
        time.sleep(0.05)

    process = started(sys.executable, tmp_path, *words)
    wait_for(".snakemake/locks/*", place.folder, process)
    process.send_signal(signal.SIGTERM)
    status, out, err = finished(process)
    assert (status, out) == (128 + signal.SIGTERM, "")
    assert "Traceback" not in err
    assert "zsad: stopped; run the same command to continue" in err
    assert not is_used(place)

    status, out, err = finished(started(warm_python(), tmp_path, *words))
    assert status == 0, err
    assert len(out.splitlines()) == 2
    assert not list(place.folder.rglob("results/**/.*.tmp"))


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.02)


def is_used(place: Place) -> bool:
    try:
        with place.reserved():
            return False
    except DataError:
        return True
