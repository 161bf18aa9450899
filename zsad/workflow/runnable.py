"""Find the methods that can run on the available images: those that lack references or test images are left out.

A method that cannot run on one category is left out of all, so that all means are over the same categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from zsad.scoring.base import Needs

EXAMPLES = 3  # categories named in one message


class Configured(Protocol):
    """The facts that are needed of a configured method."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def group(self) -> str:
        """The entry of the configuration that it comes from, if that has several seeds; else empty."""

    @property
    def needs(self) -> Needs | None:
        """The images that it requires; None for a method that reads scores of others."""

    @property
    def shots(self) -> int | None:
        """The number of references that it samples; None if it samples none, or uses all."""

    @property
    def members(self) -> tuple[str, ...]:
        """The methods whose scores it reads."""


def methods_left_out(
    methods: Mapping[str, Configured], images: Mapping[str, Mapping[str, int]], *, more_references: str
) -> dict[str, str]:
    """Why methods cannot run, a clause each, by name; only methods that cannot run are included.

    Args:
        methods: by name; a method comes after those whose scores it reads.
        images: number of usable images by category and split, ``"test"`` and ``"train"``; unknown categories are left
            out.
        more_references: how to add normal images for the layout, as an imperative.
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
        return f"it needs {needs.least_train} references or more, but takes {method.shots}; raise {place}.params.shots"
    short = {category: count["train"] for category, count in images.items() if count["train"] < needs.train}
    if not short:
        return ""
    fixes = [more_references]
    draws = needs.train // method.shots if method.shots else 1  # samples without overlap, so that the last starts late
    if method.shots is not None and min(short.values()) // draws >= needs.least_train:
        fixes.append(f"lower {place}.params.shots to {min(short.values()) // draws}")
    noun = "normal training image" if needs.train == 1 else "normal training images"
    return f"it needs {needs.train} {noun}, but {_having(short)}; {_fixes(fixes, short, images)}"


def _too_few_tests(needs: Needs, images: Mapping[str, Mapping[str, int]]) -> str:
    # A category without any test image ends the run with its own message.
    short = {category: count["test"] for category, count in images.items() if 0 < count["test"] < needs.test}
    if not short:
        return ""
    return f"it compares at least {needs.test} test images, but {_having(short)}; {_fixes(['add some'], short, images)}"


def _having(short: Mapping[str, int]) -> str:
    """``category 'lid' has 3``, or several categories with the fewest images first."""
    ordered = sorted(short, key=lambda category: short[category])
    shown = [f"'{category}' has {short[category] or 'none'}" for category in ordered[:EXAMPLES]]
    if len(ordered) > EXAMPLES:
        shown.append(f"{len(ordered) - EXAMPLES} more have too few")
    return ("category " if len(ordered) == 1 else "categories ") + _listed(shown, quoted=False)


def _fixes(fixes: list[str], short: Mapping[str, int], images: Mapping[str, Mapping[str, int]]) -> str:
    if len(short) < len(images):
        fixes = [*fixes, f"leave {'it' if len(short) == 1 else 'them'} out of dataset.categories"]
    return ", or ".join(fixes)


def _listed(words: list[str], *, quoted: bool = True) -> str:
    words = [f"'{word}'" for word in words] if quoted else words
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
