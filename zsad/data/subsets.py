"""Named subsets of a category's images, for which features are extracted.

``test`` is every test image, ``train`` every training image, ``references-k4-seed0`` a random sample of 4 training
images, and ``references-k4-seed0-consecutive`` the first 4 of them by name (with ``seed1`` the next 4).
``support-NAME`` is every labelled example of a support, which is separate from the data set and has its own list.
``synthetic-k4-seed0-n40-cpns`` are 40 images with synthetic anomalies for training, made from 4 references by the
recipes whose letters are at the end; they have their own list, too. Samples with the same seed are nested: the 4
references contain the 1 reference of the same seed, so that curves over the number of references differ only by the
added images.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from zsad.errors import DataError

TURNS = ("rotations", "rotations_anomalydino", "rotations_subspacead")
"""Views that show an image at several angles, upright among them; see `zsad.features.views`."""
VIEWS = (
    "original",
    "hflip",
    "vflip",
    "rot060",
    "rot072",
    "rot090",
    "rot120",
    "rot180",
    "rot240",
    "rot270",
    "rot288",
    "rot300",
    *TURNS,
)
SUPPORT = "support-"  # prefix of subsets of images that are separate from the data set
RECIPES: Mapping[str, str] = MappingProxyType({"c": "cutpaste", "p": "perlin", "n": "normal_patch", "s": "scar"})
"""The recipes of synthetic anomalies, see `zsad.adaptation.synthetic`, by their letters in the names of subsets."""
SYNTHETIC = rf"synthetic-(?:k\d+|all)-seed\d+-n[1-9]\d*-[{''.join(RECIPES)}]+"  # the pattern of such names
CONSECUTIVE = "-consecutive"  # suffix of references that are the next files by name instead of a random sample
DRAWS = rf"references-k\d+-seed\d+(?:{CONSECUTIVE})?"  # the pattern of names of references
SUBSETS = rf"test|train|{DRAWS}|{SYNTHETIC}|{SUPPORT}[A-Za-z0-9][A-Za-z0-9_-]*"  # of all names
_REFERENCES = re.compile(rf"references-k(\d+)-seed(\d+)({CONSECUTIVE})?")
_SYNTHETIC = re.compile(rf"synthetic-(?:k(\d+)|all)-seed(\d+)-n([1-9]\d*)-([{''.join(RECIPES)}]+)")
_VARIANT = re.compile(r"@(\d{3}(?:\.\d{3})?)$")  # at the end of an image's identifier, after the suffix of its file


Split = Literal["train", "test"]


def split_named(name: str) -> Split:
    """Return the split of this name.

    Raises:
        ValueError: there is no such split.
    """
    splits: dict[str, Split] = {"train": "train", "test": "test"}
    if name not in splits:
        raise ValueError(f"'{name}' is not a split")
    return splits[name]


class SizedImage(NamedTuple):
    """The size and split of an image.

    Attributes:
        height, width: pixels, upright.
    """

    image_id: str
    split: Split
    height: int
    width: int


Refusals = Callable[[Sequence[SizedImage]], Sequence[str]]


def no_refusals(images: Sequence[SizedImage]) -> Sequence[str]:
    """No refusals: images can be used for everything."""
    return ()


class OfSplit(Protocol):
    """An object with a split: an image of a list or of the manifest, or a `SizedImage`."""

    @property
    def image_id(self) -> str:
        """Identifier of the image."""

    @property
    def split(self) -> Split:
        """``"train"`` or ``"test"``."""


Image = TypeVar("Image", bound=OfSplit)


class FeatureSet(NamedTuple):
    """A subset of a category's images and a view of them.

    Attributes:
        view: ``original``, ``hflip`` (mirrored left to right), ``vflip`` (top to bottom), ``rot060`` and its like
            (turned counter-clockwise by as many degrees) or one of `TURNS` (each image at several angles).
    """

    subset: str
    view: str = "original"


def references(count: int, seed: int, *, consecutive: bool = False) -> str:
    """Name of the subset of ``count`` training images sampled with ``seed``.

    Args:
        consecutive: whether they are the files ``seed * count`` and following by name, instead of a random sample.
    """
    return f"references-k{count}-seed{seed}{CONSECUTIVE if consecutive else ''}"


def references_count(subset: str) -> int | None:
    """How many training images a subset samples; None for other subsets."""
    match = _REFERENCES.fullmatch(subset)
    return int(match[1]) if match else None


def support_subset(support: str) -> str:
    """Name of the subset of all examples of a support."""
    return f"{SUPPORT}{support}"


def support_named(subset: str) -> str:
    """The support whose examples a subset contains; empty for subsets of the data set."""
    return subset.removeprefix(SUPPORT) if subset.startswith(SUPPORT) else ""


class SyntheticSubset(NamedTuple):
    """Images with synthetic anomalies for training, made from references.

    Attributes:
        shots: number of references that they are made from; None for all training images.
        seed: random seed of the references and of the anomalies.
        images: number of images.
        recipes: how anomalies are made, of `RECIPES`, each once.
    """

    shots: int | None
    seed: int
    images: int
    recipes: tuple[str, ...]

    @property
    def references(self) -> str:
        """Name of the subset of images that they are made from."""
        return "train" if self.shots is None else references(self.shots, self.seed)


def synthetic_subset(shots: int | Literal["all"], seed: int, images: int, recipes: Sequence[str]) -> str:
    """Name of the subset of images with synthetic anomalies made from references; see `SyntheticSubset`.

    Equal sets of recipes give the same name, whatever their order and repetitions.

    Raises:
        ValueError: a recipe is unknown, none is named, or no image is requested.
    """
    if images < 1:
        raise ValueError(f"{images} images with synthetic anomalies cannot train anything; use at least 1")
    if unknown := next((recipe for recipe in recipes if recipe not in RECIPES.values()), None):
        raise ValueError(f"'{unknown}' is not a recipe of synthetic anomalies; use {', '.join(RECIPES.values())}")
    letters = "".join(letter for letter, recipe in RECIPES.items() if recipe in recipes)
    if not letters:
        raise ValueError(
            f"no recipe of synthetic anomalies is given; name at least one of {', '.join(RECIPES.values())}"
        )
    return f"synthetic-{shots if shots == 'all' else f'k{shots}'}-seed{seed}-n{images}-{letters}"


def synthetic_named(subset: str) -> SyntheticSubset | None:
    """The synthetic images that a subset names; None for any other subset."""
    match = _SYNTHETIC.fullmatch(subset)
    if not match:
        return None
    shots, seed, images, letters = match.groups()
    recipes = tuple(recipe for letter, recipe in RECIPES.items() if letter in letters)
    return SyntheticSubset(int(shots) if shots else None, int(seed), int(images), recipes)


def select(records: Sequence[Image], subset: str, category: str) -> list[Image]:
    """The images of a subset, in the order of the list.

    The examples of a support and synthetic images have their own lists, and are all of the list.

    Raises:
        DataError: the subset is empty, or fewer training images exist than references are requested.
    """
    if support := support_named(subset):
        if not records:
            raise DataError(f"support '{support}' has no images for category '{category}'; add some")
        return list(records)
    if synthetic_named(subset):
        return list(records)
    if subset in ("test", "train"):
        chosen = [record for record in records if record.split == subset]
        if not chosen:
            raise DataError(f"category '{category}' has no {subset} images; add some or leave the category out")
        return chosen
    match = _REFERENCES.fullmatch(subset)
    if not match:
        raise DataError(
            f"'{subset}' is not a subset; use 'test', 'train', 'references-k<count>-seed<seed>', 'support-<name>' or "
            "'synthetic-<k<count> or all>-seed<seed>-n<images>-<letters of recipes>'"
        )
    count, seed = int(match[1]), int(match[2])
    train = [record for record in records if record.split == "train"]
    if len(train) < count:
        fewer = f"lower 'shots' to {len(train)} or less, or add images to train/good"
        raise DataError(
            f"category '{category}' has {len(train)} training images, fewer than the {count} references requested; "
            f"{fewer if train else 'add some, or leave out the methods with references'}"
        )
    if match[3]:
        return _consecutive(train, count, seed, category)
    order = np.random.default_rng(seed).permutation(len(train))
    return [train[index] for index in sorted(order[:count])]


def _consecutive(train: Sequence[Image], count: int, seed: int, category: str) -> list[Image]:
    """The next ``count`` images by name, after ``count`` images for each lower seed.

    Raises:
        DataError: there are not enough.
    """
    wanted = (seed + 1) * count
    if len(train) < wanted:
        raise DataError(
            f"category '{category}' has {len(train)} training images, and 'draw: consecutive' of {count} with seed "
            f"{seed} takes those to number {wanted}; lower 'shots' or the seed"
        )
    return sorted(train, key=lambda image: image.image_id)[seed * count : wanted]


def angle_suffix(angle: float) -> str:
    """The suffix that a view at several angles adds to an image's identifier: ``@045``, or ``@123.457``.

    Args:
        angle: degrees, at least 0 and below 360; with a resolution of thousandths.
    """
    return f"@{angle:03.0f}" if angle == int(angle) else f"@{angle:07.3f}"


def base_id(image_id: str) -> str:
    """Identifier of the image that a view shows, without the angle."""
    return _VARIANT.sub("", image_id)


def is_upright(image_id: str) -> bool:
    """Whether a view shows the image as it is."""
    match = _VARIANT.search(image_id)
    return match is None or float(match[1]) == 0
