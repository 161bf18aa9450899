"""The classifiers of a configuration: what each reads and depends on, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError
from zsad.workflow.measurable import CLASS_TABLES
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = merged(yaml.safe_load(DEFAULT_PATH.read_text()), backbone="embedded")
CROSS = {"calibration": 0, "conformal": {"sets": "cross"}}
REGION = {"embedding": "region", "method": "self_similarity"}
MODULATION = {"scorer": "modulation", "params": {"method": "mutual", "refiner": "guided"}}
FUSION = {"scorer": "fusion", "params": {"methods": ["mutual", "self_similarity"]}}
TOKENS = {"scorer": "class_token_knn", "params": {"shots": 2}}


@pytest.fixture
def beside(tmp_path: Path, write_png: Any) -> str:
    """A folder of labelled examples."""
    for kind in ("dent", "scratch"):
        for number in range(2):
            write_png(tmp_path / "known" / kind / f"{number}.png")
    return str(tmp_path / "known")


def settings(base: dict[str, Any] = DEFAULT, folder: str = "", **classifier: Any) -> Settings:
    """Settings with one classifier; with a folder, it learns from the examples in that."""
    supports = {"known": {"folder": folder}} if folder else {}
    entry = {"classifier": "nearest_exemplar", **({"support": "known"} if folder else {}), **classifier}
    return Settings(merged(base, classifiers__nearest=entry, supports=supports))


def test_without_classifiers_nothing_speaks_of_them() -> None:
    plain = Settings(DEFAULT)
    assert (plain.classifiers, plain.supports, plain.classifiers_left_out) == ({}, {}, {})
    assert not {"classifiers", "supports", "classifiers_left_out"} & plain.resolved().keys()
    assert {f"tables/{file}" for file in CLASS_TABLES.values()} <= set(plain.measurable.unmade())


def test_what_is_drawn_from_test_images_needs_no_features_of_its_own() -> None:
    found = settings()
    assert found.feature_sets == Settings(DEFAULT).feature_sets
    entry = found.classifiers["nearest"]
    assert (entry.regions, entry.is_drawn_from_tests, entry.scores_support) == ("image", True, False)
    assert found.resolved()["classifiers"]["nearest"]["shots"] == [5]
    assert not [path for path in found.measurable.unmade() if "classification" in path]


def test_a_backbone_that_only_a_classifier_names_is_in_use() -> None:
    other = merged(DEFAULT, backbones__finer={"family": "embedded", "params": {"resolution": 64}})
    found = settings(other, backbone="finer")
    assert set(found.backbones) == {"embedded", "finer"}
    assert [features for name, features in found.feature_sets if name == "finer"] == [FeatureSet("test")]
    assert "finer" not in settings(other).backbones


def test_examples_beside_the_data_set_get_features_and_maps_of_their_own(beside: str) -> None:
    plain, seen = settings(folder=beside), settings(folder=beside, embedding="both", method="flip_consistency")
    own = FeatureSet("support-known")
    assert {features for _, features in plain.feature_sets if features.subset == own.subset} == {own}
    assert {features for _, features in seen.feature_sets if features.subset == own.subset} == {
        own,
        own._replace(view="hflip"),
    }
    fitted = settings(folder=beside, embedding="region", method="memory_bank")
    assert {features for _, features in fitted.feature_sets if features.subset == own.subset} == {own}
    assert fitted.classifiers["nearest"].scores_support


def test_supports_that_nothing_learns_from_are_not_looked_at() -> None:
    found = Settings(merged(DEFAULT, supports={"gone": {"folder": "nowhere"}}))
    assert found.supports == {}


def test_what_follows_a_change_depends_on_it_and_nothing_else_does() -> None:
    """Whatever answers depend on is in one place, what the draw depends on in another."""
    base = settings(shots=[1, 2]).classifiers["nearest"]
    for change in (
        {"conformal": {"alpha": 0.2}},
        {"probabilities": {"temperature": 2}},
        {"layers": ["filters"]},
    ):
        other = settings(shots=[1, 2], **change).classifiers["nearest"]
        assert other.stage_config() != base.stage_config(), change
        assert other.drawing == base.drawing, change
    seeded = settings(shots=[1, 2], seeds=[7]).classifiers["nearest"]
    assert (seeded.stage_config(), seeded.drawing["seeds"]) == (base.stage_config(), [7])
    fewer = settings(shots=[1]).classifiers["nearest"]
    assert fewer.stage_config() != base.stage_config()
    assert fewer.drawing != base.drawing


def test_a_classifier_goes_with_the_method_whose_maps_it_reads(tmp_path: Path, write_png: Any) -> None:
    for number in range(2):
        write_png(tmp_path / "lids" / f"{number}.png")
    for kind in ("dent", "scratch"):
        write_png(tmp_path / "known" / kind / "0.png")
    base = merged(DEFAULT, dataset__layout="folder", dataset__root=str(tmp_path / "lids"))
    found = settings(base, str(tmp_path / "known"), embedding="region", method="memory_bank")
    assert (found.classifiers, found.supports) == ({}, {})
    assert found.left_out_sentences()[-1] == (
        "classifier 'nearest' is left out: it reads the maps of 'memory_bank', which is left out"
    )


REFUSED = {
    "unknown classifier": ({"classifier": "nearest_example"}, "no classifier 'nearest_example'; .*nearest_exemplar"),
    "unknown parameter": ({"params": {"k": 3}}, r"classifiers\.nearest\.params: .*k"),
    "unknown backbone": ({"backbone": "embeded"}, r"classifiers\.nearest: backbone 'embeded' .*embedded"),
    "unknown support": ({"support": "tset"}, r"\.support 'tset' is not among the supports.*test"),
    "unknown method": (REGION | {"method": "mutal"}, r"\.method 'mutal' is not among the methods.*mutual"),
    "unknown refiner": (REGION | {"masks": "guidded"}, r"\.masks 'guidded' is not among the refiners.*guided"),
    "a region without a method": ({"embedding": "region"}, "embedding: region needs a method"),
    "both without a method": ({"embedding": "both", "masks": "guided"}, "needs a method .* 'guided' outlines"),
    "an image and a method": ({"method": "mutual"}, "uses no region; remove 'method'"),
    "an image and masks": ({"masks": "guided"}, "uses no region; remove 'masks'"),
    "all test images": ({"shots": "all"}, "shots cannot be all with support: test"),
    "all of several": ({"shots": [1, "all"]}, "shots cannot be all with support: test"),
    "thresholds of nothing": ({"calibration": 0}, "calibration: 0 .* conformal.sets: cross"),
    "calibrated by nothing": (
        CROSS | {"probabilities": {"calibrated": "platt"}},
        "calibrated: platt needs calibration images",
    ),
    "the same seed twice": ({"seeds": [1, 1]}, "1 is listed twice"),
    "no seed": ({"seeds": []}, "seeds"),
    "no shots": ({"shots": 0}, "shots"),
    "no layer": ({"layers": []}, "layers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_one_sentence(case: str) -> None:
    changes, said = REFUSED[case]
    with pytest.raises(ConfigError, match=said) as refused:
        settings(**changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (REGION | {"masks": "ground_truth"}, "requires support: test"),
        (REGION | {"masks": "guided"}, "masks of 'guided' exist only for test images"),
        (REGION | {"method": "mutual"}, "'mutual' compares the images of a batch with each other"),
        (REGION | {"method": "both"}, "'both' is a fusion, which reads the scores of others"),
        (REGION | {"method": "sharp"}, "'sharp' is a modulation, which reads the scores of others"),
        (REGION | {"method": "thumbnails"}, "'thumbnails' is reserved for supports"),
    ],
)
def test_examples_are_seen_as_test_images_are_or_not_at_all(changes: dict[str, Any], said: str, beside: str) -> None:
    more = {"both": FUSION, "sharp": MODULATION, "thumbnails": {"scorer": "self_similarity"}}
    base = merged(DEFAULT, methods={**DEFAULT["methods"], **more})
    with pytest.raises(ConfigError, match=said):
        settings(base, beside, **changes)


def test_a_method_must_say_where_the_defect_is() -> None:
    base = merged(DEFAULT, methods__tokens=TOKENS)
    with pytest.raises(ConfigError, match="'tokens' does not localise defects"):
        settings(base, embedding="region", method="tokens")
    seeded = merged(DEFAULT, methods__memory_bank__seeds=[0, 1])
    with pytest.raises(ConfigError, match=r"has several seeds; name one of them, e\.g\. 'memory_bank-seed0'"):
        settings(seeded, embedding="region", method="memory_bank")


def test_names_that_stand_for_something_else_are_refused() -> None:
    with pytest.raises(ConfigError, match="a support cannot be called 'test'"):
        Settings(merged(DEFAULT, supports={"test": {"folder": "known"}}))
    base = merged(DEFAULT, refiners__ground_truth={"refiner": "guided"})
    with pytest.raises(ConfigError, match="'ground_truth' stands for the ground-truth masks; rename the refiner"):
        settings(base, embedding="region", masks="ground_truth")


def test_labels_and_masks_that_are_not_there_cannot_be_learnt_from(tmp_path: Path, write_png: Any) -> None:
    write_png(tmp_path / "lids" / "0.png")
    unlabelled = merged(DEFAULT, dataset__layout="folder", dataset__root=str(tmp_path / "lids"))
    with pytest.raises(ConfigError, match=r"category 'lids' has no labels; add labels, or .* under 'supports'"):
        settings(unlabelled)
    for name in ("good/0.png", "dent/1.png"):
        write_png(tmp_path / "parts/lid/test" / name)
    unmasked = merged(DEFAULT, dataset__layout="mvtec", dataset__root=str(tmp_path / "parts"))
    with pytest.raises(ConfigError, match="'ground_truth', but category 'lid' has no ground-truth masks"):
        settings(unmasked, embedding="region", masks="ground_truth")
    assert settings(unmasked).measurable.has_kinds("lid")


def test_a_layer_that_the_backbone_does_not_keep_is_told_before_anything_runs() -> None:
    settings(layers=["filters"]).check_models()
    with pytest.raises(
        ConfigError, match=r"classifiers\.nearest\.layers: backbone 'embedded' has no layer 'filtres'.*filters"
    ):
        settings(layers=["filtres"]).check_models()
