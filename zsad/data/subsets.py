"""Named subsets of a category's images: what features are extracted for.

``test`` is every test image, ``train`` every training image, ``references-k4-seed0`` a draw of 4 training images, and
``references-k4-seed0-consecutive`` the first 4 of them by name, with ``seed1`` the next 4,
``support-NAME`` every labelled example of a support, which lies beside the data set and has a list of its own.
``synthetic-k4-seed0-n40-cpns`` are 40 images with anomalies made for training from 4 references, of the kinds whose
letters stand at the end; they have a list of their own, too.
Draws with one seed are nested: the 4 references hold the 1 reference of the same seed, so that curves over the number
of references differ by what is added and by nothing else.
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
SUPPORT = "support-"  # begins the names of subsets of images that lie beside the data set
RECIPES: Mapping[str, str] = MappingProxyType({"c": "cutpaste", "p": "perlin", "n": "normal_patch", "s": "scar"})
"""What anomalies are made by, see `zsad.adaptation.synthetic`, and the letter of each in the names of subsets."""
SYNTHETIC = rf"synthetic-(?:k\d+|all)-seed\d+-n[1-9]\d*-[{''.join(RECIPES)}]+"  # the pattern of such names
CONSECUTIVE = "-consecutive"  # ends the names of references that are the next files by name, and no random draw
DRAWS = rf"references-k\d+-seed\d+(?:{CONSECUTIVE})?"  # the pattern of names of references
SUBSETS = rf"test|train|{DRAWS}|{SYNTHETIC}|{SUPPORT}[A-Za-z0-9][A-Za-z0-9_-]*"  # of all names
_REFERENCES = re.compile(rf"references-k(\d+)-seed(\d+)({CONSECUTIVE})?")
_SYNTHETIC = re.compile(rf"synthetic-(?:k(\d+)|all)-seed(\d+)-n([1-9]\d*)-([{''.join(RECIPES)}]+)")
_VARIANT = re.compile(r"@(\d{3}(?:\.\d{3})?)$")  # at the end of an image's identifier, behind the ending of its file


Split = Literal["train", "test"]


def split_named(name: str) -> Split:
    """The split of a name.

    Raises:
        ValueError: there is none of it.
    """
    splits: dict[str, Split] = {"train": "train", "test": "test"}
    if name not in splits:
        raise ValueError(f"'{name}' is no split")
    return splits[name]


class SizedImage(NamedTuple):
    """An image as far as its size goes.

    Attributes:
        height, width: pixels, upright.
    """

    image_id: str
    split: Split
    height: int
    width: int


Refusals = Callable[[Sequence[SizedImage]], Sequence[str]]


def no_refusals(images: Sequence[SizedImage]) -> Sequence[str]:
    """Nothing that images cannot be used for."""
    return ()


class OfSplit(Protocol):
    """What is of a split: an image of a list or of the manifest, or a `SizedImage`."""

    @property
    def image_id(self) -> str:
        """What the image is called."""

    @property
    def split(self) -> Split:
        """``"train"`` or ``"test"``."""


Image = TypeVar("Image", bound=OfSplit)


class FeatureSet(NamedTuple):
    """A subset of a category's images and how they are seen.

    Attributes:
        view: ``original``, ``hflip`` (mirrored left to right), ``vflip`` (top to bottom), ``rot060`` and its like
            (turned counter-clockwise by as many degrees) or one of `TURNS` (each image at several angles).
    """

    subset: str
    view: str = "original"


def references(count: int, seed: int, *, consecutive: bool = False) -> str:
    """Name of the subset of ``count`` training images drawn with ``seed``.

    Args:
        consecutive: whether they are the files ``seed * count`` and following by name, and no random draw.
    """
    return f"references-k{count}-seed{seed}{CONSECUTIVE if consecutive else ''}"


def references_count(subset: str) -> int | None:
    """How many training images a subset draws; None if it is no draw."""
    match = _REFERENCES.fullmatch(subset)
    return int(match[1]) if match else None


def support_subset(support: str) -> str:
    """Name of the subset of all examples of a support."""
    return f"{SUPPORT}{support}"


def support_named(subset: str) -> str:
    """The support whose examples a subset holds; empty if it is of the data set."""
    return subset.removeprefix(SUPPORT) if subset.startswith(SUPPORT) else ""


class SyntheticSubset(NamedTuple):
    """Images with anomalies that are made for training from references.

    Attributes:
        shots: references that they are made from; None for all training images.
        seed: of the draw of the references, and of the anomalies.
        images: how many are made.
        recipes: what anomalies are made by, of `RECIPES`, each once.
    """

    shots: int | None
    seed: int
    images: int
    recipes: tuple[str, ...]

    @property
    def references(self) -> str:
        """The subset of the images that they are made from."""
        return "train" if self.shots is None else references(self.shots, self.seed)


def synthetic_subset(shots: int | Literal["all"], seed: int, images: int, recipes: Sequence[str]) -> str:
    """Name of the subset of images with anomalies made from references; see `SyntheticSubset`.

    Equal sets of recipes give one name, whatever their order and however often each is named.

    Raises:
        ValueError: there is no such recipe, none is named, or no image is to be made.
    """
    if images < 1:
        raise ValueError(f"{images} images with synthetic anomalies teach nothing; ask for at least 1")
    if unknown := next((recipe for recipe in recipes if recipe not in RECIPES.values()), None):
        raise ValueError(f"'{unknown}' makes no anomalies; use {', '.join(RECIPES.values())}")
    letters = "".join(letter for letter, recipe in RECIPES.items() if recipe in recipes)
    if not letters:
        raise ValueError(f"nothing makes anomalies; name at least one of {', '.join(RECIPES.values())}")
    return f"synthetic-{shots if shots == 'all' else f'k{shots}'}-seed{seed}-n{images}-{letters}"


def synthetic_named(subset: str) -> SyntheticSubset | None:
    """The images made for training that a subset names; None of any other subset."""
    match = _SYNTHETIC.fullmatch(subset)
    if not match:
        return None
    shots, seed, images, letters = match.groups()
    recipes = tuple(recipe for letter, recipe in RECIPES.items() if letter in letters)
    return SyntheticSubset(int(shots) if shots else None, int(seed), int(images), recipes)


def select(records: Sequence[Image], subset: str, category: str) -> list[Image]:
    """The images of a subset, in the order of the list.

    The examples of a support and images made for training have lists of their own, of which they are all.

    Raises:
        DataError: the subset is empty, or fewer training images exist than references are asked for.
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
            f"'{subset}' names no subset; use 'test', 'train', 'references-k<count>-seed<seed>', 'support-<name>' or "
            "'synthetic-<k<count> or all>-seed<seed>-n<images>-<letters of recipes>'"
        )
    count, seed = int(match[1]), int(match[2])
    train = [record for record in records if record.split == "train"]
    if len(train) < count:
        fewer = f"lower 'shots' to {len(train)} or less, or add images to train/good"
        raise DataError(
            f"category '{category}' has {len(train)} training images, fewer than the {count} references asked for; "
            f"{fewer if train else 'add some, or leave out the methods with references'}"
        )
    if match[3]:
        return _consecutive(train, count, seed, category)
    order = np.random.default_rng(seed).permutation(len(train))
    return [train[index] for index in sorted(order[:count])]


def _consecutive(train: Sequence[Image], count: int, seed: int, category: str) -> list[Image]:
    """The next ``count`` images by name, after as many for each lower seed.

    Raises:
        DataError: there are not so many.
    """
    wanted = (seed + 1) * count
    if len(train) < wanted:
        raise DataError(
            f"category '{category}' has {len(train)} training images, and 'draw: consecutive' of {count} with seed "
            f"{seed} takes those to number {wanted}; lower 'shots' or the seed"
        )
    return sorted(train, key=lambda image: image.image_id)[seed * count : wanted]


def angle_suffix(angle: float) -> str:
    """What a view that shows an image at several angles adds to its identifier: ``@045``, or ``@123.457``.

    Args:
        angle: degrees, at least 0 and below 360; thousandths are told apart.
    """
    return f"@{angle:03.0f}" if angle == int(angle) else f"@{angle:07.3f}"


def base_id(image_id: str) -> str:
    """Identifier of the image that a view shows, whatever the angle."""
    return _VARIANT.sub("", image_id)


def is_upright(image_id: str) -> bool:
    """Whether a view shows the image as it is."""
    match = _VARIANT.search(image_id)
    return match is None or float(match[1]) == 0
