"""What notebooks ask for: result files by image, methods on tokens in memory, and the workflow's own figures."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image

import zsad
from decision_files import write_decisions
from feature_files import random_tokens, write_features
from paths import REPOSITORY
from zsad import metrics
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.masks import mask_sha256
from zsad.data.saturation import read_regions
from zsad.data.subsets import FeatureSet
from zsad.deciding.base import ThresholdRule
from zsad.deciding.decide_images import decide_images
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ArrayError, ConfigError, DamagedFileError, DataError, ZsadError
from zsad.evaluation.evaluate_masks import evaluate_masks
from zsad.evaluation.evaluate_scores import DECISION_FIGURES, evaluate_scores
from zsad.evaluation.options import EvaluationOptions
from zsad.features.embedded import Embedded
from zsad.files.json_files import read_json
from zsad.files.masks import MaskWriter
from zsad.files.scores import ScoreWriter
from zsad.maps import at_image_size
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.fit_method import fit_method
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.score_images import score_images
from zsad.scoring.token_source import MemoryTokens, TokenSource

KINDS = ("good", "good", "good", "spot", "spot", "scratch", "empty", "unmasked", "unknown")
THRESHOLD, REGION = 0.8, 2.25


class Category:
    """Made-up results of images of several sizes: good, defective with and without a mask, and unknown."""

    def __init__(self, folder: Path, kinds: Sequence[str] = KINDS) -> None:
        self.manifest, self.scores, self.masks = (folder / name for name in ("manifest.csv", "scores.h5", "masks.h5"))
        self.decisions = folder / "decisions.h5"
        self.saturation = folder / "defects_config.json"
        self.saturation.write_text(
            json.dumps(
                [
                    {"defect_name": name, "pixel_value": value, "saturation_threshold": 5, "relative_saturation": False}
                    for value, name in ((100, "spot"), (200, "scratch"))
                ]
            )
        )
        rng = np.random.default_rng(0)
        self.records, self.maps, predictions = [], [], []
        for index, kind in enumerate(kinds):
            height, width = 24 + 2 * index, 40 - 3 * index
            grid = (6 + index % 2, 8)
            truth = np.zeros((height, width), np.uint8)
            if kind in ("spot", "scratch"):
                truth[5:13, 4 : 9 + index] = {"spot": 100, "scratch": 200}[kind]
            mask = folder / f"{index}_mask.png"
            Image.fromarray(truth).save(mask)
            has_mask = kind in ("spot", "scratch", "empty")
            label = {"good": 0, "unknown": None}.get(kind, 1)
            name = f"test/{kind}/{index:03}.png"
            self.records.append(
                ImageRecord(
                    name,
                    str(folder / name),
                    "test",
                    label,
                    kind if label is not None else "",
                    str(mask) if has_mask else "",
                    height,
                    width,
                    "0" * 64,
                    mask_sha256(mask) if has_mask else "",
                )
            )
            self.maps.append((rng.normal(size=grid).round(1) + cv2.resize(truth, grid[::-1]) / 100).astype(np.float32))
            predictions.append(rng.random((height, width)) < 0.05 + 0.9 * (truth > 0))
        write_manifest(self.manifest, self.records)
        self.ids = sorted(record.image_id for record in self.records)
        order = {record.image_id: index for index, record in enumerate(self.records)}
        self.order = [order[image_id] for image_id in self.ids]
        self.maps = [self.maps[index] for index in self.order]
        self.predictions = [predictions[index] for index in self.order]
        grids = np.array([each.shape for each in self.maps])
        with ScoreWriter(self.scores, self.ids, {"made": "up"}, grid_sizes=grids, setting="full-shot") as writer:
            for index, anomaly_map in enumerate(self.maps):
                writer.write(index, anomaly_map, float(anomaly_map.max()), note="odd" if index == 1 else "")
        write_decisions(self.decisions, self.scores, REGION, THRESHOLD, nominal=0.1, remarks=["So it is."])
        with MaskWriter(self.masks, self.ids, {}) as masks:
            for prediction in self.predictions:
                masks.append(prediction, 1.0, [])

    def defects_of(self, record: ImageRecord) -> list[tuple[np.ndarray, int]]:
        if record.label == 0:
            return []
        regions = read_regions(Path(record.mask_path), record.height, record.width, self.saturation)
        return [(region.pixels, region.saturation_area) for region in regions]

    def evaluated(self, output: Path, evaluate: Callable[..., None], **arguments: Any) -> dict[str, Any]:
        protocol = arguments.pop("protocol")
        evaluate(
            manifest=self.manifest,
            scores=self.scores,
            decisions=self.decisions,
            category="ring",
            method="mutual",
            options=EvaluationOptions(protocol=protocol, bootstrap=60, seed=3),
            output=output,
            draws=output.with_suffix(".h5"),
            provenance={},
            **arguments,
        )
        return read_json(output)


@pytest.fixture(scope="module")
def category(tmp_path_factory: pytest.TempPathFactory) -> Category:
    return Category(tmp_path_factory.mktemp("category"))


# --- the figures ---


@pytest.fixture(scope="module")
def saturating(tmp_path_factory: pytest.TempPathFactory) -> Category:
    """With saturation areas, where no mask may be empty."""
    return Category(tmp_path_factory.mktemp("saturating"), [kind for kind in KINDS if kind != "empty"])


@pytest.mark.parametrize("protocol", ["native", "resize256"])
@pytest.mark.parametrize("name", ["category", "saturating"])
def test_the_metrics_on_arrays_are_those_of_the_workflow(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, protocol: str
) -> None:
    category: Category = request.getfixturevalue(name)
    has_areas = name == "saturating"
    result = category.evaluated(
        tmp_path / "metrics.json",
        evaluate_scores,
        protocol=protocol,
        dataset="t",
        backbone="embedded",
        group="",
        saturation=category.saturation if has_areas else None,
    )
    with zsad.read_scores(category.scores) as scores, zsad.read_decisions(category.decisions) as decisions:
        truth = zsad.read_truth(category.manifest, scores.image_ids)
        decided = decisions.decided[truth.labels >= 0]
        labelled = np.flatnonzero(truth.labels >= 0)
        image_scores, labels = scores.image_scores[labelled], truth.labels[labelled]
        found: dict[str, float] = metrics.image_metrics(image_scores, labels)
        drawn = {"draws": 60, "seed": 3, "category": "ring"}
        found |= metrics.decision_metrics(decided, labels, scores=image_scores)
        limits = metrics.image_limits(image_scores, labels, **drawn)
        limits |= metrics.decision_limits(decided, labels, scores=image_scores, **drawn)
        measured = np.flatnonzero(truth.has_mask).tolist()
        maps, masks = [scores.maps[index] for index in measured], [truth.masks[index] for index in measured]
        options = {"labels": truth.labels[measured], "protocol": protocol}
        if has_areas:
            defects = [category.defects_of(truth.records[index]) for index in measured]
            assert metrics.auspro(maps, masks, defects, protocol=protocol) == result["metrics"]["auspro_005"] < 1
            options["defects"] = defects
        found |= metrics.pixel_metrics(maps, masks, **options)
        marking: dict[str, Any] = {"region": decisions.region[measured], "protocol": protocol}
        found |= metrics.threshold_metrics(maps, masks, decisions.pixel[measured], **marking)
        limits |= metrics.threshold_limits(maps, masks, decisions.pixel[measured], **marking, **drawn)
        found["mask_ratio"] = metrics.threshold_ratio(maps, masks, decisions.pixel[measured], **marking)
        limits["mask_ratio"] = metrics.threshold_ratio_limits(
            maps, masks, decisions.pixel[measured], labels=options["labels"], **marking, **drawn
        )
        limits |= metrics.pixel_limits(maps, masks, **drawn, **options)
        aupimo = metrics.image_aupimo(maps, masks, labels=options["labels"], protocol=protocol)
    expected = {metric: np.nan if value is None else value for metric, value in result["metrics"].items()}
    np.testing.assert_equal({metric: found[metric] for metric in expected}, expected)
    assert np.isnan(expected.pop("auspro_005")) != has_areas
    assert not np.isnan(list(expected.values())).any()
    assert {f"decision_{name}": result["decision"][name] for name in DECISION_FIGURES}.items() <= found.items()
    confidence = {metric: list(limit) for metric, limit in limits.items() if metric in result["confidence"]}
    assert confidence == {metric: told for metric, told in result["confidence"].items() if told != [None, None]}
    assert len(confidence) == len(expected) + has_areas
    of_images = {image["image_id"]: image["aupimo"] for image in result["images"]}
    assert [of_images[truth.image_ids[index]] for index in measured] == [
        None if np.isnan(value) else value for value in aupimo
    ]


def test_the_metrics_of_masks_on_arrays_are_those_of_the_workflow(category: Category, tmp_path: Path) -> None:
    result = category.evaluated(
        tmp_path / "masks.json", evaluate_masks, protocol="native", masks=category.masks, refiner="guided"
    )
    with zsad.read_masks(category.masks) as predicted:
        truth = zsad.read_truth(category.manifest, predicted.image_ids)
        measured = np.flatnonzero(truth.has_mask)
        pairs = [predicted.masks[index] for index in measured], [truth.masks[index] for index in measured]
    assert metrics.mask_metrics(*pairs) == result["metrics"]
    told = {image["image_id"]: image for image in result["images"]}
    for name, values in metrics.image_overlaps(*pairs).items():
        expected = [told[truth.image_ids[index]][name] for index in measured]
        np.testing.assert_equal(values, [np.nan if value is None else value for value in expected])
    limits = metrics.mask_limits(*pairs, draws=60, seed=3, category="ring")
    assert {name: list(limit) for name, limit in limits.items()} == result["confidence"]


# --- result files ---


def test_scores_are_maps_by_image_and_in_order(category: Category) -> None:
    with zsad.read_scores(category.scores) as scores:
        assert list(scores) == scores.image_ids == category.ids
        assert len(scores) == len(scores.maps) == 9
        for image_id, anomaly_map in scores.items():
            assert anomaly_map.dtype == np.float32
            np.testing.assert_array_equal(anomaly_map, category.maps[category.ids.index(image_id)])
        np.testing.assert_array_equal(scores[category.ids[2]], scores.maps[2])
        np.testing.assert_array_equal(scores.maps[-1], category.maps[-1])
        assert [each.shape for each in scores.maps[2:4]] == [each.shape for each in category.maps[2:4]]
        assert scores.provenance == {"made": "up"}
        assert scores.notes[1] == "odd"
        assert category.ids[0] in scores
        assert "other.png" not in scores
        assert scores.get("other.png") is None
        with pytest.raises(IndexError):
            scores.maps[9]
        assert scores == scores
        assert scores != zsad.read_scores(category.scores)


def test_decisions_are_those_of_the_maps_by_image_and_as_arrays(category: Category) -> None:
    with zsad.read_decisions(category.decisions) as decisions:
        assert list(decisions) == decisions.image_ids == category.ids
        for index, (image_id, decision) in enumerate(decisions.items()):
            peak = category.maps[index].max()
            assert decision[:2] == (bool(peak > np.float32(REGION)), peak)
            assert decision.thresholds == (np.float32(THRESHOLD), np.float32(REGION))
            assert np.isnan(decision[4:]).all()
            assert decisions[image_id].defective == decisions.decided[index]
        assert 0 < decisions.decided.sum() < len(decisions)
        assert (decisions.rule, decisions.nominal, decisions.remarks) == ("fixed", 0.1, ["So it is."])
        with pytest.raises(KeyError, match=r"there is no image 'test/spot/03\.png'; did you mean"):
            decisions["test/spot/03.png"]
    assert decisions[category.ids[0]].peak == category.maps[0].max()  # all was read at once


def test_decisions_in_memory_are_those_of_the_stage(category: Category, tmp_path: Path) -> None:
    with zsad.read_scores(category.scores) as scores:
        results = [
            ImageScore(index, anomaly_map, image_score=float(value))
            for index, (anomaly_map, value) in enumerate(zip(scores.maps, scores.image_scores, strict=True))
        ]
        for name, params in (("suitable", {"alpha": 0.2}), ("robust_tail", {}), ("share", {"share": 0.3})):
            output = tmp_path / f"{name}.h5"
            decide_images(
                scores=category.scores, rule=THRESHOLDS.build(name, params), output=output, provenance={"stage": "x"}
            )
            expected = zsad.read_decisions(output)
            for given in (scores, results, list(scores.maps), THRESHOLDS.build(name, params)):
                is_rule = isinstance(given, ThresholdRule)
                found = zsad.decide(scores, given) if is_rule else zsad.decide(given, name, params)
                for attribute in ("decided", "pixel", "region", "significance"):
                    np.testing.assert_array_equal(getattr(found, attribute), getattr(expected, attribute))


def test_scores_of_references_give_p_values_to_those_of_images() -> None:
    good = np.arange(1, 20) / 10
    found = zsad.decide(np.array([0.05, 1.85, 1.9, 2.0]), references=good)
    np.testing.assert_allclose(found.significance, [1.0, 2 / 20, 2 / 20, 1 / 20])
    assert found.decided.tolist() == [False, True, True, True]
    assert (found.measure, found.nominal) == ("p_value", 0.1)
    maps = [value * np.eye(2) for value in (0.05, 1.85, 1.9, 2.0)]
    by_maps = zsad.decide(maps, "conformal", {"alpha": 0.05}, references=[value * np.eye(2) for value in good])
    assert by_maps.decided.tolist() == [False, False, False, True]


NUMBERS, ZEROS = [0.1, 0.9, 0.5], [np.zeros((2, 2))] * 3


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"scores": []}, ArrayError, "there are no images to decide on; give the scores of at least one"),
        ({"scores": 3.0}, ArrayError, "the scores of the images are a float; give the result of zsad.score or"),
        ({"scores": None}, ArrayError, "the scores of the images are a NoneType; give"),
        ({"scores": "abc"}, ArrayError, "the scores of the images are not numbers; give one per image"),
        ({"scores": [0.1, np.nan]}, ArrayError, "score 1 of the images is not finite"),
        (
            {"scores": [np.eye(2), np.full((2, 2), np.nan)]},
            ArrayError,
            "map 1 of the images has a value that is not finite",
        ),
        ({"scores": [np.zeros((2, 2, 2))]}, ArrayError, r"map 0 of the images has type float64 and shape \(2, 2, 2\)"),
        ({"scores": [np.zeros((0, 2))]}, ArrayError, "give numbers"),
        ({"scores": [0.1, np.eye(2)]}, ArrayError, "map 0 of the images has type float64 and shape"),
        ({"scores": NUMBERS, "references": ZEROS}, ArrayError, "either the images or the references have maps"),
        ({"scores": ZEROS, "references": NUMBERS}, ArrayError, "either the images or the references have maps"),
        ({"scores": NUMBERS, "references": [np.inf]}, ArrayError, "score 0 of the references is not finite"),
        ({"scores": NUMBERS, "rule": "mebin"}, ArrayError, "MEBin needs maps, but there are only image scores"),
        ({"scores": NUMBERS, "rule": "conformal"}, DataError, "needs the scores of at least 2, and there are 0"),
        ({"scores": NUMBERS, "rule": "conformel"}, ConfigError, "no threshold rule 'conformel'; did you mean"),
        ({"scores": NUMBERS, "rule": "share"}, ConfigError, "threshold rule 'share': parameter 'share' is missing"),
        ({"scores": NUMBERS, "params": {"alfa": 1}}, ConfigError, "unknown parameter 'alfa'; did you mean 'alpha'"),
        ({"scores": NUMBERS, "params": {"alpha": 0}}, ConfigError, "alpha = 0 is not valid"),
        ({"scores": NUMBERS, "params": 0.1}, ConfigError, "params must be a mapping"),
        ({"scores": NUMBERS, "rule": 0.5}, ConfigError, "a threshold rule is a name or a ThresholdRule, not 0.5"),
    ],
)
def test_what_cannot_be_decided_is_one_sentence(given: dict[str, Any], error: type[ZsadError], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        zsad.decide(**given)
    assert "\n" not in str(raised.value)


def test_masks_are_those_that_were_predicted(category: Category) -> None:
    with zsad.read_masks(category.masks) as masks:
        for image_id, prediction in zip(category.ids, category.predictions, strict=True):
            np.testing.assert_array_equal(masks[image_id], prediction)
        assert masks.masks[0].dtype == bool
        assert masks.regions(0) == []


def test_features_are_tokens_by_image_that_a_scorer_takes(tmp_path: Path) -> None:
    tokens = random_tokens(0, (5, 4), (6, 6))
    with zsad.read_features(write_features(tmp_path / "features.h5", tokens, ids=["a.png", "b.png"])) as features:
        np.testing.assert_array_equal(features["b.png"], tokens[1].astype(np.float16).astype(np.float32))
        assert [each.shape for each in features.tokens] == [(2, 5, 4, 6), (2, 6, 6, 6)]
        assert (features.layers, features.channels) == (["0", "1"], 6)
        assert features.cls_tokens().shape == (2, 2, 6)
        from_file = zsad.score("self_similarity", {"exclusion_radius": 0}, test=features)
    in_memory = zsad.score("self_similarity", {"exclusion_radius": 0}, test=tokens)
    for one, other in zip(from_file, in_memory, strict=True):
        np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


def test_the_truth_is_known_where_it_is(category: Category) -> None:
    truth = zsad.read_truth(category.manifest)
    assert truth.image_ids == category.ids
    by_id = dict(zip(truth.image_ids, zip(truth.labels, truth.has_mask, strict=True), strict=True))
    expected = {"good": (0, True), "unmasked": (1, False), "unknown": (-1, False)}
    for image_id, (label, has_mask) in by_id.items():
        assert (label, has_mask) == expected.get(image_id.split("/")[1], (1, True))
    spot = next(record for record in category.records if record.defect_type == "spot")
    assert truth[spot.image_id].sum() == 8 * (5 + 3)
    assert truth[spot.image_id].shape == (spot.height, spot.width)
    assert not truth["test/good/000.png"].any()
    some = zsad.read_truth(category.manifest, category.ids[::-2])
    assert some.image_ids == category.ids[::-2]
    for name in ("test/unmasked/007.png", "test/unknown/008.png"):
        with pytest.raises(DataError, match=f"{name} has no mask and is not labelled good; has_mask shows"):
            truth[name]
    with pytest.raises(DataError, match=r"has no test image 'test/good/0.png'; give .*; did you mean 'test/good/"):
        zsad.read_truth(category.manifest, ["test/good/0.png"])


READERS = [zsad.read_features, zsad.read_scores, zsad.read_masks, zsad.read_decisions]


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_is_absent_damaged_or_of_another_kind_is_one_sentence(
    category: Category, tmp_path: Path, read: Callable
) -> None:
    damaged = tmp_path / "damaged.h5"
    content = bytearray(category.scores.read_bytes())
    content[len(content) // 2] ^= 255
    damaged.write_bytes(content)
    (tmp_path / "text.h5").write_text("no such thing")
    other = category.scores if read != zsad.read_scores else category.masks
    for path in (tmp_path / "absent.h5", tmp_path, tmp_path / "text.h5", damaged, other):
        with pytest.raises(DataError) as raised, read(path) as opened:
            list(opened.values())
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_an_image_that_is_not_there_and_a_closed_file_are_named_in_a_sentence(category: Category) -> None:
    with zsad.read_scores(category.scores) as scores:
        with pytest.raises(KeyError) as raised:
            scores["test/spot/03.png"]
        assert str(raised.value) == "there is no image 'test/spot/03.png'; did you mean 'test/spot/003.png'?"
        assert isinstance(raised.value, ZsadError)
        with pytest.raises(DataError, match="there is no image 0; image_ids lists them all"):
            scores[0]
    with pytest.raises(DataError, match=r"scores.h5 has been closed; open it again") as closed:
        scores.maps[0]
    assert not isinstance(closed.value, DamagedFileError)
    assert category.scores.is_file()


# --- tokens in memory ---


class Deviation(Scorer):
    """A scorer of a user's own, as the notebook writes it."""

    summary: ClassVar[str] = "A patch against the mean of its image."
    reference: ClassVar[str] = "A test."

    power: float = 1.0

    @property
    def setting(self) -> str:
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        return {"test": FeatureSet("test")}

    def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
        for index in reversed(range(len(features["test"]))):  # in any order
            tokens = features["test"].patch_tokens(index)[-1]
            yield ImageScore(index, np.linalg.norm(tokens - tokens.mean(axis=(0, 1)), axis=-1) ** self.power)


