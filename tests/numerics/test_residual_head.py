"""The residual head against numpy, its loss by hand, its gradients by differences, and what it learns."""

import math

import numpy as np
import plain_residual_head as plain
import pytest
import torch

from closeness import assert_close
from zsad.adaptation.residual_head import (
    ResidualHead,
    _batches,
    answer,
    head_input,
    head_loss,
    pooled,
    train_head,
)
from zsad.adaptation.residual_shape import head_operations, head_values
from zsad.adaptation.training import Schedule, arrays_of

GRIDS = [(1, 1), (1, 4), (3, 3), (2, 7), (5, 4)]  # up to nine patches, fewer than the image head averages


def head_of(seed, channels):
    """A head whose normalisations have learned something, in evaluation mode."""
    torch.manual_seed(seed)
    head = ResidualHead(channels)
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean):
                values.normal_()
            module.running_var.uniform_(0.3, 2)
    return head.eval()


class Toy:
    """Images of normal tokens, with a square of others in the anomalous ones, and the normal tokens beside them.

    Args:
        grids: one an image; every other image is anomalous.
    """

    def __init__(self, seed, grids, channels=5, layers=2, strength=0.6):
        rng = np.random.default_rng(seed)
        self.layers, self.grids = layers, grids
        self.labels = [number % 2 for number in range(len(grids))]
        self._pairs, self._cells = [], []
        for label, (rows, columns) in zip(self.labels, grids, strict=True):
            normal = rng.normal(size=(layers, rows, columns, channels))
            tokens = normal + 0.1 * rng.normal(size=normal.shape)
            cells = np.zeros((4 * rows, 4 * columns), dtype=np.int64)
            if label:
                row, column = rng.integers(rows - 1), rng.integers(columns - 1)
                tokens[:, row : row + 2, column : column + 2] += strength
                cells[4 * row : 4 * row + 8, 4 * column : 4 * column + 8] = 1
            self._pairs.append([torch.from_numpy(values).float() for values in (tokens, normal)])
            self._cells.append(torch.from_numpy(cells))

    def pair(self, index, layer):
        tokens, normal = self._pairs[index]
        return tokens[layer], normal[layer]

    def cells(self, index):
        return self._cells[index]


def inputs_of(toy, index, kind):
    return [head_input(*toy.pair(index, layer), kind) for layer in range(toy.layers)]


@pytest.mark.parametrize("grid", GRIDS)
def test_the_head_equals_one_written_out_in_numpy(grid):
    rng, head = np.random.default_rng(0), head_of(1, channels=3)
    patches = rng.normal(size=(*grid, 3)).astype(np.float32)
    with torch.no_grad():
        cells, image = head(torch.from_numpy(patches).permute(2, 0, 1)[None])
    expected_cells, expected_image = plain.logits(patches, arrays_of(head))
    assert cells.shape == (1, 2, 4 * grid[0], 4 * grid[1])
    assert_close(cells[0].numpy(), expected_cells)
    assert_close(image[0].numpy(), expected_image)


def test_an_answer_is_the_mean_over_layers_of_how_likely_an_anomaly_is():
    head, toy = head_of(2, channels=5), Toy(3, [(2, 3)], layers=3)
    inputs = inputs_of(toy, 0, "residual")
    told = answer(head, inputs)
    both = [plain.logits(each.numpy(), arrays_of(head)) for each in inputs]
    assert_close(told.cells.numpy(), np.mean([plain.shares(cells)[1] for cells, _ in both], axis=0))
    assert_close(told.image, np.mean([plain.shares(image)[1] for _, image in both]))


def test_the_input_is_the_residual_alone_or_beside_the_token_or_added_to_it():
    tokens, nearest = torch.tensor([[1.0, -2, 3]]), torch.tensor([[4.0, -1, 3]])
    assert head_input(tokens, nearest, "residual").tolist() == [[3, 1, 0]]
    assert head_input(tokens, nearest, "concatenated").tolist() == [[1, -2, 3, 3, 1, 0]]
    assert head_input(tokens, nearest, "sum").tolist() == [[4, -1, 3]]


@pytest.mark.parametrize(("count", "largest"), [(4, 4), (10, 10), (25, 10)])
def test_the_image_head_sees_the_mean_and_the_ten_largest_values(count, largest):
    values = torch.randperm(count, generator=torch.Generator().manual_seed(4)).float()
    expected = (count - 1) / 2 + np.mean(range(count - largest, count))
    assert pooled(values.reshape(1, 1, 1, count)).item() == pytest.approx(expected)


