"""Measure the time of methods with training for one category, compared with plain versions and with other methods.

    python benchmarks/learning.py                              # all of it on the CPU, with two threads
    python benchmarks/learning.py flow coupling_flow --turns 1 # some methods
    python benchmarks/learning.py --images 50 --no-plain       # smaller, and without the plain versions

A category has 200 normal images for training and 200 to score, of 28 x 28 patches and 128 channels. Its patches are of
six kinds, each of which varies along its own axes and along a curve; every third test image has a synthetic defect, and
the common features of defects of two categories are weak. A method with an auxiliary data set is trained on the test
images of another such category; `residual_prompts` on 4 references and 40 images that stand for synthetic ones.

Each turn of each way runs in its own process and reads its features from HDF5. Printed are medians over turns:
wall-clock seconds of training and of scoring, processor seconds (which hardly depend on other programs), peak memory
beyond the loaded libraries, and the AUROC of defective patches, which shows whether a way does less. The ratios are of
processor seconds in the same turn. The limit of two minutes is wall-clock time, so that it is meaningful only on an
otherwise idle machine.

The plain versions follow a method's description step by step, without this project's optimisations:

coupling_flow  a step uses the patches of one image, which it reads, scales and whitens again; each coupling has a
               network for scales and one for shifts, which see all dimensions through a mask (Dinh et al., 2017)
flow           the same steps; the network computes the velocity of each patch at each time and for each noise sample
visual_prompts each step reads its images again, and uses all of their patches
"""

from __future__ import annotations

import argparse
import copy
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from evaluation import processor
from scoring import peak_memory, synchronise
from sklearn.metrics import roc_auc_score

from zsad.adaptation.coupling import CLAMP
from zsad.adaptation.marks import MemoryMarks
from zsad.adaptation.velocity import Velocity
from zsad.adaptation.whitening import Whitening, whiten
from zsad.files.features import FeatureReader, FeatureWriter
from zsad.files.learned import write_learned
from zsad.scoring.base import Scorer
from zsad.scoring.compute import MEGABYTE, Compute
from zsad.scoring.coupling_flow import CouplingFlow
from zsad.scoring.flow import Flow
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.moments import Moments
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import feature_facts
from zsad.scoring.token_source import LabelledTokens
from zsad.scoring.trained import TrainedScorer
from zsad.scoring.velocity_scores import FIRST_TIME, LAST_TIME, TIMES
from zsad.scoring.visual_prompts import VisualPrompts
from zsad.scoring.whitened import joined_tokens

LIMIT = 120.0  # seconds for a category
KINDS, AXES, NOISE = 6, 4, 0.15
DEFECT = 3  # patches along each side of a planted defect
SHOTS, SYNTHETIC = 4, 40  # references of `residual_prompts`, and images with synthetic anomalies
ALL = {"shots": "all"}
METHODS: Mapping[str, Mapping[str, Any]] = {  # by scorer; those that are not registered are left out
    "mahalanobis": ALL,
    "memory_bank": {**ALL, "rotations": False},
    "flow": ALL,
    "coupling_flow": ALL,
    "residual_prompts": {"shots": SHOTS},
    "visual_prompts": {},
    "prompt_memory": {},
}


class Task(NamedTuple):
    """What is measured."""

    folder: Path
    device: str = "cpu"
    threads: int = 2
    images: int = 200
    side: int = 28
    channels: int = 128
    memory_mb: int = 1000
    steps: int | None = None  # of the trainings; None for those of the method

    def scorer(self, name: str) -> Scorer:
        """A method with the measured options."""
        fields = SCORERS.load(name).model_fields
        brief = {"steps": self.steps} if self.steps and "steps" in fields else {}
        return SCORERS.build(name, {**METHODS[name], **brief})

    def features(self, name: str) -> Path:
        """A feature file."""
        return self.folder / f"{name}.h5"

    def compute(self) -> Compute:
        """The compute options of a scorer."""
        return Compute(self.device, self.memory_mb * MEGABYTE, "float32")


class Taken(NamedTuple):
    """Of one turn of one way.

    Attributes:
        learning: wall-clock seconds.
        scoring: wall-clock seconds.
        processor: processor seconds of both together.
        megabytes: peak memory beyond the start.
        auroc: of planted patches.
    """

    learning: float
    scoring: float
    processor: float
    megabytes: float
    auroc: float


