"""The stage that checks that no test image of a category was used for training a method.

Images are compared by the SHA-256 of their files, which the lists of images contain, so that no image is opened. A
re-encoded copy of an image is another file and is not recognised.
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

IMAGES_SHA256: Final = "images_sha256"  # the key in the facts of learned weights
WHY: Final = "scores on training images measure nothing"

logger = logging.getLogger(__name__)


class Hashed(Protocol):
    """An image whose SHA-256 is known; a `zsad.data.image_list.ListedImage` is one."""

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
    """Check that no image of a category, of either split, was used for training, and write the result.

    Args:
        image_list: the list of the category under test.
        output: JSON with the number of images under test and of training images.
        provenance: stored in the output.
        auxiliary: the lists of the images for training.
        weights: a file of learned weights; its facts name the training images.

    Raises:
        DataError: an image is in both; no output is written. A list is missing or was changed, or the weights do not
            name their training images.
    """
    images = read_image_list(image_list)
    learned: Mapping[str, str] = {image.sha256: image.path for path in auxiliary for image in read_image_list(path)}
    _check_not_shared(images, learned)
    count = len(learned)
    if weights is not None:
        hashes = learned_images(read_learned(weights).facts, weights)
        check_not_learned(images, hashes, weights)
        count += len(hashes)
    logger.info("none of %d images is among the %d training images", len(images), count)
    write_json(output, {"images": len(images), "learned_from": count, "provenance": dict(provenance)})


def learned_images(facts: Mapping[str, Any], weights: Path) -> frozenset[str]:
    """The SHA-256 of the images that weights were trained on.

    Raises:
        DataError: their facts do not name them.
    """
    hashes = facts.get(IMAGES_SHA256)
    if not isinstance(hashes, list) or not hashes:
        raise DataError(
            f"{weights} does not name the images that it was trained on, so that images under test may be among them; "
            "give weights of another training"
        )
    return frozenset(map(str, hashes))


def check_not_learned(images: Iterable[Hashed], hashes: Collection[str], weights: Path) -> None:
    """Reject images that weights were trained on.

    Args:
        hashes: the output of `learned_images`.
        weights: the file, for messages.

    Raises:
        DataError: there is one.
    """
    shared = [image for image in images if image.sha256 in hashes]
    if shared:
        raise DataError(
            f"{shared[0].path} is under test, and {weights} was trained on the same image{more_of(shared)}; {WHY}, "
            "so leave it out, or give weights of another training"
        )


def shared_files(under_test: Iterable[Path], learned_from: Iterable[Path]) -> list[tuple[Path, Path]]:
    """The files under test with a copy among the training files, each with the first such copy.

    Only files of equal length are read, since other files cannot be copies.
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
    """The files under test whose SHA-256 is that of a training image; all files are read."""
    digests: dict[Path, str] = {}
    return [path for path in under_test if _digest(path, digests) in hashes]


def _size(path: Path) -> int:
    """Size of a file in bytes; -1 if it cannot be read."""
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
    """Reject images that are also among the images for training.

    Args:
        learned: their paths, by the SHA-256.

    Raises:
        DataError: there is one.
    """
    shared = [image for image in images if image.sha256 in learned]
    if shared:
        raise DataError(
            f"{shared[0].path} is under test, and {learned[shared[0].sha256]}, which is for training, is the "
            f"same image{more_of(shared)}; {WHY}, so remove one of them from its data set"
        )


def more_of(shared: Sequence[object]) -> str:
    """How many more images are in both data sets besides the first; empty for a single one."""
    more = len(shared) - 1
    return f" (and {more} more {'are' if more > 1 else 'is'} in both)" if more else ""
