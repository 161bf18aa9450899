"""PatchCore against plain loops over its paper's equations and over what its code does, and its limits."""

import numpy as np
import pytest
import torch

from closeness import assert_close
from feature_files import random_tokens, scores
from fitted_files import fitted_file
from hdf5_edits import edited, replaced
from zsad.errors import ConfigError, DamagedFileError
from zsad.scoring.bank import JoinedBank
from zsad.scoring.compute import Compute
from zsad.scoring.coreset import approximate_coreset
from zsad.scoring.fitted import load_fitted
from zsad.scoring.patchcore import PatchCore
from zsad.scoring.similarity import Metric
from zsad.scoring.token_source import MemoryTokens

WHOLE = {"coreset": 1.0}


def vectors(image):
    """Patches with the layers side by side, as a file keeps them, in float64."""
    layers, rows, columns, channels = image.shape
    rounded = image.astype(np.float16).astype(np.float64)
    return np.concatenate([rounded[layer].reshape(rows * columns, channels) for layer in range(layers)], axis=1)


def plain_coreset(bank, share):
    """Farthest-point selection one by one."""
    gap = np.linalg.norm(bank - bank.mean(axis=0), axis=1)
    chosen, gap = [int(gap.argmax())], np.full(len(bank), np.inf)
    while len(chosen) < np.ceil(share * len(bank) - 1e-9):
        gap = np.minimum(gap, np.linalg.norm(bank - bank[chosen[-1]], axis=1))
        chosen.append(int(gap.argmax()))
    return bank[chosen]


def plain(image, bank, neighbours=9):
    """The map, and the image score by equation 7."""
    distances = np.array([[np.sqrt(sum((patch - one) ** 2)) for one in bank] for patch in vectors(image)])
    patch_scores = distances.min(axis=1)
    odd = patch_scores.argmax()
    nearest = distances[odd].argmin()
    order = np.argsort([np.sqrt(sum((bank[nearest] - one) ** 2)) for one in bank], kind="stable")[:neighbours]
    shares = [1 / sum(np.exp(min(other - one, 700)) for other in distances[odd][order]) for one in distances[odd]]
    weight = 1 - shares[nearest] if len(order) > 1 else 1.0
    return patch_scores.reshape(image.shape[1:3]), weight * patch_scores[odd]


def close(found, expected):
    for one, (anomaly_map, image_score) in zip(found, expected, strict=True):
        assert_close(one.anomaly_map, anomaly_map, share=1e-5)
        assert one.image_score == pytest.approx(image_score, rel=1e-5)


@pytest.mark.parametrize(("neighbours", "memory"), [(9, 1), (1, 1 << 30), (3, 1 << 30), (1000, 1 << 30)])
def test_maps_and_reweighted_image_scores_equal_the_papers_equations(tmp_path, neighbours, memory):
    tokens, references = random_tokens(0, (5, 7), (6, 3)), random_tokens(1, (4, 4), (3, 5))
    scorer = PatchCore(neighbours=neighbours, **WHOLE)
    found = scores(scorer, tmp_path, Compute(memory=memory), test=tokens, references=references)
    bank = np.concatenate([vectors(image) for image in references])
    close(found, [plain(image, bank, neighbours) for image in tokens])


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_the_coreset_is_the_share_that_greedy_selection_picks(tmp_path, share):
    tokens, references = random_tokens(2, (5, 7)), random_tokens(3, (6, 6), (5, 6))
    found = scores(PatchCore(coreset=share), tmp_path, test=tokens, references=references)
    bank = plain_coreset(np.concatenate([vectors(image) for image in references]), share)
    close(found, [plain(image, bank) for image in tokens])


