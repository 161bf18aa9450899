"""A model that comes back from its file gives the scores of a fresh fit, to the bit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from feature_files import random_tokens
from fitted_files import fitted_file
from made_images import made_of
from text_files import made_up_texts, windowed_tokens
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.compute import Compute
from zsad.scoring.coupling_flow import CouplingFlow
from zsad.scoring.fitted import load_fitted
from zsad.scoring.flow import Flow
from zsad.scoring.gmm import GMM
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.mahalanobis import Mahalanobis
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.padim import Padim
from zsad.scoring.patchcore import PatchCore
from zsad.scoring.references import SYNTHETIC, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.residual_prompts import ResidualPrompts
from zsad.scoring.subspace import Subspace
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.winclip_plus import WinClipPlus

KILOBYTE = 1000
GRID = (6, 7)
MIXED = [(6, 7), (4, 9), (6, 7), (5, 5), (6, 7)]  # grids of the references, where they may differ
ALIKE = [GRID] * 8

CASES: dict[str, tuple[ReferenceScorer, Sequence[tuple[int, int]]]] = {
    "memory_bank": (MemoryBank(), MIXED),
    "memory_bank k": (MemoryBank(rotations=False, k=3), MIXED),
    "memory_bank layers": (MemoryBank(layers=("1",)), MIXED),
    "memory_bank layers in another order": (MemoryBank(layers=("2", "0")), MIXED),
    "memory_bank coreset": (MemoryBank(coreset=0.2), MIXED),
    "memory_bank coreset k layers": (MemoryBank(coreset=0.1, k=2, layers=("2", "1")), MIXED),
    "memory_bank window": (MemoryBank(rotations=False, window=1), MIXED),
    "memory_bank window k": (MemoryBank(rotations=False, window=2, k=4, layers=("0",)), MIXED),
    "memory_bank otsu": (MemoryBank(foreground="otsu"), MIXED),
    "patchcore": (PatchCore(), MIXED),
    "patchcore approximate": (PatchCore(coreset=0.3, selection="approximate", layers=("2", "0")), MIXED),
    "subspace": (Subspace(), MIXED),
    "subspace of little": (Subspace(explained_variance=0.3, layers=("0", "2")), MIXED),
    "mahalanobis": (Mahalanobis(), MIXED),
    "mahalanobis channels": (Mahalanobis(channels=5, channel_seed=3), MIXED),
    "mahalanobis layers": (Mahalanobis(layers=("1", "2"), rotations=True), MIXED),
    "mahalanobis per_position": (Mahalanobis(per_position=True), ALIKE),
    "mahalanobis per_position of one": (Mahalanobis(per_position=True), ALIKE[:1]),
    "mahalanobis per_position channels": (Mahalanobis(per_position=True, channels=4, layers=("1", "0")), ALIKE),
    "padim": (Padim(), ALIKE),
    "padim channels": (Padim(channels=4, layers=("1", "0")), ALIKE),
    "gmm": (GMM(), ALIKE),
    "gmm class": (GMM(pooling="class", dimensions=2), ALIKE),
    "gmm diag": (GMM(components=2, covariance="diag", seed=3), ALIKE),
    "gmm full": (GMM(components=3, covariance="full", dimensions=2), ALIKE),
    "gmm tied": (GMM(components=2, covariance="tied"), ALIKE),
    "gmm spherical": (GMM(components=2, covariance="spherical", layers=("2",)), ALIKE),
    "class_token_knn": (ClassTokenKnn(), MIXED),
    "class_token_knn k": (ClassTokenKnn(k=3, layers=("1", "0")), MIXED),
    "flow": (Flow(steps=3, width=16, batch=64), MIXED),
    "flow position": (Flow(steps=3, width=16, batch=64, position=True, layers=("2", "0"), measure="endpoint"), ALIKE),
    "flow contraction": (Flow(steps=3, width=16, measure="contraction", hold_out=0, dimensions=5), MIXED),
    "flow velocity": (Flow(steps=3, width=16, measure="velocity", pairing="worst", rate=0.01), MIXED),
    "coupling_flow": (CouplingFlow(steps=3, width=16, batch=64, rate=0.1), MIXED),
    "coupling_flow position": (CouplingFlow(steps=3, width=16, rate=0.1, position=True, layers=("2", "0")), ALIKE),
    "coupling_flow latent": (CouplingFlow(steps=3, width=16, measure="latent", dimensions=5, blocks=3), MIXED),
    "residual_prompts": (ResidualPrompts(steps=2), MIXED),
    "residual_prompts layers": (ResidualPrompts(steps=2, input="concatenated", layers=("2", "0")), ALIKE),
    "residual_prompts head": (ResidualPrompts(steps=2, input="sum", combine="head", shots="all"), MIXED),
    "winclip_plus": (WinClipPlus(), MIXED),
    "winclip_plus scales": (WinClipPlus(scales=(3,), combine="mean", averaging="normalised"), MIXED),
}


def tokens(seed: int, grids: Sequence[tuple[int, int]], split: str, scorer: Scorer | None = None) -> MemoryTokens:
    """Those that a scorer reads, with sentences beside references."""
    if scorer is not None and scorer.reads_windows:
        texts = made_up_texts(seed, 5) if split == "train" else None
        return windowed_tokens(seed, grids, channels=6, width=5, split=split, texts=texts)
    images = random_tokens(seed, *grids, layers=3, channels=6)
    cls = np.random.default_rng(seed).normal(size=(len(images), 3, 6))
    found = MemoryTokens(images, cls, [f"{split}/{number}.png" for number in range(len(images))])
    if scorer is not None and split == "train" and SYNTHETIC in scorer.feature_sets():
        found.synthetic = made_of(found)
    return found


def same(found: Sequence[ImageScore], expected: Sequence[ImageScore]) -> None:
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert (one.index, one.note, one.image_score) == (other.index, other.note, other.image_score)
        assert (one.anomaly_map is None) == (other.anomaly_map is None)
        if one.anomaly_map is not None:
            assert one.anomaly_map.dtype == other.anomaly_map.dtype
            assert one.anomaly_map.tobytes() == other.anomaly_map.tobytes()


def test_every_scorer_with_references_has_a_case():
    registered = {name for name in SCORERS.names() if issubclass(SCORERS.load(name), ReferenceScorer)}
    assert {name.split()[0] for name in CASES} == registered


@pytest.mark.parametrize("memory", [1000 * KILOBYTE * KILOBYTE, 5 * KILOBYTE], ids=["memory", "little memory"])
@pytest.mark.parametrize("name", CASES)
def test_restored_scores_are_those_of_a_fresh_fit(name: str, memory: int, tmp_path: Path) -> None:
    scorer, grids = CASES[name]
    compute = Compute(memory=memory)
    references, test = tokens(0, grids, "train", scorer), tokens(1, [GRID] * 3, "test", scorer)
    model = fitted_file(tmp_path / "model.h5", references, scorer, compute)
    with load_fitted(model, compute) as fitted:
        found = list(fitted.score(test))
    expected = [
        ImageScoring().complete(score) for score in scorer.score({"test": test, "references": references}, compute)
    ]
    same(found, expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float32", "auto"])
@pytest.mark.parametrize("scorer", [MemoryBank(), MemoryBank(coreset=0.2), PatchCore(), ClassTokenKnn()], ids=str)
def test_the_number_format_is_that_of_the_model(scorer: ReferenceScorer, precision: str, tmp_path: Path) -> None:
    compute = Compute(precision=precision)
    references, test = tokens(0, MIXED, "train"), tokens(1, [GRID] * 3, "test")
    model = fitted_file(tmp_path / "model.h5", references, scorer, compute)
    with load_fitted(model, Compute(precision="float32")) as fitted:
        assert fitted.compute.format == compute.format
        found = list(fitted.score(test))
    same(found, [ImageScoring().complete(s) for s in scorer.score({"test": test, "references": references}, compute)])


@pytest.mark.parametrize(
    "scorer", [MemoryBank(rotations=False), Mahalanobis(per_position=True)], ids=["bank", "positions"]
)
def test_little_memory_takes_pieces_and_changes_little(scorer: ReferenceScorer, tmp_path: Path) -> None:
    references, test = tokens(0, ALIKE, "train"), tokens(1, [GRID] * 3, "test")
    model = fitted_file(tmp_path / "model.h5", references, scorer, Compute())
    maps = []
    for memory, pieces in ((1000 * KILOBYTE, 1), (20 * KILOBYTE, 2)):
        with load_fitted(model, Compute(memory=memory)) as fitted:
            assert (fitted._model.piece_count > 1) == (pieces > 1)
            maps.append([score.anomaly_map for score in fitted.score(test)])
    np.testing.assert_allclose(*maps, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_one_image_alone_scores_as_among_others(name: str, tmp_path: Path) -> None:
    scorer, grids = CASES[name]
    test = tokens(1, [GRID] * 3, "test", scorer)
    with load_fitted(
        fitted_file(tmp_path / "model.h5", tokens(0, grids, "train", scorer), scorer, Compute()), Compute()
    ) as fitted:
        together = list(fitted.score(test))
        for index in range(3):
            (alone,) = fitted.score(test, [index])
            assert alone.image_score == pytest.approx(together[index].image_score, abs=1e-6)
