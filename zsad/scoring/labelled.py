"""Categories of an auxiliary data set, for methods that learn from their defects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zsad.scoring.token_source import LabelledTokens, TokenSource


class AuxiliaryCategory(NamedTuple):
    """The labelled images and references of one category of an auxiliary data set.

    Attributes:
        name: of the category.
        images: its labelled images, those of its test split.
        references: normal images of its training split, used like the references of the object under test; None if the
            method uses none.
    """

    name: str
    images: LabelledTokens
    references: TokenSource | None = None
