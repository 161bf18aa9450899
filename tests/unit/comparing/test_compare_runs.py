"""Two runs compared: against resampling image by image, by stored replicates and anew, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small_runs import REFINER, REPLICATES, images_with_masks, map_of, write_run
from zsad.cli import main
from zsad.comparing import compare_runs
from zsad.comparing.compare_runs import COMPARED, verdict
from zsad.data.manifest import ImageRecord, read_manifest, write_manifest
from zsad.errors import ConfigError, DataError
from zsad.evaluation.bootstrap import Sampler
from zsad.files.json_files import read_json, write_json
from zsad.tables.frames import rows_of

METHODS = {"mutual": 3.0, "single": 1.0}
BETTER = {"mutual": 6.0, "single": 1.0}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ImageRecord]]:
    folder = tmp_path_factory.mktemp("images")
    return {name: images_with_masks(folder / name, good, 4) for name, good in (("tile", 4), ("wood", 3))}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, images: dict[str, list[ImageRecord]]) -> tuple[Path, Path]:
    """Two runs on the same images, of which the second is better by one of two methods; not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    first = write_run(folder / "a", images, METHODS, refined=True)
    return first, write_run(folder / "b", images, BETTER, refined=True, params={"shots": 4})


@pytest.fixture(scope="module")
def wood(images: dict[str, list[ImageRecord]]) -> dict[str, list[ImageRecord]]:
    """One category, for runs that are compared with those of two."""
    return {"wood": images["wood"]}


