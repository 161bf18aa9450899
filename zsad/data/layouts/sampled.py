"""What layouts without a published split have in common: who is trained on and who is tested is drawn by a seed.

The good images of a category are put in an order that a seed and their names alone decide: by the SHA-256 of
``"<seed>:<name>"``. Training takes its images from the beginning and the test from the end of it; of the defective
images those at the beginning are tested. So a draw is the same on every machine and with every version of Python, and
a larger one contains the smaller ones of the same seed.
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
    """The names of the good images that are trained on, and of those that are tested."""

    train: list[str]
    test: list[str]


class SampledLayout(Layout):
    """A layout whose images are drawn: how many of each kind, and by which seed."""

    more_references: ClassVar[str] = "raise dataset.params.train"

    train: int | None = Field(
        None,
        ge=0,
        description="good images of a category that are for training; null for all that are not tested, or for half of "
        "the good ones if `good` is null too",
    )
    good: int | None = Field(None, ge=0, description="good images of a category that are tested; null for all others")
    defective: int | None = Field(
        None,
        ge=0,
        description="defective images of a category that are tested, shared out over its kinds; null for all",
    )
    seed: int = Field(0, ge=0, description="of the draw; larger draws contain the smaller ones of the same seed")

    @model_validator(mode="after")
    def _tests_something(self) -> SampledLayout:
        if self.good == 0 and self.defective == 0:
            raise ValueError("good and defective are both 0, so that nothing would be tested")
        return self

    def draw_good(self, root: Path, category: str, names: Collection[str], references: Collection[str]) -> Draw:
        """Share the good images of a category out over training and test.

        Args:
            names: of all good images.
            references: those of them that may be trained on.

        Raises:
            DataError: more are wanted than there are.
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
        """Draw the defective images of a category, about equally many of each kind.

        Args:
            kinds: the names of the images of each kind.

        Raises:
            DataError: more are wanted of a kind than there are.
        """
        drawn: list[str] = []
        for index, names in enumerate(kinds):
            wanted = len(names) if self.defective is None else (self.defective + len(kinds) - 1 - index) // len(kinds)
            if wanted > len(names):
                each = f", {wanted} of each kind," if len(kinds) > 1 else ""
                raise DataError(
                    f"dataset.params.defective: {self.defective} asks for more defective images of category "
                    f"'{category}'{each} than the {len(names)} in {root}; lower it, or set it to null"
                )
            drawn += drawn_order(names, self.seed)[:wanted]
        return drawn

    def remark_on_draw(self, category: str, items: int, images: int) -> list[str]:
        """How many images of a category are left out by the draw, a sentence; nothing if none is.

        Args:
            items: images that were drawn.
            images: that could have been.
        """
        if items == images:
            return []
        return [
            f"{items} of the {images} images of {category} were drawn by the seed {self.seed} (dataset.params: train, "
            "good, defective); the others are left out"
        ]


def drawn_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in the order of a draw, which their own order has no part in."""
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
