"""The two thresholds of an image say one thing wherever they are read: in decisions, evaluation, tables and exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_evaluation_stage import HEIGHT, WIDTH, Category

from decision_files import write_decisions
from feature_files import random_tokens, write_features
from fitted_files import score_files
from zsad.data.image_list import ListedImage, write_images
from zsad.deciding.decide_images import decide_images
from zsad.deciding.fixed import Fixed
from zsad.evaluation.marks import marks_of
from zsad.exporting.export_results import export_results
from zsad.files.csv_files import read_table
from zsad.files.decisions import DecisionReader
from zsad.files.provenance import file_sha256
from zsad.files.scores import ScoreReader
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.self_similarity import SelfSimilarity


def test_given_values_are_in_the_file_of_decisions(tmp_path: Path) -> None:
    features = write_features(tmp_path / "test.h5", random_tokens(0, (6, 7), (7, 6)))
    references = write_features(tmp_path / "references.h5", random_tokens(1, (4, 4)), ["train/7.png"])
    rule = Fixed(image=0.75, pixel=0.25)
    for scorer, files, expected in (
        (SelfSimilarity(), {"test": features}, (0.25, 0.75)),
        (ClassTokenKnn(), {"test": features, "references": references}, (np.inf, 0.75)),
    ):
        scores = score_files(tmp_path / "scores.h5", scorer, files, image_scoring=ImageScoring(), compute=Compute())
        decide_images(scores=scores, rule=rule, output=tmp_path / "decisions.h5", provenance={})
        with DecisionReader(tmp_path / "decisions.h5") as found, ScoreReader(scores) as scored:
            assert [found.thresholds(index) for index in range(len(scored))] == [expected] * len(scored)
            highest = [scored.anomaly_map(index).max() for index in range(len(scored))]  # the score, without maps
            np.testing.assert_array_equal(found.peaks, highest)
            assert found.provenance["threshold_rule"] == {"name": "fixed", "params": rule.parameters()}


class Decided(Category):
    """A category whose images can be exported."""

    def listed(self) -> Path:
        """The list of its images, each with a photograph."""
        records = []
        for record in self.records:
            path = self.folder / record.image_id
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (WIDTH, HEIGHT)).save(path)
            records.append(ListedImage(record.image_id, str(path), "test", HEIGHT, WIDTH, file_sha256(path)))
        write_images(self.folder / "images.csv", records)
        return self.folder / "images.csv"

    def exported(self) -> Path:
        """What is exported of it, with what stands out in the maps for masks."""
        export_results(
            image_list=self.folder / "images.csv",
            scores=self.scores,
            decisions=self.decisions,
            masks=None,
            formats=["csv", "masks"],
            colormap="inferno",
            folder=self.folder / "exports",
            title="bottles",
            provenance={},
        )
        return self.folder / "exports"


def test_evaluation_and_exports_say_the_same_of_each_image(tmp_path: Path) -> None:
    """Whether it is called defective, how many regions are marked, and which share: over maps of noise."""
    rng = np.random.default_rng(0)
    category = Decided(tmp_path)
    for number in range(12):
        category.add(number % 2)
    category.maps = [rng.random(each.shape).astype(np.float32) ** 3 for each in category.maps]
    category.write()
    category.listed()
    called = []
    for _ in range(4):
        peaks = [float(each.max()) for each in category.maps]
        # Half of the thresholds are equal to the peak or just below.
        region = np.where(rng.random(12) < 0.5, peaks, rng.uniform(0.5, 1.1, 12)).astype(np.float32)
        region = np.where(rng.random(12) < 0.3, np.nextafter(region, np.float32(0)), region)
        write_decisions(category.decisions, category.scores, region, rng.uniform(0, 0.7, 12))
        told = category.evaluate(bootstrap=0)["images"]
        folder = category.exported()
        rows = read_table(folder / "images.csv")
        regions = read_table(folder / "defects.csv")
        for index, (image, row) in enumerate(zip(told, rows, strict=True)):
            mask = np.asarray(Image.open(folder / "masks" / image["image_id"])) > 0
            expected = bool(category.maps[index].max() > region[index])
            assert (image["decision"], row["defective"], mask.any()) == (expected, str(int(expected)), expected)
            assert image["marked_regions"] == int(row["regions"])
            assert image["marked_share"] == pytest.approx(mask.mean()) == pytest.approx(int(row["area"]) / mask.size)
            own = [float(each["peak_score"]) for each in regions if each["image"] == image["image_id"]]
            assert len(own) == int(row["regions"])
            assert max(own, default=0) == pytest.approx(image["peak"] if expected else 0, rel=1e-5)
            numbers = [image["peak"], image["region_threshold"], image["pixel_threshold"]]
            assert numbers == [float(np.float32(row[f])) for f in ("peak", "region_threshold", "pixel_threshold")]
            called.append(expected)
    assert 10 < sum(called) < 38


def test_a_method_that_scores_images_alone_marks_nothing_and_decides_by_its_threshold(tmp_path: Path) -> None:
    category = Decided(tmp_path)
    category.add(0).add(1)
    category.maps = [np.full_like(each, value) for each, value in zip(category.maps, (0.1, 0.9), strict=True)]
    category.write(image_scores=[0.1, 0.9], localises=False)
    category.listed()
    found = category.evaluate()["images"]
    assert [image["decision"] for image in found] == [False, True]
    assert {(image["marked_regions"], image["marked_share"], image["pixel_threshold"]) for image in found} == {
        (None, None, None)
    }
    rows = read_table(category.exported() / "images.csv")
    assert [(row["defective"], row["regions"], row["pixel_threshold"]) for row in rows] == [
        ("0", "", ""),
        ("1", "", ""),
    ]
    with ScoreReader(category.scores) as scores, DecisionReader(category.decisions) as decisions:
        assert marks_of(scores, decisions, category.records) == [None, None]
