"""The evaluation stage: the shape of its JSON, and what it says when the ground truth is incomplete."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from decision_files import write_decisions
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.errors import ConfigError, DataError
from zsad.evaluation.evaluate_masks import evaluate_masks
from zsad.evaluation.evaluate_scores import evaluate_scores
from zsad.evaluation.ground_truth import empty_mask_note
from zsad.evaluation.measured import RATIO_OF_DECISIONS, RATIO_OF_MASKS
from zsad.evaluation.options import EvaluationOptions
from zsad.files.draws import read_draws
from zsad.files.json_files import read_json
from zsad.files.masks import MaskWriter
from zsad.files.scores import ScoreWriter
from zsad.maps import Thresholds, at_image_size, standing_out
from zsad.names import ALL_METRICS, MASK_METRICS, RANKING_METRICS

HEIGHT, WIDTH, GRID = 24, 32, (6, 8)
THRESHOLD = 0.5
DECISION_FIGURES = ("precision", "recall", "f1", "accuracy", "fpr", "ratio")
RATIOS = {ratio[0]: ratio for ratio in (RATIO_OF_DECISIONS, RATIO_OF_MASKS)}


def record(image_id, label, defect_type="", mask_path=""):
    return ImageRecord(image_id, f"data/{image_id}", "test", label, defect_type, mask_path, HEIGHT, WIDTH, "0" * 64)


class Category:
    """A category on disk: manifest, masks, scores."""

    def __init__(self, folder):
        self.folder = folder
        self.manifest = folder / "manifest.csv"
        self.scores = folder / "scores.h5"
        self.decisions = folder / "decisions.h5"
        self.masks = folder / "masks.h5"
        self.records = []
        self.maps = []
        self.truths = []

    def add(self, label, *, strength=1.0, with_mask=True, empty_mask=False):
        """One image; a defective one has a square of ``strength`` on its map and, if asked for, in its mask."""
        number = len(self.records)
        rng = np.random.default_rng(number)
        anomaly_map = rng.uniform(0, 0.4, GRID).astype(np.float32)
        truth = np.zeros((HEIGHT, WIDTH), bool)
        mask_path = ""
        if label == 1:
            anomaly_map[2:4, 2:5] += strength
            truth[8:16, 8:20] = not empty_mask
        if label == 1 and with_mask:
            mask_path = str(self.folder / f"{number}_mask.png")
            Image.fromarray(truth.astype(np.uint8) * 255).save(mask_path)
        kind = {0: "good", 1: "spot", None: ""}[label]
        self.records.append(record(f"test/{kind or 'all'}/{number:03}.png", label, kind, mask_path))
        self.maps.append(anomaly_map)
        self.truths.append(truth)
        return self

    def write(self, image_scores=None, localises=True, region=THRESHOLD, pixel=None, **decided):
        self.write_manifest()
        ids = [item.image_id for item in self.records]
        grids = np.array([GRID] * len(ids))
        with ScoreWriter(
            self.scores, ids, {}, grid_sizes=grids, setting="zero-shot-single", localises=localises
        ) as writer:
            for index, anomaly_map in enumerate(self.maps):
                score = float(anomaly_map.max()) if image_scores is None else image_scores[index]
                writer.write(index, anomaly_map, score, seconds=0.25, note="remark" if index == 0 else "")
        write_decisions(self.decisions, self.scores, region, pixel, **decided)
        return self

    def write_manifest(self):
        write_manifest(self.manifest, self.records)

    def write_masks(self, masks):
        with MaskWriter(self.masks, [item.image_id for item in self.records], {}) as writer:
            for mask in masks:
                region = {"box": [0, 0, 1, 1], "score": 1.0, "accepted": bool(mask.any()), "reason": "kept"}
                writer.append(mask, 1.0, [region, region | {"accepted": False, "reason": "too large"}])
        return self

    def evaluate(self, *, saturation=None, **options):
        output = self.folder / "metrics.json"
        evaluate_scores(
            manifest=self.manifest,
            scores=self.scores,
            decisions=self.decisions,
            dataset="demo",
            category="bottle",
            method="mirror",
            backbone="embedded",
            group="",
            options=EvaluationOptions(**{"bootstrap": 100, **options}),
            output=output,
            draws=output.with_suffix(".h5"),
            provenance={"stage": "evaluation"},
            saturation=saturation,
        )
        return read_json(output)

    def evaluate_masks(self, **options):
        output = self.folder / "mask_metrics.json"
        evaluate_masks(
            manifest=self.manifest,
            scores=self.scores,
            decisions=self.decisions,
            masks=self.masks,
            method="mirror",
            refiner="guided",
            category="bottle",
            options=EvaluationOptions(**{"bootstrap": 100, **options}),
            output=output,
            draws=output.with_suffix(".h5"),
            provenance={"stage": "evaluation"},
        )
        return read_json(output)


@pytest.fixture
def category(tmp_path):
    return Category(tmp_path)


@pytest.fixture
def complete(category):
    for strength in (1.0, 0.6, 0.3):
        category.add(0).add(1, strength=strength)
    return category.write()


def test_the_result_has_exactly_the_announced_keys(complete):
    result = complete.evaluate()
    assert set(result) == {
        *("dataset", "category", "method", "backbone", "group", "setting", "localises", "protocol", "training"),
        *("metrics", "confidence", "decision", "mask", "by_type", "curves", "bands"),
        *("images", "counts", "notes", "provenance"),
    }
    assert set(result["metrics"]) == set(result["confidence"]) == set(ALL_METRICS)
    assert set(result["decision"]) == {
        *("rule", "measure", "nominal", "remarks", "called", "images", "localises"),
        *("precision", "recall", "f1", "accuracy", "fpr", "ratio"),
    }
    assert set(result["mask"]) == {"precision", "recall", "f1", "iou"}
    assert set(result["curves"]) == {"image_roc", "image_pr", "pixel_roc", "pixel_pr", "pro"}
    assert all(set(curve) == {"x", "y"} and len(curve["x"]) == len(curve["y"]) for curve in result["curves"].values())
    assert set(result["images"][0]) == {
        *("image_id", "label", "defect_type", "score", "peak", "decision", "region_threshold", "pixel_threshold"),
        *("p_value", "false_alarms", "marked_regions", "marked_share", "aupimo", "note", "seconds"),
    }
    assert set(result["bands"]) == set(result["curves"])
    assert [(of_type["defect_type"], of_type["images"]) for of_type in result["by_type"]] == [("spot", 3)]
    assert result["counts"] == {"good": 3, "defective": 3, "unlabelled": 0, "with_mask": 3}
    assert result["notes"] == ["mirror on 1 of 6 images: remark."]
    assert result["setting"] == "zero-shot-single"
    assert {image["region_threshold"] for image in result["images"]} == {THRESHOLD}
    assert result["provenance"]["scores"] == {}
    assert result["provenance"]["decisions"]["threshold_rule"]["name"] == "fixed"


def test_limits_hold_the_metric_and_lie_in_range(complete):
    result = complete.evaluate()
    assert result["metrics"].pop("auspro_005") is None  # there are no saturation areas
    for metric, value in result["metrics"].items():
        low, high = result["confidence"][metric]
        assert 0 <= low <= value + 1e-3, metric
        assert value - 1e-3 <= high, metric
        assert metric in RATIOS or high <= 1 + 1e-12, metric


def test_the_curves_have_at_most_400_points_and_pro_ends_at_the_limit(complete):
    curves = complete.evaluate()["curves"]
    assert all(len(curve["x"]) <= 400 for curve in curves.values())
    assert curves["pro"]["x"][-1] == 0.3


def test_images_carry_score_decision_ground_truth_note_and_seconds(complete):
    images = complete.evaluate()["images"]
    assert [image["label"] for image in images] == [0, 1, 0, 1, 0, 1]
    assert images[1]["defect_type"] == "spot"
    assert [image["note"] for image in images] == ["remark", "", "", "", "", ""]
    assert all(image["decision"] == (image["peak"] > THRESHOLD) for image in images)
    assert images[0]["seconds"] == 0.25


def test_decisions_are_measured_at_the_label_free_thresholds(category):
    category.add(0).add(0).add(0).add(1).add(1, strength=0)
    category.maps[0][3, 3] = 0.9
    category.maps[1][3, 3] = THRESHOLD  # which does not exceed it
    category.write(image_scores=[0.2, 0.9, 0.1, 0.8, 0.85], nominal=0.05, remarks=["There is a remark."])
    result = category.evaluate()
    # One defective image found, one missed; one of three normal images called defective. Scores rank two normal images
    # behind both defective ones: the best threshold gives F1 = 4 / 5.
    assert result["decision"] == {
        "rule": "fixed",
        "measure": "",
        "nominal": 0.05,
        "remarks": ["There is a remark."],
        "called": 2,
        "images": 5,
        "localises": True,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "accuracy": 0.6,
        "fpr": pytest.approx(1 / 3),
        "ratio": pytest.approx(0.5 / 0.8),
    }
    assert result["metrics"]["image_f1max"] == pytest.approx(0.8)
    names = ("decision_f1", "decision_recall", "decision_fpr", "decision_ratio")
    assert {name: result["metrics"][name] for name in names} == {
        name: result["decision"][name.removeprefix("decision_")] for name in names
    }
    assert result["metrics"]["mask_ratio"] == result["mask"]["f1"] / result["metrics"]["pixel_f1max"]


def test_a_ratio_is_taken_anew_of_every_draw(complete):
    complete.write(region=0.8, pixel=0.45).evaluate()
    draws = read_draws(complete.folder / "metrics.h5")
    for name, part, whole in RATIOS.values():
        np.testing.assert_array_equal(draws[name], draws[part] / draws[whole])
        assert np.ptp(draws[name]) > 0


def test_a_rule_that_calls_everything_or_nothing_defective_has_its_share_of_false_alarms(complete):
    everything = complete.write(region=-1).evaluate()
    assert (everything["decision"]["fpr"], everything["decision"]["recall"]) == (1.0, 1.0)
    assert everything["decision"]["called"] == 6
    assert everything["mask"]["recall"] == 1.0
    nothing = complete.write(region=10).evaluate()
    assert (nothing["decision"]["fpr"], nothing["decision"]["recall"], nothing["decision"]["ratio"]) == (0, 0, 0)
    assert nothing["metrics"]["mask_ratio"] == 0
    assert nothing["confidence"]["decision_ratio"] == nothing["confidence"]["mask_ratio"] == [0, 0]
    assert everything["metrics"]["image_auroc"] == nothing["metrics"]["image_auroc"]
    for ranking in RANKING_METRICS:
        assert everything["confidence"][ranking] == nothing["confidence"][ranking]


def test_the_same_input_gives_the_same_bytes(complete):
    complete.evaluate()
    first = (complete.folder / "metrics.json").read_bytes()
    complete.evaluate()
    assert (complete.folder / "metrics.json").read_bytes() == first


def test_without_bootstrap_there_are_metrics_but_no_limits(complete):
    result = complete.evaluate(bootstrap=0)
    assert all(value is not None for name, value in result["metrics"].items() if name != "auspro_005")
    assert all(limits == [None, None] for limits in result["confidence"].values())
    assert result["bands"] == {}
    assert read_draws(complete.folder / "metrics.h5") == {}


def test_unlabelled_images_give_scores_and_no_metric(category):
    result = category.add(None).add(None).write().evaluate()
    assert set(result["metrics"].values()) == {None}
    figures = {name: result["decision"][name] for name in DECISION_FIGURES}
    assert set(figures.values()) == set(result["mask"].values()) == {None}
    assert (result["decision"]["called"], result["decision"]["images"]) == (0, 2)
    assert set(result["curves"].values()) == {None}
    assert [image["label"] for image in result["images"]] == [None, None]
    assert result["notes"] == [
        "No test image is labelled, so there are no metrics.",
        "mirror on 1 of 2 images: remark.",
    ]


def test_unlabelled_images_among_others_are_left_out(category):
    with_unlabelled = category.add(0).add(1).add(None).write().evaluate()
    assert with_unlabelled["metrics"]["image_auroc"] == 1.0
    assert "1 of 3 test images are unlabelled" in with_unlabelled["notes"][0]


def test_defective_images_alone_have_pixel_metrics_only(category):
    result = category.add(1).add(1).write().evaluate()
    assert result["metrics"]["image_auroc"] is None
    assert result["confidence"]["image_auroc"] == [None, None]
    assert result["metrics"]["aupro"] > 0.9
    assert "Every labelled test image is defective" in result["notes"][0]


def test_good_images_alone_have_no_metric_but_an_accuracy_and_a_share_of_false_alarms(category):
    category.add(0).add(0).add(0).add(0)
    category.maps[1][2, 2] = 0.9
    result = category.write().evaluate()
    assert result["metrics"].pop("decision_fpr") == 0.25
    low, high = result["confidence"].pop("decision_fpr")
    assert 0 <= low < 0.25 < high <= 1
    assert set(result["metrics"].values()) == set(result["mask"].values()) == {None}
    assert {name: result["decision"][name] for name in DECISION_FIGURES} == {
        **dict.fromkeys(("precision", "recall", "f1", "ratio")),
        **{"accuracy": 0.75, "fpr": 0.25},
    }
    assert set(read_draws(category.folder / "metrics.h5")) == {"decision_fpr"}
    assert "No labelled test image is defective" in result["notes"][0]


def test_defective_images_alone_have_a_recall_and_neither_false_alarms_nor_a_ratio(category):
    result = category.add(1).add(1, strength=0).write().evaluate()
    assert (result["decision"]["recall"], result["decision"]["fpr"], result["decision"]["ratio"]) == (0.5, None, None)
    assert result["confidence"]["decision_fpr"] == result["confidence"]["decision_ratio"] == [None, None]
    assert result["metrics"]["mask_ratio"] > 0


def test_defective_images_without_a_mask_are_named_and_left_out_of_pixel_metrics(category):
    category.add(0).add(1).write()
    expected = category.evaluate()["metrics"]["pixel_auroc"]
    result = category.add(1, with_mask=False, strength=0.0).write().evaluate()
    assert result["metrics"]["pixel_auroc"] == expected
    assert result["counts"]["with_mask"] == 1
    assert "1 of 2 defective test images have no mask" in result["notes"][0]
    assert "test/spot/002.png" in result["notes"][0]


def test_without_any_mask_there_are_image_metrics_only(category):
    result = category.add(0).add(1, with_mask=False).write().evaluate()
    assert result["metrics"]["image_auroc"] == 1.0
    assert result["metrics"]["aupro"] is None
    assert set(result["mask"].values()) == {None}
    assert result["notes"] == [
        "No defective test image has a mask, so there are no pixel metrics.",
        "mirror on 1 of 2 images: remark.",
    ]


def test_an_empty_mask_of_a_defective_image_is_named(category):
    result = category.add(0).add(1).add(1, empty_mask=True).write().evaluate()
    assert "test/spot/002.png" in result["notes"][0]
    assert result["metrics"]["aupro"] is not None


def test_scores_of_other_images_than_the_manifests_are_an_error(complete):
    write_manifest(complete.manifest, complete.records[1:])
    with pytest.raises(DataError, match=r"test/good/000\.png"):
        complete.evaluate()
    assert not (complete.folder / "metrics.json").exists()


@pytest.mark.parametrize("spoilt", [("image_score",), ("anomaly_map",), ("image_score", "anomaly_map")])
def test_an_image_whose_score_is_not_finite_is_an_error(category, spoilt):
    category.add(0).add(1).write()
    ids = [item.image_id for item in category.records]
    grids = np.array([GRID, GRID])
    with ScoreWriter(category.scores, ids, {}, grid_sizes=grids, setting="zero-shot-single") as writer:
        for index, anomaly_map in enumerate(category.maps):
            writer.write(index, anomaly_map, 0.3)
        for name in spoilt:
            writer._file[name][1] = np.nan
    with pytest.raises(DataError, match=r"test/spot/001\.png .* not finite"):
        category.evaluate()


def test_a_mask_of_another_size_is_an_error(complete):
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(complete.records[1].mask_path)
    with pytest.raises(DataError, match="give the mask the size of its image"):
        complete.evaluate()


def test_too_few_draws_are_refused():
    with pytest.raises(ConfigError, match=r"evaluation: bootstrap = 10 .* at least 40 replicates"):
        EvaluationOptions.build({"bootstrap": 10}, where="evaluation")


def test_perfect_masks_are_measured_as_perfect(complete):
    result = complete.write_masks(complete.truths).evaluate_masks()
    assert set(result) == {
        *("category", "method", "refiner", "protocol", "metrics", "confidence", "mask", "effects", "regions"),
        *("images", "notes", "provenance"),
    }
    assert result["metrics"] == dict.fromkeys(MASK_METRICS, 1.0)
    assert result["confidence"] == {name: [1.0, 1.0] for name in MASK_METRICS}
    assert result["mask"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "iou": 1.0}
    assert [image["iou"] for image in result["images"]] == [None, 1.0, None, 1.0, None, 1.0]
    assert result["images"][1]["area"] == pytest.approx(8 * 12 / (HEIGHT * WIDTH))
    assert result["regions"] == {
        "found": 12,
        "prompted": 0,
        "accepted": 3,
        "reasons": {"kept": 3, "too large": 6},
    }


def test_masks_are_pooled_over_the_pixels_of_the_category(category):
    category.add(0).add(1).write()
    good, half = np.zeros((HEIGHT, WIDTH), bool), category.truths[1].copy()
    good[0, :24] = True
    half[8:12] = False
    result = category.write_masks([good, half]).evaluate_masks()
    # Of 96 defective pixels 48 are found, and 24 normal ones are called defective.
    assert result["mask"]["precision"] == pytest.approx(48 / 72)
    assert result["mask"]["recall"] == pytest.approx(48 / 96)
    assert result["mask"]["f1"] == pytest.approx(2 * 48 / (2 * 48 + 24 + 48))
    assert result["mask"]["iou"] == pytest.approx(48 / 120)
    assert [image["iou"] for image in result["images"]] == [None, 0.5]
    assert result["images"][0]["area"] == pytest.approx(24 / (HEIGHT * WIDTH))


def test_masks_that_find_nothing_have_precision_zero_and_stay_in_the_means(complete):
    result = complete.write_masks([np.zeros((HEIGHT, WIDTH), bool)] * 6).evaluate_masks()
    assert result["mask"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "iou": 0.0}


def test_masks_of_unlabelled_images_have_an_area_and_no_metric(category):
    category.add(None).write().write_masks([np.ones((HEIGHT, WIDTH), bool)])
    result = category.evaluate_masks()
    assert set(result["mask"].values()) == {None}
    (image,) = result["images"]
    assert (image["iou"], image["dice"], image["iou_before"]) == (None, None, None)
    assert (image["area_before"], image["area"]) == (0.0, 1.0)


@pytest.mark.parametrize("protocol", ["native", "resize256"])
def test_what_stands_out_and_a_mask_file_of_it_measure_alike(category, protocol):
    for strength in (1.0, 0.6, 0.3):
        category.add(0).add(1, strength=strength)
    category.maps[1][5, 7] = category.maps[3][0, 0] = 0.6  # regions that do not stand out
    category.write(region=0.75, pixel=0.5)
    size = (HEIGHT, WIDTH) if protocol == "native" else (256, 256)
    category.records = [replace(item, height=size[0], width=size[1]) for item in category.records]
    for item in category.records:
        if item.mask_path:
            with Image.open(item.mask_path) as mask:
                mask.resize(size[::-1], Image.Resampling.NEAREST).save(item.mask_path)
    category.write(region=0.75, pixel=0.5)
    thresholds = Thresholds(0.5, 0.75)
    masks = [standing_out(anomaly_map, thresholds, *size) > thresholds.pixel for anomaly_map in category.maps]
    above = [at_image_size(anomaly_map, *size) > thresholds.pixel for anomaly_map in category.maps]
    assert [mask.sum() < other.sum() for mask, other in zip(masks, above, strict=True)][1:4:2] == [True, True]
    of_scores = category.evaluate(protocol=protocol)
    of_masks = category.write_masks(masks).evaluate_masks(protocol=protocol)
    assert of_masks["mask"] == of_scores["mask"]
    assert None not in of_masks["mask"].values()
    assert [(image["iou_before"], image["area_before"]) for image in of_masks["images"]] == [
        (image["iou"], image["area"]) for image in of_masks["images"]
    ]
    for metric in MASK_METRICS:
        assert of_masks["confidence"][metric] == of_scores["confidence"][metric]


def test_a_protocol_changes_what_pixels_are_compared_and_nothing_of_the_images(complete):
    native, resized = complete.evaluate(), complete.evaluate(protocol="resize256")
    assert (native["protocol"], resized["protocol"]) == ("native", "resize256")
    assert resized["metrics"]["pixel_ap"] != native["metrics"]["pixel_ap"]
    assert resized["metrics"]["pixel_ap"] == pytest.approx(native["metrics"]["pixel_ap"], abs=0.1)
    assert resized["metrics"]["image_auroc"] == native["metrics"]["image_auroc"]
    complete.write_masks(complete.truths)
    assert complete.evaluate_masks(protocol="resize256")["protocol"] == "resize256"
    assert complete.evaluate_masks(protocol="resize256")["metrics"]["mask_iou"] == 1.0
    others = {"smoothing": 2, "aupro": "fpr300", "aupimo": "interpolated"}
    smooth = complete.evaluate(**others)
    assert smooth["protocol"] == "native + smoothing 2 + aupro fpr300 + aupimo interpolated"
    assert smooth["metrics"]["pixel_ap"] != native["metrics"]["pixel_ap"]
    assert (smooth["decision"], smooth["mask"]) == (native["decision"], native["mask"])
    assert smooth["metrics"]["aupimo"] is None  # a few hundred good pixels
    assert any("AUPIMO is not known" in note for note in smooth["notes"])
    assert complete.evaluate_masks(**others)["protocol"] == smooth["protocol"]


def test_one_type_of_defect_is_measured_like_a_category_of_its_images_and_the_good_ones(category):
    category.add(0).add(1).add(1, strength=0.2).add(0).add(1, strength=0.4)
    for index, kind in ((1, "spot"), (2, "scratch"), (4, "scratch")):
        category.records[index] = replace(category.records[index], defect_type=kind)
    by_type = {of_type["defect_type"]: of_type for of_type in category.write().evaluate()["by_type"]}
    assert list(by_type) == ["spot", "scratch"]
    kept = [0, 2, 3, 4]
    category.records = [category.records[index] for index in kept]
    category.maps = [category.maps[index] for index in kept]
    alone = category.write().evaluate()
    assert by_type["scratch"]["images"] == 2
    assert by_type["scratch"]["metrics"] == pytest.approx(alone["metrics"], nan_ok=True)


def test_with_too_many_defective_pixels_a_note_says_by_how_much_the_metrics_may_be_off(category):
    side = 800  # 640 000 pixels at 100 bytes are more than 50 MB
    truth = np.ones((side, side), bool)
    truth[: side // 8] = False
    Image.fromarray(truth.astype(np.uint8) * 255).save(category.folder / "large_mask.png")
    category.add(0).add(1)
    large = replace(category.records[1], mask_path=str(category.folder / "large_mask.png"), height=side, width=side)
    category.records[1] = large
    result = category.write().evaluate(memory_mb=50, bootstrap=0)
    (note,) = [note for note in result["notes"] if "evaluation.memory_mb" in note]
    assert re.search(r"changes a pixel metric by at most [0-9.e-]+; AUPIMO does not change", note)
    exact = category.evaluate(memory_mb=500, bootstrap=0)
    assert not any("evaluation.memory_mb" in note for note in exact["notes"])
    assert result["metrics"]["pixel_ap"] == pytest.approx(exact["metrics"]["pixel_ap"], abs=1e-4)


def test_the_draws_are_those_behind_the_limits(complete):
    result = complete.evaluate()
    draws = read_draws(complete.folder / "metrics.h5")
    assert set(draws) == {metric for metric, value in result["metrics"].items() if value is not None}
    for metric, values in draws.items():
        assert values.shape == (100,)
        assert np.percentile(values, [2.5, 97.5]).tolist() == pytest.approx(result["confidence"][metric])


def test_the_mean_aupimo_is_that_of_the_images(complete):
    result = complete.evaluate()
    of_images = [image["aupimo"] for image in result["images"] if image["label"] == 1]
    assert result["metrics"]["aupimo"] == pytest.approx(np.mean(of_images))
    assert {image["aupimo"] for image in result["images"] if image["label"] == 0} == {None}


def test_defects_with_saturation_areas_have_a_saturated_overlap(category):
    """Two masks of one image, half of the first of which is enough."""
    category.add(0).add(1, strength=0.6)
    folder = category.folder / "000"
    folder.mkdir()
    for name, value, columns in (("000", 255, slice(8, 14)), ("001", 254, slice(14, 20))):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[8:16, columns] = value
        Image.fromarray(mask).save(folder / f"{name}.png")
    category.records[1] = replace(category.records[1], mask_path=str(folder))
    table = category.folder / "defects_config.json"
    kinds = [("dent", 255, 24), ("stain", 254, 48)]
    table.write_text(
        json.dumps(
            [
                {"defect_name": name, "pixel_value": value, "saturation_threshold": area, "relative_saturation": False}
                for name, value, area in kinds
            ]
        )
    )
    assert category.write().evaluate()["metrics"]["auspro_005"] is None
    result = category.evaluate(saturation=table)
    assert result["metrics"]["auspro_005"] > result["metrics"]["aupro_005"]
    low, high = result["confidence"]["auspro_005"]
    assert low <= result["metrics"]["auspro_005"] + 1e-9
    assert result["metrics"]["auspro_005"] <= high + 1e-9


@pytest.mark.parametrize(("count", "shown"), [(1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more")])
def test_a_note_names_the_first_five_images(count, shown):
    (note,) = empty_mask_note([str(number) for number in range(count)])
    assert note.startswith(f"The masks of {count} defective test images are empty")
    assert note.endswith(f": {shown}.")
    assert empty_mask_note([]) == []
