"""The study of threshold rules: what it measures, on tiny batches, and the rule of choice, on made-up figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pandas as pd
import pytest

import zsad
from paths import load_script
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.deciding.base import Evidence, Verdicts
from zsad.scoring.compute import Compute
from zsad.scoring.mutual import Mutual

SIDE = 64
GOOD, DEFECTIVE, TRAIN = 6, 6, 3


@pytest.fixture(scope="module")
def decisions() -> ModuleType:
    """benchmarks/decisions.py, which is a script and no part of a package."""
    return load_script("benchmarks/decisions.py")


def test_batches_hold_the_shares_of_defective_images_that_they_are_named_after(decisions: ModuleType) -> None:
    labels = np.repeat([0, 1], 40)
    found = decisions.batches(labels, 30, 2)
    assert [(batch.contamination, int(labels[batch.indices].sum())) for batch in found if batch.draw == 0] == [
        (0, 0),
        (0.05, 2),
        (0.2, 6),
        (0.5, 15),
        (0.8, 24),
        (1, 30),
    ]
    assert all(len(set(batch.indices.tolist())) == 30 for batch in found)
    assert not np.array_equal(found[0].indices, found[1].indices)
    assert {batch.contamination for batch in decisions.batches(np.repeat([0, 1], [40, 20]), 30, 1)} == {
        0,
        0.05,
        0.2,
        0.5,
    }


def test_mutual_scores_of_a_batch_are_those_of_its_images_alone(decisions: ModuleType) -> None:
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(7, 1, 5, 4, 8))
    drawn = [np.array([0, 2, 5, 6]), np.array([1, 2, 3])]
    found = decisions.mutual_scores(Mutual(), zsad.MemoryTokens(list(tokens)), drawn, Compute())
    for indices, scores in zip(drawn, found, strict=True):
        alone = zsad.score("mutual", test=list(tokens[indices]))
        np.testing.assert_allclose(scores.image_scores, [one.image_score for one in alone], rtol=1e-4)
        np.testing.assert_allclose(scores.maps, [one.anomaly_map for one in alone], rtol=1e-4)


def evidence_of(peaks: list[float]) -> Evidence:
    """Maps that are 0 but for their first patch."""
    maps = [np.zeros((4, 4), np.float32) for _ in peaks]
    for anomaly_map, peak in zip(maps, peaks, strict=True):
        anomaly_map[0, 0] = peak
    return Evidence(maps, np.array(peaks))


def test_the_ceiling_calls_a_tenth_of_the_good_images_at_most(decisions: ModuleType) -> None:
    peaks = [*range(10), 8.5, 9.5, 3.5]
    labels = np.repeat([0, 1], [10, 3])
    evidence = evidence_of(peaks)
    truth = decisions.Truth.of(evidence, labels, [])
    decided = evidence.peaks > truth.ceiling(evidence.peaks)
    assert decided.nonzero()[0].tolist() == [9, 10, 11]  # without bound, it would be so too: 2 of 3, and 1 wrong
    all_good = decisions.Truth.of(evidence_of(peaks[:9]), labels[:9], [])
    assert not (evidence.peaks[:9] > all_good.ceiling(evidence.peaks[:9])).any()  # a tenth of 9 is none


def test_masks_are_measured_by_the_regions_that_stand_out(decisions: ModuleType) -> None:
    evidence = evidence_of([1.0, 4.0, 2.0])
    masks = [np.zeros((4, 4), bool) for _ in range(3)]
    masks[1][0, 0] = masks[2][0, 0] = True
    truth = decisions.Truth.of(evidence, np.array([0, 1, 1]), masks)
    assert truth.pixel_f1_max == 1
    both, one, none = (Verdicts(evidence, region, 0.5) for region in (1.5, 3.0, 5.0))
    assert [truth.mask_ratio(evidence, each) for each in (both, one, none)] == pytest.approx([1, 2 / 3, 0])
    assert truth.of_decided(one.decided)["ratio"] == pytest.approx(2 / 3)


def rows_of(**figures: tuple[float, float]) -> pd.DataFrame:
    """A rule with a mean F1 ratio, and a share of images that it calls in all-good batches."""
    rows = []
    for rule, (ratio, called) in figures.items():
        rows.append({"rule": rule, "contamination": 0.0, "ratio": np.nan, "fpr": called, "called": called})
        rows += [
            {"rule": rule, "contamination": at, "ratio": ratio + off, "fpr": 0.1, "called": at}
            for at, off in ((0.05, -0.2), (0.2, 0.1), (0.5, 0.1), (0.8, 0.0))
        ]
    return pd.DataFrame(rows).assign(auroc=0.9, recall=1.0)


@pytest.mark.parametrize(
    ("figures", "rule"),
    [
        ({"mebin": (0.5, 0.0), "robust_tail": (0.6, 0.1)}, "robust_tail"),
        ({"mebin": (0.5, 0.0), "robust_tail": (0.6, 0.11)}, "mebin"),
        ({"mebin": (0.5, 0.3), "robust_tail": (0.6, 0.4)}, "mebin"),
        ({"mebin": (0.5, 0.1), "suitable": (0.6, 0.1), "best at 10 %": (0.9, 0.0)}, "mebin"),
    ],
)
def test_the_best_rule_is_chosen_that_leaves_nine_good_images_of_ten_alone(
    decisions: ModuleType, figures: dict[str, tuple[float, float]], rule: str
) -> None:
    assert decisions.chosen(decisions.summary(rows_of(**figures))) == rule


def test_every_registered_rule_is_tried(decisions: ModuleType) -> None:
    tried = {name.split()[0] for name in decisions.candidates()} | {
        name.split(",")[0] for name in decisions.informed(0.2)
    }
    assert tried == set(decisions.THRESHOLDS.names()) - {"fixed"}


def make_images(folder: Path) -> None:
    """Grey noise; a white square is the defect."""
    rng = np.random.default_rng(0)
    for number in range(TRAIN + GOOD + DEFECTIVE):
        image = rng.normal(128, 20, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        place = "train/good" if number < TRAIN else "test/good" if number < TRAIN + GOOD else "test/square"
        if place == "test/square":
            mask[16:32, 16:32] = 255
            image[mask > 0] = 255
            write_png(folder / "ground_truth" / "square" / f"{number:03d}_mask.png", mask)
        write_png(folder / place / f"{number:03d}.png", image)


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def test_a_tiny_study_goes_from_images_to_tables(
    decisions: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "METHODS", {"bank": ("memory_bank", {"shots": 3}), "mutual": ("mutual", {})})
    monkeypatch.setattr(decisions, "extract", partial(zsad.extract, params={"resolution": SIDE}))
    category = decisions.Category("tiny", "squares", MvtecLayout(), tmp_path / "images", make_images)
    options = decisions.Options(tmp_path, batch=5, draws=1)
    rules = {name: rule for name, rule in decisions.candidates().items() if name.split()[0] in ("conformal", "mebin")}
    tasks = [decisions.Task(category, method, "embedded") for method in ("bank", "mutual")]
    rows = [row for task in tasks for row in decisions.measure(task, options, rules, with_informed=True)]
    again = [row for task in tasks for row in decisions.measure(task, options, rules, with_informed=True)]
    assert str(again) == str(rows)  # from what is kept
    table = pd.DataFrame(rows)
    best = table[(table["rule"] == decisions.ORACLE) & (table["method"] == "bank")]
    assert best["ratio"].dropna().tolist() == [1.0] * 4  # it finds every square
    assert set(table[table["rule"].str.startswith("conformal")]["kind"]) == {"references"}
    taken = decisions.choices(table)
    assert set(taken) == {"references", "batch"}
    shown = "\n".join(decisions.tables(table, {kind: [rule] for kind, rule in taken.items()}))
    assert "## With references" in shown
    assert "| best at 10 % | 100 | 100 | 100 | 100 | 100 |" in shown
