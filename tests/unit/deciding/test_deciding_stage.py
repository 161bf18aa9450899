"""The deciding stage: from score and model files to decision files, or one sentence and no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decision_files import write_decisions
from feature_files import random_tokens, write_features
from fitted_files import score_files
from zsad.deciding.base import Evidence, ThresholdRule
from zsad.deciding.conformal import Conformal
from zsad.deciding.decide_images import ADOPTED, adopt_decisions, decide_images
from zsad.deciding.fixed import Fixed
from zsad.deciding.registry import THRESHOLDS
from zsad.deciding.robust_tail import RobustTail
from zsad.errors import DamagedFileError, DataError
from zsad.files.decisions import DecisionReader
from zsad.files.fitted import FittedReader
from zsad.files.scores import ScoreReader, ScoreWriter
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.references import ReferenceScorer

GRID = (5, 6)
SAID = {"stage": "decide_images", "versions": {"numpy": "9"}}
SCORERS = [MemoryBank(shots=4, rotations=False), ClassTokenKnn(shots=4)]


def random_maps(seed: int, count: int = 6) -> list[np.ndarray]:
    maps = np.random.default_rng(seed).gamma(2, size=(count, *GRID)).astype(np.float32)
    maps[1::2, 2, 3] += 9
    return list(maps)


def write_scores(
    path: Path, maps: Sequence[np.ndarray], *, localises: bool = True, ids: Sequence[str] | None = None, **said: Any
) -> Path:
    """A score file of maps, whose mean is the image score."""
    ids = ids or [f"test/{index}.png" for index in range(len(maps))]
    sizes = np.array([each.shape for each in maps])
    provenance = {"image_list_sha256": "abc", "model": {"id": "toy"}, **said}
    with ScoreWriter(path, ids, provenance, grid_sizes=sizes, setting="zero-shot-batch", localises=localises) as writer:
        for index, each in enumerate(maps):
            writer.write(index, each, float(each.mean()))
    return path


def decide(scores: Path, rule: ThresholdRule, model: Path | None = None) -> Path:
    output = scores.with_name("decisions.h5")
    decide_images(scores=scores, rule=rule, model=model, output=output, provenance=SAID)
    return output


def scored_by_references(folder: Path, scorer: ReferenceScorer, references: int = 4, seed: int = 1) -> Path:
    """The score file of a method with references, with its model beside it."""
    folder.mkdir(exist_ok=True)
    ids = [f"train/{index}.png" for index in range(references)]
    files = {
        "test": write_features(folder / "test.h5", random_tokens(0, *[GRID] * 3)),
        "references": write_features(folder / "references.h5", random_tokens(seed, *[GRID] * references), ids),
    }
    return score_files(folder / "scores.h5", scorer, files, image_scoring=ImageScoring(), compute=Compute())


@pytest.mark.parametrize("localises", [True, False])
def test_the_file_says_what_the_rule_says_of_the_stored_scores(tmp_path: Path, localises: bool) -> None:
    maps = random_maps(0)
    scores = write_scores(tmp_path / "scores.h5", maps, localises=localises)
    with ScoreReader(scores) as reader:
        expected = RobustTail(z=3).decide(Evidence(maps if localises else [], reader.image_scores))
    with DecisionReader(decide(scores, RobustTail(z=3))) as found:
        assert found.image_ids == [f"test/{index}.png" for index in range(6)]
        assert (found.rule, found.localises, found.measure) == ("robust_tail", localises, expected.measure)
        for name in ("pixel", "region", "decided", "significance"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert found.decided.tolist() == [False, True] * 3 or not localises
        said = found.provenance
    assert said["threshold_rule"] == {"name": "robust_tail", "params": RobustTail(z=3).parameters()}
    assert (said["stage"], said["image_list_sha256"], said["model"]) == ("decide_images", "abc", {"id": "toy"})
    assert said["references"] == []


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda each: type(each).__name__)
def test_a_rule_is_shown_what_the_references_score(tmp_path: Path, scorer: ReferenceScorer) -> None:
    scores = scored_by_references(tmp_path, scorer)
    model = scores.with_name("model.h5")
    rule = Conformal(alpha=0.3)
    with (
        ScoreReader(scores) as reader,
        FittedReader(model) as fitted,
        DecisionReader(decide(scores, rule, model)) as found,
    ):
        maps = [reader.anomaly_map(index) for index in range(3)] if scorer.localises else []
        shown = Evidence(maps, reader.image_scores, fitted.reference_maps, fitted.reference_scores)
        expected = rule.decide(shown)
        assert found.provenance["references"] == fitted.reference_ids
        assert len(fitted.reference_maps) == (4 if scorer.localises else 0)
    assert found.measure == "p_value"
    np.testing.assert_array_equal(found.significance, expected.significance)
    np.testing.assert_array_equal(found.region, expected.region)


@pytest.mark.parametrize("name", THRESHOLDS.names())
@pytest.mark.parametrize("references", [1, 4])
def test_every_rule_decides_or_says_in_one_sentence_why_not(tmp_path: Path, name: str, references: int) -> None:
    needed = [field for field, info in THRESHOLDS.load(name).model_fields.items() if info.is_required()]
    rule = THRESHOLDS.build(name, {"image": 0.5} if name == "fixed" else dict.fromkeys(needed, 0.5))
    scores = scored_by_references(tmp_path, MemoryBank(shots=references, rotations=False), references)
    model = scores.with_name("model.h5")
    if rule.needs_references and references == 1:
        with pytest.raises(DataError, match=r"^a threshold from references needs at least 2 of them, but there is 1; "):
            decide(scores, rule, model)
        assert not (tmp_path / "decisions.h5").exists()
        return
    by = name if name != "suitable" else "a_contrario" if references == 1 else "reference_tail"  # the one that it chose
    with DecisionReader(decide(scores, rule, model)) as found:
        assert (found.rule, len(found)) == (by, 3)
        assert found.provenance["threshold_rule"]["name"] == name


def test_a_rule_for_references_says_that_the_method_has_none(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores.h5", random_maps(0))
    with pytest.raises(DataError, match=r"needs references, and the method has none; choose another rule"):
        decide(scores, Conformal())
    assert [path.name for path in tmp_path.iterdir()] == ["scores.h5"]


@pytest.mark.parametrize("other", ["references", "parameters", "scorer"])
def test_a_model_of_other_scores_is_refused(tmp_path: Path, other: str) -> None:
    scores = scored_by_references(tmp_path / "one", SCORERS[0])
    changed = {
        "references": (SCORERS[0], 5),
        "parameters": (MemoryBank(shots=4, rotations=False, k=2), 4),
        "scorer": (ClassTokenKnn(shots=4), 4),
    }[other]
    model = scored_by_references(tmp_path / "two", *changed).with_name("model.h5")
    with pytest.raises(DataError, match=r"model\.h5 is not the model by which .*scores\.h5 was made; delete both"):
        decide(scores, RobustTail(), model)
    assert not scores.with_name("decisions.h5").exists()


def test_two_runs_write_the_same_bytes_of_numbers(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores.h5", random_maps(3))
    first = decide(scores, RobustTail()).read_bytes()
    assert decide(scores, RobustTail()).read_bytes() == first


# --- of a modulation ----------------------------------------------------------------------------------------------


def adopt(scores: Path, decisions: Path) -> Path:
    output = scores.with_name("adopted.h5")
    adopt_decisions(scores=scores, decisions=decisions, output=output, provenance={"stage": "adopt_decisions"})
    return output


@pytest.fixture
def of_method(tmp_path: Path) -> Path:
    """Decisions with p-values by thresholds that differ from image to image."""
    scores = write_scores(tmp_path / "scores.h5", random_maps(0))
    return write_decisions(
        tmp_path / "decisions.h5",
        scores,
        region=[6.0, 6.0, 6.0, 6.0, 2.0, 30.0],
        pixel=[3.0, 4.0, 3.0, 3.0, 1.0, 3.0],
        significance=[0.5, 0.1, 0.5, 0.1, 0.1, 0.9],
        measure="p_value",
        nominal=0.1,
        remarks=["So few references."],
        rule="conformal",
    )


def test_a_modulation_is_decided_on_by_the_thresholds_of_its_method_and_its_own_maps(
    tmp_path: Path, of_method: Path
) -> None:
    maps = random_maps(0)
    maps[1] = np.minimum(maps[1], 5)  # a peak that the modulation takes back
    maps[2] = np.repeat(np.repeat(maps[2], 2, axis=0), 2, axis=1)  # a finer grid with the same peak
    modulated = write_scores(tmp_path / "modulated.h5", maps)
    with DecisionReader(adopt(modulated, of_method)) as found, DecisionReader(of_method) as own:
        np.testing.assert_array_equal(found.pixel, own.pixel)
        np.testing.assert_array_equal(found.region, own.region)
        assert own.decided.tolist() == [False, True, False, True, True, False]
        assert found.decided.tolist() == [False, False, False, True, True, False]
        assert found.peaks.tolist() == [each.max() for each in maps]
        assert found.significance[[0, 2, 3, 4, 5]].tolist() == [0.5, 0.5, 0.1, 0.1, 0.9]
        assert np.isnan(found.significance[1])
        assert (found.rule, found.measure, found.nominal) == ("conformal", "p_value", 0.1)
        assert found.remarks == ["So few references.", ADOPTED]
        said = found.provenance
        assert said["threshold_rule"]["name"] == "conformal"
        assert (said["stage"], said["decisions"]["stage"]) == ("adopt_decisions", "decide_images")
        assert said["image_list_sha256"] == "abc"


def test_a_modulation_of_images_alone_is_decided_on_as_its_method_is(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores.h5", random_maps(0), localises=False)
    own = decide(scores, Fixed(image=2.2))
    with DecisionReader(adopt(scores, own)) as found, DecisionReader(own) as expected:
        assert not found.localises
        assert found.decided.tolist() == expected.decided.tolist()
        assert 0 < found.decided.sum() < 6
        assert np.isinf(found.pixel).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"ids": [f"test/{index}.png" for index in (1, 0, 2, 3, 4, 5)]},
        {"ids": [f"other/{index}.png" for index in range(6)]},
        {"localises": False},
    ],
)
def test_decisions_on_other_images_are_refused_and_leave_no_file(
    tmp_path: Path, of_method: Path, changed: dict[str, Any]
) -> None:
    modulated = write_scores(tmp_path / "modulated.h5", random_maps(0), **changed)
    with pytest.raises(DataError, match=r"modulated\.h5 and .*decisions\.h5 do not show the same images; delete both"):
        adopt(modulated, of_method)
    assert not (tmp_path / "adopted.h5").exists()


def test_a_file_of_another_kind_is_reported(tmp_path: Path, of_method: Path) -> None:
    scores = tmp_path / "scores.h5"
    with pytest.raises(DamagedFileError, match=r"scores\.h5"):
        adopt(scores, scores)
    with pytest.raises(DamagedFileError, match=r"decisions\.h5"):
        decide(of_method, RobustTail())
    with pytest.raises(DamagedFileError, match=r"decisions\.h5"):
        decide(scores, RobustTail(), of_method)
