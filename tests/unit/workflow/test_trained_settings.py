"""Methods that are trained on an auxiliary data set, in the configuration: what is filled in, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from harness import merged
from learning_toys import toys
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, DamagedFileError
from zsad.files.learned import Learned, write_learned
from zsad.resources.jobs import estimated, threads_of
from zsad.resources.run import Run
from zsad.workflow.job import features_of, job
from zsad.workflow.settings import DEFAULT_PATH, Settings
from zsad.workflow.submissions import folder_names

__all__ = ["toys"]

CONFIG = merged(
    yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8")),
    dataset__name="t",
    dataset__categories=["ring"],
    backbone="embedded",
    auxiliary={"layout": "demo", "name": "other", "categories": ["brick", "grass"]},
    methods={"learner": {"scorer": "direction"}, "plain": {"scorer": "mutual"}},
)
FACTS = {"method": "direction", "trained_on": "visa", "images_sha256": [64 * "0"]}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toys: None) -> None:
    monkeypatch.chdir(tmp_path)


def settings(**changes: Any) -> Settings:
    return Settings(merged(CONFIG, **changes))


def refusal(**changes: Any) -> str:
    """The one sentence of a configuration that is refused."""
    with pytest.raises(ConfigError) as caught:
        settings(**changes).check_models()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def weights(path: str = "w.safetensors", **facts: Any) -> str:
    write_learned(Path(path), Learned({"way": np.ones(5, np.float32)}, {**FACTS, **facts}))
    return path


def test_the_auxiliary_data_set_is_what_is_learned_from() -> None:
    made = settings()
    entry = made.methods["learner"]
    assert (entry.trained_on, entry.params["trained_on"]) == ("other", "other")
    assert entry.description["setting"] == "zero-shot-auxiliary(other)"
    assert entry.training_sets == {"images": FeatureSet("test")}
    assert entry.is_trained
    assert entry.learns_elsewhere
    assert made.trained_methods == ["learner"]
    plain = made.methods["plain"]
    assert (plain.training_sets, plain.trained_on, plain.is_trained, plain.learns_elsewhere) == ({}, "", False, False)


def test_each_seed_is_a_method_that_is_trained_by_itself() -> None:
    made = settings(methods__learner={"scorer": "direction", "seeds": [0, 1, 2]})
    assert made.trained_methods == ["learner-seed0", "learner-seed1", "learner-seed2"]
    assert made.training_config("learner-seed2")["params"]["seed"] == 2


def test_what_is_learned_depends_on_the_method_alone() -> None:
    told = settings().training_config("learner")
    assert told == {
        "scorer": "direction",
        "params": {"weights": None, "shots": 0, "seed": 0, "length": 1.0},
        "precision": "auto",
        "trained_on": "other",
    }
    assert settings(image_score__aggregate="max").training_config("learner") == told


def test_weights_say_what_they_were_learned_from() -> None:
    made = settings(methods__learner__params={"weights": weights()}, auxiliary=None)
    entry = made.methods["learner"]
    assert (entry.trained_on, entry.params["trained_on"]) == ("visa", "visa")
    assert entry.description["setting"] == "zero-shot-auxiliary(visa)"
    assert (entry.training_sets, entry.is_trained, entry.learns_elsewhere) == ({}, False, True)
    assert entry.learned_files == {"weights": "w.safetensors"}
    assert made.trained_methods == []


def test_without_an_auxiliary_data_set_or_weights_nothing_can_be_learned() -> None:
    assert refusal(auxiliary=None) == (
        "methods.learner: scorer 'direction' learns from the defects of another data set, but there is "
        "none; add it as the section 'auxiliary', or give the file of an earlier training as "
        "methods.learner.params.weights"
    )


def test_another_data_set_than_the_auxiliary_one_is_a_contradiction() -> None:
    assert refusal(methods__learner__params={"trained_on": "visa"}) == (
        "methods.learner.params.trained_on is 'visa', but the data set of the section 'auxiliary' is "
        "'other'; remove trained_on, or set auxiliary.name"
    )


def test_another_data_set_than_that_of_the_weights_is_a_contradiction() -> None:
    said = refusal(methods__learner__params={"weights": weights(), "trained_on": "btad"})
    assert said == (
        "methods.learner.params.weights: w.safetensors was trained on 'visa', not on 'btad'; give weights that fit "
        "the other parameters, or change these"
    )


def test_weights_of_another_method_are_refused() -> None:
    said = refusal(methods__learner__params={"weights": weights(method="visual_prompts")})
    assert "w.safetensors holds weights of 'visual_prompts', not of 'direction'" in said


@pytest.mark.parametrize("trained_on", [None, "", 3, "a name with spaces"])
def test_weights_that_do_not_say_what_they_were_learned_from_are_refused(trained_on: Any) -> None:
    said = refusal(methods__learner__params={"weights": weights(trained_on=trained_on)})
    assert "w.safetensors does not name the data set that it was learned from" in said


def test_what_is_told_of_weights_is_how_they_were_learned_and_nothing_else_may_be_asked_for() -> None:
    given = weights(params={"seed": 3, "length": 2.0, "nothing": 1})
    told = settings(methods__learner__params={"weights": given}).methods["learner"].params
    assert (told["seed"], told["length"]) == (3, 2.0)
    asked = {"weights": given, "seed": 3, "length": 2}
    assert settings(methods__learner__params=asked).methods["learner"].params == told
    said = refusal(methods__learner__params={"weights": given, "length": 1.0})
    assert "w.safetensors was trained with length 2.0, not with 1.0 (with these weights, leave 'length' out)" in said
    several = {"scorer": "direction", "seeds": [0, 1], "params": {"weights": given}}
    assert "was trained with seed 3, not with 0" in refusal(methods__learner=several)


def test_weights_whose_parameters_make_no_sense_are_refused() -> None:
    said = refusal(methods__learner__params={"weights": weights(params={"length": "long"})})
    assert said.startswith("methods.learner.params.weights: w.safetensors")
    assert "length" in said


def test_weights_with_numbers_that_are_none_are_refused_before_anything_is_computed() -> None:
    write_learned(Path("w.safetensors"), Learned({"way": np.array([1, np.nan], np.float32)}, FACTS))
    said = refusal(methods__learner__params={"weights": "w.safetensors"})
    assert said == (
        "methods.learner.params.weights: w.safetensors is damaged ('way' holds numbers that are not finite); get the "
        "file again, or train the method again"
    )


@pytest.mark.parametrize("hashes", [None, [], {"0": 1}])
def test_weights_that_do_not_say_which_images_they_were_learned_from_are_refused_at_once(hashes: Any) -> None:
    said = refusal(methods__learner__params={"weights": weights(images_sha256=hashes)})
    assert said.startswith("methods.learner.params.weights: w.safetensors does not name the images that it was learned")


def test_what_is_no_file_is_no_weights() -> None:
    said = refusal(methods__learner__params={"weights": "/dev/null"})
    assert "the learned weights /dev/null is not a regular file" in said


def test_absent_weights_are_refused() -> None:
    said = refusal(methods__learner__params={"weights": "none.safetensors"})
    assert said.startswith("methods.learner.params.weights: the learned weights none.safetensors does not exist")


def test_a_folder_in_place_of_weights_is_refused() -> None:
    Path("folder").mkdir()
    said = refusal(methods__learner__params={"weights": "folder"})
    assert said.startswith("methods.learner.params.weights: the learned weights folder is a folder")


def test_damaged_weights_are_refused() -> None:
    path = Path(weights())
    path.write_bytes(path.read_bytes()[:50])
    said = refusal(methods__learner__params={"weights": "w.safetensors"})
    assert said.startswith("methods.learner.params.weights: w.safetensors is damaged")


def test_a_changed_number_in_weights_is_refused_before_anything_is_computed() -> None:
    path = Path(weights())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    said = refusal(methods__learner__params={"weights": "w.safetensors"})
    assert said == (
        "methods.learner.params.weights: w.safetensors is damaged (its digest is another); get the file again, or "
        "train the method again"
    )


def test_the_training_asks_for_more_the_more_there_is_to_learn_from() -> None:
    few, many = (Run(settings(auxiliary__demo={"good": count, "defective": count})) for count in (10, 400))
    names = {"method": "learner"}
    assert threads_of(few, "train_method", names) == 1
    small, large = (estimated(run, "train_method", names) for run in (few, many))
    assert large.seconds > small.seconds
    assert large.megabytes > small.megabytes
    unlimited = Run(settings(auxiliary__demo={"good": 9999, "defective": 9999}, scoring__memory_mb=50))
    assert estimated(unlimited, "train_method", names).megabytes < small.megabytes + 100


def test_the_folder_of_the_training_on_a_cluster_is_looked_at() -> None:
    assert "train_method__dataset=t..train_method__method=learner" in list(folder_names(settings()))


def test_what_a_method_has_learned_is_no_feature() -> None:
    files = {
        "test": "test.h5",
        "references": "references.h5",
        "synthetic": "synthetic.h5",
        "synthetic_manifest": "manifest.csv",
        "synthetic_origins": "made_from.csv",
        "trained": "w.safetensors",
        "unseen": "unseen.json",
        "learned": "l",
        "model": "m.h5",
    }
    assert features_of(files) == {role: Path(f"{role}.h5") for role in ("test", "references", "synthetic")}


def test_weights_that_were_learned_by_another_backbone_are_refused_before_anything_is_computed() -> None:
    given = weights(features={"layers": ["filters"], "backbone": {"resolution": 128, "stride": 8}})
    said = refusal(methods__learner__params={"weights": given}, backbones__embedded__params={"resolution": 64})
    assert said == (
        "methods.learner.params.weights: backbone 'embedded' is not the one that w.safetensors was "
        "learned with (resolution: 64 and 128); give the method that one, or train it again"
    )
    settings(
        methods__learner__params={"weights": given}, backbones__embedded__params={"resolution": 128}
    ).check_models()


class Inputs(dict[str, Any]):
    """The inputs of a job as Snakemake gives them: by name, and all in one row."""

    def __iter__(self) -> Iterator[str]:
        for value in self.values():
            yield from value if isinstance(value, list) else [value]


@pytest.mark.parametrize("given", ["mine.safetensors", ["mine.safetensors"]])
def test_a_damaged_file_of_somebodys_own_is_told_of_and_never_removed(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for private in ("_log_to", "_limit_threads"):
        monkeypatch.setattr(f"zsad.workflow.job.{private}", lambda given: None)
    no_more = SimpleNamespace(cfg="{}", code="{}")
    asked: Any = SimpleNamespace(
        rule="score_images",
        log=["log"],
        threads=1,
        params=no_more,
        resources={},
        input=Inputs(trained="made.safetensors", learned=given),
    )
    for name in ("made.safetensors", "mine.safetensors"):
        Path(name).write_bytes(b"")
        with pytest.raises(SystemExit), job(asked):
            raise DamagedFileError(Path(name), "is damaged")
    assert not Path("made.safetensors").exists()
    assert Path("mine.safetensors").exists()
