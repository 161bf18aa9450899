"""The contact sheets of a page: the files with the pictures of all test images, and their addresses in the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import numpy as np

from zsad.data.image_list import ListedImage, read_image_list
from zsad.errors import DataError
from zsad.errors.system import system_sentence
from zsad.files.pictures import LayerReader, PictureReader, ThumbnailReader
from zsad.reporting.data_address import data_address
from zsad.reporting.evaluations import MethodKey, key_of

MOST_EMBEDDED = 1000  # images in one page; with more, a browser needs too much memory
THUMBNAIL, MAP = ("image/jpeg", "jpg"), ("image/png", "png")
_TEXT_OF_BYTES = 4 / 3  # base64


@dataclass(frozen=True)
class SheetFiles:
    """The files behind the contact sheet of a category.

    Attributes:
        place: position of the category in the data set, from 1.
        image_list: of the images (see `zsad.data.image_list`).
        layers: by method.
    """

    place: int
    image_list: Path
    thumbnails: Path
    layers: Mapping[MethodKey, Path] = field(default_factory=dict)

    @cached_property
    def images(self) -> list[ListedImage]:
        """All listed images, including those for training."""
        return read_image_list(self.image_list)

    @cached_property
    def number(self) -> int:
        """Number of test images."""
        return sum(image.split == "test" for image in self.images)

    @cached_property
    def weight(self) -> float:
        """The size of the pictures as text in a page, in bytes."""
        return _TEXT_OF_BYTES * sum(int(reader.weights.sum()) for _, reader in self._pictures())

    @cached_property
    def colours(self) -> list[str]:
        """Colours of the maps from the lowest to the highest value, ``#rrggbb``."""
        for path in self.layers.values():
            with LayerReader(path) as reader:
                return list(reader.heading["colours"])
        return []

    @property
    def folder(self) -> str:
        """The name of the folder of the pictures, if they are files; a category's name may be no valid file name."""
        return f"pictures-{self.place}"

    def thumbnails_at(self, beside: str | None) -> dict[str, str | None]:
        """The address of each thumbnail, by image.

        Args:
            beside: relative path from the page to the folder of `write_pictures`; None for ``data:`` addresses.
        """
        with ThumbnailReader(self.thumbnails) as reader:
            return self._addresses(reader, THUMBNAIL, beside, self.folder)

    def thumbnail_at(self, reader: ThumbnailReader, index: int, beside: str | None) -> str | None:
        """The address of one thumbnail; None if the image has none; ``beside`` as above."""
        return self._address(reader, index, THUMBNAIL, beside, self.folder)

    def maps_at(self, reader: LayerReader, key: MethodKey, beside: str | None) -> dict[str, str | None]:
        """The address of each map of a method, by image; None if it has none; ``beside`` as above."""
        return self._addresses(reader, MAP, beside, self._folder_of(key))

    def write_pictures(self, folder: Path) -> None:
        """Write all pictures as files into the existing `folder`, under the addresses above.

        Raises:
            DataError: they cannot be read or written.
        """
        for name, reader in self._pictures():
            ending = MAP[1] if isinstance(reader, LayerReader) else THUMBNAIL[1]
            (folder / name).mkdir()
            for index in np.flatnonzero(reader.weights).tolist():
                picture, path = reader.picture(index), folder / name / _file_name(index, ending)
                try:
                    path.write_bytes(picture)
                except OSError as error:
                    raise DataError(system_sentence(error, path) or str(error)) from None

    def _pictures(self) -> Iterator[tuple[str, PictureReader]]:
        """Yield each folder name with its open pictures, one after the other."""
        with ThumbnailReader(self.thumbnails) as thumbnails:
            yield self.folder, thumbnails
        for key, path in self.layers.items():
            with LayerReader(path) as layers:
                yield self._folder_of(key), layers

    def _folder_of(self, key: MethodKey) -> str:
        return f"{self.folder}-{list(self.layers).index(key) + 1}"

    @classmethod
    def _addresses(
        cls, reader: PictureReader, kind: tuple[str, str], beside: str | None, folder: str
    ) -> dict[str, str | None]:
        return {
            image_id: cls._address(reader, index, kind, beside, folder)
            for index, image_id in enumerate(reader.image_ids)
        }

    @staticmethod
    def _address(
        reader: PictureReader, index: int, kind: tuple[str, str], beside: str | None, folder: str
    ) -> str | None:
        media, ending = kind
        if not reader.weights[index]:
            return None
        if beside is None:
            return data_address(media, reader.picture(index))
        return quote(f"{beside}{folder}/{_file_name(index, ending)}")


def _file_name(index: int, ending: str) -> str:
    return f"{index + 1:05d}.{ending}"


def sheet_files(
    categories: Sequence[str], image_lists: Mapping[str, Path], thumbnails: Mapping[str, Path], layers: Sequence[Path]
) -> dict[str, SheetFiles]:
    """The files of each category's contact sheet; categories without thumbnails have none.

    Raises:
        DataError: a file of layers cannot be read.
    """
    of_category: dict[str, dict[MethodKey, Path]] = {category: {} for category in categories}
    for path in layers:
        with LayerReader(path) as reader:
            category, key = reader.heading["category"], key_of(reader.heading)
        if category not in of_category:
            raise DataError(f"{path} is of category '{category}', which is not on the page; run again")
        of_category[category][key] = path
    return {
        category: SheetFiles(place, image_lists[category], thumbnails[category], of_category[category])
        for place, category in enumerate(categories, start=1)
        if category in thumbnails
    }
