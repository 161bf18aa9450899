"""The stage that makes sure that a method has learned from no image of the category that it is tested on.

Images are compared by the SHA-256 of their files, which the lists of images hold, so that none is opened. A picture
that somebody has saved anew is another file, and is not recognised.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from zsad.data.image_list import read_image_list
from zsad.errors import DataError
from zsad.files.json_files import write_json
from zsad.files.learned import read_learned
from zsad.files.provenance import file_sha256

IMAGES_SHA256: Final = "images_sha256"  # the key of the facts of learned weights
WHY: Final = "scores on images that were learned from measure nothing"

logger = logging.getLogger(__name__)


class Hashed(Protocol):
    """An image of which the SHA-256 is known; a `zsad.data.image_list.ListedImage` is one."""

    @property
    def path(self) -> str:
        """Path as the workflow opens it."""

    @property
    def sha256(self) -> str:
        """Of the file's bytes, hexadecimal."""


def check_unseen(
    image_list: Path,
    output: Path,
    provenance: Mapping[str, Any],
    *,
    auxiliary: Iterable[Path] = (),
    weights: Path | None = None,
) -> None:
    """Write that no image of a category was learned from, of either split.

    Args:
        image_list: of the category under test.
        output: JSON with the number of images on either side.
        provenance: to be stored with it.
        auxiliary: the lists of the images that are going to be learned from.
        weights: what was learned before; its facts tell of what.

    Raises:
        DataError: an image is in both; there is no output then. A list is absent or was changed, or the weights do
            not tell what they were learned from.
    """
    images = read_image_list(image_list)
    learned: Mapping[str, str] = {image.sha256: image.path for path in auxiliary for image in read_image_list(path)}
    _check_not_shared(images, learned)
    count = len(learned)
    if weights is not None:
        hashes = learned_images(read_learned(weights).facts, weights)
        check_not_learned(images, hashes, weights)
        count += len(hashes)
    logger.info("none of %d images is among the %d that are learned from", len(images), count)
    write_json(output, {"images": len(images), "learned_from": count, "provenance": dict(provenance)})


def learned_images(facts: Mapping[str, Any], weights: Path) -> frozenset[str]:
    """The SHA-256 of the images that weights were learned from.

    Raises:
        DataError: their facts do not tell.
    """
    hashes = facts.get(IMAGES_SHA256)
    if not isinstance(hashes, list) or not hashes:
        raise DataError(
            f"{weights} does not tell which images it was learned from, so that it is not known whether those under "
            "test are among them; give weights of another training"
        )
    return frozenset(map(str, hashes))


def check_not_learned(images: Iterable[Hashed], hashes: Collection[str], weights: Path) -> None:
    """Refuse images that weights were learned from.

    Args:
        hashes: see `learned_images`.
        weights: the file, for messages.

    Raises:
        DataError: there is one.
    """
    shared = [image for image in images if image.sha256 in hashes]
    if shared:
        raise DataError(
            f"{shared[0].path} is under test, and {weights} was learned from the same image{more_of(shared)}; {WHY}, "
            "so leave it out, or give weights of another training"
        )


def shared_files(under_test: Iterable[Path], learned_from: Iterable[Path]) -> list[tuple[Path, Path]]:
    """The files under test of which there is a copy among those that are learned from, with the first such copy.

    Only files of equal length are read, since no others can be copies.
    """
    by_size: dict[int, list[Path]] = {}
    for path in learned_from:
        by_size.setdefault(_size(path), []).append(path)
    digests: dict[Path, str] = {}
    shared = []
    for path in under_test:
        alike = by_size.get(_size(path), [])
        if copy := next((other for other in alike if _digest(path, digests) == _digest(other, digests)), None):
            shared.append((path, copy))
    return shared


def files_learned_from(under_test: Iterable[Path], hashes: Collection[str]) -> list[Path]:
    """The files under test whose SHA-256 is one of those that were learned from; all are read."""
    digests: dict[Path, str] = {}
    return [path for path in under_test if _digest(path, digests) in hashes]


def _size(path: Path) -> int:
    """Bytes of a file; -1 of what cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _digest(path: Path, known: dict[Path, str]) -> str:
    """The SHA-256 of a file's content, computed once; its path, if it cannot be read."""
    if path not in known:
        try:
            known[path] = file_sha256(path)
        except OSError:
            known[path] = str(path)
    return known[path]


def _check_not_shared(images: Sequence[Hashed], learned: Mapping[str, str]) -> None:
    """Refuse images that are also in what is going to be learned from.

    Args:
        learned: their paths, by the SHA-256.

    Raises:
        DataError: there is one.
    """
    shared = [image for image in images if image.sha256 in learned]
    if shared:
        raise DataError(
            f"{shared[0].path} is under test, and {learned[shared[0].sha256]}, which is to be learned from, is the "
            f"same image{more_of(shared)}; {WHY}, so take one of them out of its data set"
        )


def more_of(shared: Sequence[object]) -> str:
    """How many images are in both data sets besides the first one; empty of a single one."""
    more = len(shared) - 1
    return f" (and {more} more {'are' if more > 1 else 'is'} in both)" if more else ""
