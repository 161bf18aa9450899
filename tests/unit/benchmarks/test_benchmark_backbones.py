"""The rule by which the default backbone was chosen, on made-up figures."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from paths import load_script

NOISE = np.random.default_rng(0).normal(scale=0.01, size=1000)


@pytest.fixture(scope="module")
def backbones() -> ModuleType:
    """benchmarks/backbones.py, which is a script and no part of a package."""
    return load_script("benchmarks/backbones.py")


def measured(backbones: ModuleType, **figures: float) -> dict:
    """One method on two categories, one of them with masks; every draw of a candidate is off by the same noise."""
    found = {}
    for number, (candidate, value) in enumerate(figures.items()):
        figure = backbones.Figure(value, value + np.roll(NOISE, number))
        found[candidate, "plain", "mutual", "image_auroc"] = figure
        found[candidate, "masked", "mutual", "image_auroc"] = figure
        found[candidate, "masked", "mutual", "aupro"] = figure._replace(value=value - 0.2)
    return found


@pytest.mark.parametrize(
    ("figures", "chosen"),
    [
        ({"filters": 0.70, "network": 0.80, "both": 0.90}, "both"),
        ({"filters": 0.70, "network": 0.80, "both": 0.801}, "network"),
        ({"filters": 0.70, "network": 0.80, "both": 0.79}, "network"),
        ({"filters": 0.795, "network": 0.80, "both": 0.801}, "filters"),
        ({"filters": 0.90, "network": 0.80, "both": 0.70}, "filters"),
    ],
)
def test_the_cheapest_of_those_that_tie_with_the_best_is_chosen(
    backbones: ModuleType, figures: dict[str, float], chosen: str
) -> None:
    assert backbones.choice(measured(backbones, **figures), list(figures))[0] == chosen


def test_image_auroc_and_aupro_weigh_alike_where_there_are_masks(backbones: ModuleType) -> None:
    found = measured(backbones, filters=0.8)
    assert backbones.overall(found, "filters", category="masked").value == pytest.approx(0.7)
    assert backbones.overall(found, "filters").value == pytest.approx(0.75)  # of 0.8 and 0.7


def test_the_table_has_every_figure_with_its_limits(backbones: ModuleType) -> None:
    rows = backbones.table(measured(backbones, filters=0.8, network=0.9), ["filters", "network"]).splitlines()
    assert len(rows) == 2 + 3 + 2 + 1
    assert rows[2].startswith("| plain | mutual | image AUROC | 80.0 [78")
    assert rows[-1].startswith("| all | all | by the rule | 75.0 [")
