"""Rules of rules/data.smk: what is bound by disks and decoders."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.data.catalogue import datasets
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN, STATISTICS
from zsad.resources.run import Run
from zsad.resources.workload import Images, Workload

DOWNLOAD_RATE, UNKNOWN_ARCHIVE = 2e6, 5e9  # bytes a second; bytes
FILE_SECONDS = 1e-3  # to open a file and read its header, on a disk that others use too
FILE_BYTES = 2.0  # of an image file, a pixel
HASH_SECONDS = 2e-9  # a byte, reading included
DECODED_BYTES, DECODE_SECONDS = 8, 25e-9  # a pixel; see `zsad.data.images.read_image`
READ_BYTES = 12  # a pixel at the most, of a colour image of 16 bits a channel; see `zsad.data.images.read_image`
MOST_DECODERS, IMAGES_A_DECODER = 4, 25
DRAWN_BYTES, DRAWN_SECONDS = 640, 3.9e-6  # a pixel of the demo set, drawn at twice the size
LISTED_BYTES, LISTED_SECONDS = 2000, 5e-5  # an image in a list, read
MADE_BYTES, MADE_SECONDS = 45, 1e-6  # a pixel of an image with an anomaly that is made for training
CHECK_SECONDS = 8e-9  # a pixel of an image and its mask, looked at in blocks


def download_dataset(run: Run, names: Mapping[str, str]) -> Estimate:
    """Streamed to disk; time by the size of the archives."""
    archives = datasets()[names["published"]].archives
    size = sum(archive.size or UNKNOWN_ARCHIVE for archive in archives) or UNKNOWN_ARCHIVE
    return PLAIN.plus(seconds=size / DOWNLOAD_RATE)


def _workload(run: Run, names: Mapping[str, str]) -> Workload:
    """The images of a job's category, under test or learned from."""
    return run.workload(names["category"], names.get("dataset"))


def make_demo(run: Run, names: Mapping[str, str]) -> Estimate:
    """One image in memory."""
    images = _workload(run, names).every
    return STATISTICS.plus(DRAWN_BYTES * images.largest.pixels / 1e6, DRAWN_SECONDS * images.pixels)


def reading_threads(run: Run, names: Mapping[str, str]) -> int:
    """One for few images; a disk keeps up with few decoders."""
    return _decoders(_workload(run, names).every)


def training_threads(run: Run, names: Mapping[str, str]) -> int:
    """The same for training images."""
    return _decoders(_workload(run, names).train)


def read_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Every image decoded and hashed, as many at a time as there are threads."""
    return _read(_workload(run, names).every)


def read_training(run: Run, names: Mapping[str, str]) -> Estimate:
    """The same of training images."""
    return _read(_workload(run, names).train)


def synthetic_threads(run: Run, names: Mapping[str, str]) -> int:
    """One for few images that are made for training."""
    return _decoders(run.images(names["category"], names["subset"]))


def make_synthetic(run: Run, names: Mapping[str, str]) -> Estimate:
    """Each image made of two, as many at a time as there are threads."""
    images = run.images(names["category"], names["subset"])
    at_once = images.first(_decoders(images))
    return STATISTICS.plus(
        (READ_BYTES + MADE_BYTES) * at_once.pixels / 1e6, FILE_SECONDS * images.number + MADE_SECONDS * images.pixels
    )


def support_threads(run: Run, names: Mapping[str, str]) -> int:
    """The same for the examples of a support."""
    return _decoders(run.examples(names["category"], names["support"]))


def read_support(run: Run, names: Mapping[str, str]) -> Estimate:
    """The same of the examples of a support."""
    return _read(run.examples(names["category"], names["support"]))


def _decoders(images: Images) -> int:
    return max(1, min(MOST_DECODERS, images.number // IMAGES_A_DECODER))


def _read(images: Images) -> Estimate:
    at_once = images.first(_decoders(images))
    seconds = (DECODE_SECONDS + HASH_SECONDS * FILE_BYTES) * images.pixels
    return PLAIN.plus((READ_BYTES + FILE_BYTES) * at_once.pixels / 1e6, FILE_SECONDS * images.number + seconds)


def build_manifest(run: Run, names: Mapping[str, str]) -> Estimate:
    """Every mask decoded at the most, one at a time."""
    images = _workload(run, names).every
    return PLAIN.plus(
        DECODED_BYTES * images.largest.pixels / 1e6, FILE_SECONDS * images.number + CHECK_SECONDS * images.pixels
    )


def check_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Every image and mask decoded, one at a time."""
    images = _workload(run, names).every
    return PLAIN.plus(
        DECODED_BYTES * images.largest.pixels / 1e6, FILE_SECONDS * images.number + CHECK_SECONDS * images.pixels
    )


def check_unseen(run: Run, names: Mapping[str, str]) -> Estimate:
    """The lists of the images under test and of all that are learned from; no image is opened."""
    auxiliary = run.settings.auxiliary
    learned = (
        0
        if auxiliary is None
        else sum(run.workload(category, auxiliary.name).every.number for category in run.auxiliary_categories)
    )
    images = run.workload(names["category"]).every.number + learned
    return PLAIN.plus(LISTED_BYTES * images / 1e6, LISTED_SECONDS * images)
