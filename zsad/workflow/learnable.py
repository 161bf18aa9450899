"""Check that methods can be trained on an auxiliary data set, before any of its images is opened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zsad.data.subsets import references_count
from zsad.errors import ConfigError
from zsad.errors.sections import AUXILIARY

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset
    from zsad.workflow.entries import MethodEntry


def check_labels(auxiliary: Dataset) -> None:
    """Reject an auxiliary data set that is known, before any image is opened, to lack labelled images.

    Masks may be missing.

    Raises:
        ConfigError: no image is known to be anomalous, or none to be normal.
    """
    truths = list(auxiliary.truths())
    known = {
        "anomalous": any(truth.defective for truth in truths),
        "normal": any(truth.good for truth in truths),
    }
    if all(known.values()):
        return
    lacking = " and no ".join(kind for kind, there in known.items() if not there)
    where = f" in {auxiliary.root}" if not auxiliary.is_demo else ""
    raise ConfigError(
        f"{AUXILIARY}: the data set '{auxiliary.name}' has no {lacking} test image{where}, but methods learn the "
        "difference between both; choose one with labelled images of both kinds"
    )


def check_references(methods: Iterable[MethodEntry], auxiliary: Dataset) -> None:
    """Reject methods whose training needs more normal images of a category than its training split has.

    Raises:
        ConfigError: there is one.
    """
    counts = {category: auxiliary.counts(category) for category in auxiliary.expected_categories}
    available = {category: count["train"] for category, count in counts.items() if count is not None}
    for method in methods:
        wanted = [_references(features.subset) for features in method.training_sets.values()]
        most = max(wanted, default=0)
        short = next((category for category, count in available.items() if count < most), None)
        if short is not None:
            raise ConfigError(
                f"{method.where}: its training compares images with {most} normal one{'s' if most > 1 else ''} of the "
                f"category, and '{short}' of the data set '{auxiliary.name}' has {available[short] or 'none'} in its "
                f"training split; lower the method's params.shots, or leave the category out of {AUXILIARY}.categories"
            )


def _references(subset: str) -> int:
    """The least number of training images for a subset."""
    drawn = references_count(subset)
    return drawn if drawn is not None else int(subset == "train")
