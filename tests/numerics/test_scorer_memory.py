"""What scorers hold of an image keeps to the scoring memory, however many patches it has, and changes no score."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from closeness import assert_close
from feature_files import maps, random_tokens, write_features
from text_files import made_up_texts, windowed_tokens
from zsad.files.features import FeatureReader
from zsad.models import attention
from zsad.models.attention import blocked_attention
from zsad.scoring.base import Scorer
from zsad.scoring.batch_neighbours import BatchNeighbours
from zsad.scoring.compute import Compute
from zsad.scoring.foreground import patch_shares
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.mirror_symmetry import MirrorSymmetry
from zsad.scoring.mutual import Mutual
from zsad.scoring.mutual_consistent import MutualConsistent
from zsad.scoring.self_similarity import SelfSimilarity
from zsad.scoring.tile_distribution import TileDistribution
from zsad.scoring.winclip_plus import WinClipPlus

MEGABYTE = 10**6
STRIP, SHORT, LONG, LOW = (
    (2, 600),
    (2, 200),
    (2, 2000),
    (9, 160),
)  # grids; all pairs of a strip take 5.8 MB
VIEWS = ("hflip", "vflip", "rot180")
SCORERS: dict[str, tuple[Scorer, tuple[int, int], Sequence[str]]] = {
    "self_similarity": (SelfSimilarity(), STRIP, ["test"]),
    "mirror_symmetry": (MirrorSymmetry(gate=1.0), STRIP, ["test", *VIEWS]),
    "mutual": (Mutual(neighbourhoods=(1,)), LONG, ["test"]),
    "mutual_consistent": (MutualConsistent(), STRIP, ["test"]),
    "batch_neighbours": (BatchNeighbours(quantile=0.5), STRIP, ["test"]),
    "memory_bank": (MemoryBank(rotations=False, shots=3, k=50), STRIP, ["test", "references"]),
    "memory_bank in a window": (MemoryBank(rotations=False, shots=3, window=150), SHORT, ["test", "references"]),
    "tile_distribution": (TileDistribution(), LOW, ["test"]),
}


class Largest(TorchDispatchMode):
    """Takes note of the largest tensor that is made, views of others left out.

    Attributes:
        bytes: of it.
    """

    bytes: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and look at what comes out."""
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, torch.Tensor):
                self.bytes = max(self.bytes, made.untyped_storage().nbytes())
        return result


def images(role: str, grid: tuple[int, int]) -> list[np.ndarray]:
    """Three images of a role, with the anomalous patches in other places for every role."""
    return random_tokens(sum(map(ord, role)), grid, grid, grid, layers=1, channels=4)


@pytest.mark.parametrize("name", SCORERS)
def test_no_table_of_an_image_outgrows_the_memory(name: str, tmp_path: Path) -> None:
    scorer, grid, roles = SCORERS[name]
    given = {role: images(role, grid) for role in roles}
    with Largest() as largest:
        found = maps(scorer, tmp_path, Compute(memory=MEGABYTE), **given)
    assert 0 < largest.bytes <= MEGABYTE
    assert_close(found, maps(scorer, tmp_path, Compute(memory=1000 * MEGABYTE), **given))


def test_no_table_of_windows_outgrows_the_memory() -> None:
    grids = [STRIP] * 3
    given = {
        "test": windowed_tokens(0, grids, sides=(2,), channels=4, width=4),
        "references": windowed_tokens(1, grids, sides=(2,), channels=4, width=4, texts=made_up_texts(2, 4)),
    }
    found = []
    for memory in (MEGABYTE, 1000 * MEGABYTE):
        with Largest() as largest:
            scores = WinClipPlus(shots=3).score(given, Compute(memory=memory))
            found.append([score.anomaly_map for score in scores])
        assert 0 < largest.bytes <= memory
    assert_close(np.array(found[0]), np.array(found[1]))


@pytest.mark.parametrize(("memory", "groups"), [(1000, [[0, 1, 2]]), (1, [[0], [1], [2]])])
def test_where_a_bank_is_in_pieces_the_nearest_of_few_images_are_held(
    memory: int, groups: list[list[int]], tmp_path: Path
) -> None:
    scorer = MemoryBank(rotations=False, shots=3, k=50)
    compute = Compute(memory=memory * MEGABYTE)
    small = Compute(memory=MEGABYTE // 100)
    with FeatureReader(write_features(tmp_path / "features.h5", images("test", STRIP))) as reader:
        bank = scorer.fit(reader, range(3), small)
        assert bank.piece_count == 3
        assert list(scorer._groups(bank, reader, range(3), compute)) == groups


def test_shares_of_patches_take_no_table_of_patches_and_pixels() -> None:
    mask = np.zeros((4, 20_000), dtype=bool)
    mask[:, 5_000:] = True
    tracemalloc.start()
    shares = patch_shares(mask, 2, 15_000)  # such a table would take 1.2 GB
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * MEGABYTE
    assert_close(shares.sum(axis=1), [15_000 * 0.75] * 2)
    assert_close(shares[:, 3749:3751], [[0, 1]] * 2)


def test_attention_of_long_inputs_takes_fewer_queries_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 400, 8)
    whole, _ = blocked_attention(torch.nn.Identity(), query, key, value, None)
    monkeypatch.setattr(attention, "MOST_SCORES", 60_000)
    with Largest() as largest:
        blocked, _ = blocked_attention(torch.nn.Identity(), query, key, value, None)
    assert largest.bytes <= 4 * 60_000
    assert_close(blocked.numpy(), whole.numpy())