def test_a_scorer_of_ones_own_is_tried_in_a_line() -> None:
    tokens = random_tokens(1, (4, 4), (5, 6))
    found = zsad.score(Deviation(power=2.0), test=tokens, image_score={"aggregate": "max"})
    for index, (one, image) in enumerate(zip(found, tokens, strict=True)):
        last = image[-1].astype(np.float16).astype(np.float64)
        expected = ((last - last.mean(axis=(0, 1))) ** 2).sum(axis=-1)
        np.testing.assert_allclose(one.anomaly_map, expected, rtol=1e-5)
        assert one.index == index
        assert one.image_score == one.anomaly_map.max()


ROLES = {
    "memory_bank": ("references", {"k": 2, "rotations": False}),
    "gmm": ("references", {"shots": "all", "components": 1}),
    "class_token_knn": ("references", {"shots": 3}),
    "flip_consistency": ("mirrored", {}),
    "mutual": ("", {}),
}


@pytest.mark.parametrize("name", ROLES)
def test_scores_of_tokens_in_memory_are_those_of_the_workflow(name: str, tmp_path: Path) -> None:
    other, params = ROLES[name]
    roles = {"test": random_tokens(0, (6, 5), (6, 5), (5, 7))}
    if other:
        seed = {"references": 1, "mirrored": 2}[other]
        roles[other] = random_tokens(seed, (6, 5), (6, 5), (5, 7))
    image_score = {"aggregate": "top_mean", "fraction": 0.2, "smoothing": 0.5}
    output = tmp_path / "scores.h5"
    scorer, features = SCORERS.build(name, params), {}
    for role, tokens in roles.items():
        features[role] = write_features(tmp_path / f"{role}.h5", tokens)
    common = {"image_scoring": ImageScoring(**image_score), "compute": Compute(), "provenance": {}}
    model = None
    if isinstance(scorer, ReferenceScorer):
        model = tmp_path / "model.h5"
        named = {"dataset": "t", "category": "ring", "method": name, "backbone": {}}
        fit_method(references=features.pop("references"), scorer=scorer, output=model, **named, **common)
    score_images(
        features=features,
        scorer=scorer,
        output=output,
        model=model,
        **common,
    )
    found = zsad.score(name, params, image_score=image_score, **roles)
    with zsad.read_scores(output) as scores:
        for one, anomaly_map, image_score_, note in zip(
            found, scores.maps, scores.image_scores, scores.notes, strict=True
        ):
            if scores.localises:
                np.testing.assert_array_equal(one.anomaly_map, anomaly_map)
            else:
                assert one.anomaly_map is None
            assert np.float32(one.image_score) == image_score_
            assert one.note == note


