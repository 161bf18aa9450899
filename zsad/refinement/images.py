"""The images behind a score file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zsad.data.image_list import ListedImage
from zsad.errors import DataError
from zsad.files.scores import ScoreReader


def records_of(reader: ScoreReader, records: Mapping[str, ListedImage], image_list: Path) -> list[ListedImage]:
    """The records of the images of a score file, in its order.

    Raises:
        DataError: the list lacks one.
    """
    missing = [image_id for image_id in reader.image_ids if image_id not in records]
    if missing:
        raise DataError(
            f"{reader.path} has scores of {len(missing)} images that {image_list} does not list, first '{missing[0]}'; "
            "run the scoring again"
        )
    return [records[image_id] for image_id in reader.image_ids]