def test_the_authors_code_squares_distances_and_takes_the_maximum(tmp_path):
    tokens, references = random_tokens(4, (5, 7)), random_tokens(5, (4, 4))
    scorer = PatchCore(distance="squared", image_score="max", **WHOLE)
    (found,) = scores(scorer, tmp_path, test=tokens, references=references)
    anomaly_map, _ = plain(tokens[0], vectors(references[0]))
    close([found], [(anomaly_map**2, (anomaly_map**2).max())])
    (reweighted,) = scores(PatchCore(distance="squared", **WHOLE), tmp_path, test=tokens, references=references)
    _, image_score = plain(tokens[0], vectors(references[0]))
    assert reweighted.image_score == pytest.approx(image_score * anomaly_map.max(), rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("scale", [2.0**-10, 1.0, 300.0])
def test_lengths_of_any_unit_leave_finite_scores_in_that_unit(tmp_path, scale, precision):
    """Distances of thousands, whose exponentials no float holds, and of thousandths."""
    tokens, references = random_tokens(6, (4, 5)), random_tokens(7, (5, 5))
    tokens, references = ([scale * image for image in images] for images in (tokens, references))
    compute = Compute(precision=precision)
    (found,) = scores(PatchCore(**WHOLE), tmp_path, compute, test=tokens, references=references)
    anomaly_map, _ = plain(tokens[0], vectors(references[0]))
    share = 1e-5 if precision == "float32" else 0.02
    assert_close(found.anomaly_map, anomaly_map, share=share)
    assert 0 < found.image_score <= found.anomaly_map.max() * (1 + 1e-6)
    if scale > 1:
        assert found.image_score > 0.99 * found.anomaly_map.max()


def test_equal_patches_of_the_bank_share_the_weight(tmp_path):
    """With all of the bank alike the weight is one less the share of one of them."""
    image = random_tokens(8, (4, 4))[0]
    alike = np.broadcast_to(image[:, :1, :1], (2, 3, 3, 6))
    (found,) = scores(PatchCore(neighbours=5, **WHOLE), tmp_path, test=[image], references=[alike])
    assert found.image_score == pytest.approx(found.anomaly_map.max() * (1 - 1 / 5), rel=1e-5)


def test_a_bank_of_one_patch_gives_the_distance_itself(tmp_path):
    tokens, references = random_tokens(9, (3, 4)), random_tokens(10, (1, 1))
    (found,) = scores(PatchCore(), tmp_path, test=tokens, references=references)
    expected = np.linalg.norm(vectors(tokens[0]) - vectors(references[0]), axis=1).reshape(3, 4)
    assert_close(found.anomaly_map, expected, share=1e-5)
    assert found.image_score == pytest.approx(expected.max(), rel=1e-5)


def test_a_reference_scores_zero_and_constant_references_are_no_trouble(tmp_path):
    image, zeros = random_tokens(11, (4, 4))[0], np.zeros((2, 4, 4, 6))
    for same in (image, zeros):
        (found,) = scores(PatchCore(**WHOLE), tmp_path, test=[same], references=[same])
        assert found.anomaly_map.max() == found.image_score == 0


def test_only_the_layers_that_are_named_count(tmp_path):
    tokens, references = random_tokens(12, (4, 4), layers=3), random_tokens(13, (4, 4), layers=3)
    (found,) = scores(PatchCore(layers=["2", "0"], **WHOLE), tmp_path, test=tokens, references=references)
    close([found], [plain(tokens[0][[2, 0]], vectors(references[0][[2, 0]]))])


def test_it_scores_images_itself_and_sees_all_good_images_by_default():
    scorer = PatchCore()
    assert scorer.own_image_scores
    assert scorer.setting == "full-shot"
    assert scorer.feature_sets()["references"] == ("train", "original")
    with pytest.raises(ConfigError, match=r"methods\.p: coreset"):
        PatchCore.build({"coreset": 0}, where="methods.p")


def test_a_model_whose_vectors_have_no_unit_is_refused(tmp_path):
    tokens = MemoryTokens(random_tokens(17, (4, 4), (4, 4)), np.zeros((2, 2, 6)), ["train/0.png", "train/1.png"])
    model = fitted_file(tmp_path / "model.h5", tokens, PatchCore(), Compute())
    edited(model, replaced("fit/unit", np.zeros(1)))
    with pytest.raises(DamagedFileError, match="the unit of its vectors is 0"):
        load_fitted(model, Compute())


# --- approximate selection ----------------------------------------------------------------------------------------


def plain_approximate(bank, count, starts):
    """What the authors' loop does of projected vectors and vectors to start from."""
    gap = np.mean([np.linalg.norm(bank - bank[start], axis=1) for start in starts], axis=0)
    chosen = []
    while len(chosen) < count:
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(bank - bank[chosen[-1]], axis=1))
    return chosen


@pytest.mark.parametrize(("channels", "count"), [(128, 40), (9, 40), (300, 200), (300, 5)])
def test_approximate_selection_is_that_of_the_authors_loop_on_projected_vectors(channels, count):
    rng = np.random.default_rng(channels)
    bank = rng.normal(size=(5, channels))[rng.integers(0, 5, count)] + 0.3 * rng.normal(size=(count, channels))
    metric = Metric(Compute(), torch.zeros(channels))
    points = metric.points(torch.from_numpy(bank.astype(np.float32)))
    wanted = max(1, count // 3)
    found = approximate_coreset(points, wanted, metric, 4).tolist()
    rng = np.random.default_rng(4)
    projected = bank.astype(np.float32).astype(np.float64)
    if channels != 128:
        projected = projected @ rng.uniform(-1, 1, (channels, 128))
    starts = rng.choice(count, min(10, count), replace=False)
    assert found == plain_approximate(projected, wanted, starts)


def test_approximate_selection_covers_the_bank_and_hangs_on_its_seed(tmp_path):
    tokens, references = random_tokens(14, (6, 6)), random_tokens(15, (9, 9), (9, 8))

    def image_map(**params):
        return scores(PatchCore(coreset=0.2, **params), tmp_path, test=tokens, references=references)[0].anomaly_map

    exact, drawn = image_map(), image_map(selection="approximate")
    assert np.abs(drawn - exact).max() < 0.5 * exact.max()
    np.testing.assert_array_equal(image_map(selection="approximate", selection_seed=0), drawn)
    assert not np.array_equal(image_map(selection="approximate", selection_seed=1), drawn)


def test_little_memory_chooses_a_share_of_each_piece():
    tokens = MemoryTokens(random_tokens(16, *[(4, 4)] * 4), np.zeros((4, 2, 6)))
    whole, little = Compute(), Compute(memory=8000)
    assert JoinedBank(tokens, range(4), [0, 1], little).piece_count > 1
    for compute in (whole, little):
        kept = PatchCore(coreset=0.25).fit(tokens, range(4), compute)
        assert kept.coreset.least_candidates() == 16
