"""The training loop against a plain one in float64, and when it stops."""

import math

import numpy as np
import pytest
import torch

from zsad.adaptation.training import Course, Schedule, arrays_of, generator, load_arrays, seeded, train
from zsad.errors import DataError


def rates(schedule: Schedule) -> list[float]:
    return [schedule.rate_at(step) for step in range(schedule.steps)]


def test_a_constant_rate_stays():
    assert rates(Schedule(5, 0.3, "constant")) == [0.3] * 5


def test_a_cosine_falls_from_the_rate_to_its_last_share():
    found = rates(Schedule(101, 2.0, "cosine", last=0.1))
    expected = [0.2 + 1.8 * (1 + math.cos(math.pi * step / 100)) / 2 for step in range(101)]
    assert found == pytest.approx(expected)
    assert (found[0], found[-1]) == (pytest.approx(2.0), pytest.approx(0.2))


def test_one_cycle_rises_in_a_tenth_of_the_steps_and_falls_to_nothing():
    found = rates(Schedule(100, 1.0, "one_cycle"))
    assert found[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert found[10] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(0.0)
    assert found[10:] == sorted(found[10:], reverse=True)


@pytest.mark.parametrize("shape", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_or_two_have_a_rate(shape, steps):
    assert all(0 <= rate <= 1 for rate in rates(Schedule(steps, 1.0, shape)))


def linear() -> torch.nn.Module:
    with seeded(0, "test"):
        return torch.nn.Linear(3, 1)


INPUTS = np.random.default_rng(0).normal(size=(40, 3))
TARGETS = INPUTS @ np.array([1.0, -2.0, 0.5]) + 0.3


def loss_of(module: torch.nn.Module, rows: slice) -> torch.Tensor:
    inputs, targets = (torch.from_numpy(each[rows]).float() for each in (INPUTS, TARGETS))
    return (module(inputs)[:, 0] - targets).square().mean()


def rows_at(step: int) -> slice:
    return slice(step % 8 * 5, step % 8 * 5 + 5)


def plain(schedule: Schedule) -> tuple[np.ndarray, list[float]]:
    """Weights and bias after all steps, and the losses: AdamW by its paper, gradients by hand."""
    start = arrays_of(linear())
    weights = np.concatenate([start["weight"][0], start["bias"]]).astype(np.float64)
    average, first, second = weights.copy(), np.zeros(4), np.zeros(4)
    losses = []
    for step in range(schedule.steps):
        inputs = np.concatenate([INPUTS[rows_at(step)], np.ones((5, 1))], axis=1)
        off = inputs @ weights - TARGETS[rows_at(step)]
        losses.append((off**2).mean())
        gradient = 2 * inputs.T @ off / 5
        if schedule.clip:
            gradient *= min(1.0, schedule.clip / (np.linalg.norm(gradient) + 1e-6))
        rate = schedule.rate_at(step)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weights *= 1 - rate * schedule.decay
        weights -= rate * first / (1 - 0.9 ** (step + 1)) / (np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8)
        share = min(schedule.average, (1 + step) / (10 + step))
        average = share * average + (1 - share) * weights if schedule.average else weights
    return average, losses


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(60, 0.05),
        Schedule(60, 0.05, "constant", decay=0.3),
        Schedule(60, 0.02, "one_cycle", average=0.9),
        Schedule(60, 0.02, "cosine", average=0.5, clip=0.5),
    ],
)
def test_weights_are_those_of_a_plain_loop(schedule):
    module = linear()
    course = train(module, lambda step: loss_of(module, rows_at(step)), schedule, label="test")
    weights, losses = plain(schedule)
    found = arrays_of(module)
    np.testing.assert_allclose(np.concatenate([found["weight"][0], found["bias"]]), weights, rtol=1e-4, atol=1e-5)
    assert course.steps == 60
    assert course.loss == pytest.approx(np.mean(losses[-6:]), rel=1e-3)
    assert math.isnan(course.held_out)
    assert course.seconds > 0
    assert not module.training


