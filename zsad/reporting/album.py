"""The pictures that a page shows in several places, each of which it holds once."""

from __future__ import annotations

from typing import NamedTuple


class Picture(NamedTuple):
    """A picture under the identifier by which the page refers to it.

    Attributes:
        address: ``data:`` address.
        width, height: in pixels.
    """

    identifier: str
    address: str
    width: int
    height: int


class Album:
    """The pictures of one page, in the order in which the page first shows them."""

    def __init__(self) -> None:
        self._pictures: dict[str, Picture] = {}

    def place(self, address: str, width: int, height: int) -> str:
        """Take a picture in, unless it is there, and return its identifier."""
        if address not in self._pictures:
            self._pictures[address] = Picture(f"picture-{len(self._pictures) + 1}", address, width, height)
        return self._pictures[address].identifier

    def pictures(self) -> list[Picture]:
        """All that were taken in."""
        return list(self._pictures.values())
