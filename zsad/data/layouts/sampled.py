"""Base class of layouts without a published split: training and test images are sampled by a random seed.

The normal images of a category are put in an order that depends only on the seed and their names: by the SHA-256 of
``"<seed>:<name>"``. Training takes its images from the beginning of this order and the test from its end; of the
defective images those at the beginning are tested. So a sample is the same on every machine and with every version of
Python, and a larger one contains the smaller ones with the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from pydantic import Field, model_validator

from zsad.data.layouts.base import Layout
from zsad.errors import DataError


class Draw(NamedTuple):
    """The names of the normal images for training, and of those for test."""

    train: list[str]
    test: list[str]


class SampledLayout(Layout):
    """A layout whose images are sampled; its parameters are their numbers and the random seed."""

    more_references: ClassVar[str] = "raise dataset.params.train"

    train: int | None = Field(
        None,
        ge=0,
        description="normal training images per category; null for all that are not tested, or for half of the "
        "normal ones if `good` is null too",
    )
    good: int | None = Field(None, ge=0, description="normal test images per category; null for all others")
    defective: int | None = Field(
        None,
        ge=0,
        description="defective test images per category, divided among its defect types; null for all",
    )
    seed: int = Field(0, ge=0, description="random seed; a larger sample contains the smaller ones with the same seed")

    @model_validator(mode="after")
    def _tests_something(self) -> SampledLayout:
        if self.good == 0 and self.defective == 0:
            raise ValueError("good and defective are both 0, so that there would be no test images")
        return self

    def draw_good(self, root: Path, category: str, names: Collection[str], references: Collection[str]) -> Draw:
        """Divide the normal images of a category among training and test.

        Args:
            names: of all normal images.
            references: those that may be used for training.

        Raises:
            DataError: more are wanted than exist.
        """
        order = drawn_order(names, self.seed)
        tested = [] if self.good is None else order[max(0, len(order) - self.good) :]
        left = [name for name in order[: len(order) - len(tested)] if name in references]
        half = len(left) // 2 if self.good is None else len(left)
        wanted = half if self.train is None else self.train
        if wanted > len(left) or (self.good or 0) > len(order):
            asked = {"train": self.train, "good": self.good}
            asking = " and ".join(f"dataset.params.{name}: {count}" for name, count in asked.items() if count)
            raise DataError(
                f"{asking} ask for more good images of category '{category}' than the {len(order)} in {root}; lower "
                "them, or set them to null"
            )
        train = left[:wanted]
        if self.good is None:
            trained = set(train)
            tested = [name for name in order if name not in trained]
        return Draw(train, tested)

    def draw_defective(self, root: Path, category: str, kinds: Sequence[Collection[str]]) -> list[str]:
        """Sample the defective images of a category, about equally many of each type.

        Args:
            kinds: the names of the images of each type.

        Raises:
            DataError: more of a type are wanted than exist.
        """
        drawn: list[str] = []
        for index, names in enumerate(kinds):
            wanted = len(names) if self.defective is None else (self.defective + len(kinds) - 1 - index) // len(kinds)
            if wanted > len(names):
                each = f", {wanted} of each type," if len(kinds) > 1 else ""
                raise DataError(
                    f"dataset.params.defective: {self.defective} asks for more defective images of category "
                    f"'{category}'{each} than the {len(names)} in {root}; lower it, or set it to null"
                )
            drawn += drawn_order(names, self.seed)[:wanted]
        return drawn

    def remark_on_draw(self, category: str, items: int, images: int) -> list[str]:
        """How many images of a category the sample leaves out, a sentence; empty if none.

        Args:
            items: number of sampled images.
            images: number of all images.
        """
        if items == images:
            return []
        return [
            f"{items} of the {images} images of {category} were sampled with the seed {self.seed} (dataset.params: "
            "train, good, defective); the others are left out"
        ]


def drawn_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in the order of sampling, which does not depend on their given order."""
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