def test_cells_that_are_ignored_do_not_count_and_images_without_known_cells_count_for_the_image_alone():
    generator = torch.Generator().manual_seed(5)
    logits, image_logits = (torch.randn(shape, generator=generator) for shape in ((3, 2, 4, 4), (3, 2)))
    cells, labels = torch.full((3, 4, 4), -1), torch.tensor([1, 1, 0])
    cells[0, 0, 0], cells[0, 1, 2], cells[2, 3] = 1, 0, 0
    of_cells, likely = [], logits.double().softmax(dim=1)
    for image in (0, 2):
        known = [(row, column) for row in range(4) for column in range(4) if cells[image, row, column] >= 0]
        focal = both = either = 0.0
        for row, column in known:
            state = int(cells[image, row, column])
            right = float(likely[image, state, row, column])
            focal -= (1 - right) ** 2 * math.log(right) / len(known)
            both += state * float(likely[image, 1, row, column])
            either += state + float(likely[image, 1, row, column])
        of_cells.append(focal + 1 - (2 * both + 1) / (either + 1))
    of_images = [-math.log(float(image_logits.double().softmax(dim=1)[each, labels[each]])) for each in range(3)]
    found = head_loss(logits, image_logits, cells, labels)
    assert found.item() == pytest.approx(np.mean(of_cells) + np.mean(of_images), rel=1e-5)
    cells[cells >= 0] = -1
    assert head_loss(logits, image_logits, cells, labels).item() == pytest.approx(np.mean(of_images), rel=1e-5)


def test_gradients_equal_finite_differences():
    head = head_of(6, channels=2).double().train()
    generator = torch.Generator().manual_seed(7)
    patches = torch.randn(2, 2, 2, 3, generator=generator, dtype=torch.float64)
    cells, labels = torch.randint(-1, 2, (2, 8, 12), generator=generator), torch.tensor([1, 0])
    head_loss(*head(patches), cells, labels).backward()
    step = 1e-6
    for name, parameter in head.named_parameters():
        place = int(torch.randint(parameter.numel(), (1,), generator=generator))
        values = []
        with torch.no_grad():
            for change in (step, -step):
                parameter.view(-1)[place] += change
                values.append(head_loss(*head(patches), cells, labels).item())
                parameter.view(-1)[place] -= change
        difference = (values[0] - values[1]) / (2 * step)
        assert parameter.grad.view(-1)[place].item() == pytest.approx(difference, rel=1e-3, abs=1e-7), name


def test_a_batch_is_of_one_size_and_half_of_it_anomalous_where_there_are_both():
    toy = Toy(8, [(3, 4), (3, 4), (2, 2), (2, 2), (4, 3)])
    seen = set()
    for indices, layer in _batches(toy, 60, seed=0):
        assert len(indices) == 4
        (grid,) = {toy.grids[index] for index in indices}
        labels = sorted(toy.labels[index] for index in indices)
        assert labels == ([0] * 4 if grid == (4, 3) else [0, 0, 1, 1])
        seen |= {(index, layer) for index in indices}
    assert seen == {(index, layer) for index in range(5) for layer in range(2)}


@pytest.mark.parametrize("kind", ["residual", "concatenated", "sum"])
def test_one_seed_gives_one_set_of_weights_and_another_another(kind):
    toy, schedule = Toy(9, [(2, 3), (2, 3), (1, 1)]), Schedule(3, 1e-3)
    torch.manual_seed(0)
    first, course = train_head(toy, 5, kind, schedule, seed=1, device="cpu")
    torch.manual_seed(1)
    second, third = (train_head(toy, 5, kind, schedule, seed=seed, device="cpu")[0] for seed in (1, 2))
    assert course.steps == 3
    for name, weights in arrays_of(first).items():
        assert weights.tobytes() == arrays_of(second)[name].tobytes()
    assert any(weights.tobytes() != arrays_of(third)[name].tobytes() for name, weights in arrays_of(first).items())
    assert not first.training


def test_it_finds_anomalies_of_the_kind_that_it_learned_in_images_that_it_never_saw():
    head, _ = train_head(Toy(10, [(5, 6)] * 8 + [(6, 5)] * 8), 5, "residual", Schedule(60, 3e-3), seed=0, device="cpu")
    unseen = Toy(11, [(4, 7)] * 10)
    answers = [answer(head, inputs_of(unseen, index, "residual")) for index in range(10)]
    anomalous = [told.image for told, label in zip(answers, unseen.labels, strict=True) if label]
    normal = [told.image for told, label in zip(answers, unseen.labels, strict=True) if not label]
    assert min(anomalous) > max(normal)
    for index in np.flatnonzero(unseen.labels):
        cells = answers[index].cells.numpy()
        marked = unseen.cells(index).numpy() == 1
        assert cells[marked].mean() > cells[~marked].mean() + 0.3


@pytest.mark.parametrize("channels", [3, 20])
def test_the_cost_of_a_patch_is_that_of_all_products_of_the_network(channels):
    head, grid = ResidualHead(channels).eval(), (3, 5)
    products, values = 0, []

    def count(module, given, result):
        nonlocal products
        values.append(result.numel())
        if isinstance(module, torch.nn.Conv2d):
            products += module.weight.numel() * result[0, 0].numel()
        if isinstance(module, torch.nn.ConvTranspose2d):
            products += module.weight.numel() * given[0][0, 0].numel()

    convolutions = [each for name, each in head.named_modules() if name and not name.startswith("image")]
    for module in convolutions:
        module.register_forward_hook(count)
    head(torch.zeros(1, channels, *grid))
    patches = grid[0] * grid[1]
    assert head_operations(channels) == 2 * products / patches
    rectified = 128 + 4 * 64
    assert head_values(channels) == sum(values) / patches + channels + rectified
