"""Check by names, folders and categories that no method has learned from the data set under test.

`zsad.data.check_unseen` also compares the images themselves.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zsad.data.catalogue import datasets
from zsad.data.check_unseen import WHY
from zsad.errors import ConfigError
from zsad.errors.sections import AUXILIARY

if TYPE_CHECKING:
    from zsad.data.dataset import Dataset
    from zsad.workflow.entries import MethodEntry

ALSO_CALLED: Final[Mapping[str, str]] = {
    "mvtec": "mvtec_ad",
    "ksdd2": "kolektor_sdd2",
    "magnetictiles": "magnetic_tile",
}
LEAST_CATEGORIES = 2  # needed to recognise a published data set
ALIKE = 0.75  # ratio of names by `difflib` from which one may be a misspelling


def check_unseen(methods: Iterable[MethodEntry], data: Dataset) -> None:
    """Reject methods that have learned from the data set under test, by its names and categories.

    `check_auxiliary` checks the data set for new training.

    Raises:
        ConfigError: there is one.
    """
    for method in methods:
        trained_on = method.params.get("trained_on")
        if not trained_on or method.is_trained:
            continue
        # A file written by this package names its images, so that a merely similar name is not a reason.
        if reason := _why_the_same(trained_on, data, by_likeness=not method.learns_elsewhere):
            raise ConfigError(
                f"{method.where}: its weights were trained on '{trained_on}', {reason}, and {WHY}; use a file that "
                "was trained on another data set"
            )


def check_auxiliary(auxiliary: Dataset, data: Dataset) -> None:
    """Reject an auxiliary data set that is the one under test, by names, folders and categories.

    Of own or generated images, other categories may be used for training: they need their own data set name.

    Raises:
        ConfigError: it is.
    """
    if auxiliary.name.casefold() == data.name.casefold():
        raise ConfigError(
            f"{AUXILIARY}: '{auxiliary.name}' is also the name of the data set under test; choose another data set, or "
            f"set {AUXILIARY}.name to another name if its images differ"
        )
    for name in _names(auxiliary):
        if reason := _why_the_same(name, data, by_likeness=False):
            raise ConfigError(f"{AUXILIARY}: '{name}' is for training, {reason}, and {WHY}; choose another")
    if data.facts is not None and (reason := _why_of_categories(_identity(data.layout_name), auxiliary)):
        raise ConfigError(f"{AUXILIARY}: {data.facts.title} is under test, {reason}, and {WHY}; choose another")
    if shared := _shared_categories(auxiliary, data):
        first = shared[0]
        raise ConfigError(
            f"{AUXILIARY}: the category '{first}' of {auxiliary.root} is also under test, and {WHY}; leave it out of "
            f"{AUXILIARY}.categories, or out of dataset.categories"
        )
    if path := _shared_file(auxiliary, data):
        raise ConfigError(
            f"{AUXILIARY}: {path} is also under test, and {WHY}; give {AUXILIARY}.root and dataset.root different "
            "images"
        )


def _why_the_same(trained_on: str, data: Dataset, *, by_likeness: bool) -> str:
    """Why a training data set is the one under test; empty if it seems to be another.

    Args:
        by_likeness: whether a name similar to that of the data set under test is a reason.
    """
    trained = _identity(trained_on)
    names = list(_names(data))
    if alike := next((name for name in names if _identity(name) == trained), None):
        return f"which is the data set under test ({alike})"
    is_unknown = by_likeness and trained not in datasets()
    if is_unknown and (alike := next((name for name in names if _alike(trained_on, name)), None)):
        return f"whose name is like that of the data set under test ({alike}) and of no other known data set"
    return _why_of_categories(trained, data)


def _why_of_categories(published: str, data: Dataset) -> str:
    """Why the user's own images are those of a published data set, by the names of its categories; or empty."""
    if data.facts is not None or data.is_demo or not _has_categories_of(published, data):
        return ""
    title = datasets()[published].title
    return f"and all categories in {data.root} have the names of those of {title} (if they differ, rename them)"


def _names(data: Dataset) -> Iterator[str]:
    """The names of a data set; layouts for the user's own images name no data set."""
    if data.facts is not None:
        yield from (data.layout_name, data.facts.title)
    if data.name != data.layout_name or data.is_demo:
        yield data.name


def _has_categories_of(published: str, data: Dataset) -> bool:
    """Whether all categories of the data set, or all wanted ones, are categories of a published one."""
    facts = datasets().get(published)
    if facts is None or not data.is_here:
        return False
    return any(
        len(categories) >= LEAST_CATEGORIES and set(categories) <= set(facts.categories)
        for categories in (data.known_categories, data.categories)
    )


def _shared_categories(auxiliary: Dataset, data: Dataset) -> Sequence[str]:
    """The categories of the same folder, or of the demo set, in both data sets."""
    if auxiliary.is_demo != data.is_demo:
        return []
    if not auxiliary.is_demo and _place(auxiliary) != _place(data):
        return []
    return [category for category in auxiliary.expected_categories if category in data.expected_categories]


def _shared_file(auxiliary: Dataset, data: Dataset) -> Path | None:
    """An image in both lists, if one folder is inside the other; no image is opened."""
    if auxiliary.is_demo or data.is_demo or not (auxiliary.is_here and data.is_here):
        return None
    one, other = _place(auxiliary), _place(data)
    if not (one.is_relative_to(other) or other.is_relative_to(one)):
        return None
    under_test = {path.resolve() for path in data.image_paths()}
    return next((path for path in auxiliary.image_paths() if path.resolve() in under_test), None)


def _place(data: Dataset) -> Path:
    """The folder of the images, or of their table."""
    return (data.root.parent if data.root.is_file() else data.root).resolve()


def _identity(name: str) -> str:
    """A key for all spellings of a data set's name: the name of a published one, or only letters and digits."""
    plain = _plain(name)
    known = {_plain(text): key for key, facts in datasets().items() for text in (key, facts.title)}
    return ALSO_CALLED.get(plain) or known.get(plain) or plain


def _alike(name: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, _plain(name), _plain(other)).ratio() >= ALIKE


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