TOKENS = random_tokens(0, (4, 4), (4, 4))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: zsad.score("memry_bank", test=TOKENS),
            ConfigError,
            "no scorer 'memry_bank'; did you mean 'memory_bank'",
        ),
        (lambda: zsad.score("mutual", {"j": 1}, test=TOKENS), ConfigError, "unknown parameter 'j'"),
        (lambda: zsad.score(Deviation(), {"power": 1}, test=TOKENS), ConfigError, "leave out params"),
        (
            lambda: zsad.score("memory_bank", test=TOKENS),
            ArrayError,
            "with the names test, references; 'references' is m",
        ),
        (
            lambda: zsad.score("mutual", tests=TOKENS),
            ArrayError,
            "Mutual uses tokens with the names test; 'test' is missing",
        ),
        (lambda: zsad.score("mutual", test=TOKENS, good=TOKENS), ArrayError, "'good' is not one of them"),
        (lambda: zsad.score("mutual", test=TOKENS[:1]), DataError, "at least 2"),
        (lambda: zsad.score("mutual", test=[]), DataError, "one or more images"),
        (
            lambda: zsad.score("mutual", test=[np.ones((4, 4, 6))]),
            DataError,
            "the tokens of 'test' must be arrays",
        ),
        (
            lambda: zsad.score("mutual", test=[TOKENS[0], TOKENS[1].astype(str)]),
            DataError,
            "the tokens of 'test', image 1, are <U",
        ),
        (lambda: zsad.score("mutual", test=[[[[1.0], [1, 2]]]]), DataError, "cannot be read as one array"),
        (
            lambda: zsad.score("mutual", test=iter(TOKENS)),
            ArrayError,
            "tokens of 'test' are a list_iterator; give the result",
        ),
        (lambda: zsad.score("mutual", test="test.h5"), ArrayError, "tokens of 'test' are a str"),
        (lambda: zsad.score("mutual", test=[TOKENS[0] * np.nan] * 3), DataError, "not finite"),
        (lambda: zsad.score("mutual", [3], test=TOKENS), ConfigError, "params must be a mapping"),
        (lambda: zsad.score("mutual", test=TOKENS, image_score="max"), ConfigError, "image_score must be a mapping"),
        (lambda: zsad.score(Scorer, test=TOKENS), ConfigError, "a scorer is a name or a Scorer"),
        (lambda: zsad.score("mutual", {"layers": [7]}, test=TOKENS), ZsadError, "no layer '7'"),
        (
            lambda: zsad.score("mutual", test=TOKENS, image_score={"fraction": 2}),
            ConfigError,
            "image_score: fraction = 2",
        ),
        (
            lambda: zsad.score("memory_bank", test=TOKENS, references=random_tokens(0, (4, 4), channels=5)),
            ArrayError,
            "'references' have the layers 0, 1 of 5 channels, but those of 'test' 0, 1 of 6",
        ),
        (
            lambda: zsad.score("flip_consistency", test=TOKENS, mirrored=random_tokens(0, (4, 4), (4, 5))),
            ArrayError,
            "'mirrored' must show the images of 'test'",
        ),
        (
            lambda: zsad.score("self_similarity", {"foreground": "sam"}, test=TOKENS),
            ArrayError,
            "needs masks of the object; give MemoryTokens",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(call: Callable, error: type[ZsadError], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_scorer_that_leaves_out_an_image_is_caught() -> None:
    class Lazy(Deviation):
        def score(self, features: Mapping[str, TokenSource], compute: Compute) -> Iterator[ImageScore]:
            yield from list(super().score(features, compute))[:1]

    with pytest.raises(ValueError, match=r"scored the images \[1\], not each once"):
        zsad.score(Lazy(), test=TOKENS)


def test_tokens_of_images_are_those_of_the_backbone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)
    path = tmp_path / "a photograph.png"
    Image.fromarray(pixels).save(path)
    tokens = zsad.extract([path, pixels, pixels[..., 0]], "embedded", {"resolution": 32})
    assert tokens.image_ids == [str(path), "1", "2"]
    assert tokens.layers == ["filters"]
    assert tokens.grid_sizes.tolist() == [[4, 6]] * 3
    np.testing.assert_array_equal(tokens.half_tokens(0), tokens.half_tokens(1))
    grey = np.repeat(pixels[..., :1], 3, axis=2)
    np.testing.assert_array_equal(tokens.half_tokens(2), zsad.extract([grey], Embedded(resolution=32)).half_tokens(0))
    sixteen = zsad.extract([pixels.astype(np.uint16) * 257], "embedded", {"resolution": 32})
    np.testing.assert_array_equal(sixteen.half_tokens(0), tokens.half_tokens(0))
    turned = zsad.extract([pixels], "embedded", {"resolution": 32}, view="rotations", image_ids=["good.png"])
    assert turned.image_ids == [f"good.png@{angle:03}" for angle in range(0, 360, 45)]
    mirrored = zsad.extract([pixels], "embedded", {"resolution": 32}, view="hflip")
    plain = zsad.extract([pixels[:, ::-1]], "embedded", {"resolution": 32})
    np.testing.assert_array_equal(mirrored.half_tokens(0), plain.half_tokens(0))
    assert isinstance(tokens, zsad.MemoryTokens)
    assert MemoryTokens is zsad.MemoryTokens


SQUARE = np.zeros((32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: zsad.extract([], "embedded"), ArrayError, "no images to extract"),
        (lambda: zsad.extract([SQUARE.astype(complex)], "embedded"), DataError, "an array of complex128"),
        (lambda: zsad.extract([SQUARE[..., :2]], "embedded"), DataError, r"uint8 of shape \[32, 32, 2\]"),
        (lambda: zsad.extract([SQUARE[:0]], "embedded"), DataError, r"shape \[0, 32, 3\]"),
        (
            lambda: zsad.extract([SQUARE[:1].repeat(99, axis=1)], "embedded"),
            DataError,
            "image 0 has 3168 x 1 pixels: one side",
        ),
        (lambda: zsad.extract([[1]], "embedded"), DataError, "must be a path or an array, not list"),
        (lambda: zsad.extract(SQUARE, "embedded"), ArrayError, r"an array of shape \(32, 32, 3\); give a list"),
        (lambda: zsad.extract(None, "embedded"), ArrayError, "the images are NoneType; give a list"),
        (lambda: zsad.extract([SQUARE], None), ConfigError, "a backbone is a name, not None"),
        (lambda: zsad.extract([SQUARE], "embedded", image_ids=["a", "b"]), ArrayError, "1 images, but 2 names"),
        (lambda: zsad.extract(["no.png"], "embedded"), DataError, "no.png"),
        (lambda: zsad.extract("no.png", "embedded"), DataError, "no.png"),
        (lambda: zsad.extract([SQUARE], "embeded"), ZsadError, "embeded"),
        (
            lambda: zsad.extract([SQUARE], "embedded", {"side": 1}),
            ConfigError,
            "backbone 'embedded': unknown parameter",
        ),
        (lambda: zsad.extract([SQUARE], "embedded", view="upside"), ConfigError, "no view 'upside'"),
        (lambda: zsad.extract([SQUARE], "joint"), ConfigError, "backbone 'joint': parameter 'members' is missing"),
        (lambda: zsad.extract([SQUARE], Embedded(), {"resolution": 32}), ConfigError, "leave out params"),
    ],
)
def test_images_that_cannot_be_seen_are_one_sentence(call: Callable, error: type[ZsadError], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# --- models ---


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    paths = []
    for index in range(5):
        rng = np.random.default_rng(index)
        pixels = cv2.resize(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8), (56, 40), interpolation=cv2.INTER_CUBIC)
        paths.append(folder / f"photograph {index}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


SMALL: dict[str, Any] = {"backbone": "embedded", "backbone_params": {"resolution": 32}}


@pytest.mark.parametrize(
    ("name", "params", "view"),
    [
        ("memory_bank", {"k": 2}, "rotations"),
        ("subspace", {"rotations": False}, "original"),
        ("class_token_knn", {}, "original"),
    ],
)
def test_a_model_of_photographs_scores_others_as_the_method_does(
    photographs: list[Path], tmp_path: Path, name: str, params: dict[str, Any], view: str
) -> None:
    good, others = photographs[:3], photographs[3:]
    image_score = {"aggregate": "max"}
    model = zsad.fit(tmp_path / "model.h5", good, name, params, image_score=image_score, category="ring", **SMALL)
    tokens = {
        "test": zsad.extract(others, "embedded", {"resolution": 32}),
        "references": zsad.extract(good, "embedded", {"resolution": 32}, view=view),
    }
    expected = zsad.score(name, params | {"shots": 3}, image_score=image_score, **tokens)
    with zsad.load(model) as loaded:
        assert loaded.provenance["category"] == "ring"
        assert loaded.provenance["setting"] == "few-shot-3"
        for path, one in zip(others, expected, strict=True):
            found = loaded.inspect(path)
            assert isinstance(found, zsad.Inspection)
            assert found.score == pytest.approx(one.image_score, rel=1e-6)
            assert found.threshold_from == "references"
            if one.anomaly_map is not None:
                large = at_image_size(one.anomaly_map, 40, 56)
                peaks = found.mask & (found.anomaly_map == found.peak)  # on the nearest pixels
                np.testing.assert_allclose(found.anomaly_map[~peaks], large[~peaks], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"scorer": "mutual"},
            ConfigError,
            "is not fitted to references; choose from: memory_bank, patchcore, subspace",
        ),
        ({"scorer": "memry_bank"}, ConfigError, "did you mean 'memory_bank'"),
        (
            {"params": {"shots": 2}},
            ConfigError,
            "shots is 2, but 5 references are given, and all are used; leave out shots",
        ),
        ({"params": {"j": 2}}, ConfigError, "unknown parameter 'j'"),
        ({"params": {"foreground": "sam"}}, ConfigError, "foreground: sam needs a segmentation model"),
        ({"references": []}, ArrayError, "no images to extract"),
        ({"references": ["absent.png"]}, DataError, "absent.png"),
        ({"references": [np.zeros((8, 8), complex)]}, DataError, "an array of complex128"),
        ({"backbone": "joint", "backbone_params": {"members": ["embedded", "dinov2-small"]}}, ZsadError, "joint"),
        ({"backbone": "embeded"}, ZsadError, "embeded"),
        ({"image_score": {"aggregate": "most"}}, ConfigError, "image_score: aggregate"),
        ({"image_ids": ["one"]}, ArrayError, "5 images, but 1 names"),
    ],
)
def test_what_no_model_can_be_made_of_is_one_sentence_and_leaves_nothing(
    photographs: list[Path], tmp_path: Path, change: dict[str, Any], error: type[ZsadError], message: str
) -> None:
    sound = {"references": photographs, "scorer": "memory_bank", "params": None, **SMALL}
    with pytest.raises(error, match=message):
        zsad.fit(tmp_path / "model.h5", **{**sound, **change})
    assert list(tmp_path.iterdir()) == []


