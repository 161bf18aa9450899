"""What is known of the categories of an auxiliary data set, for methods that learn from their defects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zsad.scoring.token_source import LabelledTokens, TokenSource


class AuxiliaryCategory(NamedTuple):
    """What is known of one category of an auxiliary data set.

    Attributes:
        name: of the category.
        images: its labelled images, those of its test split.
        references: normal images of its training split, in the place of those of the part under test; None for a
            method that asks for none.
    """

    name: str
    images: LabelledTokens
    references: TokenSource | None = None
