"""A stored model says of a photograph what the workflow says of it, whatever the method and the backbone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

import zsad
from inspected import EMBEDDED, Inspected, inspected
from tiny_resnet import BASIC, saved
from tiny_sam import write_segment_anything
from zsad.data.images import read_image
from zsad.errors import ConfigError, DataError, ModelError
from zsad.exporting.regions import find_regions
from zsad.features.registry import BACKBONES
from zsad.files.scores import ScoreReader
from zsad.inspecting import inspector as inspecting
from zsad.inspecting.inspection import Failure, Inspection
from zsad.inspecting.inspector import load
from zsad.maps import at_image_size
from zsad.registry import Registry
from zsad.scoring.token_source import MemoryTokens

TOYS = Registry(
    "backbone family", {**{name: BACKBONES.entry(name) for name in BACKBONES.names()}, "strip": "toy_backbones:Strip"}
)
FINE = {"name": "fine", "family": "embedded", "params": {"resolution": 32, "stride": 4}}
PLAIN = {"rotations": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Inspected:
    """By the filter bank and a memory bank of four references; not to be changed."""
    return inspected(tmp_path_factory.mktemp("made"), params=PLAIN)


def resnet(folder: Path, seed: int = 0) -> dict[str, Any]:
    path = saved(BASIC, folder / "tiny_resnet18.pth", seed)
    return {"name": "tiny", "family": "resnet", "params": {"model": str(path), "resolution": 64}}


def joint(*members: dict[str, Any]) -> dict[str, Any]:
    return {"name": "both", "family": "joint", "params": {"members": list(members), "weights": [1, 3]}}


def assert_agree(made: Inspected, said: list[Inspection | Failure]) -> None:
    """Scores, maps, notes, decisions and their numbers are those of the workflow."""
    with ScoreReader(made.scores) as scores, zsad.read_decisions(made.decisions) as decisions:
        assert [each.path for each in said] == made.photographs
        for index, each in enumerate(said):
            assert isinstance(each, Inspection)
            height, width = read_image(made.photographs[index], white=4095.0).shape[:2]
            whole = at_image_size(scores.anomaly_map(index), height, width)
            assert each.score == pytest.approx(scores.image_scores[index], rel=1e-6, abs=1e-6)
            differs = each.mask & (each.anomaly_map > whole + 1e-6)  # a peak, which is put on the nearest pixel
            assert (each.anomaly_map[differs] <= each.peak).all()
            assert differs.sum() <= max(1, scores.anomaly_map(index).size // 2) * bool(each.regions)
            np.testing.assert_allclose(each.anomaly_map[~differs], whole[~differs], rtol=1e-6, atol=1e-6)
            decided = decisions[decisions.image_ids[index]]
            assert each.peak == pytest.approx(decided.peak, rel=1e-6, abs=1e-6)
            assert each.threshold == pytest.approx(decided.region_threshold, rel=1e-6)
            assert each.pixel_threshold == pytest.approx(decided.pixel_threshold, rel=1e-6)
            numbers = each.p_value, each.false_alarms
            assert numbers == pytest.approx((decided.p_value, decided.false_alarms), rel=1e-4, nan_ok=True)
            assert each.decision == decided.defective
            assert each.localises == scores.localises
            assert each.mask.any() == (each.decision and each.localises)
            assert (each.anomaly_map[each.mask] > each.pixel_threshold).all()
            assert each.regions == find_regions(each.mask, each.anomaly_map)
            assert (each.note, list(each.remarks)) == (scores.notes[index], decisions.remarks)


METHODS = [
    ("memory_bank", {"rotations": True, "k": 2}, EMBEDDED),
    ("memory_bank", {**PLAIN, "coreset": 0.3, "foreground": "otsu"}, EMBEDDED),
    ("subspace", {}, EMBEDDED),
    ("gmm", {}, EMBEDDED),
    ("mahalanobis", {}, EMBEDDED),
    ("class_token_knn", {}, EMBEDDED),
    ("flow", {"steps": 5, "width": 16, "batch": 64}, EMBEDDED),
    ("memory_bank", PLAIN, joint(EMBEDDED, FINE)),
    ("memory_bank", PLAIN, {"name": "toy", "family": "strip", "params": {"depth": 3}}),
]


@pytest.mark.parametrize(("scorer", "params", "backbone"), METHODS)
def test_scores_are_those_of_the_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scorer: str, params: dict[str, Any], backbone: dict[str, Any]
) -> None:
    use_toys(monkeypatch)
    made = inspected(tmp_path, scorer, params, backbone, image_score={"smoothing": 1.0, "fraction": 0.05})
    with load(made.model) as inspector:
        together = list(inspector.inspect_all(made.photographs))
        alone = [inspector.inspect(path) for path in made.photographs]
    assert_agree(made, together)
    assert_agree(made, alone)


def test_scores_by_a_network_are_those_of_the_workflow(tmp_path: Path) -> None:
    made = inspected(tmp_path, params=PLAIN, backbone=joint(EMBEDDED, resnet(tmp_path)))
    with load(made.model) as inspector:
        assert_agree(made, list(inspector.inspect_all(made.photographs)))
        assert inspector.needs_weights


def test_photographs_of_sixteen_bits_are_scaled_as_the_references_are(tmp_path: Path) -> None:
    made = inspected(tmp_path, params=PLAIN, deep=True)
    with load(made.model) as inspector:
        assert_agree(made, list(inspector.inspect_all(made.photographs)))
        array = np.asarray(Image.open(made.photographs[0]))
        assert array.dtype == np.uint16
        assert inspector.inspect(array).score == inspector.inspect(made.photographs[0]).score


def test_the_part_is_found_as_the_workflow_finds_it(tmp_path: Path) -> None:
    weights = write_segment_anything(tmp_path / "sam.pth", seed=4)
    segmenter = {"name": "sam", "family": "segment_anything", "params": {"model": str(weights), "dtype": "float32"}}
    made = inspected(tmp_path, params={**PLAIN, "foreground": "sam"}, backbone=FINE, segmenter=segmenter)
    with load(made.model, device="cpu") as inspector:
        assert inspector.needs_weights
        said = list(inspector.inspect_all(made.photographs))
    assert_agree(made, said)
    assert any((each.anomaly_map == 0).any() for each in said)
    write_segment_anything(weights, seed=1)
    with (
        load(made.model) as inspector,
        pytest.raises(ModelError, match="'sam' has other weights than those that made the model"),
    ):
        inspector.inspect(made.photographs[0])


def use_toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("zsad.features.registry", "zsad.inspecting.model_file", "zsad.features.joint", "inspected"):
        monkeypatch.setattr(f"{module}.BACKBONES", TOYS)


def test_the_filter_bank_needs_no_weights(made: Inspected) -> None:
    with load(made.model) as inspector:
        assert not inspector.needs_weights


def test_photographs_in_many_groups_are_scored_alike(made: Inspected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspecting, "SCORED_TOGETHER", 1)
    with load(made.model) as inspector:
        assert_agree(made, list(inspector.inspect_all(made.photographs)))


def test_an_array_is_inspected_as_its_file_is(made: Inspected) -> None:
    with load(str(made.model)) as inspector:
        by_file = inspector.inspect(str(made.photographs[-1]))
        by_array = inspector.inspect(read_image(made.photographs[-1]))
    assert by_array.path is None
    assert by_array.score == by_file.score
    np.testing.assert_array_equal(by_array.mask, by_file.mask)


def test_the_threshold_is_what_is_asked_for(made: Inspected) -> None:
    photograph = made.photographs[-1]
    by_references = load(made.model).inspect(photograph)
    assert (by_references.decision, by_references.threshold_from) == (True, "references")
    assert 0 <= by_references.p_value <= 0.05
    assert by_references.remarks[0].startswith("4 references are too few for p-values that hold in finite samples")
    ranked = load(made.model, threshold="conformal").inspect(photograph)
    assert (ranked.decision, ranked.p_value) == (True, 1 / 5)
    assert ranked.remarks[0].startswith("4 references allow a false-alarm rate of 20 % at the least")
    given = load(made.model, threshold=by_references.peak).inspect(photograph)
    assert (given.decision, given.threshold_from, given.threshold) == (False, "given", by_references.peak)
    assert (given.remarks, str(given.p_value)) == ((), "nan")
    below = load(made.model, threshold=float(np.nextafter(np.float32(by_references.peak), 0))).inspect(photograph)
    assert below.decision
    assert [region.peak for region in below.regions] == [below.peak]
    own = load(made.model, threshold="robust_tail").inspect(photograph)
    assert own.threshold_from == "its own patches"
    with pytest.raises(ConfigError, match="there is no threshold rule 'robust_tails'"):
        load(made.model, threshold="robust_tails").inspect(photograph)


def test_a_single_reference_leaves_a_photograph_to_its_own_patches(tmp_path: Path) -> None:
    made = inspected(tmp_path, params={**PLAIN, "shots": 1})
    said = load(made.model).inspect(made.photographs[-1])
    assert said.threshold_from == "its own patches"
    assert said.pixel_threshold < said.threshold
    assert said.decision == (said.false_alarms <= -np.log1p(-0.1))
    assert np.isnan(said.p_value)
    with pytest.raises(DataError, match="needs scores of references"):
        load(made.model, threshold="reference_quantile").inspect(made.photographs[-1])


def test_a_photograph_that_cannot_be_read_does_not_stop_the_others(made: Inspected, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(made.photographs[0].read_bytes()[:-500])
    strip = tmp_path / "strip.png"
    Image.fromarray(np.zeros((4, 400), np.uint8)).save(strip)
    (tmp_path / "folder.png").mkdir()
    bad = [cut, strip, tmp_path / "folder.png", tmp_path / "gone.png"]
    mixed = [bad[0], made.photographs[0], bad[1], bad[2], made.photographs[1], bad[3]]
    with load(made.model) as inspector:
        said = list(inspector.inspect_all(mixed))
        assert [each.path for each in said] == mixed
        assert [isinstance(each, Failure) for each in said] == [path in bad for path in mixed]
        assert all(str(each.path) in str(each.error) for each in said if isinstance(each, Failure))
        assert "dataset." not in str(said[2].error)
        for path in bad:
            with pytest.raises(DataError, match=path.name):
                inspector.inspect(path)


def test_a_photograph_that_does_not_go_with_the_references_does_not_stop_the_others(tmp_path: Path) -> None:
    """Of a method that compares the same places."""
    made = inspected(tmp_path, params={**PLAIN, "window": 1})
    other = tmp_path / "other.png"
    shutil.copy(made.photographs[0], other)
    with load(made.model) as inspector:
        assert all(isinstance(each, Inspection) for each in inspector.inspect_all([*made.photographs, other]))


def test_scorers_are_told_what_photographs_are_called(
    made: Inspected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what does not go with the references is named; a name that reads as a turned image would mislead."""
    names = []

    class Recorded(MemoryTokens):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            names.append(self.image_ids)

    monkeypatch.setattr("zsad.inspecting.photograph_encoder.MemoryTokens", Recorded)
    turned = tmp_path / "part@045"
    shutil.copy(made.photographs[0], turned)
    with load(made.model) as inspector:
        for path in (made.photographs[0], turned):
            inspector.inspect(path)
    assert names == [[str(made.photographs[0])], ["0"]]


