"""The scoring stage writes every image's score, or nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

from auxiliary_sets import ready
from feature_files import maps, random_tokens, write_features
from fitted_files import score_files
from small_methods import ALIGNED, small
from text_files import asked_of, layers_for
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, DataError
from zsad.files.fitted import FittedReader
from zsad.files.masks import MaskWriter
from zsad.files.scores import ScoreReader
from zsad.interactive.asking import written_texts
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.batch_neighbours import BatchNeighbours
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute, compute_of
from zsad.scoring.flip_consistency import FlipConsistency
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.mutual import Mutual
from zsad.scoring.registry import SCORERS
from zsad.scoring.self_similarity import SelfSimilarity

TOKENS = random_tokens(0, (6, 7), (7, 6), (6, 6))


class Scripted(Scorer):
    """Gives a map of ones for each index in turn."""

    indices: tuple[int, ...]

    @property
    def setting(self) -> str:
        return "zero-shot-single"

    def feature_sets(self) -> dict[str, FeatureSet]:
        return {"test": FeatureSet("test")}

    def score(self, features, compute) -> Iterator[ImageScore]:
        for index in self.indices:
            yield ImageScore(index, np.full(features["test"].grid_sizes[index], index + 1.0), note=f"no. {index}")


@pytest.fixture
def run(tmp_path):
    """Score with given feature files by role; return the path of the output."""

    def score(scorer, *, image_scoring=None, compute=None, foregrounds=None, texts=None, **features):
        output = tmp_path / "scores" / "scores.h5"
        return score_files(
            output,
            scorer,
            features,
            image_scoring=image_scoring or ImageScoring(),
            compute=compute or Compute(),
            foregrounds=foregrounds,
            texts=texts,
        )

    return score


@pytest.fixture
def files(tmp_path):
    return {
        "test": write_features(tmp_path / "test.h5", TOKENS, image_list_sha256="abc", model={"id": "toy"}),
        "mirrored": write_features(tmp_path / "hflip.h5", random_tokens(1, (6, 7), (7, 6), (6, 6))),
        "references": write_features(
            tmp_path / "references.h5", random_tokens(2, (4, 4)), ["train/7.png"], model={"id": "toy"}
        ),
    }


@pytest.mark.parametrize("name", SCORERS.names())
def test_every_scorer_scores_every_image(run, tmp_path, name):
    scorer = SCORERS.build(name, small(name))
    files, names = {}, layers_for(scorer, 2)
    grids = [(6, 7)] * 3 if name in ALIGNED else [(6, 7), (7, 6), (6, 6)]
    for seed, (role, features) in enumerate(scorer.feature_sets().items()):
        if features.subset == "test":
            tokens, ids = random_tokens(seed, *grids), None
        else:
            tokens, ids = random_tokens(seed, *[(6, 7)] * 4), [f"train/{number}.png" for number in range(4)]
        files[role] = write_features(tmp_path / f"{role}.h5", tokens, ids, names=names)
    scorer = ready(scorer, tmp_path, layers=names, channels=6, cls_source="mean of patch tokens")
    asked = asked_of(scorer, 6)
    texts = None if asked is None else written_texts(asked, tmp_path / "texts.h5")
    with ScoreReader(run(scorer, texts=texts, **files)) as found:
        assert found.image_ids == ["test/0.png", "test/1.png", "test/2.png"]
        assert found.setting == scorer.setting
        assert found.grid_sizes.tolist() == list(map(list, grids))
        assert (found.seconds > 0).all()
        assert found.localises == scorer.localises
        assert np.isfinite(found.image_scores).all()
        summed = [ImageScoring().image_score(found.anomaly_map(index)) for index in range(3)]
        assert found.provenance["own_image_scores"] == scorer.own_image_scores
        if scorer.localises and type(scorer).rescored is Scorer.rescored:
            assert np.allclose(found.image_scores, summed, rtol=1e-6) != scorer.own_image_scores


def test_maps_and_scores_are_those_of_the_scorer(run, files, tmp_path):
    image_scoring = ImageScoring(fraction=0.1, smoothing=0.7)
    expected = [image_scoring.smooth(m) for m in maps(SelfSimilarity(), tmp_path, test=TOKENS)]
    with ScoreReader(run(SelfSimilarity(), image_scoring=image_scoring, test=files["test"])) as found:
        for index, anomaly_map in enumerate(expected):
            np.testing.assert_allclose(found.anomaly_map(index), anomaly_map, atol=1e-6)
            assert found.image_scores[index] == pytest.approx(image_scoring.image_score(anomaly_map), abs=1e-6)


def test_scores_may_come_in_any_order(run, files):
    with ScoreReader(run(Scripted(indices=(2, 0, 1)), test=files["test"])) as found:
        assert found.image_scores.tolist() == [1, 2, 3]
        assert found.notes == ["no. 0", "no. 1", "no. 2"]


@pytest.mark.parametrize("indices", [(0, 1), (0, 1, 2, 2), (0, 0, 1)])
def test_an_image_without_a_score_or_with_two_is_an_error_and_leaves_no_file(run, files, tmp_path, indices):
    with pytest.raises(ValueError, match="the scorer scored"):
        run(Scripted(indices=indices), test=files["test"])
    assert not list(tmp_path.glob("scores/*"))


def test_views_of_other_images_are_refused_and_leave_no_file(run, files, tmp_path):
    other = write_features(tmp_path / "other.h5", TOKENS, ["test/0.png", "test/2.png", "test/1.png"])
    with pytest.raises(DataError, match="do not show the same images"):
        run(FlipConsistency(), test=files["test"], mirrored=other)
    assert not list(tmp_path.glob("scores/*"))


def test_features_of_another_backbone_are_refused(run, files, tmp_path):
    other = write_features(tmp_path / "other.h5", random_tokens(3, (4, 4), channels=5))
    with pytest.raises(DataError, match="different backbones"):
        run(MemoryBank(), test=files["test"], references=other)


def test_a_role_that_is_missing_is_a_programming_error(run, files):
    with pytest.raises(ValueError, match="mirrored"):
        run(FlipConsistency(), test=files["test"])


def test_too_few_images_leave_no_file(run, tmp_path):
    with pytest.raises(DataError, match="at least 2 test images"):
        run(Mutual(), test=write_features(tmp_path / "one.h5", TOKENS[:1]))
    assert not list(tmp_path.glob("scores/*"))


def test_provenance_names_method_model_and_reference_images(run, files):
    scorer = MemoryBank(k=2)
    with ScoreReader(run(scorer, test=files["test"], references=files["references"])) as found:
        provenance = found.provenance
    assert provenance["stage"] == "score_images"
    assert provenance["scorer"] == {"class": "MemoryBank", "params": scorer.parameters()}
    assert provenance["setting"] == "few-shot-1"
    assert provenance["image_list_sha256"] == "abc"
    assert provenance["model"] == {"id": "toy"}
    assert provenance["device"] == "cpu"
    assert provenance["features"]["references"] == {
        "subset": "references-k1-seed0",
        "view": "rotations",
        "model": {"id": "toy"},
        "image_ids": ["train/7.png"],
    }


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("asked", "expected"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_provenance_names_the_device_and_number_format_that_auto_chose(
    run, files, native, asked, expected, monkeypatch
):
    monkeypatch.setattr("zsad.scoring.compute.resolve_device", {"auto": "cpu"}.get)
    monkeypatch.setattr("zsad.device._has_bfloat16", {"cpu": native}.get)
    compute = compute_of(device="auto", memory_mb="16", precision=asked)
    assert compute.memory == 16_000_000
    with ScoreReader(run(Mutual(), compute=compute, test=files["test"])) as found:
        assert found.provenance["device"] == "cpu"
        assert found.provenance["number_format"] == expected


def test_float16_is_not_for_cpus(run, files):
    with pytest.raises(ConfigError, match="'float16' is very slow on CPUs"):
        run(Mutual(), compute=Compute(precision="float16"), test=files["test"])


def test_a_scorer_of_images_alone_leaves_its_score_everywhere_on_the_map(run, files):
    with ScoreReader(run(ClassTokenKnn(), test=files["test"], references=files["references"])) as found:
        assert not found.localises
        for index in range(3):
            np.testing.assert_allclose(found.anomaly_map(index), found.image_scores[index], atol=1e-6)


def test_two_runs_differ_in_nothing_but_seconds(run, files):
    seen = []
    for _ in range(2):
        with ScoreReader(run(Mutual(), test=files["test"])) as found:
            maps_bytes = [found.anomaly_map(index).tobytes() for index in range(3)]
            seen.append((maps_bytes, found.image_scores.tobytes()))
    assert seen[0] == seen[1]


# --- masks of the object --------------------------------------------------------------------------------------------


def write_masks(path, ids, reason=""):
    """The right half of images of 60 x 70 pixels is the object."""
    mask = np.zeros((60, 70), bool)
    mask[:, 40:] = True
    with MaskWriter(path, ids, {"segmenter": {"id": "sam"}, "options": {"least_value": 0.2}}) as writer:
        for _ in ids:
            writer.append(mask, 0.5, [{"accepted": not reason, "reason": reason}])
    return path


IDS = [f"test/{index}.png" for index in range(3)]


def least_of_references(scored):
    """The least score of a patch of a reference, by the model that is beside the scores."""
    with FittedReader(scored.with_name("model.h5")) as fitted:
        return min(anomaly_map.min() for anomaly_map in fitted.reference_maps)


def test_masks_of_the_object_reach_the_scorer_and_the_provenance(run, files, tmp_path):
    masks = write_masks(tmp_path / "masks.h5", IDS, "no object")
    scorer = BatchNeighbours(foreground="sam")
    with ScoreReader(run(scorer, test=files["test"], foregrounds={"test": masks})) as found:
        assert not found.anomaly_map(0)[:, :2].any()
        assert found.anomaly_map(0)[:, 4:].all()
        assert found.notes == ["no object"] * 3
        assert found.provenance["features"]["test"]["foreground"] == {
            "segmenter": {"id": "sam"},
            "options": {"least_value": 0.2},
        }
        assert found.provenance["model"] == {"id": "toy"}


def test_references_that_are_scored_have_foregrounds_too(run, files, tmp_path):
    ids = [f"train/{index}.png@{angle:03d}" for index in range(2) for angle in (0, 45)]
    references = write_features(tmp_path / "turned.h5", random_tokens(3, *[(6, 7)] * 4), ids, view="rotations")
    masks = {
        "test": write_masks(tmp_path / "masks.h5", IDS),
        "references": write_masks(tmp_path / "train-masks.h5", ["train/1.png", "train/0.png"]),
    }
    scored = run(MemoryBank(shots=2, foreground="sam"), test=files["test"], references=references, foregrounds=masks)
    assert least_of_references(scored) == 0  # their background
    assert least_of_references(run(MemoryBank(shots=2), test=files["test"], references=references)) > 0.001


def test_an_image_without_a_mask_is_reported_before_anything_is_scored(run, files, tmp_path):
    masks = write_masks(tmp_path / "masks.h5", IDS[:1])
    with pytest.raises(DataError, match=r"masks\.h5 has no masks of 2 images in .*, first 'test/1\.png'"):
        run(BatchNeighbours(foreground="sam"), test=files["test"], foregrounds={"test": masks})
    assert not list(tmp_path.glob("scores/*"))


@pytest.mark.parametrize(
    ("foreground", "roles"), [("sam", []), ("sam", ["references"]), ("otsu", ["test"]), ("otsu", ["references"])]
)
def test_masks_that_are_missing_or_too_many_are_a_programming_error(run, files, tmp_path, foreground, roles):
    masks = {role: write_masks(tmp_path / f"{role}-masks.h5", [*IDS, "train/7.png"]) for role in roles}
    features = {"test": files["test"], "references": files["references"]}
    with pytest.raises(ValueError, match="the scorer reads masks of"):
        run(MemoryBank(foreground=foreground), foregrounds=masks, **features)
