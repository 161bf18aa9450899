"""The quantile of the references' peaks: that of plain definition, its rate, and by a model's stored scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_files import maps as maps_of
from feature_files import random_tokens, write_features
from fitted_files import fit_to_file
from zsad.deciding.base import Evidence, ThresholdRule
from zsad.deciding.conformal import Conformal
from zsad.deciding.decide_images import decide_images
from zsad.deciding.reference_quantile import ReferenceQuantile
from zsad.errors import DataError
from zsad.files.decisions import DecisionReader
from zsad.files.hdf5 import read_provenance
from zsad.files.scores import ScoreWriter
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.memory_bank import MemoryBank

ANGLES = ("000", "045")


def images_alone(scores: np.ndarray, references: np.ndarray) -> Evidence:
    return Evidence([], scores, [], references)


def plain_quantile(values: np.ndarray, share: float) -> float:
    """Linear between order statistics."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


@pytest.mark.parametrize("quantile", [0.3, 0.5, 0.95, 0.995, 1.0])
def test_the_threshold_is_the_quantile_of_the_peaks(quantile: float) -> None:
    rng = np.random.default_rng(0)
    references = rng.gamma(2.0, size=(15, 6, 7)).astype(np.float32)
    evidence = Evidence(list(references[:3]), np.zeros(3), list(references), np.zeros(15))
    verdicts = ReferenceQuantile(quantile=quantile).decide(evidence)
    np.testing.assert_allclose(
        verdicts.region, plain_quantile(references.max(axis=(1, 2)).astype(np.float64), quantile), rtol=1e-6
    )
    median = np.median(references)
    np.testing.assert_allclose(verdicts.pixel, median + 0.7 * (verdicts.region - median), rtol=1e-6)


def test_a_factor_above_one_calls_less_defective_also_where_scores_are_negative() -> None:
    """To multiply a negative threshold would lower it."""
    rng = np.random.default_rng(1)
    references = rng.gamma(2.0, size=(9, 5, 5)).astype(np.float32)
    for offset in (0, -100):
        maps = list(references + np.float32(offset))
        evidence = Evidence(maps, np.zeros(9), maps, np.zeros(9))
        plain, further = (ReferenceQuantile(factor=factor).decide(evidence) for factor in (1.0, 1.5))
        median = np.median(references) + offset
        np.testing.assert_allclose(further.region - median, 1.5 * (plain.region - median), rtol=1e-4)
        assert np.isnan(further.nominal)
        assert further.remarks == ()


def test_without_maps_a_factor_goes_by_the_median_reference() -> None:
    verdicts = ReferenceQuantile(quantile=1, factor=2).decide(images_alone(np.zeros(1), np.array([1.0, 2.0, 4.0])))
    assert verdicts.region.tolist() == [6.0]


@pytest.mark.parametrize(("references", "quantile"), [(8, 0.995), (8, 0.5), (19, 0.95), (99, 0.95), (5, 1.0)])
def test_good_images_exceed_it_at_about_the_nominal_rate(references: int, quantile: float) -> None:
    """Of uniform scores, whose order statistics are evenly spaced on average, exactly at that rate."""
    rng, trials, rule = np.random.default_rng(2), 1500, ReferenceQuantile(quantile=quantile)
    verdicts = [rule.decide(images_alone(row[:1], row[1:])) for row in rng.random((trials, references + 1))]
    (nominal,) = {each.nominal for each in verdicts}
    rate = np.mean([each.decided[0] for each in verdicts])
    assert abs(rate - nominal) < 4.5 * np.sqrt(nominal * (1 - nominal) / trials)


def test_few_references_are_said_to_have_no_such_quantile() -> None:
    few = ReferenceQuantile().decide(images_alone(np.zeros(1), np.arange(8.0)))
    assert few.remarks == (
        "The quantile lies among the highest of 8 references, so that about 11.5 % of normal images exceed it, not 0.5 "
        "%.",
    )
    for references, is_few in ((9, True), (19, True), (99, False)):
        rule = ReferenceQuantile(quantile=0.95)
        assert bool(rule.decide(images_alone(np.zeros(1), np.arange(references) / 8)).remarks) == is_few


def test_a_single_score_of_a_reference_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2, and there is 1"):
        ReferenceQuantile().decide(images_alone(np.zeros(1), np.zeros(1)))


def made_by(model: Path) -> dict[str, Any]:
    """The provenance of scores by a model."""
    said = read_provenance(model)
    references = {"image_ids": said["references"]["image_ids"]}
    return {"scorer": {"params": said["scorer"]["params"]}, "features": {"references": references}}


@pytest.mark.parametrize("rule", [ReferenceQuantile(quantile=0.9), Conformal(alpha=0.4)], ids=["quantile", "conformal"])
def test_the_references_are_those_of_the_model_upright_each_scored_by_the_others(
    tmp_path: Path, rule: ThresholdRule
) -> None:
    tokens = random_tokens(12, *[(4, 5)] * 6)
    ids = [f"train/{number}.png@{angle}" for number in range(3) for angle in ANGLES]
    references = write_features(tmp_path / "references.h5", tokens, ids)
    maps = []
    for number in range(3):
        others = [tokens[index] for index in range(6) if index // 2 != number]
        (tmp_path / str(number)).mkdir()
        maps += maps_of(MemoryBank(), tmp_path / str(number), test=[tokens[2 * number]], references=others)
    test = [np.full((4, 5), value, np.float32) for value in (0.0, 9.0)]
    expected = rule.decide(Evidence(test, np.zeros(2), maps, np.zeros(3)))
    model = fit_to_file(
        tmp_path / "model.h5", references, MemoryBank(shots=3), Compute(), image_scoring=ImageScoring(aggregate="max")
    )
    with ScoreWriter(
        tmp_path / "s.h5", ["a", "b"], made_by(model), grid_sizes=np.array([[4, 5]] * 2), setting="few-shot-3"
    ) as writer:
        for index, anomaly_map in enumerate(test):
            writer.write(index, anomaly_map, float(anomaly_map.max()))
    decide_images(scores=tmp_path / "s.h5", rule=rule, output=tmp_path / "d.h5", provenance={}, model=model)
    with DecisionReader(tmp_path / "d.h5") as found:
        np.testing.assert_allclose(found.region, expected.region, atol=1e-6)
        np.testing.assert_allclose(found.pixel, expected.pixel, atol=1e-6)
        np.testing.assert_array_equal(found.significance, expected.significance)
        assert found.decided.tolist() == [False, True]
        assert found.nominal == expected.nominal
        assert [name.partition("@")[0] for name in found.provenance["references"]] == [
            f"train/{number}.png" for number in range(3)
        ]


def test_a_model_of_a_single_reference_has_no_evidence_and_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    references = write_features(
        tmp_path / "one.h5", random_tokens(13, (4, 5), (4, 5)), [f"train/0.png@{angle}" for angle in ANGLES]
    )
    model = fit_to_file(tmp_path / "model.h5", references, MemoryBank(), Compute())
    with ScoreWriter(
        tmp_path / "s.h5", ["a"], made_by(model), grid_sizes=np.array([[2, 2]]), setting="few-shot-1"
    ) as writer:
        writer.write(0, np.zeros((2, 2)), 0.0)
    for rule in (ReferenceQuantile(), Conformal()):
        with pytest.raises(DataError, match="at least 2 of them, but there is 1; raise 'shots'"):
            decide_images(scores=tmp_path / "s.h5", rule=rule, output=tmp_path / "d.h5", provenance={}, model=model)
    assert not (tmp_path / "d.h5").exists()