# --- the names that the package offers ---


def test_importing_the_package_imports_nothing_else_and_each_name_is_there() -> None:
    code = """
import json, sys
before = set(sys.modules)
import zsad
alone = sorted({name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
inside = sorted(name for name in sys.modules if name.startswith("zsad."))
zsad.metrics
torch = [name for name in ("torch", "transformers", "snakemake", "matplotlib") if name in sys.modules]
print(json.dumps([alone, inside, torch, dir(zsad), [name for name in zsad.__all__ if getattr(zsad, name) is None]]))
"""
    arguments = [sys.executable, "-c", code]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout
    alone, inside, heavy, listed, empty = json.loads(output)
    assert alone == ["zsad"]
    assert inside == []
    assert heavy == []
    assert set(zsad.__all__) <= set(listed)
    assert "importlib" not in listed
    assert empty == []


def test_a_name_that_the_package_does_not_offer_is_told_with_those_that_it_does() -> None:
    with pytest.raises(AttributeError, match=r"zsad has no name 'read_score'; it offers: .*read_scores"):
        _ = zsad.read_score
    assert not hasattr(zsad, "anything")


def test_editors_and_type_checkers_see_the_names_where_they_are_imported_from() -> None:
    tree = ast.parse((REPOSITORY / "zsad/__init__.py").read_bytes())
    (block, *_) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            seen[alias.name] = f"zsad.{alias.name}" if node.module == "zsad" else node.module
    assert seen == zsad._PLACES
    assert sorted(seen) == zsad.__all__