class Learner(NamedTuple):
    """A way, in two halves.

    Attributes:
        learn: what is learned.
        score: the maps of all test images by it.
    """

    learn: Callable[[], Any]
    score: Callable[[Any], list[np.ndarray]]


# --- features -----------------------------------------------------------------------------------------------------


def planted(task: Task, seed: int) -> np.ndarray:
    """Which patches of test images are anomalous: bool ``[image, row, column]``."""
    rng = np.random.default_rng(1000 + seed)
    found = np.zeros((task.images, task.side, task.side), dtype=bool)
    for index in range(0, task.images, 3):
        row, column = rng.integers(0, task.side - DEFECT + 1, 2)
        found[index, row : row + DEFECT, column : column + DEFECT] = True
    return found


def write_features(task: Task, name: str, part: int, seed: int, defects: np.ndarray | None) -> None:
    """Write images of an object: all images of one object have the same distribution; ``seed`` is for the images."""
    drawn = np.random.default_rng(part)
    kinds = drawn.normal(size=(KINDS, task.channels))
    axes = drawn.normal(size=(KINDS, AXES, task.channels)) / math.sqrt(task.channels)
    bends = drawn.normal(size=(KINDS, task.channels))
    layout = drawn.integers(0, KINDS, size=(task.side, task.side))
    flaw = np.random.default_rng(77).normal(size=task.channels)  # of all parts
    shape = (task.side, task.side)
    rng = np.random.default_rng(seed)
    split = "train" if defects is None else "test"
    with FeatureWriter(
        task.features(name),
        [f"{split}/{index:03d}.png" for index in range(task.images)],
        {},
        layers=range(1),
        channels=task.channels,
        grid_sizes=np.full((task.images, 2), task.side),
        cls_source="mean of patch tokens",
    ) as writer:
        for index in range(task.images):
            along = rng.normal(size=(*shape, AXES))
            tokens = kinds[layout] + np.einsum("rca,rcad->rcd", along, axes[layout])
            tokens += 0.3 * along[..., :1] ** 2 * bends[layout] + NOISE * rng.normal(size=(*shape, task.channels))
            if defects is not None:
                there = defects[index]
                tokens[there] += 0.15 * flaw + 0.2 * rng.normal(size=(int(there.sum()), task.channels))
            writer.write(index, tokens[None], tokens.mean(axis=(0, 1))[None])


def write_category(task: Task) -> None:
    """Write references and test images of an object, and test images of another one."""
    write_features(task, "references", 0, 1, None)
    write_features(task, "test", 0, 2, planted(task, 0))
    write_features(task, "auxiliary", 9, 3, planted(task, 9))
    write_features(task, "auxiliary-references", 9, 4, None)
    made = task._replace(images=min(SYNTHETIC, task.images))
    write_features(made, "synthetic", 0, 5, planted(made, 5))


# --- the methods --------------------------------------------------------------------------------------------------


def labelled(task: Task, name: str, seed: int, made_from: Sequence[str] | None = None) -> LabelledTokens:
    """Images of a feature file, with the masks of their synthetic defects."""
    defects = planted(task, seed)
    labels = defects.any(axis=(1, 2)).astype(int).tolist()
    masks = [mask if label else None for mask, label in zip(defects, labels, strict=True)]
    owners = [(made_from[index % len(made_from)],) for index in range(len(labels))] if made_from else None
    return LabelledTokens(FeatureReader(task.features(name)), MemoryMarks(labels, masks, owners))


def own(name: str, task: Task) -> Learner:
    """A method as the pipeline runs it."""
    scorer = task.scorer(name)
    references, test = (FeatureReader(task.features(role)) for role in ("references", "test"))
    if isinstance(scorer, TrainedScorer) and scorer.learns_elsewhere:
        return _trained(scorer, test, task)
    assert isinstance(scorer, ReferenceScorer)
    shots = len(references) if scorer.shots == "all" else min(scorer.shots, len(references))
    if "synthetic" in scorer.feature_sets():
        made = task._replace(images=min(SYNTHETIC, task.images))
        references.synthetic = labelled(made, "synthetic", 5, references.image_ids[:shots])
    return Learner(
        lambda: scorer.fit(references, range(shots), task.compute()),
        lambda model: _maps(scorer.score_by(model, test, range(len(test)), task.compute())),
    )


