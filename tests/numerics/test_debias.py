"""Positional de-biasing against numpy, and on tokens with a known positional part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from closeness import assert_close
from zsad.errors import ConfigError
from zsad.features.debias import BasisCache, positional_basis, without_positions


def random_tokens(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_basis_is_that_of_a_plain_decomposition() -> None:
    tokens = random_tokens(0, 2, 4, 5, 7)
    basis = positional_basis(tokens, 3)
    assert basis.shape == (2, 7, 3)
    for layer in range(2):
        rows = tokens[layer].reshape(20, 7).double().numpy()
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
        expected = vectors[:, np.argsort(values)[::-1][:3]]
        assert_close(np.abs(expected.T @ basis[layer].double().numpy()), np.eye(3))


def test_the_projection_is_that_of_the_formula_and_needed_once() -> None:
    basis = positional_basis(random_tokens(1, 2, 4, 4, 6), 2)
    tokens = random_tokens(2, 3, 2, 4, 5, 6)
    cleaned = without_positions(tokens, basis)
    for image, layer, row, column in np.ndindex(3, 2, 4, 5):
        token, directions = tokens[image, layer, row, column].double(), basis[layer].double()
        expected = token - directions @ (directions.T @ token)
        assert_close(cleaned[image, layer, row, column].double(), expected)
    assert_close(without_positions(cleaned, basis), cleaned)


def test_the_basis_is_orthonormal_and_nothing_is_left_along_it() -> None:
    basis = positional_basis(random_tokens(6, 2, 5, 6, 9), 4)
    assert_close(basis.transpose(1, 2) @ basis, torch.eye(4).expand(2, 4, 4))
    cleaned = without_positions(random_tokens(7, 3, 2, 5, 6, 9), basis)
    assert_close(torch.einsum("ilrcd,ldk->ilrck", cleaned, basis), 0, size=1)


def test_tokens_of_half_precision_are_computed_in_single_precision() -> None:
    basis = positional_basis(random_tokens(1, 2, 4, 4, 6), 2)
    rough = random_tokens(2, 3, 2, 4, 5, 6).half()
    cleaned = without_positions(rough, basis)
    assert cleaned.dtype == torch.float32
    torch.testing.assert_close(cleaned, without_positions(rough.float(), basis))


def test_a_planted_position_is_found_and_the_content_stays() -> None:
    rows, columns, channels = 6, 8, 32
    axes = torch.linalg.qr(random_tokens(3, channels, channels)).Q
    across = torch.linspace(-1, 1, columns).expand(rows, columns)
    down = torch.linspace(-1, 1, rows)[:, None].expand(rows, columns)
    planted = torch.stack([down, across], dim=-1) @ axes[:, :2].T
    content = random_tokens(4, rows, columns, channels - 2) @ axes[:, 2:].T
    empty = axes[:, 2] * 5 + planted  # of an image without content: the same everywhere, but for the position
    cleaned = without_positions((content + 3 * planted)[None, None], positional_basis(empty[None], 2))[0, 0]
    assert (cleaned @ axes[:, :2]).norm() < 0.1 * (3 * planted).norm()
    assert torch.nn.functional.cosine_similarity(cleaned.flatten(), content.flatten(), dim=0) > 0.98


def test_more_directions_than_there_are_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="debias 6 is more than the 5 directions of 2 x 3 patches with 8 channels"):
        positional_basis(random_tokens(5, 1, 2, 3, 8), 6)
    with pytest.raises(ConfigError, match="use at most 7"):
        positional_basis(random_tokens(5, 1, 5, 5, 8), 8)


def test_each_size_is_computed_once() -> None:
    asked = []

    def basis_for(height: int, width: int) -> torch.Tensor:
        asked.append((height, width))
        return torch.full((1, 2, 1), float(height))

    cache = BasisCache(basis_for)
    assert [float(cache.basis(*size)[0, 0, 0]) for size in ((4, 8), (8, 4), (4, 8))] == [4, 8, 4]
    assert asked == [(4, 8), (8, 4)]
