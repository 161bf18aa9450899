import numpy as np
import pytest

from zsad.reporting.selection import choose_images, ranks

#         position: 0    1    2    3    4    5    6    7
SCORES = [0.9, 0.1, 0.8, 0.3, 0.7, 0.2, 0.6, 0.4]
LABELS = [0, 1, 1, 1, 0, 0, 0, 1]


def test_the_ends_of_the_ranking_come_first_and_the_most_wrong_are_drawn_from_the_rest():
    # ranking: 0, 2, 4, 6, 7, 3, 5, 1; its ends are 0 and 1; between them 4, 6, 5 are good and 2, 7, 3 defective
    assert choose_images(SCORES, LABELS, 1) == {"highest": [0], "lowest": [1], "false_alarms": [4], "misses": [3]}


def test_each_group_begins_with_its_most_extreme_image():
    chosen = choose_images(SCORES, LABELS, 2)
    assert chosen == {"highest": [0, 2], "lowest": [1, 5], "false_alarms": [4, 6], "misses": [3, 7]}


def test_without_any_label_only_the_ends_are_shown_and_three_times_as_many_of_the_highest():
    assert choose_images(SCORES, [None] * 8, 1) == {"highest": [0, 2, 4], "lowest": [1]}
    assert choose_images(SCORES, [None] * 8, 2) == {"highest": [0, 2, 4, 6], "lowest": [1, 5]}
    assert choose_images(SCORES, [0] + [None] * 7, 1) == {"highest": [0], "lowest": [1]}


def test_of_few_images_the_upper_half_is_among_the_highest():
    assert choose_images([0.1, 0.3, 0.2], [0, 1, 0], 4) == {"highest": [1, 2], "lowest": [0]}
    assert choose_images([0.1], [0], 4) == {"highest": [0]}


def test_of_equal_scores_the_earlier_image_ranks_higher():
    assert choose_images([0.5, 0.5, 0.5, 0.5], [None] * 4, 1) == {"highest": [0, 1], "lowest": [3]}


@pytest.mark.parametrize("count", [1, 3, 4, 24])
def test_no_image_is_shown_twice(count):
    rng = np.random.default_rng(3)
    for size in (1, 2, 7, 40):
        labels = rng.choice([0, 1, None], size).tolist()
        groups = choose_images(rng.integers(0, 5, size), labels, count)
        shown = [index for indices in groups.values() for index in indices]
        assert len(shown) == len(set(shown))
        assert all(len(indices) <= count for indices in groups.values()) or set(labels) == {None}


def test_equal_scores_share_the_better_rank():
    assert ranks([0.2, 0.9, 0.2, 0.5]) == [3, 1, 3, 2]
