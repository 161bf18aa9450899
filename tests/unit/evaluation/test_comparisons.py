"""Which of two methods is better: the paired bootstrap, and what is made of it in the tables."""

import numpy as np
import pytest

from evaluation_files import Run, draws_of, score_document
from zsad.evaluation.bootstrap import Sampler, image_replicates

PAIR = ("metric", "category", "method", "other", "verdict")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def shifted(category, method, value, draws):
    """An evaluation whose image AUROC has these draws."""
    document = score_document(category, method, value)
    document["draws"]["image_auroc"] = draws
    return document


def verdicts(run, metric="image_auroc"):
    rows = run.rows("comparisons_csv")
    return {tuple(row[key] for key in PAIR[1:4]): row["verdict"] for row in rows if row["metric"] == metric}


def test_a_method_wins_where_the_interval_of_its_difference_lies_above_zero(run):
    noise = draws_of("noise")
    run.collect(
        [
            shifted("tile", "one", 0.8, 0.8 + 0.05 * draws_of("tile")),
            shifted("tile", "two", 0.75, 0.75 + 0.05 * draws_of("tile") + 0.001 * noise),
            shifted("wood", "one", 0.8, 0.8 + 0.05 * draws_of("wood")),
            shifted("wood", "two", 0.79, 0.79 + 0.05 * noise),
        ]
    )
    found = verdicts(run)
    # On the same draws a lead of 0.05 is certain, although each method's own limits are 0.1 to either side.
    assert found["tile", "one", "two"] == "win"
    assert found["tile", "two", "one"] == "loss"
    assert found["wood", "one", "two"] == found["wood", "two", "one"] == "tie"
    row = next(row for row in run.rows("comparisons_csv") if row["category"] == "tile")
    assert float(row["difference"]) == pytest.approx(0.05)
    low, high = np.percentile(0.05 - 0.001 * noise, [2.5, 97.5])
    assert (float(row["low"]), float(row["high"])) == pytest.approx((low, high), abs=1e-6)


def test_the_table_counts_wins_ties_and_losses_over_the_categories(run):
    run.collect(
        [
            shifted(category, method, value, value + 0.01 * draws_of(category))
            for category, values in {"a": (0.9, 0.8), "b": (0.9, 0.7), "c": (0.5, 0.6)}.items()
            for method, value in zip(("one", "two"), values, strict=True)
        ]
    )
    table = run.text("markdown").split("## Wins, ties and losses: image AUROC")[1].split("\n## ")[0]
    assert "| one |  | 2 / 0 / 1 |" in table
    assert "| two | 1 / 0 / 2 |  |" in table
    assert "No correction for multiple comparisons" in table
    assert verdicts(run)["mean", "one", "two"] == "win"


def test_the_seeds_of_a_method_are_compared_as_their_mean(run):
    documents = [
        score_document("tile", f"bank-seed{seed}", value, group="bank") for seed, value in enumerate((0.8, 0.7))
    ]
    run.collect([*documents, score_document("tile", "mutual", 0.75)])
    assert set(verdicts(run)) == {
        (category, *pair) for category in ("tile", "mean") for pair in (("bank", "mutual"), ("mutual", "bank"))
    }


def test_without_draws_no_method_wins(run):
    run.collect([score_document("tile", name, 0.8, error=None) for name in ("one", "two")])
    assert run.rows("comparisons_csv") == []
    assert "Wins, ties and losses" not in run.text("markdown")


def test_of_two_equal_methods_about_one_comparison_in_twenty_is_won_or_lost():
    """Scores of the same strength with independent noise: the interval of the difference should miss 0 in 5 %."""
    missed = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 40)
        common = rng.normal(size=80)
        scores = [0.7 * common + 0.7 * rng.normal(size=80) + labels for _ in range(2)]
        one, other = (image_replicates(method, labels, Sampler(300, seed, "tile"))["image_auroc"] for method in scores)
        low, high = np.percentile(one - other, [2.5, 97.5])
        missed.append(low > 0 or high < 0)
    assert 0.005 <= np.mean(missed) <= 0.11
