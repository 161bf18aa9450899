"""The stage that makes synthetic anomalies for training, only from the normal references of a category."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from zsad.adaptation.origins import write_origins
from zsad.adaptation.plan import PlannedImage, plan_images
from zsad.adaptation.synthetic import add_anomaly, generator_of
from zsad.adaptation.synthetic_sheet import MOST_A_ROW, Thumbnail, contact_sheet, thumbnail
from zsad.data.image_list import ListedImage, read_image_list, write_images
from zsad.data.images import read_image
from zsad.data.manifest import ImageRecord, write_manifest
from zsad.data.subsets import SyntheticSubset, select, synthetic_named
from zsad.errors import DataError
from zsad.errors.system import system_sentence
from zsad.files.atomic import atomic_path
from zsad.files.provenance import file_sha256
from zsad.progress import progress

IMAGES, MASKS = "images", "masks"  # folders beside the list
COMPRESSION = 4  # of 9

logger = logging.getLogger(__name__)


class _Made(NamedTuple):
    """A synthetic image and its thumbnail; None if it is not on the contact sheet."""

    record: ImageRecord
    references: tuple[str, ...]
    thumbnail: Thumbnail | None


def make_synthetic(
    *, training_list: Path, category: str, subset: str, images: Path, manifest: Path, origins: Path, sheet: Path,
    threads: int = 1,
) -> None:  # fmt: skip
    """Make the images of a subset and their masks beside ``images``, and list them; on an error nothing is left.

    Each image depends only on its number, the seed, the identifiers of all references, and the references that it is
    made from. All are anomalous: the references themselves are the normal images that belong to them. They are written
    as PNG with 8 bits a channel, upright and in the size of their reference: outside of the masks, features are
    extracted from the same pixels as those of the references, whatever their format and bit depth.

    Args:
        training_list: the category's list of training images.
        category: name, for messages.
        subset: its name determines what is made, see `zsad.data.subsets.SyntheticSubset`.
        images: CSV, see `zsad.data.image_list`, written last; all in the split ``test``, like the examples of a
            support.
        manifest: CSV, see `zsad.data.manifest`; defect types are the recipes.
        origins: CSV, see `zsad.adaptation.origins`.
        sheet: PNG, a contact sheet of some of them.
        threads: number of threads, each of which makes one image at a time.

    Raises:
        DataError: there are fewer training images than references, one cannot be read or has changed, or the disk is
            full.
        ValueError: ``subset`` is not such a name.
    """
    wanted = synthetic_named(subset)
    if wanted is None:
        raise ValueError(f"{subset} is not a subset of synthetic images")
    references = select(read_image_list(training_list), wanted.references, category)
    folder = images.parent
    images.unlink(missing_ok=True)
    _clear(folder)
    try:
        made = _all_made(folder, references, wanted, category, threads)
        write_manifest(manifest, [each.record for each in made])
        write_origins(origins, {each.record.image_id: each.references for each in made})
        _write_sheet(sheet, category, made)
        write_images(images, [each.record.listed for each in made])
    except BaseException:
        _clear(folder)
        raise
    for recipe, count in sorted(Counter(each.record.defect_type for each in made).items()):
        logger.info("%s: %d images by %s from %d references", category, count, recipe, len(references))


def _all_made(
    folder: Path, references: Sequence[ListedImage], wanted: SyntheticSubset, category: str, threads: int
) -> list[_Made]:
    by_id = {reference.image_id: reference for reference in references}
    plan = plan_images(list(by_id), wanted)
    order = Counter[str]()
    shown = []
    for each in plan:
        order[each.recipe] += 1
        shown.append(order[each.recipe] <= MOST_A_ROW)
    make = partial(_made, folder, by_id, wanted.seed)
    limit = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the threads of this stage already share the cores
    try:
        with ThreadPoolExecutor(threads) as pool:
            results = pool.map(make, plan, shown)
            return list(progress(results, total=len(plan), label=f"synthetic anomalies of {category}"))
    finally:
        cv2.setNumThreads(limit)


def _made(folder: Path, references: Mapping[str, ListedImage], seed: int, each: PlannedImage, shown: bool) -> _Made:
    """Make an image and its mask, and write both."""
    rng = generator_of(seed, each.place, each.base)
    others = [image_id for image_id in references if image_id != each.base]
    donor = others[int(rng.integers(len(others)))] if others else ""
    image = _read(references[each.base])
    made = add_anomaly(image, each.recipe, partial(_read, references[donor]) if donor else None, rng)
    path, mask_path = folder / IMAGES / each.image_id, folder / MASKS / each.image_id
    _write(path, made.image)
    _write(mask_path, made.mask.astype(np.uint8) * 255)
    record = ImageRecord(
        image_id=each.image_id,
        path=path.as_posix(),
        split="test",
        label=1,
        defect_type=each.recipe,
        mask_path=mask_path.as_posix(),
        height=image.shape[0],
        width=image.shape[1],
        sha256=file_sha256(path),
        mask_sha256=file_sha256(mask_path),
    )
    small = thumbnail(each.recipe, made.image, made.mask) if shown else None
    return _Made(record, (each.base, donor) if made.uses_other else (each.base,), small)


def _read(reference: ListedImage) -> np.ndarray:
    """A reference with the pixels from which features are extracted."""
    return read_image(reference.path, reference.sha256, reference.white)


def _write(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG, RGB or grey; grey colours are written as grey. The list of images is written after all of them.

    Raises:
        DataError: the disk is full, fails, or is not writable.
    """
    if pixels.ndim == 3:
        is_grey = (pixels == pixels[..., :1]).all()
        pixels = np.ascontiguousarray(pixels[..., 0]) if is_grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION])
    if not done:
        raise DataError(f"{path} cannot be written as PNG; make its reference smaller")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.tobytes())
    except OSError as error:
        raise DataError(system_sentence(error, path) or f"{path} cannot be written ({error})") from None


def _write_sheet(sheet: Path, category: str, made: Sequence[_Made]) -> None:
    shown = [each.thumbnail for each in made if each.thumbnail is not None]
    picture = contact_sheet(f"{category}: {len(made)} images with synthetic anomalies", shown)
    with atomic_path(sheet) as temporary:
        picture.save(temporary, format="PNG")


def _clear(folder: Path) -> None:
    """Remove the images and masks of an earlier attempt.

    Raises:
        DataError: they cannot be removed.
    """
    for each in (folder / IMAGES, folder / MASKS):
        try:
            if each.exists():
                shutil.rmtree(each)
        except OSError as error:
            raise DataError(system_sentence(error, each) or f"{each} cannot be removed; delete it") from None
