"""Estimates of the rules in rules/data.smk, which disks and decoders limit."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.data.catalogue import datasets
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN, STATISTICS
from zsad.resources.run import Run
from zsad.resources.workload import Images, Workload

DOWNLOAD_RATE, UNKNOWN_ARCHIVE = 2e6, 5e9  # bytes a second; bytes
FILE_SECONDS = 1e-3  # opening a file and reading its header, on a shared disk
FILE_BYTES = 2.0  # of an image file, per pixel
HASH_SECONDS = 2e-9  # per byte, reading included
DECODED_BYTES, DECODE_SECONDS = 8, 25e-9  # per pixel; see `zsad.data.images.read_image`
READ_BYTES = 12  # at most per pixel, for a colour image with 16 bits per channel; see `zsad.data.images.read_image`
MOST_DECODERS, IMAGES_A_DECODER = 4, 25
DRAWN_BYTES, DRAWN_SECONDS = 640, 3.9e-6  # per pixel of the demo set, rendered at twice the size
LISTED_BYTES, LISTED_SECONDS = 2000, 5e-5  # per image in a list that is read
MADE_BYTES, MADE_SECONDS = 45, 1e-6  # per pixel of an image with a synthetic anomaly
CHECK_SECONDS = 8e-9  # per pixel of an image and its mask, checked in blocks


def download_dataset(run: Run, names: Mapping[str, str]) -> Estimate:
    """Streamed to disk; time by the size of the archives."""
    archives = datasets()[names["published"]].archives
    size = sum(archive.size or UNKNOWN_ARCHIVE for archive in archives) or UNKNOWN_ARCHIVE
    return PLAIN.plus(seconds=size / DOWNLOAD_RATE)


def _workload(run: Run, names: Mapping[str, str]) -> Workload:
    """The images of a job's category, of the data set under test or the auxiliary one."""
    return run.workload(names["category"], names.get("dataset"))


def make_demo(run: Run, names: Mapping[str, str]) -> Estimate:
    """One image in memory."""
    images = _workload(run, names).every
    return STATISTICS.plus(DRAWN_BYTES * images.largest.pixels / 1e6, DRAWN_SECONDS * images.pixels)


def reading_threads(run: Run, names: Mapping[str, str]) -> int:
    """One thread for few images; a disk can serve only few decoders."""
    return _decoders(_workload(run, names).every)


def training_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads for reading training images."""
    return _decoders(_workload(run, names).train)


def read_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes and hashes every image, one per thread at a time."""
    return _read(_workload(run, names).every)


def read_training(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes and hashes training images."""
    return _read(_workload(run, names).train)


def synthetic_threads(run: Run, names: Mapping[str, str]) -> int:
    """One thread for few synthetic images."""
    return _decoders(run.images(names["category"], names["subset"]))


def make_synthetic(run: Run, names: Mapping[str, str]) -> Estimate:
    """Makes each image from two, one per thread at a time."""
    images = run.images(names["category"], names["subset"])
    at_once = images.first(_decoders(images))
    return STATISTICS.plus(
        (READ_BYTES + MADE_BYTES) * at_once.pixels / 1e6, FILE_SECONDS * images.number + MADE_SECONDS * images.pixels
    )


def support_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads for reading the examples of a support."""
    return _decoders(run.examples(names["category"], names["support"]))


def read_support(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes and hashes the examples of a support."""
    return _read(run.examples(names["category"], names["support"]))


def _decoders(images: Images) -> int:
    return max(1, min(MOST_DECODERS, images.number // IMAGES_A_DECODER))


def _read(images: Images) -> Estimate:
    at_once = images.first(_decoders(images))
    seconds = (DECODE_SECONDS + HASH_SECONDS * FILE_BYTES) * images.pixels
    return PLAIN.plus((READ_BYTES + FILE_BYTES) * at_once.pixels / 1e6, FILE_SECONDS * images.number + seconds)


def build_manifest(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes at most every mask, one at a time."""
    images = _workload(run, names).every
    return PLAIN.plus(
        DECODED_BYTES * images.largest.pixels / 1e6, FILE_SECONDS * images.number + CHECK_SECONDS * images.pixels
    )


def check_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes every image and mask, one at a time."""
    images = _workload(run, names).every
    return PLAIN.plus(
        DECODED_BYTES * images.largest.pixels / 1e6, FILE_SECONDS * images.number + CHECK_SECONDS * images.pixels
    )


def check_unseen(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the lists of the images under test and of all training images; no image is opened."""
    auxiliary = run.settings.auxiliary
    learned = (
        0
        if auxiliary is None
        else sum(run.workload(category, auxiliary.name).every.number for category in run.auxiliary_categories)
    )
    images = run.workload(names["category"]).every.number + learned
    return PLAIN.plus(LISTED_BYTES * images / 1e6, LISTED_SECONDS * images)
