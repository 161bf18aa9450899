"""Which methods can run on the images that there are: those that lack references or test images are left out.

A method that one category cannot run is left out of all, so that every mean stays over the same categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from zsad.scoring.base import Needs

EXAMPLES = 3  # categories that a sentence names


class Configured(Protocol):
    """What of a configured method is asked for."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def group(self) -> str:
        """The entry of the configuration that it comes from, where that stands for several seeds; else empty."""

    @property
    def needs(self) -> Needs | None:
        """The images that it cannot do without; None for a method that reads the scores of others."""

    @property
    def shots(self) -> int | None:
        """The references that it draws; None if it draws none, or takes all."""

    @property
    def members(self) -> tuple[str, ...]:
        """The methods whose scores it reads."""


def methods_left_out(
    methods: Mapping[str, Configured], images: Mapping[str, Mapping[str, int]], *, more_references: str
) -> dict[str, str]:
    """Why methods cannot run, a clause each, by their names; nothing for those that can.

    Args:
        methods: by name; those whose scores others read come first.
        images: images that can be used by category and split, ``"test"`` and ``"train"``; categories of which nothing
            is known are left out.
        more_references: how the layout takes more good images, an imperative.
    """
    reasons: dict[str, str] = {}
    for name, method in methods.items():
        if lacking := [member for member in method.members if member in reasons]:
            reasons[name] = (
                f"it reads the scores of {_listed(lacking)}, which {'is' if len(lacking) == 1 else 'are'} left out"
            )
        elif (needs := method.needs) is not None and (
            reason := _too_few_references(method, needs, images, more_references) or _too_few_tests(needs, images)
        ):
            reasons[name] = reason
    return reasons


def sentences(reasons: Mapping[str, str]) -> list[str]:
    """One sentence for each method that is left out."""
    return [f"method '{name}' is left out: {reason}" for name, reason in reasons.items()]


def _too_few_references(
    method: Configured, needs: Needs, images: Mapping[str, Mapping[str, int]], more_references: str
) -> str:
    place = f"methods.{method.group or method.name}"
    if not needs.train:
        return ""
    if method.shots is not None and method.shots < needs.least_train:
        return f"it needs at least {needs.least_train} references, and draws {method.shots}; raise {place}.params.shots"
    short = {category: count["train"] for category, count in images.items() if count["train"] < needs.train}
    if not short:
        return ""
    mends = [more_references]
    draws = needs.train // method.shots if method.shots else 1  # that do not overlap, so that the last begins late
    if method.shots is not None and min(short.values()) // draws >= needs.least_train:
        mends.append(f"lower {place}.params.shots to {min(short.values()) // draws}")
    noun = "good training image" if needs.train == 1 else "good training images"
    return f"it needs {needs.train} {noun}, and {_having(short)}; {_mends(mends, short, images)}"


def _too_few_tests(needs: Needs, images: Mapping[str, Mapping[str, int]]) -> str:
    # A category without any test image ends the run, with a sentence of its own.
    short = {category: count["test"] for category, count in images.items() if 0 < count["test"] < needs.test}
    if not short:
        return ""
    return f"it compares at least {needs.test} test images, and {_having(short)}; {_mends(['add some'], short, images)}"


def _having(short: Mapping[str, int]) -> str:
    """``category 'lid' has 3``, or of several categories those with the fewest first."""
    ordered = sorted(short, key=lambda category: short[category])
    shown = [f"'{category}' has {short[category] or 'none'}" for category in ordered[:EXAMPLES]]
    if len(ordered) > EXAMPLES:
        shown.append(f"{len(ordered) - EXAMPLES} more have too few")
    return ("category " if len(ordered) == 1 else "categories ") + _listed(shown, quoted=False)


def _mends(mends: list[str], short: Mapping[str, int], images: Mapping[str, Mapping[str, int]]) -> str:
    if len(short) < len(images):
        mends = [*mends, f"leave {'it' if len(short) == 1 else 'them'} out of dataset.categories"]
    return ", or ".join(mends)


def _listed(words: list[str], *, quoted: bool = True) -> str:
    words = [f"'{word}'" for word in words] if quoted else words
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
