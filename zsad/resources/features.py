"""Estimates of the rules in rules/features.smk: patch features."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.features.readers import number_of_readers
from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PLAIN, gpu_build_megabytes, with_transformers
from zsad.resources.run import Run
from zsad.resources.tokens import is_network, operations_of, patches_of, tokens_of, working_bytes
from zsad.resources.workload import Images, Size
from zsad.workflow.entries import BackboneEntry

CPU_RATE, GPU_RATE = 8e10, 1.5e13  # operations per second: of a core in float32, of a GPU in 16 bits; conservative
LOADED_COPIES = 2  # of the weights: the file content, and the network
CPU_PATCHES, GPU_PATCHES = 1024, 32768  # computed at a time; see `zsad.features.network`
NETWORK_THREADS, GPU_THREADS = 8, 4
READER_MEGABYTES = 250  # a process that reads images, torch's build for CPUs included
TOKEN_COPIES = 3 * 4  # bytes per value: computed, converted, written
SECONDS_A_BYTE = 1.4e-7 / 60  # of working memory, if operations are unknown: as for the filter bank


def extraction_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads of an extraction: for a network on a CPU eight, or fewer for few images."""
    if not is_network(run.settings.backbones[names["backbone"]]):
        return 1
    if run.on_gpu:
        return GPU_THREADS
    return max(1, min(NETWORK_THREADS, _images(run, names).number))


def extract_features(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes the images and runs the backbone."""
    entry = run.settings.backbones[names["backbone"]]
    images = _images(run, names)
    estimate = _by_network(run, names, entry, images) if is_network(entry) else _one_by_one(entry, images)
    return estimate.plus(
        (DECODED_BYTES * images.largest.pixels + TOKEN_COPIES * tokens_of(entry, images).image_values) / 1e6,
        DECODE_SECONDS * images.pixels,
    )


def _images(run: Run, names: Mapping[str, str]) -> Images:
    return run.images(names["category"], names["subset"], names["view"], names.get("dataset"))


def reader_megabytes() -> float:
    """Memory of a process that reads images for a network."""
    return READER_MEGABYTES + gpu_build_megabytes()


def _one_by_one(entry: BackboneEntry, images: Images) -> Estimate:
    most = max(working_bytes(entry, size) for size in images.shapes)
    weights = LOADED_COPIES * entry.backbone.assumed_megabytes()
    return PLAIN.plus(weights + most / 1e6, _seconds(entry, images, CPU_RATE))


def _by_network(run: Run, names: Mapping[str, str], entry: BackboneEntry, images: Images) -> Estimate:
    tokens = tokens_of(entry, images)
    buffers = TOKEN_COPIES * _patches_at_a_time(run, tokens.patches) * tokens.layers * tokens.channels
    activations = 0.0 if run.on_gpu else max(_activations(run, entry, size) for size in images.shapes)
    # Each file is read once, however often a view shows it.
    files = run.images(names["category"], names["subset"], dataset=names.get("dataset"))
    readers = reader_megabytes() * readers_of(run, extraction_threads(run, names), files)
    return with_transformers(on_gpu=run.on_gpu).plus(
        LOADED_COPIES * entry.backbone.assumed_megabytes() + (activations + buffers) / 1e6 + readers,
        _seconds(entry, images, GPU_RATE if run.on_gpu else CPU_RATE),
    )


def _activations(run: Run, entry: BackboneEntry, size: Size) -> float:
    """Bytes inside a network for the images of a size that are computed at a time."""
    patches = patches_of(entry, size)
    return working_bytes(entry, size) * _patches_at_a_time(run, patches) / patches


def _patches_at_a_time(run: Run, patches: int) -> int:
    """Patches that a network computes at a time, for images with ``patches`` patches each."""
    if run.settings.extraction.batch is not None:
        return patches * run.settings.extraction.batch
    return max(patches, GPU_PATCHES if run.on_gpu else CPU_PATCHES)


def _seconds(entry: BackboneEntry, images: Images, rate: float) -> float:
    """Seconds of the computation: its operations at a rate, or if they are unknown, the time to fill its memory."""
    operations = operations_of(entry, images)
    if operations is not None:
        return operations / rate
    return images.number * SECONDS_A_BYTE * max(working_bytes(entry, size) for size in images.shapes)


def readers_of(run: Run, threads: int, files: Images) -> int:
    """Number of processes that read images for a network."""
    free = 0 if threads == 1 else threads - 1 if run.on_gpu else threads
    return number_of_readers(run.settings.extraction.workers, free, files.number, files.pixels)