def _trained(scorer: TrainedScorer, test: FeatureReader, task: Task) -> Learner:
    """A method that is trained on an auxiliary data set."""
    images = labelled(task, "auxiliary", 9)
    references = FeatureReader(task.features("auxiliary-references"))
    weights = task.folder / f"{type(scorer).__name__}.safetensors"

    def learn() -> TrainedScorer:
        learned = scorer.train([AuxiliaryCategory("other", images, references)], task.compute())
        facts = {**learned.facts, "method": SCORERS.name_of(scorer), "features": feature_facts(images.tokens)}
        write_learned(weights, learned._replace(facts=facts))
        return scorer.with_weights(weights)

    def score(ready: TrainedScorer) -> list[np.ndarray]:
        return _maps(ready.score({"test": test}, task.compute()))

    return Learner(learn, score)


def _maps(scores: Any) -> list[np.ndarray]:
    return [one.anomaly_map for one in sorted(scores, key=lambda score: score.index)]


# --- the plain versions -------------------------------------------------------------------------------------------


class MaskedCoupling(torch.nn.Module):
    """One coupling of a flow on whole vectors: what its mask keeps moves and scales the rest."""

    def __init__(self, dimensions: int, width: int, draws: torch.Generator) -> None:
        super().__init__()
        mask = torch.zeros(dimensions)
        mask[torch.randperm(dimensions, generator=draws)[: dimensions // 2]] = 1
        self.register_buffer("mask", mask)
        self.scale, self.shift = (
            torch.nn.Sequential(torch.nn.Linear(dimensions, width), torch.nn.ReLU(), torch.nn.Linear(width, dimensions))
            for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The vectors and the logarithm of the determinant."""
        kept = self.mask * x
        s = (1 - self.mask) * (2 * CLAMP / math.pi) * torch.atan(self.scale(kept) / CLAMP)
        return kept + (1 - self.mask) * (x * s.exp() + self.shift(kept)), s.sum(dim=1)


class PlainCouplings(torch.nn.Module):
    """A flow of masked couplings."""

    def __init__(self, dimensions: int, width: int, blocks: int) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.couplings = torch.nn.ModuleList(MaskedCoupling(dimensions, width, draws) for _ in range(blocks))
        for coupling in self.couplings:
            for network in (coupling.scale, coupling.shift):
                torch.nn.init.zeros_(network[-1].weight)
                torch.nn.init.zeros_(network[-1].bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``-log p``."""
        total = torch.zeros(len(x), device=x.device)
        for coupling in self.couplings:
            x, s = coupling(x)
            total = total + s
        return x.square().sum(dim=1) / 2 + x.shape[1] / 2 * math.log(2 * math.pi) - total


class Plain(NamedTuple):
    """What a plain version learns."""

    whitening: Whitening
    network: torch.nn.Module


def plain_whitening(task: Task, references: FeatureReader, dimensions: int) -> Whitening:
    """That of the references."""
    moments = Moments(references.channels, task.compute())
    for index in range(len(references)):
        moments.add(joined_tokens(references, index, [0], task.device))
    return Whitening(*(part.to(task.device) for part in whiten(moments.mean, moments.covariance, dimensions)))


def plain_training(
    task: Task, scorer: Flow | CouplingFlow, made: Callable[[int], torch.nn.Module], loss: Callable[..., torch.Tensor]
) -> Plain:
    """Train on as many patches as the method sees, image by image, with an average of weights."""
    references = FeatureReader(task.features("references"))
    whitening = plain_whitening(task, references, scorer.dimensions)
    network = made(whitening.dimensions).to(task.device)
    average = copy.deepcopy(network)
    schedule = scorer.schedule
    steps = round(scorer.steps * scorer.batch / task.side**2)
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.rate, weight_decay=schedule.decay)
    draws = torch.Generator().manual_seed(0)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule._replace(steps=steps).rate_at(step)
        index = int(torch.randint(len(references), (1,), generator=draws))
        tokens = whitening.apply(joined_tokens(references, index, [0], task.device))
        optimiser.zero_grad()
        value = loss(network, tokens, draws)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
        optimiser.step()
        share = min(schedule.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(average.parameters(), network.parameters(), strict=True):
                kept.mul_(share).add_((1 - share) * new)
    return Plain(whitening, average.eval())


def plain_scores(task: Task, learned: Plain, score: Callable[[Any, torch.Tensor], torch.Tensor]) -> list[np.ndarray]:
    """The maps of all test images, one by one."""
    test = FeatureReader(task.features("test"))
    found = []
    with torch.no_grad():
        for index in range(len(test)):
            tokens = learned.whitening.apply(joined_tokens(test, index, [0], task.device))
            found.append(score(learned.network, tokens).reshape(task.side, task.side).cpu().numpy())
    return found


def plain_coupling_flow(task: Task) -> Learner:
    """`coupling_flow` by masked couplings."""
    scorer = task.scorer("coupling_flow")
    assert isinstance(scorer, CouplingFlow)

    def loss(network: PlainCouplings, tokens: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        noise = torch.randn(tokens.shape, generator=draws).to(tokens.device)
        return network(tokens + scorer.noise * noise).mean() / tokens.shape[1]

    return Learner(
        lambda: plain_training(
            task, scorer, lambda dimensions: PlainCouplings(dimensions, scorer.width, scorer.blocks), loss
        ),
        lambda learned: plain_scores(task, learned, lambda network, tokens: network(tokens)),
    )


def plain_flow(task: Task) -> Learner:
    """`flow` with the score `mismatch`, by the network's forward pass alone."""
    scorer = task.scorer("flow")
    assert isinstance(scorer, Flow)

    def loss(network: Velocity, tokens: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        times = torch.rand(len(tokens), generator=draws).to(tokens.device)
        noise = torch.randn(tokens.shape, generator=draws).to(tokens.device)
        at = times[:, None] * tokens + (1 - times[:, None]) * noise
        return (network(at, times) - (tokens - noise)).square().mean()

    def score(network: Velocity, tokens: torch.Tensor) -> torch.Tensor:
        draws = torch.Generator().manual_seed(1)
        times = torch.linspace(FIRST_TIME, LAST_TIME, TIMES)
        total = torch.zeros(len(tokens), device=tokens.device)
        for _ in range(scorer.draws):
            noise = torch.randn(tokens.shape[1], generator=draws).to(tokens.device)
            for t in times.tolist():
                velocity = network(t * tokens + (1 - t) * noise, torch.full((len(tokens),), t, device=tokens.device))
                total += t**2 * (velocity - (tokens - noise)).square().sum(dim=1)
        return total / (scorer.draws * float(times.square().sum()))

    return Learner(
        lambda: plain_training(
            task, scorer, lambda dimensions: Velocity(dimensions, 0, scorer.width, scorer.blocks, carries=True), loss
        ),
        lambda learned: plain_scores(task, learned, score),
    )


def plain_visual_prompts(task: Task) -> Learner:
    """`visual_prompts` with all patches of the images of each step, which it reads again."""
    scorer = task.scorer("visual_prompts")
    assert isinstance(scorer, VisualPrompts)
    images, marks = labelled(task, "auxiliary", 9)

    def seen(index: int) -> tuple[torch.Tensor, torch.Tensor, float, torch.Tensor]:
        """Unit tokens of an image and its patches, its label, and the shares of its patches."""
        whole = torch.nn.functional.normalize(torch.from_numpy(images.cls_tokens_of(index)[0]), dim=0)
        shares = marks.shares(index, task.side, task.side)
        assert shares is not None
        patches = joined_tokens(images, index, [0], task.device)
        return whole.to(task.device), patches, float(marks.labels[index]), torch.from_numpy(shares.ravel())

    def logits(tokens: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return tokens @ torch.nn.functional.normalize(rows, dim=1).T / scorer.temperature

    def loss(rows: torch.Tensor, index: int) -> torch.Tensor:
        whole, patches, label, shares = seen(index)
        shares = shares.to(task.device)
        image = torch.log_softmax(logits(whole[None], rows[:2]), dim=1)[0, int(label)]
        log_shares = torch.log_softmax(logits(patches, rows[2:]), dim=1)
        found = log_shares.exp()
        focal = shares * found[:, 0] ** 2 * log_shares[:, 1] + (1 - shares) * found[:, 1] ** 2 * log_shares[:, 0]
        overlap = (2 * (found[:, 1] * shares).sum() + 1) / (found[:, 1].sum() + shares.sum() + 1)
        return 1 - overlap - focal.mean() - image

    def learn() -> torch.Tensor:
        torch.manual_seed(0)
        rows = torch.nn.Parameter(0.02 * torch.randn(4, images.channels, device=task.device))
        optimiser = torch.optim.AdamW([rows], lr=scorer.rate)
        for _ in range(scorer.epochs):
            order = torch.randperm(len(images)).tolist()
            for start in range(0, len(order), scorer.batch):
                optimiser.zero_grad()
                torch.stack([loss(rows, index) for index in order[start : start + scorer.batch]]).mean().backward()
                optimiser.step()
        return rows.detach()

    def score(rows: torch.Tensor) -> list[np.ndarray]:
        test = FeatureReader(task.features("test"))
        shares = (
            torch.softmax(logits(joined_tokens(test, index, [0], task.device), rows[2:]), dim=1)[:, 1]
            for index in range(len(test))
        )
        return [share.reshape(task.side, task.side).cpu().numpy() for share in shares]

    return Learner(learn, score)


PLAIN: Mapping[str, Callable[[Task], Learner]] = {
    "flow": plain_flow,
    "coupling_flow": plain_coupling_flow,
    "visual_prompts": plain_visual_prompts,
}


# --- measuring ----------------------------------------------------------------------------------------------------


def taken(task: Task, name: str, *, plain: bool) -> Taken:
    """Run one way in this process."""
    torch.set_num_threads(task.threads)
    torch.randn(256, 256) @ torch.randn(256, 256)  # the libraries' own buffers and threads
    way = PLAIN[name](task) if plain else own(name, task)
    with peak_memory() as memory:
        start, clock = time.perf_counter(), time.process_time()
        learned = way.learn()
        synchronise(task.device)
        between = time.perf_counter()
        maps = way.score(learned)
        synchronise(task.device)
        end, processed = time.perf_counter(), time.process_time() - clock
    auroc = roc_auc_score(planted(task, 0).ravel(), np.concatenate([each.ravel() for each in maps]))
    return Taken(between - start, end - between, processed, memory.added / MEGABYTE, float(auroc))


def in_own_process(task: Task, name: str, *, plain: bool) -> Taken:
    """Run one turn in its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(taken, task, name, plain=plain).result()


def median(turns: Sequence[Taken]) -> Taken:
    """Of each figure."""
    return Taken(*(statistics.median(figures) for figures in zip(*turns, strict=True)))


def line(name: str, turns: Sequence[Taken], ratio: str = "") -> str:
    """A row of the table."""
    found = median(turns)
    together = statistics.median(each.learning + each.scoring for each in turns)
    verdict = "yes" if together <= LIMIT else "NO"
    return (
        f"{name:22} {found.learning:8.1f} {found.scoring:8.1f} {together:9.1f} {found.processor:10.1f} "
        f"{found.megabytes:7.0f} {found.auroc:7.3f}  {verdict:13} {ratio}"
    )


def compare(task: Task, names: Sequence[str], turns: int, *, with_plain: bool) -> None:
    """Print the table; ways take turns."""
    write_category(task)
    load = os.getloadavg()[0]  # of other programs, as this one has not begun
    ways = [(name, plain) for name in names for plain in (False, True) if not plain or (with_plain and name in PLAIN)]
    found: dict[tuple[str, bool], list[Taken]] = {way: [] for way in ways}
    for _ in range(turns):
        for name, plain in ways:
            found[name, plain].append(in_own_process(task, name, plain=plain))
    print(
        f"{task.images} images to learn from and {task.images} to score, {task.side} x {task.side} patches, "
        f"{task.channels} channels; {described(task)}, which had {load:.1f} programs to run; median of {turns} turns"
    )
    print(
        f"{'':22} {'learning':>8} {'scoring':>8} {'together':>9} {'processor':>10} {'MB':>7} {'AUROC':>7}  "
        f"{'within 2 min':13} plain / own"
    )
    for name in names:
        if not (of_plain := found.get((name, True))):
            print(line(name, found[name, False]))
            continue
        ratios = sorted(
            plain.processor / each.processor for plain, each in zip(of_plain, found[name, False], strict=True)
        )
        ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line(name, found[name, False], ratio))
        print(line(f"  {name}, plain", of_plain))


def described(task: Task) -> str:
    """Where it runs."""
    if task.device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{task.threads} threads of {processor()}"


def main() -> None:
    """Measure and print."""
    registered = [name for name in METHODS if name in SCORERS.names()]
    parser = argparse.ArgumentParser(description="How long methods that learn take for one category.")
    parser.add_argument("methods", nargs="*", choices=[*registered, []], help="all if none is named")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--side", type=int, default=28, help="patches along each side of an image")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="of the trainings, for a quick look; by default those of each method")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--no-plain", action="store_true", help="leave the plain versions out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            Path(folder),
            options.device,
            options.threads,
            options.images,
            options.side,
            options.channels,
            steps=options.steps,
        )
        compare(task, options.methods or registered, options.turns, with_plain=not options.no_plain)


if __name__ == "__main__":
    main()
