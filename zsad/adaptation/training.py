"""The training loop of all methods: a fixed number of steps, and reproducible random numbers.

All random numbers come from generators on the CPU, whatever the device, so that one seed gives the same numbers
everywhere and the same weights on one machine.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from zsad.errors import DataError
from zsad.lazy import torch
from zsad.progress import progress

if TYPE_CHECKING:
    import numpy as np

Shape = Literal["constant", "cosine", "one_cycle"]
WARM_UP = 0.1  # of the steps of a cycle, in which the rate rises
LOOKS = 20  # evaluations on held-out tokens in a whole training

logger = logging.getLogger(__name__)


class Schedule(NamedTuple):
    """Schedule of the optimiser: AdamW (Loshchilov and Hutter, ICLR 2019).

    Attributes:
        steps: number of steps, fixed beforehand.
        rate: the highest learning rate.
        shape: ``constant``, ``cosine`` from the rate to ``last``, or ``one_cycle``, which rises to it first.
        last: the rate at the end, as a share of the highest.
        decay: of weights.
        average: of weights over steps, exponential, e.g. 0.999; 0 for the last weights themselves.
        clip: the longest gradient; 0 for any.
    """

    steps: int
    rate: float
    shape: Shape = "cosine"
    last: float = 0.0
    decay: float = 0.01
    average: float = 0.0
    clip: float = 0.0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        if self.shape == "constant":
            return self.rate
        warm = max(1, round(WARM_UP * self.steps)) if self.shape == "one_cycle" else 0
        if step < warm:
            return self.rate * (step + 1) / warm
        share = (step - warm) / max(1, self.steps - 1 - warm)
        return self.rate * (self.last + (1 - self.last) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


class Course(NamedTuple):
    """Result of a training.

    Attributes:
        steps: number of steps after which the kept weights were taken.
        loss: mean of the last tenth of the steps up to there.
        held_out: loss of the kept weights on held-out tokens; NaN without any.
        seconds: duration.
    """

    steps: int
    loss: float
    held_out: float
    seconds: float


def generator(seed: int, purpose: str) -> torch.Generator:
    """A random number generator for one purpose, on the CPU; those of other purposes or seeds are independent."""
    return torch.Generator().manual_seed(_number(seed, purpose))


@contextmanager
def seeded(seed: int, purpose: str) -> Iterator[None]:
    """A context in which new modules get their initial weights from the seed; other random states are not affected."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_number(seed, purpose))
        yield


def _number(seed: int, purpose: str) -> int:
    """A separate seed for each purpose."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8], "big") >> 1


def train(
    module: torch.nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    schedule: Schedule,
    *,
    label: str,
    held_out: Callable[[torch.nn.Module], float] | None = None,
) -> Course:
    """Train a module in place; it ends in evaluation mode with the weights that are kept.

    Args:
        loss_at: the loss of a step, from 0: a scalar that depends on the module's parameters.
        label: name of the training in the progress bar.
        held_out: the loss of a module on normal tokens that no step sees; with it, it is evaluated 20 times, the best
            weights are kept, and training ends after a quarter of the evaluations without a better one. None for the
            last weights.

    Raises:
        DataError: the loss or a weight is no longer finite.
    """
    start = time.perf_counter()
    parameters = [each for each in module.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=schedule.rate, weight_decay=schedule.decay, fused=True)
    average = copy.deepcopy(module) if schedule.average else module
    keeper = _Keeper(held_out, schedule.steps)
    losses: list[float] = []
    module.train()
    for step in progress(range(schedule.steps), total=schedule.steps, label=label):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_at(step)
        loss.backward()
        if schedule.clip:
            torch.nn.utils.clip_grad_norm_(parameters, schedule.clip)
        optimiser.step()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise DataError(f"{label}: the loss is no longer finite after {step + 1} steps; lower the learning rate")
        if schedule.average:
            _average(average, module, schedule.average, step)
        if keeper.looks(step) and not keeper.goes_on(average, step):
            break
    state, steps, best = keeper.kept(average, len(losses))
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise DataError(f"{label}: the weights are no longer finite after {steps} steps; lower the learning rate")
    module.load_state_dict(state)
    module.eval()
    last = losses[max(0, steps - max(1, steps // 10)) : steps]
    course = Course(steps, sum(last) / max(1, len(last)), best, time.perf_counter() - start)
    logger.info("%s: %d steps, loss %.4g, held out %.4g", label, course.steps, course.loss, course.held_out)
    return course


def arrays_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """The weights and buffers of a module, by name."""
    return {name: value.detach().cpu().contiguous().numpy() for name, value in module.state_dict().items()}


def load_arrays(module: torch.nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Give a module the weights of another, and set it to evaluation.

    Raises:
        ValueError: names or shapes do not fit the module.
    """
    try:
        module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
    except RuntimeError as error:
        raise ValueError(f"its weights are of another network ({str(error).splitlines()[0]})") from None
    module.eval()


class _Keeper:
    """The best weights on held-out tokens so far."""

    def __init__(self, held_out: Callable[[torch.nn.Module], float] | None, steps: int) -> None:
        self._held_out = held_out
        self._steps, self._every = steps, max(1, steps // LOOKS)
        self._patience = LOOKS // 4
        self._best, self._step, self._worse = math.inf, 0, 0
        self._state: dict[str, torch.Tensor] | None = None

    def looks(self, step: int) -> bool:
        return self._held_out is not None and ((step + 1) % self._every == 0 or step + 1 == self._steps)

    def goes_on(self, module: torch.nn.Module, step: int) -> bool:
        if self._held_out is None:
            return True
        was_training = module.training
        module.eval()
        with torch.no_grad():
            loss = self._held_out(module)
        module.train(was_training)
        if loss < self._best:
            self._best, self._state, self._step, self._worse = loss, copy.deepcopy(module.state_dict()), step + 1, 0
        else:
            self._worse += 1
        return self._worse < self._patience

    def kept(self, module: torch.nn.Module, steps: int) -> tuple[dict[str, torch.Tensor], int, float]:
        if self._state is None:
            return module.state_dict(), steps, math.nan
        return self._state, self._step, self._best


def _average(average: torch.nn.Module, module: torch.nn.Module, share: float, step: int) -> None:
    """Move an average of weights towards those of a module, faster at first, so that the initial ones are forgotten."""
    share = min(share, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - share)
        for kept, new in zip(average.buffers(), module.buffers(), strict=True):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - share)
            else:
                kept.copy_(new)