@pytest.fixture
def second(runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the second run, to be changed."""
    return Path(shutil.copytree(runs[1], tmp_path / "b"))


def row(frame: pd.DataFrame, metric: str, category: str, method: str) -> dict[str, float]:
    (found,) = [
        one for one in rows_of(frame) if (one["metric"], one["category"], one["method"]) == (metric, category, method)
    ]
    return found


def without_source(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="replicates")


def auroc_by_pairs(scores: np.ndarray, labels: np.ndarray) -> float:
    """The share of pairs of a defective and a normal image that are in the right order, ties by half."""
    positive, negative = scores[labels == 1][:, None], scores[labels == 0][None]
    return float(np.mean((positive > negative) + 0.5 * (positive == negative)))


def f1_of_masks(marked: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (marked & truth).sum() / (marked.sum() + truth.sum()))


# --- figures ---


def test_limits_are_those_of_resampling_the_images_one_by_one(
    runs: tuple[Path, Path], images: dict[str, list[ImageRecord]]
) -> None:
    frame = compare_runs(*runs, metrics=["image_auroc"]).frame
    drawn = {}
    for category, records in images.items():
        labels = np.array([record.label for record in records])
        scores = [
            np.array([map_of("mutual", record, methods["mutual"]).max() for record in records])
            for methods in (METHODS, BETTER)
        ]
        differences = []
        for weights in Sampler(REPLICATES, 0, category).weights(labels == 1):
            for counts in weights.astype(int):
                chosen = np.repeat(np.arange(len(records)), counts)
                first, second = (auroc_by_pairs(one[chosen], labels[chosen]) for one in scores)
                differences.append(second - first)
        drawn[category] = np.array(differences)
        found = row(frame, "image_auroc", category, "mutual")
        assert found["first"] == pytest.approx(auroc_by_pairs(scores[0], labels), abs=1e-6)
        assert found["second"] == pytest.approx(auroc_by_pairs(scores[1], labels), abs=1e-6)
        assert (found["low"], found["high"]) == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=1e-6)
        assert found["images"] == len(records)
    mean = row(frame, "image_auroc", "mean", "mutual")
    limits = np.percentile((drawn["tile"] + drawn["wood"]) / 2, [2.5, 97.5])
    assert (mean["low"], mean["high"]) == pytest.approx(limits, abs=1e-6)


def test_equal_methods_tie_and_a_better_one_wins(runs: tuple[Path, Path]) -> None:
    frame = compare_runs(*runs, metrics=["aupro"]).frame
    same = row(frame, "aupro", "mean", "single")
    assert same["difference"] == same["low"] == same["high"] == 0
    assert same["verdict"] == "tie"
    assert row(frame, "aupro", "mean", "mutual")["verdict"] == "win"
    back = compare_runs(*reversed(runs), metrics=["aupro"]).frame
    assert row(back, "aupro", "mean", "mutual")["verdict"] == "loss"
    assert row(back, "aupro", "mean", "mutual")["low"] == -row(frame, "aupro", "mean", "mutual")["high"]


def test_of_false_alarms_less_is_better() -> None:
    assert [verdict("decision_fpr", *limits) for limits in ((-2, -1), (1, 2), (-1, 1))] == ["win", "loss", "tie"]
    assert [verdict("decision_recall", *limits) for limits in ((-2, -1), (1, 2), (-1, 1))] == ["loss", "win", "tie"]
    assert verdict("aupro", np.nan, np.nan) == ""


def test_two_methods_of_one_run_are_compared_as_its_own_table_of_comparisons_says(runs: tuple[Path, Path]) -> None:
    frame = compare_runs(runs[0], runs[0], methods=[("mutual", "single")], metrics=["image_auroc", "aupro"]).frame
    own = pd.read_csv(runs[0] / "tables/comparisons.csv").set_index(["metric", "category", "method", "other"])
    assert len(frame) == 2 * 3
    for one in rows_of(frame):
        expected = own.loc[(one["metric"], one["category"], "single", "mutual")]
        assert [one[name] for name in ("difference", "low", "high", "verdict")] == [
            *expected[["difference", "low", "high"]],
            expected["verdict"],
        ]


def test_a_method_of_several_seeds_is_compared_as_their_mean(
    runs: tuple[Path, Path], wood: dict[str, list[ImageRecord]], tmp_path: Path
) -> None:
    seeds = {"mutual-seed0": 5.0, "mutual-seed1": 4.0}
    seeded = write_run(tmp_path / "seeded", wood, seeds, groups=dict.fromkeys(seeds, "mutual"))
    compared = compare_runs(runs[0], seeded, metrics=["image_auroc"])
    assert set(compared.frame["method"]) == {"mutual"}
    assert compared.notes == [f"Only {runs[0]} has the {what}." for what in ("categories tile", "methods single")]
    singles = [
        row(compare_runs(runs[0], seeded, methods=[("mutual", name)], metrics=["image_auroc"]).frame, *place)
        for name in seeds
        for place in [("image_auroc", "wood", "mutual")]
    ]
    found = row(compared.frame, "image_auroc", "wood", "mutual")
    assert found["second"] == pytest.approx(np.mean([one["second"] for one in singles]), abs=1e-6)


# --- replicates: stored, or anew ---


@pytest.mark.parametrize("refiner", ["none", REFINER])
def test_stored_replicates_serve_where_both_runs_drew_them_alike(runs: tuple[Path, Path], refiner: str) -> None:
    compared = compare_runs(*runs, refiners=(refiner, refiner), metrics=["all"])
    assert set(compared.frame["replicates"]) == {"stored"}
    assert compared.notes == []
    assert {"image_auroc", "pixel_ap", "aupro", "mask_f1", "decision_fpr"} <= set(compared.frame["metric"])


def recorded_otherwise(run: Path, change: Callable[[dict], None]) -> None:
    """Change what the evaluations of a run record of their resampling."""
    for path in run.glob("*/metrics/*.json"):
        document = read_json(path)
        change(document["provenance"])
        write_json(path, document)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda recorded: recorded["params"]["options"].update(bootstrap=80), "number"),
        (lambda recorded: recorded["params"]["options"].update(bootstrap=0), "number"),
        (lambda recorded: recorded["code"].update({"zsad/evaluation/bootstrap.py": "f" * 12}), "code"),
        (lambda recorded: recorded["versions"].update(numpy="1.0.0"), "version of numpy"),
    ],
)
def test_replicates_that_were_drawn_otherwise_do_not_serve(
    runs: tuple[Path, Path], second: Path, change: Callable[[dict], None], differs: str
) -> None:
    recorded_otherwise(second, change)
    found = compare_runs(runs[0], second, methods=[("mutual", "mutual")])
    assert set(found.frame["replicates"]) == {"anew"}
    assert found.notes == [
        f"tile, wood: measured again from the stored scores, with {REPLICATES} bootstrap replicates of the common "
        f"images, as the bootstrap replicates of the runs differ in their {differs}."
    ]


@pytest.mark.parametrize("refiner", ["none", REFINER])
def test_what_is_measured_anew_is_what_the_stages_measured(
    runs: tuple[Path, Path], wood: dict[str, list[ImageRecord]], tmp_path: Path, refiner: str
) -> None:
    other = write_run(tmp_path / "b", wood, {"mutual": BETTER["mutual"]}, refined=refiner != "none", seed=5)
    asked = {"metrics": ["all"], "refiners": (refiner, refiner), "methods": [("mutual", "mutual")]}
    stored = compare_runs(*runs, **asked).frame
    anew = compare_runs(runs[0], other, **asked).frame
    assert set(anew["replicates"]) == {"anew"}
    of_category = stored[stored["category"] == "wood"].reset_index(drop=True)
    pd.testing.assert_frame_equal(without_source(anew), without_source(of_category))


def test_runs_without_replicates_are_measured_anew_by_the_default(
    wood: dict[str, list[ImageRecord]], tmp_path: Path
) -> None:
    one, other = (write_run(tmp_path / name, wood, {"mutual": 3.0}, bootstrap=0) for name in ("a", "b"))
    compared = compare_runs(one, other, metrics=["image_auroc"])
    assert "with 1000 bootstrap replicates" in compared.notes[0]
    assert (compared.frame["low"] == 0).all()


def test_of_other_images_the_common_ones_are_measured_as_if_there_were_no_others(
    runs: tuple[Path, Path], images: dict[str, list[ImageRecord]], tmp_path: Path
) -> None:
    fewer = {**images, "tile": images["tile"][1:-1]}
    some = write_run(tmp_path / "some", fewer, {"mutual": BETTER["mutual"]})
    expected = compare_runs(write_run(tmp_path / "both", fewer, {"mutual": METHODS["mutual"]}), some, metrics=["all"])
    compared = compare_runs(runs[0], some, metrics=["all"])
    pd.testing.assert_frame_equal(without_source(compared.frame), without_source(expected.frame))
    assert dict(zip(compared.frame["category"], compared.frame["replicates"], strict=True)) == {
        "tile": "anew",
        "wood": "stored",
        "mean": "anew",
    }
    assert any("the runs have 8 and 6 labelled test images, 6 of them common" in note for note in compared.notes)


def test_masks_that_are_needed_and_not_there_are_one_sentence(
    runs: tuple[Path, Path], second: Path, wood: dict[str, list[ImageRecord]]
) -> None:
    recorded_otherwise(second, lambda recorded: recorded["params"]["options"].update(seed=3))
    mask = Path(wood["wood"][-1].mask_path)
    away = mask.rename(mask.with_suffix(".away"))
    try:
        with pytest.raises(
            DataError, match=rf"must be measured again, and the mask {mask} is not there; run the command"
        ):
            compare_runs(runs[0], second)
    finally:
        away.rename(mask)


def test_without_maps_images_alone_are_compared(
    runs: tuple[Path, Path], wood: dict[str, list[ImageRecord]], tmp_path: Path
) -> None:
    plain = write_run(tmp_path / "plain", wood, {"mutual": 3.0}, localises=False)
    assert set(compare_runs(runs[0], plain).frame["metric"]) == {"image_auroc"}
    with pytest.raises(DataError, match="do not both know aupro of a category; choose from: image_auroc, image_ap"):
        compare_runs(runs[0], plain, metrics=["image_auroc", "aupro"])


# --- what is told ---


def test_parameters_that_differ_are_told(runs: tuple[Path, Path]) -> None:
    changed = compare_runs(*runs).changed
    assert changed["mutual", "mutual"] == {"scorer.params.shots": (None, 4)}


def test_the_command_prints_a_table_and_writes_it(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "compared.csv"
    assert main(["compare", *map(str, runs), "--method", "mutual", "mutual=single", "--out", str(table)]) == 0
    shown = capsys.readouterr().out
    assert f"{runs[1]} less {runs[0]}" in shown
    assert "scorer.params.shots none → 4" in shown
    assert "AUPRO\n" in shown
    assert "mutual=single" in shown
    assert "2 / 0 / 0" in shown
    written = COMPARED.read(table)
    expected = compare_runs(*runs, methods=[("mutual", "mutual"), ("mutual", "single")]).frame
    pd.testing.assert_frame_equal(written, expected)


def test_the_command_prints_json_for_programs(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, runs), "--refiner", REFINER, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["first"], document["second"]) == tuple(map(str, runs))
    assert {one["metric"] for one in document["rows"]} == {"mask_f1", "mask_iou"}
    assert {one["refiner"] for one in document["rows"]} == {REFINER}
    assert document["changed"][0]["parameters"] == {"scorer.params.shots": {"first": None, "second": 4}}


# --- what is refused ---


def no_partial(second: Path) -> None:
    (second / "partial").mkdir()
    (second / "partial/metrics.csv").touch()


def without_sums(second: Path) -> None:
    (second / "tables/tables.sha256").unlink()


def without_evaluation(second: Path) -> None:
    (second / "wood/metrics/single.json").unlink()


def with_another_evaluation(second: Path) -> None:
    path = second / "tile/metrics/mutual.json"
    document = read_json(path)
    document["metrics"]["image_auroc"] = 0.123
    write_json(path, document)


def with_edited_table(second: Path) -> None:
    with open(second / "tables/metrics.csv", "a", encoding="utf-8") as stream:
        stream.write("\n")


def without_tables(second: Path) -> None:
    shutil.rmtree(second / "tables")


def records_of(second: Path, **changes: object) -> None:
    path = second / "tile/manifest.csv"
    records = read_manifest(path)
    write_manifest(path, [replace(records[0], **changes), *records[1:]])


def other_content(second: Path) -> None:
    records_of(second, sha256="f" * 64)


def other_label(second: Path) -> None:
    records_of(second, label=1)


def other_mask(second: Path) -> None:
    path = second / "tile/manifest.csv"
    records = read_manifest(path)
    write_manifest(path, [*records[:-1], replace(records[-1], mask_sha256="f" * 64)])


def other_names(second: Path) -> None:
    path = second / "tile/manifest.csv"
    write_manifest(path, [replace(record, image_id=f"x/{record.image_id}") for record in read_manifest(path)])


def without_replicates(second: Path) -> None:
    shutil.rmtree(second / "tile/draws")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (no_partial, r"is not finished \(something failed, see .*partial\); run `snakemake` with its configuration"),
        (without_sums, r"is not finished \(.*tables.sha256 is missing\)"),
        (without_evaluation, r"is not finished \(.*wood/metrics/single.json is missing\)"),
        (with_another_evaluation, r"is not finished \(its table of metrics does not agree with .*mutual.json\)"),
        (with_edited_table, r"metrics.csv was changed after it was made"),
        (without_tables, r"is not finished \(.*tables.sha256 is missing\)"),
        (
            other_content,
            r"1 of 8 common test images \(test/good/000.png\) have another content in .*/b/tile/manifest.csv than",
        ),
        (other_label, r"1 of 8 common test images \(test/good/000.png\) have another label or mask in"),
        (other_mask, r"1 of 8 common test images \(test/spot/007.png\) have another label or mask in"),
        (other_names, r"have no test image in common; compare runs on the same data set"),
        (without_replicates, r"draws/mutual.h5 does not exist"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    runs: tuple[Path, Path],
    second: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    sentence: str,
) -> None:
    change(second)
    with pytest.raises(DataError, match=sentence):
        compare_runs(runs[0], second)
    assert main(["compare", str(runs[0]), str(second), "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("zsad: ")
    assert shown.err.count("\n") == 1


def test_another_protocol_is_refused_but_for_images(
    runs: tuple[Path, Path], wood: dict[str, list[ImageRecord]], tmp_path: Path
) -> None:
    other = write_run(tmp_path / "other", wood, METHODS, protocol="resize32")
    with pytest.raises(DataError, match=r"by the protocol 'native' and .*other by 'resize32'; give both the same"):
        compare_runs(runs[0], other)
    assert set(compare_runs(runs[0], other, metrics=["image_auroc"]).frame["verdict"]) == {"tie"}


def test_what_has_nothing_in_common_is_refused(
    runs: tuple[Path, Path], wood: dict[str, list[ImageRecord]], tmp_path: Path
) -> None:
    other = write_run(tmp_path / "other", {"cable": wood["wood"]}, {"mutual": 1.0})
    with pytest.raises(DataError, match=r"have no category in common \(tile, wood, and cable\)"):
        compare_runs(runs[0], other)
    named = write_run(tmp_path / "named", wood, {"memory_bank": 1.0})
    with pytest.raises(DataError, match=r"no method of the same name \(mutual, single, and memory_bank\); name those"):
        compare_runs(runs[0], named)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("nothing", "nothing does not exist; give the results folder of a run"),
        ("a/tables/metrics.csv", "metrics.csv is a file; give the results folder of a run"),
        ("a/tile", "a/tile is not the results folder of a run, as it has no tables"),
        (".", "holds the results of several runs; give one of them, e.g. .*/a"),
    ],
)
def test_what_is_no_results_folder_is_refused(runs: tuple[Path, Path], place: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        compare_runs(runs[0].parent / place, runs[1])


def test_wrong_names_are_refused_with_the_nearest(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="there is no metric 'image_auc'; did you mean 'image_auroc'"):
        compare_runs(*runs, metrics=["image_auc"])
    with pytest.raises(DataError, match="/b has no method 'mutuel'; did you mean 'mutual'"):
        compare_runs(*runs, methods=[("mutual", "mutuel")])
    with pytest.raises(DataError, match="has no masks of 'mutual' by 'sam'; choose from: none, guided"):
        compare_runs(*runs, refiners=("none", "sam"))
    assert main(["compare", *map(str, runs), "--method", "a=b=c"]) == 1
    assert "--method a=b=c: give a name, or two as FIRST=SECOND" in capsys.readouterr().err


def test_a_table_is_not_written_into_results(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, runs), "--out", str(runs[0] / "tables/x.csv")]) == 1
    assert "lies in the results of a run; give --out a file elsewhere" in capsys.readouterr().err
    assert main(["compare", *map(str, runs), "--out", str(runs[0].parent)]) == 1
    assert "is a folder; give --out the name of a file" in capsys.readouterr().err


def test_a_run_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a/tables").mkdir(parents=True)
    (tmp_path / "a/tables/tables.sha256").touch()
    with pytest.raises(DataError, match="has no metrics, as no test image is labelled as defective"):
        compare_runs(tmp_path / "a", tmp_path / "a")
