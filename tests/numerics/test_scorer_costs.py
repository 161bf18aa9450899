"""What scoring costs, against counts that loops make: image by image, layer by layer, pair by pair."""

from itertools import combinations, permutations

import pytest

from zsad.scoring.batch_neighbours import BatchNeighbours
from zsad.scoring.class_token_knn import ClassTokenKnn
from zsad.scoring.cost import TokenCount
from zsad.scoring.gmm import GMM
from zsad.scoring.mahalanobis import Mahalanobis
from zsad.scoring.memory_bank import MemoryBank
from zsad.scoring.mirror_symmetry import MirrorSymmetry
from zsad.scoring.mutual import Mutual
from zsad.scoring.padim import Padim
from zsad.scoring.patchcore import PatchCore
from zsad.scoring.self_similarity import SelfSimilarity
from zsad.scoring.subspace import Subspace
from zsad.scoring.tile_distribution import TileDistribution

# As measured: what a CPU does of a matrix product in the time that each of these takes.
VALUE, LEAST, SELECTED, SORTED, RANKED, DECOMPOSITION, SHIFTED = 100, 40, 700, 300, 1600, 20, 200

TEST = TokenCount(images=5, patches=7, layers=3, channels=11)
REFERENCES = TokenCount(images=4, patches=6, layers=3, channels=11)
BOTH = {"test": TEST, "references": REFERENCES}


def read(*counts):
    """Every value of every token."""
    return sum(VALUE * count.channels for count in counts for _ in range(count.images * count.patches * count.layers))


def distance(finding, channels=TEST.channels):
    """A product of two vectors, and what finding the nearest takes for it."""
    return 2 * channels + finding


def covariance(count, width):
    """In float64, twice the work, an outer product of each vector; and the axes of the matrix."""
    entries = width * width
    outer = sum(2 * 2 * entries for _ in range(count.images * count.patches))
    return outer + DECOMPOSITION * entries * width


def test_a_token_has_a_value_for_each_channel_of_each_layer():
    assert TEST.image_values == 7 * 3 * 11
    assert TEST.values == 5 * 7 * 3 * 11


def test_a_scorer_that_compares_nothing_reads_all_values():
    assert ClassTokenKnn().operations(BOTH) == read(TEST, REFERENCES)
    assert GMM().operations(BOTH) >= read(TEST, REFERENCES)


def test_self_similarity_compares_the_patches_of_each_image():
    pairs = sum(TEST.patches**2 for _ in range(TEST.images * TEST.layers))
    assert SelfSimilarity().operations({"test": TEST}) == read(TEST) + pairs * distance(SELECTED)


@pytest.mark.parametrize("batch", [None, 2, 3])
@pytest.mark.parametrize("images", [1, 2, 5, 6])
def test_mutual_compares_each_two_images_of_a_batch_once_and_sorts_for_either(batch, images):
    test = TEST._replace(images=images)
    scorer = Mutual(batch=batch, neighbourhoods=(1, 5))
    together = scorer.batches(max(images, 2))  # one image is refused; what it would cost is told all the same
    expected = 0
    for _layer_and_side in range(3 * 2):
        for batch_images in together:
            expected += sum(7 * 7 * distance(LEAST) for _ in combinations(batch_images, 2))
            expected += sum(7 * SORTED for _ in permutations(batch_images, 2))
    assert scorer.operations({"test": test}) == read(test) * 2 + expected
    largest = max(len(batch_images) for batch_images in together)
    table, tokens = largest * 7 * largest, largest * 7 * 11
    assert scorer.working_bytes({"test": test}) == 4 * (table + tokens)


def test_batch_neighbours_compares_the_patches_of_each_image_with_those_of_each_other():
    pairs = sum(7 * 7 for _ in permutations(range(5), 2)) * 3
    assert BatchNeighbours().operations({"test": TEST}) == read(TEST) + pairs * distance(SELECTED)
    kept = sum(0.25 for _ in range((5 * 7) ** 2))
    expected = 4 * 5 * 7 * 11 + 3 * 4 * kept
    assert BatchNeighbours(quantile=0.25).working_bytes({"test": TEST}) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "finding"), [(1, LEAST), (2, SELECTED)])