class Counter(torch.nn.Module):
    """One number, which every step moves by about one."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("seen", torch.zeros(1, dtype=torch.int64))

    def loss(self, step: int) -> torch.Tensor:
        self.seen += 1
        return -self.value.sum()


def counted(held_out, steps: int = 100, average: float = 0.0) -> tuple[Counter, Course, list[float]]:
    module, looked = Counter(), []

    def look(given: Counter) -> float:
        assert not given.training
        assert not torch.is_grad_enabled()
        looked.append(given.value.item())
        return held_out(looked[-1])

    course = train(
        module, module.loss, Schedule(steps, 1.0, "constant", decay=0.0, average=average), label="test", held_out=look
    )
    return module, course, looked


def test_the_weights_of_the_best_look_are_kept_and_training_ends_after_a_quarter_of_the_looks_without_a_better_one():
    module, course, looked = counted(lambda value: abs(value - 42))
    assert looked == pytest.approx([5.0 * (look + 1) for look in range(8 + 5)], rel=1e-3)
    assert course.steps == 40
    assert course.held_out == pytest.approx(2, abs=0.05)
    assert module.value.item() == pytest.approx(40, rel=1e-3)
    assert int(module.seen) == 40
    assert course.loss == pytest.approx(-np.mean([36, 37, 38, 39]), rel=1e-3)  # of the steps up to there


def test_what_gets_better_all_the_time_is_trained_to_the_end():
    module, course, looked = counted(lambda value: -value, steps=103)
    assert (course.steps, module.value.item()) == (103, pytest.approx(103, rel=1e-3))
    assert len(looked) == 21  # the last weights are looked at, too


def test_few_steps_are_looked_at_one_by_one():
    assert len(counted(lambda value: -value, steps=3)[2]) == 3


def test_a_look_that_is_no_number_is_none_of_the_best():
    module, course, _ = counted(lambda value: math.nan if value > 12 else -value)
    assert (course.steps, module.value.item()) == (10, pytest.approx(10, rel=1e-3))
    _, course, _ = counted(lambda value: math.nan)
    assert course.steps == 25
    assert math.isnan(course.held_out)


def test_looks_are_at_the_average():
    module, _, looked = counted(lambda value: -value, steps=20, average=0.5)
    average = expected = 0.0
    for step in range(20):
        share = min(0.5, (1 + step) / (10 + step))
        average = share * average + (1 - share) * (step + 1)
        expected = average
        assert looked[step] == pytest.approx(expected, rel=1e-3)
    assert module.value.item() == pytest.approx(expected, rel=1e-3)
    assert int(module.seen) == 20


def test_a_loss_that_is_no_number_ends_the_training():
    module = linear()
    with pytest.raises(DataError, match="learning: the loss is no longer finite after 3 steps"):
        train(
            module,
            lambda step: loss_of(module, rows_at(step)) * (math.inf if step == 2 else 1),
            Schedule(5, 0.1),
            label="learning",
        )


def test_weights_that_the_last_step_makes_no_numbers_end_the_training():
    module = linear()
    with pytest.raises(DataError, match="learning: the weights are no longer finite after 1 steps"):
        train(module, lambda step: loss_of(module, rows_at(step)), Schedule(1, 1e39), label="learning")


def test_a_training_begun_anew_ends_with_the_same_weights():
    def trained(stop: int | None = None) -> dict[str, np.ndarray]:
        module, draws = linear(), generator(3, "training")

        def loss_at(step: int) -> torch.Tensor:
            if step == stop:
                raise KeyboardInterrupt
            start = int(torch.randint(35, (1,), generator=draws))
            return loss_of(module, slice(start, start + 5))

        train(module, loss_at, Schedule(30, 0.05, "one_cycle", average=0.9), label="test")
        return arrays_of(module)

    with pytest.raises(KeyboardInterrupt):
        trained(stop=20)
    once, again = trained(), trained()
    assert {name: array.tobytes() for name, array in once.items()} == {n: a.tobytes() for n, a in again.items()}


def test_draws_of_a_purpose_depend_on_seed_and_purpose_alone():
    def numbers(seed: int, purpose: str) -> list[float]:
        return torch.rand(3, generator=generator(seed, purpose)).tolist()

    assert numbers(0, "noise") == numbers(0, "noise")
    assert numbers(0, "noise") != numbers(1, "noise")
    assert numbers(0, "noise") != numbers(0, "times")


def test_first_weights_follow_from_the_seed_and_disturb_no_other_draws():
    torch.manual_seed(5)
    expected = torch.rand(2).tolist()
    torch.manual_seed(5)
    first = [linear().weight[0, 0].item() for _ in range(2)]
    assert torch.rand(2).tolist() == expected
    assert first[0] == first[1]
    with seeded(1, "test"):
        assert torch.nn.Linear(3, 1).weight[0, 0].item() != first[0]


def test_weights_come_back_from_arrays_and_those_of_others_are_refused():
    module, other = linear(), torch.nn.Linear(3, 1)
    load_arrays(other, arrays_of(module))
    assert torch.equal(other.weight, module.weight)
    assert not other.training
    with pytest.raises(ValueError, match="of another network"):
        load_arrays(torch.nn.Linear(4, 1), arrays_of(module))
