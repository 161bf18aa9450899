"""The benchmark of methods that learn, on a tiny category: each way runs, and finds what was planted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from paths import REPOSITORY, load_script
from zsad.files.features import FeatureReader

SMALL = {"images": 6, "side": 8, "channels": 40, "threads": 1, "steps": 3}


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/learning.py, which is a script and no part of a package."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    return load_script("benchmarks/learning.py")


def test_features_differ_between_images_and_where_defects_are_planted(learning: ModuleType, tmp_path: Path) -> None:
    task = learning.Task(tmp_path, **SMALL)
    learning.write_category(task)
    defects = learning.planted(task, 0)
    assert defects.any(axis=(1, 2)).tolist() == [True, False, False, True, False, False]
    assert defects.sum() == 2 * learning.DEFECT**2
    with FeatureReader(task.features("test")) as test, FeatureReader(task.features("references")) as references:
        assert test.grid_sizes.tolist() == references.grid_sizes.tolist() == [[8, 8]] * 6
        assert not np.array_equal(test.half_tokens(1), references.half_tokens(1))


@pytest.mark.parametrize(
    ("name", "plain", "lowest"),
    [
        ("mahalanobis", False, 0.7),
        ("memory_bank", False, 0.7),
        ("flow", False, 0.7),
        ("flow", True, 0.7),
        ("coupling_flow", False, 0.7),
        ("coupling_flow", True, 0.7),
        ("visual_prompts", False, 0.0),
        ("visual_prompts", True, 0.0),
        ("prompt_memory", False, 0.0),
        ("residual_prompts", False, 0.5),
    ],
)
def test_each_way_runs_and_finds_what_is_planted(
    learning: ModuleType, tmp_path: Path, name: str, plain: bool, lowest: float
) -> None:
    """Vectors of another part tell little of this one, and need not."""
    task = learning.Task(tmp_path, **SMALL)
    learning.write_category(task)
    found = learning.taken(task, name, plain=plain)
    assert min(found.learning, found.scoring, found.processor) > 0
    assert lowest < found.auroc <= 1


def test_a_plain_coupling_flow_is_a_density(learning: ModuleType) -> None:
    """Its negative log-likelihood has the log-determinant that autograd finds."""
    import torch

    torch.manual_seed(0)
    network = learning.PlainCouplings(4, 8, 3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    x = torch.randn(4)

    def latents(vector: torch.Tensor) -> torch.Tensor:
        for coupling in network.couplings:
            vector = coupling(vector[None])[0][0]
        return vector

    jacobian = torch.autograd.functional.jacobian(latents, x)
    expected = latents(x).square().sum() / 2 + 2 * np.log(2 * np.pi) - torch.linalg.slogdet(jacobian).logabsdet
    assert network(x[None])[0].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_table_says_which_are_too_slow_and_compares_turn_by_turn(learning: ModuleType) -> None:
    turns = [learning.Taken(90.0, 20.0, 100.0, 50.0, 0.9), learning.Taken(150.0, 20.0, 100.0, 50.0, 0.9)]
    assert " yes " in learning.line("fast", turns[:1])
    assert " NO " in learning.line("slow", turns[1:])
    assert learning.median([*turns, turns[1]]).learning == 150.0


def test_the_table_has_a_row_for_each_way_and_ratios_of_the_same_turn(
    learning: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {("mahalanobis", False): [1, 1], ("flow", False): [10, 20], ("flow", True): [30, 40]}

    def turn(task: object, name: str, *, plain: bool) -> object:
        return learning.Taken(1.0, 1.0, float(seconds[name, plain].pop(0)), 5.0, 0.9)

    monkeypatch.setattr(learning, "in_own_process", turn)
    learning.compare(learning.Task(tmp_path, **SMALL), ["mahalanobis", "flow"], 2, with_plain=True)
    _, _, alone, own, plain = capsys.readouterr().out.splitlines()
    assert alone.split() == ["mahalanobis", "1.0", "1.0", "2.0", "1.0", "5", "0.900", "yes"]
    assert own.split()[:5] == ["flow", "1.0", "1.0", "2.0", "15.0"]
    assert own.endswith("2.50 (2.00 to 3.00)")
    assert plain.split()[:6] == ["flow,", "plain", "1.0", "1.0", "2.0", "35.0"]
