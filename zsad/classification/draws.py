"""Random samples of the labelled images that a classifier learns from and is calibrated on.

The images of each kind have a random order that depends on the seed, the name of the kind and the content of each
image: calibration images first, then the support, so that the support of few shots is part of that of more. Other kinds
and file names do not change the order, and an additional image is only inserted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from zsad.classification.splits import TEST, Role, Shots, SplitRow
from zsad.data.kind_names import alike, kind_named
from zsad.data.kinds import shown_kind
from zsad.data.layouts.base import GOOD
from zsad.data.layouts.words import spelled_alike
from zsad.errors import ConfigError, DataError, nearest_hint
from zsad.registry import Options

NAMED = 5  # names in a sentence, at most


def _different(items: list[Shots] | list[int]) -> list[Shots] | list[int]:
    twice = next((item for place, item in enumerate(items) if item in items[:place]), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice; remove one")
    return items


class DrawOptions(Options):
    """Options of the random samples of labelled images."""

    shots: Annotated[
        list[Literal["all"] | Annotated[int, Field(ge=1)]], Field(min_length=1), AfterValidator(_different)
    ] = Field([5], description="number of examples of each kind, one or several numbers; all for all there are")
    calibration: int = Field(
        10, ge=0, description="further labelled images of each kind, which set the thresholds of prediction sets"
    )
    good: bool = Field(True, description="whether good is one of the kinds")
    leave_out: list[str] = Field(
        default_factory=list,
        description="kinds that are not shown, e.g. to test whether they are recognised as unknown",
    )
    scarce: Literal["stop", "skip"] = Field(
        "stop", description="kinds with too few images: stop, or skip (not shown, and named)"
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_different)] = Field(
        [0, 1, 2, 3, 4], description="random seeds of the samples"
    )

    @property
    def most_shots(self) -> int | None:
        """The largest number of shots; None for all images that there are."""
        numbers = [count for count in self.shots if count != "all"]
        return max(numbers) if len(numbers) == len(self.shots) else None

    @property
    def least_images(self) -> int:
        """Labelled images that a kind needs to be shown, besides those to classify."""
        return self.calibration + max((count for count in self.shots if count != "all"), default=1)

    def check(self, source: str, where: str = "the classifier") -> None:
        """Reject options that no images can satisfy.

        Args:
            source: ``"test"``, or the name of a support.
            where: place of the options, for messages.

        Raises:
            ConfigError: the options show all labelled test images.
        """
        if source == TEST and "all" in self.shots:
            raise ConfigError(
                f"{where}: shots 'all' with support '{TEST}' would show every labelled test image and leave none to "
                "classify; give numbers of shots, or set support to a name of supports"
            )


class Labelled(NamedTuple):
    """An image that may be sampled.

    Attributes:
        source: ``"test"``, or the name of a support.
        kind: empty for a test image of unknown kind.
    """

    source: str
    image_id: str
    kind: str
    sha256: str

    @property
    def called(self) -> str:
        """For messages."""
        return f"the test image {self.image_id}" if self.source == TEST else f"the labelled example {self.image_id}"


class Pool(NamedTuple):
    """Images without duplicates.

    Attributes:
        copies: the duplicates, which are not used.
    """

    images: list[Labelled]
    copies: list[Labelled]


class Shown(NamedTuple):
    """The kinds that a classifier is shown.

    Attributes:
        remarks: sentences on the kinds that are not shown.
    """

    kinds: list[str]
    remarks: list[str]


def remove_copies(images: Iterable[Labelled]) -> Pool:
    """Separate copies by content: the first by name is used, one of a known kind if there is any.

    Raises:
        DataError: an image is of two kinds.
    """
    pool = Pool([], [])
    first: dict[str, Labelled] = {}
    for image in sorted(images, key=lambda image: (not image.kind, image.image_id)):
        other = first.setdefault(image.sha256, image)
        if other is image:
            pool.images.append(image)
        elif image.kind in ("", other.kind):
            pool.copies.append(image)
        else:
            raise DataError(
                f"{other.called} of kind '{other.kind}' and {image.called} of kind '{image.kind}' are the same image; "
                "correct one of the two kinds, or remove both images"
            )
    return pool


def require_apart(examples: Iterable[Labelled], tests: Iterable[Labelled]) -> None:
    """Reject labelled examples that are also test images.

    Raises:
        DataError: an example is the same image as a test image.
    """
    by_content = {image.sha256: image for image in tests}
    same = [(image, by_content[image.sha256]) for image in examples if image.sha256 in by_content]
    if same:
        (example, test), more = same[0], len(same) - 1
        and_more = f" (and {more} more such pair{'s' if more > 1 else ''})" if more else ""
        raise DataError(
            f"{example.called} and {test.called} are the same image{and_more}, so that it would be both an example "
            "and a query; remove one of the two"
        )


def shown_kinds(pool: Iterable[Labelled], options: DrawOptions, source: str, category: str) -> Shown:
    """The kinds that have enough images and are not left out.

    Args:
        pool: images without duplicates.
        source: their source.
        category: for messages.

    Raises:
        ConfigError: a kind to leave out is a misspelling of an existing kind.
        DataError: no image has a kind, a kind has too few images, or there are fewer than two kinds.
    """
    counts: dict[str, int] = {}
    for image in pool:
        if image.kind:
            counts[image.kind] = counts.get(image.kind, 0) + 1
    if not counts:
        raise DataError(
            f"no test image of category '{category}' has a label, so that no examples can be sampled; label some, or "
            "set the classifier's support to a name of supports"
        )
    left_out, remarks = _left_out(options, counts, category)
    wanted = {kind: count for kind, count in sorted(counts.items()) if kind not in left_out}
    least = options.least_images + (source == TEST)
    scarce = {kind: count for kind, count in wanted.items() if count < least}
    if scarce and options.scarce == "stop":
        raise DataError(_too_few(scarce, options, source, category))
    remarks += [
        f"The kind '{kind}' is not shown: it has {count} labelled {'image' if count == 1 else 'images'}, too few for "
        f"{_needs(options, source)}."
        for kind, count in scarce.items()
    ]
    kinds = [kind for kind in wanted if kind not in scarce]
    if len(kinds) < 2:
        raise DataError(_one_kind(kinds, sorted(left_out & counts.keys()), list(scarce), options, source, category))
    return Shown(kinds, remarks)


def check_left_out(names: Iterable[str], kinds: Collection[str], where: str) -> None:
    """Reject kinds to leave out that no category has; a category may lack kinds of others.

    Args:
        kinds: those of all categories.
        where: place of the names in the configuration, for messages.

    Raises:
        ConfigError: there is one.
    """
    for name in names:
        if _kind_meant(name, kinds) is None:
            raise ConfigError(f"{where} names '{name}', which is not a kind of any category{nearest_hint(name, kinds)}")


def draw_rows(pool: Iterable[Labelled], kinds: Sequence[str], options: DrawOptions, seed: int) -> list[SplitRow]:
    """Calibration and support images of one seed."""
    by_kind: dict[str, list[Labelled]] = {kind: [] for kind in kinds}
    for image in pool:
        if image.kind in by_kind:
            by_kind[image.kind].append(image)
    rows = []
    for images in by_kind.values():
        ordered = in_random_order(images, seed)
        calibration, rest = ordered[: options.calibration], ordered[options.calibration :]
        rows += _ranked_rows(calibration, "calibration", seed)
        rows += _ranked_rows(rest[: options.most_shots], "support", seed)
    return rows


def in_random_order(images: Iterable[Labelled], seed: int) -> list[Labelled]:
    """Images of one kind in their random order, independent of the order given."""

    def lot(image: Labelled) -> bytes:
        return hashlib.sha256(json.dumps([seed, image.kind, image.sha256]).encode()).digest()

    return sorted(images, key=lot)


def unlabelled_rows(images: Iterable[Labelled], role: Role, seed: int) -> list[SplitRow]:
    """Images of unknown kind, as queries or left out."""
    return [SplitRow(seed, image.source, image.image_id, role, None, "", image.sha256) for image in images]


def _ranked_rows(images: Iterable[Labelled], role: Role, seed: int) -> list[SplitRow]:
    return [
        SplitRow(seed, image.source, image.image_id, role, rank, image.kind, image.sha256)
        for rank, image in enumerate(images, 1)
    ]


def _left_out(options: DrawOptions, kinds: Collection[str], category: str) -> tuple[set[str], list[str]]:
    """The kinds to leave out, and remarks on names that are not kinds."""
    left_out = set() if options.good else {GOOD}
    remarks = []
    for name in options.leave_out:
        found = _kind_meant(name, kinds)
        if found is not None:
            left_out.add(found)
            continue
        if any(_is_slip(name, kind) for kind in kinds):
            raise ConfigError(
                f"leave_out names '{name}', which is not a kind of '{category}'{nearest_hint(name, kinds)}"
            )
        remarks.append(f"The kind '{name}' in leave_out does not exist in '{category}'.")
    return left_out, remarks


def _kind_meant(name: str, kinds: Collection[str]) -> str | None:
    """The kind that a name means, in any spelling; None if there is no such kind."""
    return next((kind for kind in (kind_named(name), shown_kind(name)) if kind in kinds), None)


def _is_slip(name: str, kind: str) -> bool:
    """Whether a name is most probably a misspelling of a kind; not if a number in it differs."""
    digits, others = ([sign for sign in text if sign.isdigit()] for text in (name, kind))
    return alike(name) == alike(kind) or (spelled_alike(name, kind) and digits == others)


def _needs(options: DrawOptions, source: str) -> str:
    """A phrase naming what images of a kind are needed for."""
    numbers = [count for count in options.shots if count != "all"]
    shots = f"{max(numbers)} shots" if numbers and max(numbers) > 1 else "1 shot"
    parts = [
        shots,
        *([f"{options.calibration} for calibration"] if options.calibration else []),
        *(["1 to classify"] if source == TEST else []),
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _too_few(scarce: Mapping[str, int], options: DrawOptions, source: str, category: str) -> str:
    of_what = "test images" if source == TEST else "examples"
    listed = [f"{count} of '{kind}'" for kind, count in scarce.items()]
    more = f" and {len(listed) - NAMED} more kinds" if len(listed) > NAMED else ""
    lower = "shots or calibration" if options.calibration else "shots"
    return (
        f"'{category}' has too few labelled {of_what} for {_needs(options, source)} a kind: "
        f"{', '.join(listed[:NAMED])}{more}; label more, lower {lower}, name them in leave_out, or set scarce to 'skip'"
    )


def _one_kind(
    kinds: Sequence[str],
    left_out: Sequence[str],
    scarce: Sequence[str],
    options: DrawOptions,
    source: str,
    category: str,
) -> str:
    is_left = f"only the kind '{kinds[0]}' is" if kinds else "no kind is"
    why = [
        *([f"left out: {', '.join(left_out)}"] if left_out else []),
        *([f"too few images for {_needs(options, source)}: {', '.join(scarce)}"] if scarce else []),
    ]
    because = f" ({'; '.join(why)})" if why else ""
    ways = [
        "good",
        "leave_out",
        *(["shots"] if scarce else []),
        *(["calibration"] if scarce and options.calibration else []),
    ]
    return (
        f"{is_left} left to classify in '{category}'{because}; a classifier needs at least two kinds: label images of "
        f"another one, or show more by changing {', '.join(ways[:-1])} or {ways[-1]}"
    )