def test_weights_that_are_not_those_of_the_model_are_one_sentence(tmp_path: Path) -> None:
    backbone = resnet(tmp_path)
    made = inspected(tmp_path, params=PLAIN, backbone=backbone)
    saved(BASIC, Path(backbone["params"]["model"]), seed=1)
    with (
        load(made.model) as inspector,
        pytest.raises(ModelError, match=r"'tiny' has other weights than those that made the model.*SHA-256"),
    ):
        inspector.inspect(made.photographs[0])
    Path(backbone["params"]["model"]).unlink()
    with load(made.model) as inspector, pytest.raises(ModelError, match=r"tiny_resnet18\.pth' does not exist"):
        inspector.inspect(made.photographs[0])


def test_a_model_that_is_none_is_one_sentence(made: Inspected, tmp_path: Path) -> None:
    text = tmp_path / "notes.h5"
    text.write_text("no model")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(made.model.read_bytes()[:-100])
    flipped = bytearray(made.model.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "flipped.h5").write_bytes(flipped)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
    (tmp_path / "empty").mkdir()
    for path, said in {
        text: "no digest of its content",
        cut: "not a readable HDF5 file",
        tmp_path / "flipped.h5": "is damaged",
        tmp_path / "foreign.h5": "no digest of its content",
        made.scores: "is not a model file",
        made.photographs[0]: "no digest of its content",
        tmp_path / "empty": "is a folder; give a file",
        made.model.parents[1]: r"is a folder; give one of its files, e.g. .*models/memory_bank\.h5",
        tmp_path / "gone.h5": "does not exist; give one that the workflow has made",
    }.items():
        with pytest.raises(DataError, match=said) as raised, load(path) as inspector:
            inspector.inspect(made.photographs[1])
        assert "delete" not in str(raised.value)


def test_an_unknown_device_is_one_sentence(made: Inspected) -> None:
    with load(made.model, device="gpu") as inspector, pytest.raises(ConfigError, match="there is no device 'gpu'"):
        inspector.inspect(made.photographs[0])
