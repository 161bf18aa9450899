"""What stands out in an image, what is said of it in results and tables, and files that do not belong together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_evaluation_stage import Category

from decision_files import write_decisions
from evaluation_files import Run, score_document
from zsad import metrics
from zsad.errors import DataError
from zsad.evaluation.marks import marked, marks_in
from zsad.files.scores import ScoreWriter
from zsad.maps import Thresholds
from zsad.names import THRESHOLD_METRICS

# Two regions that touch at a corner, which is one, and a third apart; 4 of 20 values above 0.5, one equal to it.
MAP = np.array(
    [
        [0.9, 0.1, 0.1, 0.1, 0.7],
        [0.1, 0.8, 0.1, 0.1, 0.1],
        [0.1, 0.1, 0.1, 0.5, 0.1],
        [0.1, 0.1, 0.1, 0.1, 0.6],
    ],
    dtype=np.float32,
)
GAP = np.float32(0.3)


def regions_by_hand(anomaly_map: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """The patches of the regions that stand out, one region after the other."""
    _, labels = cv2.connectedComponents((anomaly_map > np.float32(thresholds.pixel)).astype(np.uint8), connectivity=8)
    regions = [labels == label for label in range(1, labels.max() + 1)]
    kept = [region for region in regions if anomaly_map[region].max() > np.float32(thresholds.region)]
    return np.any([np.zeros(labels.shape, bool), *kept], axis=0)


@pytest.mark.parametrize(
    ("pixel", "region", "expected"),
    [
        (0.5, 0.5, (3, 4 / 20)),
        (0.5, 0.65, (2, 3 / 20)),  # the third region is above the one threshold and not above the other
        (0.5, 0.8, (1, 2 / 20)),
        (0.05, 0.85, (1, 1.0)),  # one region of all patches
        (0.5, 0.9, (0, 0.0)),  # what equals the threshold does not exceed it
        (0.9, 0.9, (0, 0.0)),
        (-np.inf, 0.5, (1, 1.0)),
        (0.5, np.inf, (0, 0.0)),
    ],
)
def test_regions_are_marked_that_exceed_one_threshold_and_have_a_value_above_the_other(
    pixel: float, region: float, expected: tuple[int, float]
) -> None:
    found = marks_in(MAP, Thresholds(*map(float, np.float32((pixel, region)))), *MAP.shape)
    assert found == (expected[0], pytest.approx(expected[1]))


def test_they_are_counted_at_the_size_of_the_image_as_masks_are() -> None:
    thresholds = Thresholds(0.5, 0.65)
    mask = marked(MAP, thresholds, 40, 70)
    # Where the two patches touch, the map is (0.9 + 0.8 + 0.1 + 0.1) / 4 = 0.475, so that there they come apart.
    assert marks_in(MAP, thresholds, 40, 70) == (3, pytest.approx(mask.mean()))
    assert marks_in(MAP, Thresholds(0.47, 0.65), 40, 70).regions == 2


@pytest.mark.parametrize("seed", range(3))
def test_what_is_marked_on_the_grid_is_what_plain_loops_find_and_marks_are_there_exactly_if_the_peak_is_high(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(20):
        anomaly_map = cv2.GaussianBlur(rng.normal(size=(9, 12)).astype(np.float32), (3, 3), 0)
        pixel, region = np.sort(np.quantile(anomaly_map, rng.uniform(0.5, 1, 2))).astype(np.float32)
        thresholds = Thresholds(float(pixel), float(region))
        np.testing.assert_array_equal(
            marked(anomaly_map, thresholds, *anomaly_map.shape), regions_by_hand(anomaly_map, thresholds)
        )
        for size in ((31, 50), (5, 7), (256, 256)):
            assert bool(marks_in(anomaly_map, thresholds, *size).regions) == bool(anomaly_map.max() > region)


@pytest.mark.parametrize("protocol", ["native", "resize256"])
def test_an_image_is_called_defective_exactly_if_it_is_marked_which_the_result_and_the_table_say(
    tmp_path: Path, protocol: str
) -> None:
    category = Category(tmp_path)
    # A defective image and a normal one with the better score, each under thresholds of its own; one without a label.
    category.add(1, strength=0.5).add(0).add(None)
    category.maps[1][0, 0] = 0.7
    category.write(
        image_scores=[0.3, 0.9, 0.2],
        region=[0.75, 0.7, 0.5],
        pixel=[0.6, 0.45, 0.45],
        significance=[0.01, 0.25, 1.0],
        measure="p_value",
    )
    result = category.evaluate(protocol=protocol)
    found = [(image["decision"], image["marked_regions"]) for image in result["images"]]
    assert found == [(True, 1), (False, 0), (False, 0)]
    share = marked(category.maps[0], Thresholds(float(np.float32(0.6)), 0.75), 24, 32).mean()
    assert result["images"][0]["marked_share"] == pytest.approx(share)
    assert (result["decision"]["called"], result["decision"]["images"]) == (1, 3)
    document = score_document("bottle", "mirror", 0.5) | {"images": result["images"]}
    rows = Run(tmp_path).collect([document]).rows("images_csv")
    assert [row["image_id"][-7:] for row in rows] == ["001.png", "000.png", "002.png"]
    assert [row["decision"] for row in rows] == ["0", "1", "0"]
    assert [row["marked_regions"] for row in rows] == ["0", "1", "0"]
    assert [(row["region_threshold"], row["pixel_threshold"]) for row in rows] == [
        *(("0.7", "0.45"), ("0.75", "0.6"), ("0.5", "0.45")),
    ]
    assert [(row["p_value"], row["false_alarms"]) for row in rows] == [("0.25", ""), ("0.01", ""), ("1", "")]
    assert [int(float(row["peak"]) > float(row["region_threshold"])) for row in rows] == [0, 1, 0]


def test_two_peaks_that_differ_in_their_last_digit_compare_in_the_table_as_they_do_in_the_file(tmp_path: Path) -> None:
    threshold = np.float32(0.7)
    peaks = [np.nextafter(threshold, np.float32(side)) for side in (0, 1)]
    category = Category(tmp_path).add(0).add(1)
    for anomaly_map, peak in zip(category.maps, peaks, strict=True):
        anomaly_map[:] = np.minimum(anomaly_map, GAP)
        anomaly_map[0, 0] = peak
    result = category.write(region=float(threshold), pixel=0.5).evaluate()
    document = score_document("bottle", "mirror", 0.5) | {"images": result["images"]}
    rows = Run(tmp_path).collect([document]).rows("images_csv")
    assert sorted(
        (row["decision"], float(row["peak"]) > float(row["region_threshold"]), float(row["peak"])) for row in rows
    ) == [("0", False, pytest.approx(0.7)), ("1", True, pytest.approx(0.7))]


def test_a_method_that_scores_images_alone_marks_nothing_and_decides_by_its_score(tmp_path: Path) -> None:
    category = Category(tmp_path).add(0).add(1)
    category.write(
        image_scores=[0.1, 0.9], region=0.5, localises=False, significance=[2.0, 1e-9], measure="false_alarms"
    )
    result = category.evaluate()
    found = [
        (image["decision"], image["marked_regions"], image["marked_share"], image["peak"]) for image in result["images"]
    ]
    assert found == [(False, None, None, pytest.approx(0.1)), (True, None, None, pytest.approx(0.9))]
    assert [(image["region_threshold"], image["pixel_threshold"]) for image in result["images"]] == [(0.5, None)] * 2
    assert [(image["p_value"], image["false_alarms"]) for image in result["images"]] == [(None, 2.0), (None, 1e-9)]
    assert result["decision"]["localises"] is False
    document = score_document("bottle", "tokens", 0.5) | {"images": result["images"]}
    row = Run(tmp_path).collect([document]).rows("images_csv")[0]
    assert row["pixel_threshold"] == row["marked_regions"] == row["marked_share"] == row["p_value"] == ""
    assert (row["region_threshold"], row["false_alarms"]) == ("0.5", "1e-09")


def test_the_table_leaves_a_threshold_empty_that_nothing_exceeds(tmp_path: Path) -> None:
    result = Category(tmp_path).add(0).add(1).write(region=np.inf, pixel=0.5).evaluate()
    assert [image["region_threshold"] for image in result["images"]] == [None, None]
    document = score_document("tile", "tokens", 0.5) | {"images": result["images"]}
    row = Run(tmp_path).collect([document]).rows("images_csv")[0]
    assert (row["region_threshold"], row["pixel_threshold"], row["decision"], row["p_value"]) == ("", "0.5", "0", "")


@pytest.mark.parametrize("protocol", ["native", "resize256"])
def test_what_arrays_give_from_python_is_what_the_stage_says(tmp_path: Path, protocol: str) -> None:
    category = Category(tmp_path)
    for strength in (1.0, 0.5, 0.3):
        category.add(0).add(1, strength=strength)
    category.maps[2][0, 0] = 0.8  # a false alarm
    category.maps[3][5, 7] = 0.6  # which does not stand out
    scores, labels = np.float32([0.1, 0.9, 0.45, 0.3, 0.2, 0.4]), [0, 1] * 3
    region, pixel = np.float32([0.7, 0.7, 0.65, 0.7, 0.7, 0.6]), np.float32([0.5, 0.4, 0.5, 0.45, 0.5, 0.5])
    result = category.write(image_scores=scores, region=region, pixel=pixel).evaluate(protocol=protocol, seed=3)
    decided = [anomaly_map.max() > limit for anomaly_map, limit in zip(category.maps, region, strict=True)]
    drawn = {"draws": 100, "seed": 3, "category": "bottle"}
    found = metrics.decision_metrics(decided, labels, scores=scores)
    limits = metrics.decision_limits(decided, labels, scores=scores, **drawn)
    pair = {"threshold": pixel, "region": region, "protocol": protocol}
    found |= metrics.threshold_metrics(category.maps, category.truths, **pair)
    limits |= metrics.threshold_limits(category.maps, category.truths, **pair, **drawn)
    found["mask_ratio"] = metrics.threshold_ratio(category.maps, category.truths, **pair)
    limits["mask_ratio"] = metrics.threshold_ratio_limits(category.maps, category.truths, **pair, **drawn)
    assert {name: result["metrics"][name] for name in THRESHOLD_METRICS} == {
        name: found[name] for name in THRESHOLD_METRICS
    }
    assert {name: result["confidence"][name] for name in THRESHOLD_METRICS} == {
        name: list(limits[name]) for name in THRESHOLD_METRICS
    }
    assert 0 < found["decision_fpr"] < 1
    assert 0 < found["mask_ratio"] < 1


# --- files that do not belong together ---


def other_scores(category: Category, path: Path, *, localises: bool = True, shift: float = 0.0) -> Path:
    """Scores of the same images, each ``shift`` higher."""
    ids = [record.image_id for record in category.records]
    grids = np.array([anomaly_map.shape for anomaly_map in category.maps])
    with ScoreWriter(path, ids, {}, grid_sizes=grids, setting="zero-shot-single", localises=localises) as writer:
        for index, anomaly_map in enumerate(category.maps):
            writer.write(index, anomaly_map + np.float32(shift), 0.5)
    return path


@pytest.mark.parametrize("stage", ["evaluate", "evaluate_masks"])
@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ("images", "do not contain the same images in the same order"),
        ("order", "do not contain the same images in the same order"),
        ("values", r"made from other scores .*test/good/000\.png has another highest value"),
        ("kind", "made from other scores"),
    ],
)
def test_decisions_on_other_scores_are_an_error_in_one_sentence(
    tmp_path: Path, stage: str, spoilt: str, message: str
) -> None:
    category = Category(tmp_path).add(0).add(1).write()
    category.write_masks(category.truths)
    kept = category.scores.read_bytes()
    if spoilt == "images":
        category.add(1).write()
        category.records.pop()
        category.write_manifest()
    elif spoilt == "order":
        swapped = Category(tmp_path)
        swapped.records, swapped.maps = category.records[::-1], category.maps[::-1]
        swapped.write()
    else:
        changes = {"localises": False} if spoilt == "kind" else {"shift": 0.25}
        write_decisions(category.decisions, other_scores(category, tmp_path / "other.h5", **changes))
    category.scores.write_bytes(kept)
    with pytest.raises(DataError, match=message) as raised:
        getattr(category, stage)()
    assert "\n" not in str(raised.value)
    assert f"delete {category.decisions} and run again" in str(raised.value)
    assert not list(tmp_path.glob("*metrics.json"))
