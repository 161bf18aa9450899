"""A second run makes anew what depends on a change, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import SMALL, Project, merged
from zsad.workflow.measurable import CLASS_TABLES

pytestmark = pytest.mark.slow

TABLES = {
    "t/tables/metrics.csv",
    "t/tables/defect_types.csv",
    "t/tables/comparisons.csv",
    "t/tables/refinement.csv",
    "t/tables/images.csv",
    "t/tables/decisions.csv",
    "t/tables/metrics.md",
    "t/tables/metrics.tex",
    "t/tables/tables.sha256",
}
COSTS = {f"t/tables/cost.{kind}" for kind in ("csv", "md", "tex", "sha256")}
OVERALL_PLOTS = {"t/plots/summary.png", "t/plots/bars.png", "t/plots/quality_cost.png"}
OVERALL = TABLES | COSTS | OVERALL_PLOTS | {"t/report.html"}
METHODS = ("self_similarity", "mirror_symmetry", "memory_bank")


def plots(category: str = "ring") -> set[str]:
    return {f"t/plots/{category}/curves.png", f"t/plots/{category}/histograms.png"}


def gallery(method: str, category: str = "ring") -> set[str]:
    drawn = {f"t/plots/{category}/{method}.gallery.{kind}" for kind in ("png", "json")}
    return drawn | {f"t/{category}/layers/{method}.h5"}


def measured(method: str, category: str = "ring") -> set[str]:
    names = (method, f"{method}.guided")
    return {f"t/{category}/{file}" for name in names for file in (f"metrics/{name}.json", f"draws/{name}.h5")}


def decided(method: str, category: str = "ring") -> set[str]:
    """What follows from another threshold rule of a method within its category."""
    own = {f"t/{category}/decisions/{method}.h5", f"t/{category}/masks/{method}.guided.h5"}
    return own | measured(method, category) | gallery(method, category) | plots(category)


def scored(method: str, category: str = "ring") -> set[str]:
    """What follows from new scores of a method within its category."""
    return {f"t/{category}/scores/{method}.h5"} | decided(method, category)


def models(category: str = "ring") -> set[str]:
    return {f"t/{category}/models/memory_bank.h5"}


def features(category: str = "ring") -> set[str]:
    names = ("test.original", "test.hflip", "references-k2-seed0.rotations")
    return {f"t/{category}/features/embedded/{name}.h5" for name in names}


def all_scored() -> set[str]:
    return set.union(*(scored(method) for method in METHODS)) | OVERALL


def all_decided() -> set[str]:
    return set.union(*(decided(method) for method in METHODS)) | OVERALL


BANK = scored("memory_bank") | OVERALL


def test_a_run_without_a_change_runs_nothing(project: Project) -> None:
    run = project.run()
    assert run.status == 0
    assert "Nothing to be done" in run.output
    assert run.made == set()


@pytest.mark.parametrize(
    "changes",
    [
        {
            "self_similarity": {"methods__self_similarity__params": {"k": 2}},
            "mirror_symmetry": {"methods__mirror_symmetry__params__tie_break": False},
        },
        {
            "self_similarity": {"methods__self_similarity__image_score": {"aggregate": "max"}},
            "mirror_symmetry": {"methods__mirror_symmetry__image_score": {"smoothing": 0.5}},
        },
    ],
    ids=["number and flipped boolean", "image score"],
)
def test_a_scoring_parameter_runs_its_method_and_what_follows(
    project: Project, changes: dict[str, dict[str, object]]
) -> None:
    changed = merged(SMALL, **{name: value for change in changes.values() for name, value in change.items()})
    assert project.would_make(changed) == set.union(OVERALL, *map(scored, changes))


@pytest.mark.parametrize(
    "thresholds",
    [
        {
            "memory_bank": {"rule": "reference_quantile"},
            "mirror_symmetry": {"rule": "fixed", "params": {"image": 0.5}},
        },
        {"memory_bank": {"rule": "mebin"}, "mirror_symmetry": {"params": {"extent": 0.5}}},
        {"memory_bank": {"params": {"alpha": 0.2}}},
    ],
    ids=["rule of references and given number", "rule of tests and extent", "parameter"],
)
def test_a_threshold_rule_decides_anew_by_the_scores_that_are_there(
    project: Project, thresholds: dict[str, dict[str, object]]
) -> None:
    changed = merged(SMALL, **{f"methods__{method}__threshold": value for method, value in thresholds.items()})
    assert project.would_make(changed) == set.union(OVERALL, *map(decided, thresholds))


def test_a_rule_for_all_methods_decides_anew_for_all(project: Project) -> None:
    assert project.would_make(merged(SMALL, threshold={"rule": "robust_tail", "params": {"z": 4}})) == all_decided()


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"params": {"shots": 2, "k": 2}}, models()),
        ({"params": {"shots": 2}, "image_score": {"aggregate": "max"}}, models()),
        ({"params": {"shots": 3}}, models() | {"t/ring/features/embedded/references-k3-seed0.rotations.h5"}),
        (
            {"params": {"shots": 2, "seed": 1}},
            models() | {"t/ring/features/embedded/references-k2-seed1.rotations.h5"},
        ),
    ],
    ids=["parameter", "image score", "shots", "seed"],
)
def test_a_method_is_fitted_anew_for_what_its_model_depends_on_alone(
    project: Project, changes: dict[str, object], first: set[str]
) -> None:
    assert project.would_make(merged(SMALL, methods__memory_bank=changes)) == BANK | first


def test_a_threshold_rule_that_looks_at_references_finds_their_scores_in_the_model(project: Project) -> None:
    """There and back, without a fit, a score or a feature."""
    ruled = merged(SMALL, methods__memory_bank__threshold={"rule": "reference_quantile"})
    decisions = "results/t/ring/decisions/memory_bank.h5"
    kept = ("models", "scores")
    of_bank = [project.result(f"t/ring/{folder}/memory_bank.h5") for folder in (*kept, "decisions")]
    before = [path.read_bytes() for path in of_bank]
    run = project.run(ruled, decisions)
    assert run.status == 0, run.output
    assert run.made == {"t/ring/decisions/memory_bank.h5"}
    after = [path.read_bytes() for path in of_bank]
    assert after[: len(kept)] == before[: len(kept)]
    assert after[-1] != before[-1]
    assert project.would_make(SMALL, decisions) == {"t/ring/decisions/memory_bank.h5"}


def test_draws_of_the_bootstrap_measure_anew(project: Project) -> None:
    anew = set.union(*(measured(method) | gallery(method) for method in METHODS)) | plots() | OVERALL
    assert project.would_make(merged(SMALL, evaluation__bootstrap=60)) == anew


def test_two_swapped_values_are_a_change(project: Project) -> None:
    scores = "results/t/ring/scores/self_similarity.h5"
    first = merged(SMALL, methods__self_similarity__params={"k": 1, "exclusion_radius": 2})
    assert project.run(first, scores).status == 0
    assert project.would_make(first, scores) == set()
    swapped = merged(SMALL, methods__self_similarity__params={"k": 2, "exclusion_radius": 1})
    assert project.would_make(swapped, scores) == {"t/ring/scores/self_similarity.h5"}


def test_the_order_of_keys_and_a_default_made_explicit_are_no_change(project: Project) -> None:
    config = merged(SMALL, methods__memory_bank__params={"seed": 0, "shots": 2}, image_score={"fraction": 0.01})
    config["methods"] = dict(reversed(config["methods"].items()))
    stages = ("/features/", "/scores/", "/masks/", "/metrics/")
    assert [path for path in project.would_make(config) if any(stage in path for stage in stages)] == []


def test_the_device_is_no_reason_to_run_again(project: Project) -> None:
    assert project.would_make(merged(SMALL, device="cpu")) == set()


def test_a_new_method_runs_alone(project: Project) -> None:
    added = {"scorer": "memory_bank", "params": {"shots": 2, "k": 2}}
    model = {"t/ring/models/memory_bank_k2.h5"}
    assert (
        project.would_make(merged(SMALL, methods__memory_bank_k2=added)) == scored("memory_bank_k2") | model | OVERALL
    )


def test_new_classifiers_read_features_scores_and_masks_that_are_there(project: Project) -> None:
    nearest = {"classifier": "nearest_exemplar", "shots": [1], "calibration": 0, "conformal": {"sets": "cross"}}
    region = {**nearest, "embedding": "region", "method": "memory_bank"}
    added = {"image": nearest, "masked": {**region, "masks": "guided"}, "outlined": {**region, "masks": "ground_truth"}}
    of_each = {
        f"t/{place}"
        for name in added
        for place in (
            f"ring/splits/{name}.csv",
            f"ring/classification/{name}.h5",
            f"ring/metrics/classification/{name}.json",
            f"plots/ring/{name}.confusion.png",
        )
    }
    tables = {f"t/tables/{file}" for file in CLASS_TABLES.values()}
    shared = {"t/ring/masks/truth.h5", "t/plots/ring/shots.png"}
    assert project.would_make(merged(SMALL, classifiers=added)) == of_each | tables | shared | OVERALL


def test_a_new_category_runs_alone(project: Project) -> None:
    described = {
        "data/t/brick.sha256",
        *(
            f"t/brick/{name}"
            for name in (
                "images.csv",
                "training.csv",
                "manifest.csv",
                "unreadable.csv",
                "check.json",
                "thumbnails.h5",
            )
        ),
    }
    new = set.union(features("brick"), models("brick"), *(scored(method, "brick") for method in METHODS)) | described
    assert project.would_make(merged(SMALL, dataset__categories=["ring", "brick"])) == new | OVERALL


def test_a_new_refiner_leaves_scores_and_their_metrics_alone(project: Project) -> None:
    new = {
        f"t/ring/{stage}/{method}.grabcut.{end}"
        for stage, end in (("masks", "h5"), ("metrics", "json"), ("draws", "h5"))
        for method in METHODS
    }
    assert project.would_make(merged(SMALL, refiners__grabcut={"refiner": "grabcut"})) == new | OVERALL


@pytest.mark.parametrize("option", [{"dpi": 60}, {"colormap": "viridis"}])
def test_a_plot_option_draws_only(project: Project, option: dict[str, object]) -> None:
    drawn = set.union(plots(), *(gallery(method) for method in METHODS))
    changed = merged(SMALL, report={**SMALL["report"], **option})
    assert project.would_make(changed) == drawn | OVERALL_PLOTS | {"t/report.html"}


def test_a_vector_format_draws_the_plots_alone(project: Project) -> None:
    drawn = plots() | OVERALL_PLOTS
    beside = {plot.replace(".png", ".pdf") for plot in drawn}
    changed = merged(SMALL, report={**SMALL["report"], "format": ["png", "pdf"]})
    assert project.would_make(changed) == drawn | beside | {"t/report.html"}


def test_another_size_of_thumbnails_draws_these_alone(project: Project) -> None:
    changed = merged(SMALL, report={**SMALL["report"], "thumbnail": 64})
    assert project.would_make(changed) == {"t/ring/thumbnails.h5", "t/report.html"}


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ("zsad/scoring/self_similarity.py", scored("self_similarity") | OVERALL),
        ("zsad/scoring/score_images.py", all_scored()),
        ("zsad/scoring/fit_method.py", models() | BANK),
        ("zsad/scoring/memory_bank.py", models() | BANK),
        ("zsad/deciding/decide_images.py", all_decided()),
        ("zsad/deciding/suitable.py", all_decided()),
        ("zsad/features/extract_features.py", features() | models() | all_scored()),
        ("zsad/evaluation/ranking.py", set.union(*(measured(m) | gallery(m) for m in METHODS)) | plots() | OVERALL),
        ("zsad/deciding/mebin.py zsad/reporting/page.html.jinja", {"t/report.html"}),  # no method is decided by mebin
        (
            "zsad/data/inspection.py workflow_scripts/draw_summary.py",
            {"t/ring/check.json", "t/report.html"} | OVERALL_PLOTS,
        ),
        ("zsad/tables/collect_costs.py", COSTS | OVERALL_PLOTS | {"t/report.html"}),
    ],
)
def test_an_edited_module_runs_its_stage_and_what_follows(
    project: Project, edit: Callable[[Path], None], modules: str, expected: set[str]
) -> None:
    for module in modules.split():
        edit(project.folder / module)
    assert project.would_make() == expected


def test_an_edit_with_an_old_modification_time_is_seen(project: Project, edit: Callable[[Path], None]) -> None:
    module = project.folder / "zsad/reporting/figures.py"
    edit(module)
    os.utime(module, (1, 1))
    assert project.would_make() == plots() | OVERALL_PLOTS | {"t/report.html"}


TOUCHED = (
    "results/data/t/ring/test/good/000.png",
    "results/data/t/ring.sha256",
    "results/t/ring/images.csv",
    "results/t/ring/manifest.csv",
    "results/t/ring/features/embedded/test.original.h5",
    "results/t/ring/models/memory_bank.h5",
    "results/t/ring/scores/memory_bank.h5",
    "results/t/ring/decisions/memory_bank.h5",
    "workflow_scripts/fit_method.py",
    "workflow_scripts/score_images.py",
    "zsad/scoring/mutual.py",
    "zsad/files/scores.py",
    "zsad/deciding/suitable.py",
    "rules/decisions.smk",
    "config.yaml",
)


def test_touched_files_run_nothing(project: Project) -> None:
    for path in TOUCHED:
        os.utime(project.folder / path)
    run = project.run()
    assert "Nothing to be done" in run.output
    assert run.made == set()


def test_a_missing_result_is_made_again_with_what_follows(project: Project) -> None:
    project.result("t/plots/ring/histograms.png").unlink()
    assert project.would_make() == plots() | {"t/report.html"}
    project.result("t/ring/masks/memory_bank.guided.h5").unlink()
    assert project.would_make() == plots() | {
        "t/ring/masks/memory_bank.guided.h5",
        "t/ring/metrics/memory_bank.guided.json",
        "t/ring/draws/memory_bank.guided.h5",
        *gallery("memory_bank"),
        *OVERALL,
    }


def test_features_and_models_may_be_deleted_to_save_space(project: Project) -> None:
    for path in models():
        project.result(path).unlink()
    assert project.would_make() == set()
    ruled = merged(SMALL, methods__memory_bank__threshold={"rule": "mebin"})
    assert project.would_make(ruled) == models() | BANK, (
        "a model that is needed is made again, from features that are there"
    )
    for path in features():
        project.result(path).unlink()
    assert project.would_make() == set()
