"""Decision files: what was put in comes back, and what contradicts itself is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hdf5_edits import edited, replaced
from zsad.deciding.base import Evidence, Verdicts
from zsad.errors import DamagedFileError, DataError
from zsad.files.decisions import DecisionReader, DecisionWriter
from zsad.files.scores import ScoreWriter

IDS = ["a/000.png", "a/001.png", "b/000.png"]
MAPS = [np.full((2, 3), value, np.float32) for value in (0.1, 0.5, 0.9)]
REMARKS = ("8 references allow no less.", "A second sentence;\nwith a line break, and é.")


def verdicts(**changes: Any) -> Verdicts:
    given: dict[str, Any] = {
        "region": np.array([0.3, 0.5, 0.6]),
        "pixel": 0.2,
        "significance": np.array([0.5, np.nan, 0.125]),
        "measure": "p_value",
        "nominal": 1 / 9,
        "remarks": REMARKS,
        **changes,
    }
    return Verdicts(Evidence(MAPS, np.zeros(3)), **given)


def write(path: Path, found: Verdicts, peaks: np.ndarray | None = None, *, localises: bool = True) -> Path:
    peaks = Evidence(MAPS, np.zeros(3)).peaks if peaks is None else peaks
    with DecisionWriter(path, IDS, {"stage": "decide_images", "alpha": np.nan}) as writer:
        writer.write(found, peaks, rule="conformal", localises=localises)
    return path


def test_decisions_come_back_as_they_were(tmp_path: Path) -> None:
    given = verdicts()
    with DecisionReader(write(tmp_path / "d.h5", given)) as found:
        assert found.image_ids == IDS
        assert found.provenance == {"stage": "decide_images", "alpha": None}
        assert (found.rule, found.measure, found.nominal, found.localises) == ("conformal", "p_value", 1 / 9, True)
        assert found.remarks == list(REMARKS)
        np.testing.assert_array_equal(found.peaks, np.float32([0.1, 0.5, 0.9]).astype(np.float64))
        for name in ("region", "pixel", "significance", "decided"):
            np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
            assert getattr(found, name).dtype == getattr(given, name).dtype
        assert found.decided.tolist() == [False, False, True]
        assert [found.thresholds(index) for index in range(3)] == [given.thresholds(index) for index in range(3)]
        found.check()


def test_what_a_rule_does_not_give_comes_back_as_nothing(tmp_path: Path) -> None:
    bare = Verdicts(Evidence([], np.array([0.1, 0.5, 0.9])), 0.5, 0.5)
    write(tmp_path / "d.h5", bare, np.float32([0.1, 0.5, 0.9]).astype(np.float64), localises=False)
    with DecisionReader(tmp_path / "d.h5") as found:
        assert (found.measure, found.remarks, found.localises) == ("", [], False)
        assert math.isnan(found.nominal)
        assert np.isnan(found.significance).all()
        assert np.isposinf(found.pixel).all()


def changed(name: str, *values: float) -> Callable[[Verdicts], None]:
    def change(found: Verdicts) -> None:
        setattr(found, name, np.array(values) if len(values) > 1 else values[0])

    return change


CONTRADICTIONS: dict[str, tuple[Callable[[Verdicts], None], str]] = {
    "another decision": (changed("decided", True, False, True), "not match its thresholds"),
    "pixels above regions": (changed("pixel", 0.125, 0.75, 0.125), "contradict each other"),
    "no number": (changed("region", 0.5, np.nan, 0.5), "are not numbers"),
    "minus infinity": (changed("pixel", 0.0, -np.inf, 0.0), "are not numbers"),
    "more digits than maps have": (changed("pixel", 0.0, 0.1, 0.0), "not values of maps"),
    "greater than maps can be": (changed("region", 0.5, 1e300, 0.5), "not values of maps"),
    "a negative p-value": (changed("significance", 0.5, -0.5, 0.5), r"not in \[0, 1\]"),
    "a p-value above 1": (changed("significance", 0.5, 1.5, 0.5), r"not in \[0, 1\]"),
    "an unknown measure": (lambda found: setattr(found, "measure", "z_score"), "unknown measure"),
    "no measure": (lambda found: setattr(found, "measure", ""), "unknown measure"),
    "a rate above 1": (changed("nominal", 1.5), r"not in \[0, 1\]"),
    "a rate below 0": (changed("nominal", -0.5), r"not in \[0, 1\]"),
    "one image less": (changed("region", 0.5, 0.5), "not match 3 images"),
    "a decision less": (changed("decided", False, True), "not match 3 images"),
}


@pytest.mark.parametrize(("change", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_itself_is_not_written(tmp_path: Path, change: Callable[[Verdicts], None], words: str) -> None:
    found = verdicts()
    change(found)
    with pytest.raises(ValueError, match=words):
        write(tmp_path / "d.h5", found)
    assert list(tmp_path.iterdir()) == []


def test_pixel_thresholds_without_maps_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="contradict each other"):
        write(tmp_path / "d.h5", verdicts(), localises=False)


def test_a_file_without_decisions_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no decision was written"), DecisionWriter(tmp_path / "d.h5", IDS, {}):
        pass
    assert list(tmp_path.iterdir()) == []


FOREIGN: dict[str, Callable[[h5py.File], Any]] = {
    "decided against the thresholds": replaced("decided", np.array([1, 0, 1], np.uint8)),
    "pixels above regions": replaced("pixel", np.array([0.25, 0.75, 0.25])),
    "no numbers": replaced("region", np.array([np.nan, 0.5, 0.5])),
    "float32": replaced("peak", np.array([0.1, 0.5, 0.9], np.float32)),
    "decisions of another kind": replaced("decided", np.array([0.0, 0.0, 1.0])),
    "an image less": replaced("significance", np.array([0.5, 0.5])),
    "a table": replaced("pixel", np.zeros((3, 1))),
    "a missing column": lambda file: file.pop("region"),
    "a missing attribute": lambda file: file.attrs.pop("nominal"),
    "a rate in words": lambda file: file.attrs.update(nominal="little"),
    "another measure": lambda file: file.attrs.update(measure="z_score"),
    "remarks in another form": lambda file: file.attrs.update(remarks="A sentence."),
    "remarks that are no list": lambda file: file.attrs.update(remarks="3"),
    "no longer localising": lambda file: file.attrs.update(localises=False),
}


@pytest.mark.parametrize("edit", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_says_something_else_than_its_writer_is_refused(
    tmp_path: Path, edit: Callable[[h5py.File], Any]
) -> None:
    path = edited(write(tmp_path / "d.h5", verdicts()), edit)
    with pytest.raises(DamagedFileError, match=r"d\.h5 is not a readable HDF5 file .*; delete it and run again"):
        DecisionReader(path)


def test_a_file_that_is_edited_without_a_change_is_read(tmp_path: Path) -> None:
    path = edited(write(tmp_path / "d.h5", verdicts()), lambda _: None)
    with DecisionReader(path) as found:
        assert found.decided.tolist() == [False, False, True]


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = write(tmp_path / "d.h5", verdicts())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 or kept == 0 else kept * len(content))])
    with pytest.raises(DamagedFileError, match=r"d\.h5"):
        DecisionReader(path)


def test_a_changed_byte_of_a_threshold_is_told_of(tmp_path: Path) -> None:
    path = write(tmp_path / "d.h5", verdicts())
    content = path.read_bytes()
    old = np.float64(np.float32(0.6)).tobytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, np.float64(0.625).tobytes()))
    with pytest.raises(DamagedFileError, match=r"d\.h5 is damaged"):
        DecisionReader(path)


def test_a_score_file_is_no_decision_file(tmp_path: Path) -> None:
    with ScoreWriter(tmp_path / "s.h5", ["a"], {}, grid_sizes=np.array([[1, 1]]), setting="full-shot") as writer:
        writer.write(0, np.zeros((1, 1)), 0.0)
    with pytest.raises(DataError, match="is not a decision file"):
        DecisionReader(tmp_path / "s.h5")
