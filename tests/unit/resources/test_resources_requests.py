"""What jobs ask for: more for more work, and never more than a queue gives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from learning_toys import toys
from paths import REPOSITORY
from zsad.resources.estimate import LONGEST, Estimate, memory_request, runtime_request
from zsad.resources.jobs import ESTIMATES, estimated, threads_of
from zsad.resources.libraries import TORCH
from zsad.resources.run import Run, uses_network
from zsad.workflow.settings import load

SAM = REPOSITORY / "config" / "sam.yaml"
EVERY_METHOD = REPOSITORY / "config" / "all_methods.yaml"
__all__ = ["toys"]

NAMES: Mapping[str, str] = {
    "published": "mvtec_ad",
    "category": "ring",
    "backbone": "embedded",
    "subset": "test",
    "view": "original",
    "segmenter": "sam-vit-b",
    "method": "mutual",
    "refiner": "guided",
    "classifier": "nearest",
}
SUPPORT = {"support": "known"}
OF_MODELS = {
    "encode_texts": {"backbone": "words", "prompts": "winclip"},
    "embed_crops": {"refiner": "sam_crops"},
    "prompt_masks": {"refiner": "sam"},
    "train_method": {"method": "learner"},
    "fit_method": {"method": "memory_bank"},
    "make_synthetic": {"subset": "synthetic-k4-seed0-n40-cpns"},
    "read_support": SUPPORT,
    "score_support": {**SUPPORT, "method": "self_similarity"},
    "draw_support_thumbnails": SUPPORT,
}
METHODS = ("mutual", "memory_bank")  # without references, and with
OF_MODULATIONS = ("modulate_scores", "adopt_decisions")
BY_IMAGES = (
    "make_demo",
    "read_images",
    "read_training",
    "build_manifest",
    "check_images",
    "extract_features",
    "embed_images",
    "segment_foreground",
    "score_images",
    "decide_images",
    "refine_masks",
    "embed_crops",
    "prompt_masks",
    "evaluate_scores",
    "evaluate_masks",
    "evaluate_oracle",
    "draw_thumbnails",
    "draw_gallery",
    "build_page",
)


def by_filters(folder: Path) -> Path:
    """A configuration that names the filter bank, whatever the default is."""
    config = folder / "filters.yaml"
    config.write_text("backbone: embedded\n", encoding="utf-8")
    return config


def by_words(folder: Path) -> Path:
    """A configuration with a method that asks in words."""
    words = {"family": "image_text", "params": {"model": "owner/clip"}}
    config = {"backbones": {"words": words}, "methods": {"asking": {"scorer": "text_similarity", "backbone": "words"}}}
    path = folder / "words.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def by_kinds(folder: Path) -> Path:
    """A configuration with a classifier of regions, and examples of two kinds."""
    for kind in ("dent", "scratch"):
        (folder / "known" / kind).mkdir(parents=True)
        Image.new("L", (64, 64)).save(folder / "known" / kind / "0.png")
    nearest = {"classifier": "nearest_exemplar", "support": "known", "embedding": "region", "method": "self_similarity"}
    config = folder / "kinds.yaml"
    known = {"folder": str(folder / "known")}
    config.write_text(json.dumps({"supports": {"known": known}, "classifiers": {"nearest": nearest}}), encoding="utf-8")
    return config


def planned(
    folder: Path, *configs: Path, on_gpu: bool = False, demo: Mapping[str, Any] | None = None, **changes
) -> Run:
    """A run on the demo set by the filter bank or as configurations say, whose results would lie in a folder."""
    settings = load(by_filters(folder), *configs, dataset={"demo": dict(demo or {}), **changes})
    return Run(settings, folder, on_gpu=on_gpu)


def names_for(rule: str) -> dict[str, str]:
    return {**NAMES, **OF_MODELS.get(rule, {})}


def test_a_request_is_half_as_much_memory_again_and_400_mb_in_steps_of_100() -> None:
    assert memory_request(Estimate(megabytes=90, seconds=1)) == 600
    assert memory_request(Estimate(megabytes=200, seconds=1)) == 700
    assert memory_request(Estimate(megabytes=201, seconds=1)) == 800


def test_a_request_is_three_times_the_time_and_ten_minutes_in_steps_of_five() -> None:
    assert runtime_request(Estimate(megabytes=1, seconds=0)) == 10
    assert runtime_request(Estimate(megabytes=1, seconds=1)) == 15
    assert runtime_request(Estimate(megabytes=1, seconds=3600)) == 190
    assert runtime_request(Estimate(megabytes=1, seconds=3600), threads=5) == 55


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_an_attempt_asks_for_as_many_times_as_much(attempt: int) -> None:
    estimate = Estimate(megabytes=500, seconds=600)
    assert memory_request(estimate, attempt) == attempt * memory_request(estimate)
    assert runtime_request(estimate, attempt=attempt) == attempt * runtime_request(estimate)


def test_no_job_asks_for_more_than_a_day() -> None:
    assert runtime_request(Estimate(megabytes=1, seconds=1e7), attempt=2) == LONGEST == 1440


def by_another_data_set(folder: Path) -> Path:
    """A configuration with a method that is trained on another data set."""
    other = {"layout": "demo", "name": "other", "categories": ["brick"]}
    config = folder / "learned.yaml"
    learned = {"auxiliary": other, "methods": {"learner": {"scorer": "direction"}}}
    config.write_text(yaml.safe_dump(learned), encoding="utf-8")
    return config


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("rule", ESTIMATES)
def test_every_rule_has_a_request(rule: str, tmp_path: Path) -> None:
    only = {"categories": ["ring"]}
    run = planned(tmp_path, SAM, by_kinds(tmp_path), by_words(tmp_path), by_another_data_set(tmp_path), **only)
    names = {**names_for(rule), **({"method": "mutual_sam"} if rule in OF_MODULATIONS else {})}
    estimate = estimated(run, rule, names)
    assert 80 < estimate.megabytes < 20_000
    assert 0.3 < estimate.seconds < 24 * 3600
    assert 1 <= threads_of(run, rule, names) <= 8


def test_the_rules_of_the_workflow_are_those_with_an_estimate() -> None:
    asked = {
        line.split('"')[1]
        for path in (REPOSITORY / "rules").glob("*.smk")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "mem_mb=memory(" in line
    }
    assert asked == set(ESTIMATES)


@pytest.mark.parametrize("rule", BY_IMAGES)
def test_more_images_take_more_time(rule: str, tmp_path: Path) -> None:
    few = planned(tmp_path, SAM, demo={"train": 10, "good": 5, "defective": 5})
    many = planned(tmp_path, SAM, demo={"train": 40, "good": 20, "defective": 20})
    assert estimated(many, rule, names_for(rule)).seconds > estimated(few, rule, names_for(rule)).seconds


@pytest.mark.parametrize(
    "rule", [rule for rule in BY_IMAGES if rule not in ("score_images", "decide_images", "build_page")]
)
def test_larger_images_take_more_memory(rule: str, tmp_path: Path) -> None:
    small, large = (planned(tmp_path, SAM, demo={"size": size}) for size in (256, 1024))
    assert estimated(large, rule, names_for(rule)).megabytes > estimated(small, rule, names_for(rule)).megabytes


def test_products_of_all_pairs_grow_with_the_square_of_the_images(tmp_path: Path) -> None:
    counts = ((100, 100), (200, 200))
    few, many = (
        estimated(planned(tmp_path, demo={"good": good, "defective": bad}), "score_images", names_for("")).seconds
        for good, bad in counts
    )
    assert 3 < many / few < 4.5


def test_a_fit_is_made_for_every_fold_and_test_images_are_not_its_business(tmp_path: Path) -> None:
    def seconds(rule: str, shots: int, tests: int = 4) -> float:
        config = tmp_path / f"{shots}.yaml"
        coreset = {"shots": shots, "rotations": False, "coreset": 0.5}
        config.write_text(yaml.safe_dump({"methods": {"memory_bank": {"params": coreset}}}), encoding="utf-8")
        run = planned(tmp_path, config, demo={"train": 40, "good": tests, "defective": tests})
        return estimated(run, rule, names_for("fit_method")).seconds - TORCH.seconds

    fits = {shots: seconds("fit_method", shots) for shots in (1, 2, 10, 20)}
    # The choice of a coreset grows with the square: of two, three fits to up to four times as much, and two compared.
    assert fits[2] > 8 * fits[1]
    assert 3 < fits[20] / fits[10] < 4.5
    assert seconds("fit_method", 2, tests=40) == fits[2]
    assert seconds("score_images", 2, tests=40) > 5 * seconds("score_images", 2)


def test_tables_take_no_more_than_the_budget(tmp_path: Path) -> None:
    large = planned(tmp_path, demo={"good": 1000, "defective": 1000})
    assert estimated(large, "score_images", names_for("")).megabytes < large.settings.scoring.memory_mb + 1000
    assert estimated(large, "evaluate_scores", names_for("")).megabytes < large.settings.evaluation.memory_mb + 1000


@pytest.mark.parametrize("rule", ["embed_images", "segment_foreground", "evaluate_oracle"])
def test_larger_weights_take_more_memory(rule: str, tmp_path: Path) -> None:
    megabytes = []
    for model in ("sam-vit-b", "sam-vit-h"):
        config = tmp_path / f"{model}.yaml"
        config.write_text(f"segmenter: {model}\n", encoding="utf-8")
        run = planned(tmp_path, SAM, config)
        megabytes.append(estimated(run, rule, names_for(rule) | {"segmenter": model}).megabytes)
    assert megabytes[1] > megabytes[0] + 2000


@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_large_backbone_takes_more_memory_and_time_than_a_small_one(tmp_path: Path, on_gpu: bool) -> None:
    estimates = []
    for model in ("dinov3-vits16", "dinov3-vitl16"):
        config = tmp_path / f"{model}.yaml"
        config.write_text(f"backbone: {model}\n", encoding="utf-8")
        run = planned(tmp_path, config, on_gpu=on_gpu)
        (backbone,) = run.settings.backbones
        estimates.append(estimated(run, "extract_features", names_for("") | {"backbone": backbone}))
    assert estimates[1].megabytes > estimates[0].megabytes + 1000
    assert estimates[1].seconds > estimates[0].seconds


def test_a_network_gets_as_many_threads_as_its_images_are_worth(tmp_path: Path) -> None:
    config = tmp_path / "vits.yaml"
    config.write_text("backbone: dinov3-vits16\n", encoding="utf-8")
    names = names_for("") | {"backbone": next(iter(load(config).backbones)), "subset": "references-k2-seed0"}
    assert threads_of(planned(tmp_path, config), "extract_features", names) == 2
    assert threads_of(planned(tmp_path, config), "extract_features", names | {"subset": "test"}) == 8
    assert threads_of(planned(tmp_path, config, on_gpu=True), "extract_features", names) == 4
    assert threads_of(planned(tmp_path), "extract_features", names_for("")) == 1


def test_a_network_is_used_if_a_backbone_or_a_refiner_has_one(tmp_path: Path) -> None:
    plain, vits = tmp_path / "plain.yaml", tmp_path / "vits.yaml"
    plain.write_text("backbone: embedded\n", encoding="utf-8")
    vits.write_text("backbone: dinov3-vits16\n", encoding="utf-8")
    assert [uses_network(load(*files)) for files in ((plain,), (SAM, plain), (vits,))] == [False, True, True]


def test_every_scorer_says_what_it_costs(tmp_path: Path) -> None:
    run = planned(tmp_path, EVERY_METHOD)
    rules = {name: "fuse_scores" if entry.members else "score_images" for name, entry in run.settings.methods.items()}
    seconds = {name: estimated(run, rule, names_for("") | {"method": name}).seconds for name, rule in rules.items()}
    fits = [estimated(run, "fit_method", names_for("") | {"method": name}) for name in run.settings.fitted_methods]
    assert len(fits) >= 5
    assert all(TORCH.seconds < fit.seconds < LONGEST * 60 for fit in fits)
    assert seconds["batch_neighbours"] > seconds["mutual"] > seconds["flip_consistency"] > seconds["ensemble"]


def test_deciding_takes_the_maps_of_references_too_and_those_of_a_modulation_at_their_own_size(
    tmp_path: Path,
) -> None:
    run = planned(tmp_path, SAM)
    of = {"category": "ring"}
    without, with_references = (estimated(run, "decide_images", {**of, "method": name}) for name in METHODS)
    assert with_references.megabytes > without.megabytes
    assert with_references.seconds > without.seconds
    modulated = estimated(run, "adopt_decisions", {**of, "method": "mutual_sam"})
    assert modulated.megabytes > without.megabytes


def test_estimates_import_neither_torch_nor_transformers(tmp_path: Path) -> None:
    others = {"encode_texts", "embed_crops", "prompt_masks", "train_method", "fit_method", *OF_MODULATIONS}
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from zsad.workflow.settings import load\nfrom zsad.resources.run import Run\n"
        "from zsad.resources.jobs import ESTIMATES, estimated\n"
        f"files = {[str(path) for path in (by_filters(tmp_path), by_kinds(tmp_path), by_words(tmp_path), SAM)]!r}\n"
        f"run = Run(load(*map(Path, files)), Path({str(tmp_path)!r}))\n"
        f"names = {dict(NAMES) | SUPPORT!r}\n"
        f"for rule in set(ESTIMATES) - {others!r}:\n"
        "    estimated(run, rule, names)\n"
        f"estimated(run, 'encode_texts', {names_for('encode_texts')!r})\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr
