"""A method that lacks references or test images is left out with a reason, and the rest runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from harness import merged
from zsad.errors import ConfigError
from zsad.features.views import variants
from zsad.scoring.class_token_knn import ROTATIONS, ClassTokenKnn
from zsad.scoring.gmm import GMM
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.mutual import Mutual
from zsad.scoring.registry import SCORERS
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
SINGLE = ["self_similarity", "mirror_symmetry", "flip_consistency"]


def draw(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(folder / f"{number}.png")


def of_folder(root: Path, references: Path | None = None, **changes: Any) -> Settings:
    params = {} if references is None else {"references": str(references)}
    return Settings(
        merged(DEFAULT, dataset__layout="folder", dataset__root=str(root), dataset__params=params, **changes)
    )


def of_categories(root: Path, train: dict[str, int], **changes: Any) -> Settings:
    for category, count in train.items():
        draw(root / category / "train/good", count)
        draw(root / category / "test/good", 2)
    return Settings(merged(DEFAULT, dataset__layout="mvtec", dataset__root=str(root), **changes))


def test_two_lines_run_what_needs_no_references(tmp_path: Path) -> None:
    draw(tmp_path / "lids", 3)
    settings = of_folder(tmp_path / "lids")
    assert list(settings.methods) == [*SINGLE, "mutual"]
    assert settings.left_out == {
        "memory_bank": "it needs 8 normal training images, but category 'lids' has none; "
        "set dataset.params.references to a folder of enough normal images"
    }
    assert settings.resolved()["left_out"] == settings.left_out


def test_one_photograph_is_enough_for_the_methods_that_look_at_one(tmp_path: Path) -> None:
    draw(tmp_path / "lids", 1)
    changes = {
        f"methods__{name}": {"scorer": name, "backbone": "dinov2-small"}
        for name in ("mutual_consistent", "batch_neighbours")
    }
    settings = of_folder(tmp_path / "lids", backbone="embedded", **changes)
    assert list(settings.methods) == SINGLE
    assert list(settings.left_out) == ["mutual", "memory_bank", "mutual_consistent", "batch_neighbours"]
    assert settings.left_out["batch_neighbours"] == (
        "it compares at least 2 test images, but category 'lids' has 1; add some"
    )
    assert list(settings.backbones) == ["embedded"]  # nobody is left who wants the other


def test_references_that_are_there_count(tmp_path: Path) -> None:
    draw(tmp_path / "lids", 2)
    draw(tmp_path / "good", 5)
    entry = {"scorer": "memory_bank"}
    settings = of_folder(
        tmp_path / "lids",
        tmp_path / "good",
        methods__five={**entry, "params": {"shots": 5}},
        methods__six={**entry, "params": {"shots": 6}},
        methods__all={**entry, "params": {"shots": "all"}},
        methods__gmm={"scorer": "gmm"},
        methods__gmm_six={"scorer": "gmm", "params": {"components": 6}},
    )
    assert list(settings.left_out) == ["memory_bank", "six", "gmm_six"]
    assert settings.left_out["six"].endswith(
        "but category 'lids' has 5; set dataset.params.references to a folder of enough normal images, "
        "or lower methods.six.params.shots to 5"
    )
    assert "shots" not in settings.left_out["gmm_six"]  # it takes all there are


def test_a_method_that_one_category_cannot_run_is_left_out_of_all(tmp_path: Path) -> None:
    settings = of_categories(tmp_path, {"lid": 9, "ring": 3, "tile": 8})
    assert settings.left_out["memory_bank"] == (
        "it needs 8 normal training images, but category 'ring' has 3; add normal images for training, "
        "or lower methods.memory_bank.params.shots to 3, or leave it out of dataset.categories"
    )
    chosen = Settings(merged(settings.config, dataset__categories=["lid", "tile"]))
    assert not chosen.left_out


def test_a_defective_image_is_no_reference(tmp_path: Path) -> None:
    draw(tmp_path / "images", 4)
    lines = ["path,split,label", *(f"images/{number}.png,train,{int(number > 1)}" for number in range(3))]
    (tmp_path / "table.csv").write_text("\n".join([*lines, "images/3.png,test,"]) + "\n")
    config = merged(
        DEFAULT, dataset__layout="csv", dataset__root=str(tmp_path / "table.csv"), methods__memory_bank__params__shots=3
    )
    assert "category 'table' has 2; add lines of normal images" in Settings(config).left_out["memory_bank"]


@pytest.mark.parametrize(
    ("params", "rule", "reason"),
    [
        ({"shots": 1}, "robust_tail", ""),
        ({"shots": 1}, "reference_quantile", "it needs 2 references or more, but takes 1; raise"),
        ({"shots": "all"}, "reference_quantile", ""),
        ({"scorer": "gmm", "shots": 2}, "robust_tail", "it needs 3 references or more, but takes 2; raise"),
        ({"scorer": "gmm", "shots": 3}, "reference_quantile", "it needs 4 references or more, but takes 3"),
        ({"scorer": "class_token_knn", "shots": 2, "k": 3}, "robust_tail", "it needs 3 references or more"),
        ({"scorer": "class_token_knn", "shots": 1, "k": 8, "rotations": True}, "robust_tail", ""),
    ],
)
def test_references_must_do_for_the_fit_and_the_threshold(
    tmp_path: Path, params: dict[str, Any], rule: str, reason: str
) -> None:
    params = dict(params)
    entry = {"scorer": params.pop("scorer", "memory_bank"), "params": params, "threshold": {"rule": rule}}
    settings = of_categories(tmp_path, {"lid": 4}, methods__own=entry)
    assert ("own" in settings.left_out) == bool(reason)
    assert settings.left_out.get("own", "").startswith(reason)


def test_what_reads_the_scores_of_a_method_is_left_out_with_it(tmp_path: Path) -> None:
    draw(tmp_path / "lids", 3)
    settings = of_folder(
        tmp_path / "lids",
        methods__memory_bank__seeds=[0, 1],
        methods__both={"scorer": "fusion", "params": {"methods": ["mutual", "memory_bank-seed1"]}},
        methods__kept={"scorer": "fusion", "params": {"methods": ["mutual", "self_similarity"]}},
        methods__sharp={"scorer": "modulation", "params": {"method": "memory_bank-seed0", "refiner": "guided"}},
    )
    assert list(settings.methods) == [*SINGLE, "mutual", "kept"]
    assert settings.left_out["both"] == "it reads the scores of 'memory_bank-seed1', which is left out"
    assert settings.left_out["sharp"] == "it reads the scores of 'memory_bank-seed0', which is left out"
    assert "methods.memory_bank.params" not in settings.left_out["memory_bank-seed0"]


def test_the_demo_set_counts_what_will_be_drawn() -> None:
    settings = Settings(merged(DEFAULT, dataset__demo__train=4, dataset__categories=["ring"]))
    assert settings.left_out["memory_bank"].endswith(
        "category 'ring' has 4; raise dataset.demo.train, or lower methods.memory_bank.params.shots to 4"
    )


def test_where_no_method_is_left_one_sentence_says_so(tmp_path: Path) -> None:
    draw(tmp_path / "lids", 1)
    with pytest.raises(ConfigError, match=r"^no method can run; method 'mutual' is left out: .*; method 'memory_bank'"):
        of_folder(tmp_path / "lids", **{f"methods__{name}": None for name in SINGLE})


def test_before_the_download_nothing_is_known_and_nothing_left_out(tmp_path: Path) -> None:
    changes = {"dataset__layout": "mvtec_ad", "dataset__download_to": str(tmp_path)}
    assert not Settings(merged(DEFAULT, methods__memory_bank__params__shots=9999, **changes)).left_out


def test_a_job_takes_the_word_of_the_process_that_started_it(tmp_path: Path) -> None:
    draw(tmp_path / "lids", 3)
    config = of_folder(tmp_path / "lids").config
    assert "memory_bank" in Settings(config, left_out={}).methods
    told = Settings(config, left_out={"mutual": "it is so"})
    assert list(told.left_out) == ["mutual"]
    assert "mutual" not in told.methods


def test_every_scorer_says_what_it_needs() -> None:
    assert Mutual().needs() == (2, 0, 0)
    assert MemoryBank(shots=4).needs() == (1, 4, 1)
    assert MemoryBank(shots="all").needs(scores_references=True) == (1, 2, 2)
    assert GMM(components=5).needs(scores_references=True) == (1, 7, 7)  # of 6, five folds leave 4
    assert ClassTokenKnn(k=17, rotations=True).needs() == (1, 3, 3)
    assert len(variants("rotations")) == ROTATIONS
    for name in SCORERS.names():
        assert SCORERS.load(name)().needs().test >= 1
