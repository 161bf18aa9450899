"""What methods cost, by hand: two categories of 4 and 6 test images, and jobs whose benchmarks stand below."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import pytest

from zsad.data.image_list import ListedImage, write_images
from zsad.errors import DataError
from zsad.files.checksums import require_unchanged
from zsad.files.csv_files import read_table
from zsad.files.digests import append_digests
from zsad.names import PER_IMAGE, REFERENCES
from zsad.tables.collect_costs import (
    Plan,
    collect_costs,
    machine_sentence,
    read_benchmark,
)
from zsad.tables.csv_tables import COSTS

TEST_IMAGES = {"tile": 4, "brick": 6}
TRAIN_IMAGES = {"tile": 5, "brick": 3}
FEATURES = ("extract_features", "embedded.test.original")
TURNED = ("extract_features", "embedded.test.hflip")
REFERENCE_FEATURES = ("extract_features", "embedded.references-k2-seed0.original")


def job(stage: str, detail: str, subset: str = "test", *, product: str = "", for_scores: bool = True) -> dict[str, Any]:
    name = f"{stage}/{{category}}.{detail}.tsv"
    return {
        "stage": stage,
        "detail": detail,
        "subset": subset,
        "benchmark": name,
        "product": product,
        "for_scores": for_scores,
    }


def method(name: str, *jobs: Mapping[str, Any], setting: str = "zero-shot-single", group: str = "") -> dict[str, Any]:
    return {"method": name, "setting": setting, "backbone": "embedded", "group": group, "steps": list(jobs)}


SINGLE = method(
    "single",
    job(*FEATURES, product="{category}/features.h5"),
    job("score_images", "single"),
    job("refine_masks", "single.guided", for_scores=False),
    job("evaluate_scores", "single", for_scores=False),
)
BANK = method(
    "bank",
    job(*FEATURES),
    job(*REFERENCE_FEATURES, subset="references-k2-seed0"),
    job("fit_method", "bank", subset="references-k2-seed0"),
    job("score_images", "bank"),
    setting="few-shot-2",
)
SECONDS = {
    FEATURES: {"tile": 2.0, "brick": 4.0},
    TURNED: {"tile": 1.0, "brick": 1.0},
    REFERENCE_FEATURES: {"tile": 1.5, "brick": 1.0},
    ("score_images", "single"): {"tile": 8.0, "brick": 6.0},
    ("fit_method", "bank"): {"tile": 0.5, "brick": 0.7},
    ("score_images", "bank"): {"tile": 1.0, "brick": 1.0},
    ("refine_masks", "single.guided"): {"tile": 3.0, "brick": 2.0},
    ("evaluate_scores", "single"): {"tile": 1.0, "brick": 1.0},
}


class Run:
    """A folder with lists of images and benchmarks; the working directory, as it is of a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for category in TEST_IMAGES:
            write_images(self.image_list(category), [*records("test", category), *records("train", category)])
        for (stage, detail), seconds in SECONDS.items():
            for category, each in seconds.items():
                self.write_benchmark(stage, detail, category, each)
        self.metrics = folder / "metrics.csv"
        self.metrics.write_text("category,protocol\ntile,native\nmean,native\n")

    def image_list(self, category: str) -> Path:
        return self.folder / f"{category}.csv"

    def benchmark(self, stage: str, detail: str, category: str) -> Path:
        return self.folder / stage / f"{category}.{detail}.tsv"

    def write_benchmark(self, stage: str, detail: str, category: str, seconds: float, peak: str = "100.5") -> None:
        write_benchmark(self.benchmark(stage, detail, category), (seconds, peak))

    def collect(self, *methods: Mapping[str, Any]) -> list[dict[str, str]]:
        collect_costs(
            methods=methods,
            image_lists={category: self.image_list(category) for category in TEST_IMAGES},
            metrics_csv=self.metrics,
            cost_csv=self.folder / "cost.csv",
            markdown=self.folder / "cost.md",
            latex=self.folder / "cost.tex",
            checksums=self.folder / "cost.sha256",
        )
        with open(self.folder / "cost.csv", encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def text(self, ending: str) -> str:
        return (self.folder / f"cost.{ending}").read_text(encoding="utf-8")


def records(split: str, category: str) -> list[ListedImage]:
    count = {"test": TEST_IMAGES, "train": TRAIN_IMAGES}[split][category]
    names = [f"{split}/{index}.png" for index in range(count)]
    return [ListedImage(name, name, split, 8, 8, "0" * 64) for name in names]


def write_benchmark(path: Path, *rows: tuple[float, str]) -> Path:
    """A benchmark as Snakemake writes it, with a row a repetition: seconds and the greatest resident set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"]
    lines += [f"{seconds}\t0:00:01\t{peak}\t1\t1\t1\t0.00\t0.00\t50.00\t0.70" for seconds, peak in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return Run(tmp_path)


def only(rows: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def test_there_is_a_row_a_method_and_stage_and_the_totals_follow(run: Run) -> None:
    rows = run.collect(SINGLE, BANK)
    assert tuple(rows[0]) == tuple(COSTS.columns)
    assert [(row["method"], row["stage"], row["detail"]) for row in rows] == [
        ("single", *FEATURES),
        ("single", "score_images", "single"),
        ("single", "refine_masks", "single.guided"),
        ("single", "evaluate_scores", "single"),
        ("single", PER_IMAGE, ""),
        ("bank", *FEATURES),
        ("bank", *REFERENCE_FEATURES),
        ("bank", "fit_method", "bank"),
        ("bank", "score_images", "bank"),
        ("bank", PER_IMAGE, ""),
        ("bank", REFERENCES, ""),
    ]


def test_a_stage_is_summed_over_the_categories(run: Run) -> None:
    run.write_benchmark("score_images", "single", "brick", 6.0, peak="222.2")
    row = only(run.collect(SINGLE), stage="score_images")
    # 8 s for 4 images and 6 s for 6: 14 s for 10.
    assert (row["seconds"], row["images"], row["seconds_per_image"]) == ("14.00", "10", "1.400000")
    assert (row["peak_mb"], row["categories"], row["shared"]) == ("222.2", "2", "0")


def test_the_total_is_features_and_scoring_of_test_images_alone(run: Run) -> None:
    rows = run.collect(SINGLE, BANK)
    # Features 2 + 4, scores 8 + 6; not the masks and not the evaluation. Of the bank scores 1 + 1 alone.
    assert only(rows, method="single", stage=PER_IMAGE)["seconds_per_image"] == "2.000000"
    assert only(rows, method="bank", stage=PER_IMAGE)["seconds_per_image"] == "0.800000"


def test_references_and_the_fit_to_them_are_counted_by_their_own_images(run: Run) -> None:
    row = only(run.collect(BANK), stage=REFERENCES)
    # Features 1.5 + 1, the fit 0.5 + 0.7; two in each category.
    assert (row["seconds"], row["images"]) == ("3.70", "4")


def test_of_the_whole_training_set_all_images_count(run: Run) -> None:
    rows = run.collect(method("bank", job(*FEATURES), job(*REFERENCE_FEATURES, subset="train")))
    assert only(rows, stage=REFERENCES)["images"] == "8"


def test_two_views_of_the_test_images_are_one_image_with_both_costs(run: Run) -> None:
    row = only(run.collect(method("mirror", job(*FEATURES), job(*TURNED))), stage=PER_IMAGE)
    assert (row["seconds"], row["images"]) == ("8.00", "10")


def test_what_several_methods_use_is_counted_for_each_and_marked(run: Run) -> None:
    rows = run.collect(SINGLE, BANK)
    features = [row for row in rows if row["detail"] == FEATURES[1]]
    assert [(row["method"], row["seconds"], row["shared"]) for row in features] == [
        ("single", "6.00", "1"),
        ("bank", "6.00", "1"),
    ]
    assert only(run.collect(SINGLE), detail=FEATURES[1])["shared"] == "0"


def test_a_step_that_scores_and_masks_both_need_is_part_of_the_scores_once() -> None:
    twice = method("modulated", job("refine_masks", "x", for_scores=False), job(*FEATURES), job("refine_masks", "x"))
    steps = Plan.of(twice).steps
    assert [(step.stage, step.for_scores) for step in steps] == [("extract_features", True), ("refine_masks", True)]


def test_a_missing_benchmark_leaves_its_category_out_and_is_told(run: Run) -> None:
    run.benchmark(*FEATURES, "brick").unlink()
    rows = run.collect(SINGLE)
    assert only(rows, detail=FEATURES[1])["categories"] == "1"
    assert only(rows, stage="score_images")["seconds"] == "14.00"
    total = only(rows, stage=PER_IMAGE)
    assert (total["seconds"], total["images"]) == ("10.00", "4")  # of tile alone, where both are known
    assert "single: the total is over 1 of 2 categories" in run.text("md")
    (line,) = [line for line in run.text("md").splitlines() if line.startswith("| zero-shot-single")]
    assert "| 0.500 | 2.00 | 2.50 |" in line  # the parts, too, are of tile alone


def test_without_any_benchmark_there_are_gaps_and_no_zeros(run: Run) -> None:
    for category in TEST_IMAGES:
        run.benchmark(*FEATURES, category).unlink()
    rows = run.collect(SINGLE)
    for row in (only(rows, detail=FEATURES[1]), only(rows, stage=PER_IMAGE)):
        assert (row["seconds"], row["seconds_per_image"], row["peak_mb"]) == ("", "", "")
    assert "| n/a | n/a | n/a |" in run.text("md")


def test_seeds_have_rows_of_their_own_and_their_mean_under_the_name_of_the_method(run: Run) -> None:
    first = method("bank-seed0", job(*FEATURES), job("score_images", "bank"), group="bank")
    second = method("bank-seed1", job(*FEATURES), job("score_images", "single"), group="bank")
    rows = run.collect(first, second)
    totals = {row["method"]: row for row in rows if row["stage"] == PER_IMAGE}
    # Features 6 s, scores 2 s and 14 s: 8 s and 20 s for 10 images.
    assert {name: row["seconds_per_image"] for name, row in totals.items()} == {
        "bank-seed0": "0.800000",
        "bank-seed1": "2.000000",
        "bank": "1.400000",
    }
    assert (totals["bank"]["detail"], totals["bank"]["group"]) == ("mean of 2 seeds", "")
    assert totals["bank-seed1"]["group"] == "bank"
    assert "bank (mean of 2 seeds)" in run.text("md")


def test_the_device_is_what_the_results_tell(run: Run) -> None:
    for category in TEST_IMAGES:
        path = run.folder / category / "features.h5"
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            file.attrs["provenance"] = '{"device": "cuda"}'
        append_digests(path)
    rows = run.collect(SINGLE)
    assert only(rows, detail=FEATURES[1])["device"] == "cuda"
    assert only(rows, stage="score_images")["device"] == ""


def test_a_category_may_be_called_anything(run: Run) -> None:
    write_images(run.image_list("{method} 1"), records("test", "tile"))
    run.write_benchmark("score_images", "single", "{method} 1", 2.0)
    collect_costs(
        methods=[method("single", job("score_images", "single"))],
        image_lists={"{method} 1": run.image_list("{method} 1")},
        metrics_csv=run.metrics,
        cost_csv=run.folder / "cost.csv",
        markdown=run.folder / "cost.md",
        latex=run.folder / "cost.tex",
    )
    assert "single,2.00" not in run.text("csv")
    assert ",4,2.00,0.500000," in run.text("csv")


def test_the_tables_to_read_say_what_was_measured_and_by_what_protocol(run: Run) -> None:
    run.collect(SINGLE, BANK)
    for ending in ("md", "tex"):
        text = run.text(ending)
        for words in ("Wall-clock", "shared the machine", machine_sentence(), "by the protocol native"):
            assert words in text
    assert r"\begin{tabular}" in run.text("tex")
    assert "| few-shot-2 | bank | embedded | 0.600 | 0.200 | 0.800 | 100 | 3.70 |" in run.text("md")


@pytest.mark.parametrize(
    ("rows", "seconds", "peak"),
    [
        ([(2.5, "81.25")], 2.5, 81.25),
        ([(2.0, "80.0"), (4.0, "90.0")], 3.0, 90.0),  # repeated
        ([(2.0, "NA")], 2.0, None),
        ([(2.0, "-")], 2.0, None),
        ([(0.4, "2.11")], 0.4, None),  # over before its memory was looked at in earnest
    ],
)
def test_a_benchmark_has_seconds_and_a_peak_where_the_job_was_long_enough(
    tmp_path: Path, rows: list[tuple[float, str]], seconds: float, peak: float | None
) -> None:
    usage = read_benchmark(write_benchmark(tmp_path / "job.tsv", *rows))
    assert usage == pytest.approx((seconds, float("nan") if peak is None else peak), nan_ok=True)


@pytest.mark.parametrize("content", ["", "s\tmax_rss\n", "s\tmax_rss\nfast\t1\n", "seconds\n1\n", "s\tmax_rss\n1\n"])
def test_a_damaged_benchmark_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "job.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=r"job\.tsv is not a benchmark of a job .*; delete it and run again"):
        read_benchmark(path)


def test_metrics_that_are_missing_are_named_and_nothing_is_written(run: Run) -> None:
    run.metrics.unlink()
    with pytest.raises(DataError, match=r"metrics\.csv does not exist; run the step that makes it"):
        run.collect(SINGLE)
    assert not list(run.folder.glob("cost.*"))


def test_no_name_in_the_costs_is_a_formula_in_a_spreadsheet(tmp_path):
    run = Run(tmp_path)
    steps = (job(*FEATURES), job("score_images", "single"))
    written = run.collect(method("-x", *steps), method("single", *steps))
    assert {row["method"] for row in written} == {"'-x", "single"}
    read = read_table(tmp_path / "cost.csv")
    assert {row["method"] for row in read} == {"-x", "single"}
    assert [row["seconds"] for row in read] == [row["seconds"] for row in written]
    require_unchanged([tmp_path / f"cost.{kind}" for kind in ("csv", "md", "tex")], tmp_path / "cost.sha256")
