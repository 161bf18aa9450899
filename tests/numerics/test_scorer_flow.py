"""The flow as a method: what it finds, repeats and leaves alone."""

from typing import get_args

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from zsad.errors import ConfigError
from zsad.files.learned import to_bytes
from zsad.scoring.compute import Compute
from zsad.scoring.cost import TokenCount
from zsad.scoring.flow import Flow
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.velocity_scores import Measure

CHANNELS, GRID = 8, (7, 8)
QUICK = {"steps": 60, "width": 24, "batch": 256}
MIDDLE = 10 * np.random.default_rng(99).normal(size=CHANNELS)
MIXING = np.random.default_rng(98).normal(size=(CHANNELS, CHANNELS)) / 4


def good(seed: int, grid: tuple[int, int] = GRID, kinds: int = 1, noise: float = 1.0) -> np.ndarray:
    """An image of normally distributed patches, of so many kinds, far from the origin."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(97).normal(size=(kinds, CHANNELS)) * 1.5 * (kinds > 1)
    return (MIDDLE + centres[rng.integers(0, kinds, grid)] + noise * rng.normal(size=(*grid, CHANNELS)) @ MIXING)[None]


def source(images: list[np.ndarray], split: str = "test") -> MemoryTokens:
    return MemoryTokens(images, image_ids=[f"{split}/{place}.png" for place in range(len(images))])


REFERENCES = source([good(seed) for seed in range(6)], "train")


def maps(scorer: Flow, test: list[np.ndarray], references: MemoryTokens = REFERENCES) -> list[np.ndarray]:
    found = scorer.score({"test": source(test), "references": references}, Compute())
    return [score.anomaly_map for score in found]


def ranks(anomaly_map: np.ndarray) -> list[int]:
    """Of its patches, row by row; 0 is the least."""
    return anomaly_map.ravel().argsort().argsort().tolist()


@pytest.mark.parametrize("position", [True, False])
@pytest.mark.parametrize("measure", get_args(Measure))
def test_a_patch_unlike_the_good_ones_scores_highest(measure, position):
    test = good(50)
    test[0, 2, 5] += np.random.default_rng(1).normal(size=CHANNELS) * 2
    (found,) = maps(Flow(**QUICK, measure=measure, position=position), [test])
    assert np.unravel_index(found.argmax(), GRID) == (2, 5)
    assert found.max() > 1.5 * np.sort(found.ravel())[-2]


@pytest.mark.parametrize("pairing", ["independent", "optimal", "worst"])
def test_so_it_does_whatever_the_pairs(pairing):
    test = good(51)
    test[0, 1, 3] -= np.random.default_rng(1).normal(size=CHANNELS) * 2
    (found,) = maps(Flow(**QUICK, pairing=pairing), [test])
    assert np.unravel_index(found.argmax(), GRID) == (1, 3)


def test_what_lies_between_two_kinds_of_good_patches_is_found_by_what_is_learned_of_them():
    """The distance to the middle, which is all that is known before the training, ranks it below every normal patch."""
    references = source([good(seed, kinds=2, noise=0.3) for seed in range(8)], "train")
    test = good(52, kinds=2, noise=0.3)
    test[0, 3, 3] = (np.random.default_rng(97).normal(size=(2, CHANNELS)) * 1.5).mean(axis=0) + MIDDLE
    trainings = {"width": 48, "batch": 256, "rate": 3e-3, "hold_out": 0, "dimensions": 2}
    untrained, trained = (ranks(maps(Flow(steps=steps, **trainings), [test], references)[0]) for steps in (1, 300))
    place = 3 * GRID[1] + 3
    assert untrained[place] == 0
    assert trained[place] == len(trained) - 1


def test_a_place_counts_where_it_is_known():
    """Left and right halves differ; a patch of the one in the other is as good as any without its position."""

    def halves(seed: int) -> np.ndarray:
        image, shift = good(seed), np.random.default_rng(3).normal(size=CHANNELS) * 2
        image[0, :, : GRID[1] // 2] += shift
        return image

    references = source([halves(seed) for seed in range(8)], "train")
    test = halves(53)
    test[0, 3, 1] = test[0, 3, 6]
    trainings = {"steps": 300, "width": 48, "batch": 256, "rate": 3e-3, "hold_out": 0}
    known, unknown = (
        ranks(maps(Flow(**trainings, position=position), [test], references)[0])[3 * GRID[1] + 1]
        for position in (True, False)
    )
    assert known == GRID[0] * GRID[1] - 1 > unknown


def test_endpoints_of_good_patches_are_chi_square():
    """In the seven dimensions in which unit tokens of eight channels lie; near a point they are normal ones."""
    references = source([good(seed, (20, 20)) for seed in range(8)], "train")
    test = good(54, (30, 30))
    (found,) = maps(Flow(**QUICK, measure="endpoint", euler_steps=20, dimensions=7), [test], references)
    assert kstest(found.ravel(), chi2(7).cdf).pvalue > 0.01
    assert kstest(found.ravel(), chi2(8).cdf).pvalue < 1e-4


@pytest.mark.parametrize("params", [{}, {"pairing": "worst"}, {"position": True}, {"measure": "contraction"}], ids=str)
def test_one_seed_gives_one_file_of_weights_and_another_seed_another(params):
    def weights(seed: int) -> bytes:
        return to_bytes(Flow(**QUICK | {"steps": 10}, seed=seed, **params).fit(REFERENCES, range(6), Compute()).learned)

    assert weights(0) == weights(0) != weights(1)


def test_the_order_and_number_of_test_images_do_not_matter():
    scorer, test = Flow(**QUICK), [good(60, (4, 5)), good(61), good(62)]
    model = scorer.fit(REFERENCES, range(6), Compute())

    def found(images: list[np.ndarray]) -> list[bytes]:
        return [
            score.anomaly_map.tobytes()
            for score in scorer.score_by(model, source(images), range(len(images)), Compute())
        ]

    straight = found(test)
    assert found(test[::-1]) == straight[::-1]
    assert [found([image])[0] for image in test] == straight


def test_little_memory_scores_a_few_patches_at_a_time():
    scorer, test = Flow(**QUICK, position=True), source([good(63)])
    model = scorer.fit(REFERENCES, range(6), Compute())
    (whole,), (parts,) = (list(scorer.score_by(model, test, [0], Compute(memory=memory))) for memory in (10**9, 5000))
    np.testing.assert_allclose(parts.anomaly_map, whole.anomaly_map, rtol=1e-4)


def test_references_are_scored_by_fits_to_others():
    scores = list(Flow(**QUICK | {"steps": 5}).score_references({"references": REFERENCES}, Compute()))
    assert sorted(score.index for score in scores) == list(range(6))
    assert all(np.isfinite(score.anomaly_map).all() for score in scores)


@pytest.mark.parametrize("value", ["mismach", "score"])
def test_a_measure_that_there_is_not_is_refused(value):
    with pytest.raises(ConfigError, match=r"methods\.flow: measure"):
        Flow.build({"measure": value}, where="methods.flow")


TEST = TokenCount(images=5, patches=7, layers=2, channels=11)
BOTH = {"test": TEST, "references": TokenCount(images=4, patches=6, layers=2, channels=11)}


def test_operations_are_those_of_its_parts():
    """Read, read again, the covariance, the whitening, the steps, and passes through the network."""
    scorer = Flow(dimensions=9, width=16, blocks=3, steps=10, batch=32, draws=3)
    once = 3 * 16 * (4 * 16 + 60) + 16 * (4 * 9 + 60)
    read = 100 * (5 * 7 * 22 + 2 * 4 * 6 * 22)
    fit = 4 * 24 * 22**2 + 20 * 22**3 + 24 * 2 * 22 * 9 + 10 * (32 * 3 * once + 2e8)
    assert scorer.operations(BOTH) == pytest.approx(read + fit + 35 * (2 * 22 * 9 + 30 * once))
    paired = scorer.model_copy(update={"pairing": "worst"})
    assert paired.operations(BOTH) - scorer.operations(BOTH) == pytest.approx(10 * 32 * 2500 * 256)
    single = scorer.model_copy(update={"measure": "velocity"})
    assert scorer.operations(BOTH) - single.operations(BOTH) == pytest.approx(35 * 29 * once)


def test_working_bytes_are_those_of_the_covariance_the_pool_and_what_is_scored_at_a_time():
    scorer = Flow(dimensions=9, width=16, batch=32)
    assert scorer.working_bytes(BOTH) == pytest.approx(24 * 22**2 + (2 + 1 / 16) * 9 * 24 + 32 * 4 * (6 * 16 + 6 * 9))
