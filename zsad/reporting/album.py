"""Pictures that a page shows in several places; the page contains each of them once."""

from __future__ import annotations

from typing import NamedTuple


class Picture(NamedTuple):
    """A picture with the identifier that the page uses for it.

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
        """Add a picture, unless it is there already, and return its identifier."""
        if address not in self._pictures:
            self._pictures[address] = Picture(f"picture-{len(self._pictures) + 1}", address, width, height)
        return self._pictures[address].identifier

    def pictures(self) -> list[Picture]:
        """All added pictures."""
        return list(self._pictures.values())
