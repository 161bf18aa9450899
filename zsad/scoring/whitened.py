"""Base class of methods that learn the distribution of normal tokens on their principal axes."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from zsad.adaptation.position import POSITION_WIDTH, position_code
from zsad.adaptation.training import Schedule, arrays_of, generator, load_arrays, seeded, train
from zsad.adaptation.whitening import Whitening, whiten
from zsad.data.subsets import base_id
from zsad.errors import DataError
from zsad.files.learned import Learned
from zsad.files.training_facts import training_of
from zsad.lazy import torch
from zsad.progress import progress
from zsad.scoring.base import ImageScore, Shown
from zsad.scoring.compute import Compute
from zsad.scoring.cost import VALUE, TokenCount, covariance_operations
from zsad.scoring.moments import Moments
from zsad.scoring.references import ALL, ReferenceScorer, Shots
from zsad.scoring.stored import as_array, as_tensor
from zsad.scoring.stored_weights import store_weights, stored_weights
from zsad.scoring.token_source import TokenSource
from zsad.scoring.tokens import Layers, kept_layers, layer_indices, patch_layers, unit_tokens

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

logger = logging.getLogger(__name__)

MOST_TOKENS = 2**18  # of normal patches in training; from more, a sample is used
MOST_HELD_OUT = 2**13  # of the held-out patches for early stopping
POOL_BYTES = 2 + 4 / 64  # a value of a token in training: float16, and its position
STEP_OPERATIONS = 2e8  # fixed cost of a training step, as operations of matrix products
LARGEST = 6e4  # greatest whitened coordinate in float16
GRID: Final = "grid"
NETWORK: Final = "network."  # prefix of the names of a network's tensors
MEAN, AXES = "whitening.mean", "whitening.axes"


class Pool(NamedTuple):
    """Whitened tokens of many images.

    Attributes:
        tokens: float16 ``[token, dimension]``.
        places: int64 ``[token]``, cell of each in its grid.
    """

    tokens: torch.Tensor
    places: torch.Tensor

    def some(self, rows: torch.Tensor) -> Pool:
        """The tokens of some rows."""
        return Pool(self.tokens[rows], self.places[rows])


class FittedWhitened(NamedTuple):
    """The model learned from references.

    Attributes:
        learned: all weights, as stored.
        whitening: of tokens.
        network: in evaluation mode.
        grid: rows and columns of the grid whose positions the network uses; None if it uses none.
    """

    learned: Learned
    whitening: Whitening
    network: torch.nn.Module
    grid: tuple[int, int] | None


class WhitenedScorer(ReferenceScorer):
    """Base class of methods that train a network on the whitened patches of references.

    A patch is the unit tokens of its layers side by side. Whitened by the mean and covariance of all patches of the
    references, it has ``d`` coordinates of variance one. Some references, whole images chosen by the seed, are held
    out: their loss determines when to stop, see `zsad.adaptation.training.train`. They take part in the whitening.

    From more than 262 144 patches so many are sampled; they are kept in float16, whatever the memory budget, so that
    results do not depend on it.

    Class attributes:
        work: name of the training in the progress bar.
    """

    folds: ClassVar[int] = 2
    work: ClassVar[str]

    shots: Shots = ALL
    seed: int = Field(
        0, ge=0, description="Random seed of the sample of references, of the initial weights and of the training."
    )
    dimensions: int = Field(
        128, ge=1, description="Number of principal axes for the whitening of tokens; all if there are no more."
    )
    position: bool = Field(
        False,
        description="Give the network the position of a patch in the image, for aligned objects; all images must "
        "then have one patch grid.",
    )
    rotations: bool = Field(False, description="Also rotate each reference by 0, 45, ... 315 degrees.")
    hold_out: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the references, at least one, that is held out for early stopping; 0 to train on all of "
        "them for all steps.",
    )
    steps: int = Field(1000, ge=1, description="Number of training steps, fixed beforehand.")
    batch: int = Field(1024, ge=1, description="Patches in each step.")
    rate: float = Field(1e-3, gt=0, le=1, description="Highest learning rate of the training.")
    layers: Layers = Field(
        None, description="Layers of the backbone whose tokens are put side by side; null for all that were extracted."
    )

    @model_validator(mode="after")
    def _check_positions(self) -> WhitenedScorer:
        if self.position and self.rotations:
            raise ValueError("rotated references have no common positions; set 'rotations: false' with 'position'")
        return self

    @property
    def schedule(self) -> Schedule:
        """The schedule of the training."""
        return Schedule(self.steps, self.rate, "one_cycle", decay=0.01, average=0.999, clip=1.0)

    @abstractmethod
    def network(self, dimensions: int, position: int) -> torch.nn.Module:
        """A new network for tokens of so many dimensions and positions of so many numbers, 0 for none."""

    @abstractmethod
    def loss(
        self, network: Any, tokens: torch.Tensor, position: torch.Tensor | None, rng: torch.Generator
    ) -> torch.Tensor:
        """The loss of a batch, a scalar.

        Args:
            network: see `network`.
            tokens: float32 ``[token, dimension]``, in a random order.
            position: float32 ``[token, number]``.
            rng: random number generator on the CPU.
        """

    @abstractmethod
    def token_scores(self, network: Any, tokens: torch.Tensor, position: torch.Tensor | None) -> torch.Tensor:
        """The scores of tokens ``[token, dimension]``, float32 ``[token]``; each is independent of the others."""

    @abstractmethod
    def token_bytes(self, dimensions: int) -> int:
        """Bytes of one token while it is scored."""

    @abstractmethod
    def token_operations(self, dimensions: int) -> tuple[float, float]:
        """Operations for one token, in a step of the training and for its score."""

    def fewest_references(self) -> int:
        """Two: with a single one, none could be held out, and the variation of normal images would be unknown."""
        return 2

    def fit_refusal(self, references: Shown, scored: Shown) -> str:
        """A sentence if there are too few references or patches, or with ``position`` if grids differ."""
        images = len(set(map(base_id, references.image_ids)))
        if images < self.fewest_references():
            return (
                f"training needs at least {self.fewest_references()} references, since a single one does not show how "
                f"normal images differ, but there is {images}; raise 'shots' or add images to train/good"
            )
        width = references.channels * self._layer_count(references.layers)
        dimensions = min(self.dimensions, width)
        if references.patches <= dimensions:
            return (
                f"whitening to {dimensions} dimensions needs more patches than that, but the references have "
                f"{references.patches}; lower 'dimensions' or use more references"
            )
        if not self.position:
            return ""
        first, expected = references.image_ids[0], references.grids[0]
        pairs = (pair for shown in (references, scored) for pair in zip(shown.image_ids, shown.grids, strict=True))
        return next((_other_grid(*pair, expected, first) for pair in pairs if pair[1] != expected), "")

    def _layer_count(self, names: Sequence[str] | None) -> int:
        """How many layers are read; at least one if unknown."""
        return len(self.layers or (patch_layers(names) if names else ())) or 1

    def operations(self, tokens: Mapping[str, TokenCount]) -> float:
        """Operations for reading references twice, their covariance, the whitening, the training and the scoring."""
        test, references = tokens["test"], tokens["references"]
        width = test.layers * test.channels
        dimensions = min(self.dimensions, width)
        trained, scored = self.token_operations(dimensions)
        patches, tested = (float(count.images * count.patches) for count in (references, test))
        fit = VALUE * references.values + covariance_operations(references, width)
        training = self.steps * (self.batch * trained + STEP_OPERATIONS)
        whitened = 2.0 * width * dimensions
        return super().operations(tokens) + fit + training + patches * whitened + tested * (whitened + scored)

    def working_bytes(self, tokens: Mapping[str, TokenCount]) -> float:
        """Bytes of the covariance, of the training tokens, and of the tokens scored at a time."""
        test, references = tokens["test"], tokens["references"]
        width = test.layers * test.channels
        dimensions = min(self.dimensions, width)
        kept = min(MOST_TOKENS, references.images * references.patches)
        together = max(test.patches, self.batch) * self.token_bytes(dimensions)
        return 3 * 8.0 * width**2 + POOL_BYTES * dimensions * kept + together

    def fit(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> FittedWhitened:
        """Learn from the references at ``indices``.

        Raises:
            DataError: they are too few, their patches are all equal, or the training fails.
        """
        self.check_fit(references, indices)
        indices = sorted(indices, key=lambda index: references.image_ids[index])  # so that their order does not matter
        whitening = self._whitening(references, indices, compute)
        grid = _first_grid(references, indices) if self.position else None
        trained_on, held_out = self._split(references, indices)
        pool = self._pool(references, trained_on, whitening, MOST_TOKENS, compute)
        held = self._pool(references, held_out, whitening, MOST_HELD_OUT, compute) if held_out else None
        return _fitted(self._trained(whitening, pool, held, grid, compute), self._made, compute)

    def store(self, model: FittedWhitened, writer: FittedWriter) -> None:
        """Store the weights of the whitening and the network."""
        store_weights(writer, model.learned)

    def restore(self, reader: FittedReader, compute: Compute) -> FittedWhitened:
        """The model learned from the references."""
        learned = stored_weights(reader)
        width = kept_layers(reader, self.layers) * reader.channels
        axes = learned.tensors.get(AXES, np.empty(0))
        if learned.tensors.get(MEAN, axes).shape != (width,) or axes.shape != (width, min(self.dimensions, width)):
            raise reader.foreign(f"its whitening is not that of {width} channels")
        if (_grid_of(learned) is not None) != self.position:
            raise reader.foreign("its network does not fit the option 'position'")
        return _fitted(learned, self._made, compute)

    def training(self, model: FittedWhitened) -> dict[str, Any]:
        """See `zsad.files.training_facts.training_of`."""
        return training_of(model.learned)

    def score_by(
        self, model: FittedWhitened, features: TokenSource, indices: Sequence[int], compute: Compute
    ) -> Iterator[ImageScore]:
        """Yield the score of each image, in order.

        Raises:
            DataError: with ``position``, an image has another grid than the references.
        """
        layers = layer_indices(features, self.layers)
        codes = _codes(model.grid, compute.device)
        block = compute.count(self.token_bytes(model.whitening.dimensions))
        for index in indices:
            rows, columns = features.grid_sizes[index].tolist()
            if model.grid not in (None, (rows, columns)):
                raise DataError(_other_grid(features.image_ids[index], (rows, columns), model.grid, "the references"))
            tokens = joined_tokens(features, index, layers, compute.device)
            scores = self._scores(model, tokens, codes, block)
            yield ImageScore(index, scores.reshape(rows, columns).cpu().numpy())

    def _scores(
        self, model: FittedWhitened, tokens: torch.Tensor, codes: torch.Tensor | None, block: int
    ) -> torch.Tensor:
        """The scores of tokens of one image, float32 ``[token]``, in blocks."""
        with torch.no_grad():
            return torch.cat(
                [
                    self.token_scores(
                        model.network,
                        model.whitening.apply(tokens[start : start + block]),
                        None if codes is None else codes[start : start + block],
                    )
                    for start in range(0, len(tokens), block)
                ]
            )

    def _whitening(self, references: TokenSource, indices: Sequence[int], compute: Compute) -> Whitening:
        """The whitening of all patches of some references."""
        layers = layer_indices(references, self.layers)
        moments = Moments(len(layers) * references.channels, compute)
        for index in _read(references, indices, "whitening patches"):
            moments.add(joined_tokens(references, index, layers, compute.device))
        if constant := int((moments.covariance.diagonal() <= 0).sum()):
            logger.info(
                "%d of %d channels are constant in all references; a patch that differs in one of them gets a high "
                "score",
                constant,
                len(moments.mean),
            )
        found = whiten(moments.mean, moments.covariance, self.dimensions)
        return Whitening(*(part.to(compute.device) for part in found))

    def _split(self, references: TokenSource, indices: Sequence[int]) -> tuple[list[int], list[int]]:
        """The references to train on, and those held out, each with all its views."""
        owners = {index: base_id(references.image_ids[index]) for index in indices}
        names = sorted(set(owners.values()))
        count = min(len(names) - 1, max(1, round(self.hold_out * len(names)))) if self.hold_out else 0
        order = torch.randperm(len(names), generator=generator(self.seed, "held out")).tolist()
        held = {names[place] for place in order[:count]}
        kept = [index for index in indices if owners[index] not in held]
        return kept, [index for index in indices if owners[index] in held]

    def _pool(
        self, references: TokenSource, indices: Sequence[int], whitening: Whitening, most: int, compute: Compute
    ) -> Pool:
        """The whitened patches of some references in a random order; a sample if there are too many."""
        layers = layer_indices(references, self.layers)
        sizes = references.grid_sizes[list(indices)].prod(axis=1, dtype=np.int64).tolist()
        drawn = torch.randperm(sum(sizes), generator=generator(self.seed, "patches"))[:most]
        places = torch.empty_like(drawn)
        tokens = torch.empty(len(drawn), whitening.dimensions, dtype=torch.float16, device=compute.device)
        start = 0
        for index, size in zip(_read(references, indices, "gathering patches"), sizes, strict=True):
            rows = ((drawn >= start) & (drawn < start + size)).nonzero()[:, 0]
            places[rows] = drawn[rows] - start
            chosen = joined_tokens(references, index, layers, compute.device)[places[rows].to(compute.device)]
            tokens[rows.to(compute.device)] = whitening.apply(chosen).clamp(-LARGEST, LARGEST).half()
            start += size
        return Pool(tokens, places.to(compute.device))

    def _trained(
        self, whitening: Whitening, pool: Pool, held: Pool | None, grid: tuple[int, int] | None, compute: Compute
    ) -> Learned:
        """Train a network on a pool; return its weights with those of the whitening."""
        network = self._made(whitening.dimensions, grid).to(compute.device)
        codes = _codes(grid, compute.device)
        rng = generator(self.seed, "training")

        def loss_of(module: torch.nn.Module, some: Pool, rng: torch.Generator) -> torch.Tensor:
            return self.loss(module, some.tokens.float(), None if codes is None else codes[some.places], rng)

        def loss_at(step: int) -> torch.Tensor:
            rows = torch.randint(len(pool.tokens), (self.batch,), generator=rng).to(compute.device)
            return loss_of(network, pool.some(rows), rng)

        def loss_held_out(module: torch.nn.Module) -> float:
            return 0.0 if held is None else float(loss_of(module, held, generator(self.seed, "looks")))

        look = None if held is None else loss_held_out
        course = train(network, loss_at, self.schedule, label=self.work, held_out=look)
        facts = {
            "seed": self.seed,
            "steps": course.steps,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "loss": course.loss,
            "held_out": None if math.isnan(course.held_out) else course.held_out,
            GRID: None if grid is None else list(grid),
        }
        weights = {NETWORK + name: array for name, array in arrays_of(network).items()}
        return Learned({MEAN: as_array(whitening.mean), AXES: as_array(whitening.axes), **weights}, facts)

    def _made(self, dimensions: int, grid: tuple[int, int] | None) -> torch.nn.Module:
        """A new network; its initial weights follow from the seed."""
        with seeded(self.seed, "weights"):
            return self.network(dimensions, 0 if grid is None else POSITION_WIDTH)


def joined_tokens(reader: TokenSource, index: int, layers: Sequence[int], device: str) -> torch.Tensor:
    """The patches of one image row by row, unit tokens of the layers side by side: float32 ``[patch, channel]``."""
    return unit_tokens(reader, index, layers, device).permute(1, 2, 0, 3).flatten(2).flatten(0, 1)


def _fitted(
    learned: Learned, made: Callable[[int, tuple[int, int] | None], torch.nn.Module], compute: Compute
) -> FittedWhitened:
    """The learned model, ready to score.

    Raises:
        ValueError: the weights belong to another network.
    """
    whitening = Whitening(*(as_tensor(learned.tensors[name], compute.device) for name in (MEAN, AXES)))
    grid = _grid_of(learned)
    network = made(whitening.dimensions, grid)
    weights = {name: array for name, array in learned.tensors.items() if name.startswith(NETWORK)}
    load_arrays(network, {name.removeprefix(NETWORK): array for name, array in weights.items()})
    return FittedWhitened(learned, whitening, network.to(compute.device), grid)


def _grid_of(learned: Learned) -> tuple[int, int] | None:
    """The grid whose positions a network uses; None if it uses none.

    Raises:
        ValueError: it is not a grid.
    """
    match learned.facts.get(GRID):
        case None:
            return None
        case [int(rows), int(columns)] if rows > 0 and columns > 0:
            return rows, columns
    raise ValueError(f"{learned.facts[GRID]} is not a patch grid")


def _codes(grid: tuple[int, int] | None, device: str) -> torch.Tensor | None:
    """The code of each cell of a grid, float32 ``[cell, number]``."""
    return None if grid is None else position_code(*grid).to(device)


def _first_grid(references: TokenSource, indices: Sequence[int]) -> tuple[int, int]:
    rows, columns = references.grid_sizes[indices[0]].tolist()
    return rows, columns


def _read(references: TokenSource, indices: Sequence[int], label: str) -> Iterator[int]:
    """Images one by one, with progress by their patches."""
    patches = references.grid_sizes[list(indices)].prod(axis=1).tolist()
    return progress(indices, total=len(indices), label=label, work=patches)


def _other_grid(image: str, found: tuple[int, int], expected: tuple[int, int], whose: str) -> str:
    return (
        f"{image} has {found[0]} x {found[1]} patches but {whose} {expected[0]} x {expected[1]}: with 'position: true' "
        "all images need one patch grid; set 'position: false', or resize all images to one size"
    )