@pytest.mark.parametrize("coreset", [None, 0.5])
def test_memory_bank_compares_each_patch_with_what_the_bank_keeps(k, finding, coreset):
    bank = 4 * 6
    kept = bank if coreset is None else bank // 2
    chosen = 0 if coreset is None else kept * bank * 3 * distance(LEAST)
    compared = sum(kept * distance(finding) for _ in range(5 * 7 * 3))
    scorer = MemoryBank(k=k, coreset=coreset)
    assert scorer.operations(BOTH) == read(TEST, REFERENCES) + chosen + compared
    assert scorer.working_bytes(BOTH) == 4 * 4 * 6 * 3 * 11


def test_memory_bank_in_a_window_takes_differences_of_vectors_at_each_place_of_each_reference():
    places = sum(4 for _row in range(-2, 3) for _column in range(-2, 3))
    expected = sum(places * (VALUE * 11 + SELECTED) for _ in range(5 * 7 * 3))
    scorer = MemoryBank(window=2, rotations=False)
    assert scorer.operations(BOTH) == read(TEST, REFERENCES) + expected


@pytest.mark.parametrize(
    ("params", "compared"), [({}, 33), ({"selection": "approximate"}, 128), ({"image_score": "max"}, 33)]
)
def test_patchcore_compares_joined_patches_to_choose_the_coreset_and_with_it(params, compared):
    kept = 4 * 6 // 2
    chosen = kept * 4 * 6 * distance(LEAST, compared)
    queries = 5 * 7 if "image_score" in params else 5 * (7 + 1)
    scorer = PatchCore(coreset=0.5, **params)
    expected = read(TEST, REFERENCES) + chosen + queries * kept * distance(LEAST, 33)
    assert scorer.operations(BOTH) == expected
    assert PatchCore(coreset=1).operations(BOTH) == read(TEST, REFERENCES) + 5 * 8 * 24 * distance(LEAST, 33)
    assert scorer.working_bytes(BOTH) == 4 * 4 * 6 * 33


def test_subspace_fits_one_covariance_and_projects_each_patch():
    products = sum(2 * 11 * 11 for _ in range(5 * 7))
    assert Subspace().operations(BOTH) == read(TEST, REFERENCES) + covariance(REFERENCES, 11) + products


@pytest.mark.parametrize(("channels", "width"), [(None, 3 * 11), (9, 9), (2, 2)])
def test_mahalanobis_fits_one_covariance_or_one_of_low_rank_at_each_place(channels, width):
    whole = Mahalanobis(channels=channels)
    products = sum(2 * width * width for _ in range(5 * 7))
    assert whole.operations(BOTH) == read(TEST, REFERENCES) + covariance(REFERENCES, width) + products
    assert whole.working_bytes(BOTH) == 0
    by_place = Mahalanobis(channels=channels, per_position=True)
    axes = min(width, 4)  # of four references
    fits = sum(DECOMPOSITION * width * axes * axes for _ in range(6))
    products = sum(2 * width * axes for _ in range(5 * 7))
    for scorer in (by_place, Padim(channels=channels)):
        assert scorer.operations(BOTH) == read(TEST, REFERENCES) + fits + products
        assert scorer.working_bytes(BOTH) == sum(8 * width * axes for _ in range(6))


@pytest.mark.parametrize("tie_break", [False, True])
@pytest.mark.parametrize(("max_tilt", "tilts"), [(0.0, 0), (2.5, 2), (6.0, 6)])
def test_mirror_symmetry_compares_an_image_with_each_view_at_each_tilt(max_tilt, tilts, tie_break):
    tokens = dict.fromkeys(("test", "hflip", "vflip"), TEST)
    pairs = 0
    for _view in ("hflip", "vflip"):
        pairs += sum(5 * 7 * 7 for _tilt in range(1 + tilts))
    pairs += 5 * 7 * 7 if tie_break else 0
    expected = read(*tokens.values()) + pairs * distance(SHIFTED, channels=3 * 11)
    assert MirrorSymmetry(max_tilt=max_tilt, tie_break=tie_break).operations(tokens) == expected


def test_tile_distribution_ranks_each_value_in_each_tile_that_holds_it():
    expected = sum(RANKED for _row in range(3) for _column in range(3)) * 5 * 7 * 3 * 11
    scorer = TileDistribution(tile=3)
    assert scorer.operations({"test": TEST}) == read(TEST) + expected
    residuals, copies = 3 * 3 * 7, 4 + 3  # the copies of one image, and one a layer
    assert scorer.working_bytes({"test": TEST}) == 4 * copies * residuals
