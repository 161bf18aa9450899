"""The selection of images for a gallery: both ends of the ranking, and the most wrongly ranked images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HIGHEST_IF_UNLABELLED = 3  # times as many, because there are no wrong images to show beside them
GROUP_TITLES = {
    "highest": "Highest scores",
    "lowest": "Lowest scores",
    "false_alarms": "Normal images with the highest scores",
    "misses": "Defective images with the lowest scores",
}


def choose_images(
    scores: Sequence[float] | np.ndarray, labels: Sequence[int | None], count: int
) -> dict[str, list[int]]:
    """Positions of the images to show, by group (the keys of `GROUP_TITLES`); no image is in two groups.

    ``highest`` and ``lowest`` come first and need no labels; ``false_alarms`` and ``misses`` are chosen from the
    remaining images, most wrong first. With equal scores the earlier image ranks higher. With few images, the upper
    half goes to ``highest``. Groups without images are left out.

    Args:
        scores: greater is more anomalous.
        labels: 1 defective, 0 good, None unlabelled.
        count: greatest number of images in a group; three times as many for ``highest`` if no image is labelled.
    """
    ranking = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist()
    most = count if any(label is not None for label in labels) else HIGHEST_IF_UNLABELLED * count
    top = min(most, -(-len(ranking) // 2))
    bottom = min(count, len(ranking) - top)
    between = ranking[top : len(ranking) - bottom]
    groups = {
        "highest": ranking[:top],
        "lowest": ranking[len(ranking) - bottom :][::-1],
        "false_alarms": [index for index in between if labels[index] == 0][:count],
        "misses": [index for index in reversed(between) if labels[index] == 1][:count],
    }
    return {name: indices for name, indices in groups.items() if indices}


def ranks(scores: Sequence[float] | np.ndarray) -> list[int]:
    """Rank of each image, 1 for the highest score; equal scores share the better rank."""
    values = np.asarray(scores, dtype=np.float64)
    descending = np.sort(-values)
    places: list[int] = (np.searchsorted(descending, -values, side="left") + 1).tolist()
    return places
