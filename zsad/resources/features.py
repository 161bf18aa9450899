"""Rules of rules/features.smk: patch features."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.config import BackboneEntry
from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import CUDA, PLAIN, TRANSFORMERS
from zsad.resources.run import Run
from zsad.resources.tokens import is_network, network_of, network_operations, tokens_of, weights_megabytes
from zsad.resources.workload import Images
from zsad.scoring.cost import TokenCount

CPU_RATE, GPU_RATE = 8e10, 1.5e13  # operations a second: of a core in float32, of a GPU in 16 bits; conservative
LOADED_COPIES = 2  # of the weights: what is read, and the network
CPU_PATCHES, GPU_PATCHES = 1024, 32768  # computed at a time; see `zsad.features.network`
ACTIVATION_BYTES = 4 * 24  # a patch and channel: the widest place of a block in float32
LEAST_IMAGES = 4  # that a process which reads images is worth; see `zsad.features.extract`
NETWORK_THREADS, GPU_THREADS = 8, 4
WORKER_MEGABYTES = 250  # a process that reads images, torch included
TOKEN_COPIES = 3 * 4  # bytes a value: computed, converted, written
FILTER_BYTES, FILTER_SECONDS = 60, 1.4e-7  # a pixel of the resized image, by the embedded filter bank


def extraction_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads of an extraction: for a network on a CPU eight, or as many as there are images for."""
    if not is_network(run.settings.backbones[names["backbone"]]):
        return 1
    if run.on_gpu:
        return GPU_THREADS
    return max(1, min(NETWORK_THREADS, _images(run, names).count))


def extract_features(run: Run, names: Mapping[str, str]) -> Estimate:
    """Images decoded, and shown to a network or to the filter bank."""
    entry = run.settings.backbones[names["backbone"]]
    images = _images(run, names)
    tokens = tokens_of(entry, images)
    estimate = _by_network(run, names, entry, images) if is_network(entry) else _by_filters(entry, tokens)
    return estimate.plus(
        (DECODED_BYTES * images.largest.pixels + TOKEN_COPIES * tokens.image_values) / 1e6,
        DECODE_SECONDS * images.pixels,
    )


def _images(run: Run, names: Mapping[str, str]) -> Images:
    return run.workload(names["category"]).of(names["subset"], names["view"])


def _by_filters(entry: BackboneEntry, tokens: TokenCount) -> Estimate:
    pixels = tokens.patches * entry.params["stride"] ** 2
    return PLAIN.plus(FILTER_BYTES * pixels / 1e6, tokens.images * FILTER_SECONDS * pixels)


def _by_network(run: Run, names: Mapping[str, str], entry: BackboneEntry, images: Images) -> Estimate:
    network = network_of(entry)
    tokens = tokens_of(entry, images)
    at_a_time = max(tokens.patches, GPU_PATCHES if run.on_gpu else CPU_PATCHES)
    if run.settings.extraction.batch is not None:
        at_a_time = tokens.patches * run.settings.extraction.batch
    activations = 0 if run.on_gpu else ACTIVATION_BYTES * at_a_time * getattr(network, "width", network.channels)
    buffers = TOKEN_COPIES * at_a_time * network.layers * network.channels
    files = run.workload(names["category"]).of(names["subset"]).count  # each is read once, however it is shown
    readers = WORKER_MEGABYTES * readers_of(run, extraction_threads(run, names), files)
    estimate = TRANSFORMERS.plus(
        LOADED_COPIES * weights_megabytes(entry) + (activations + buffers) / 1e6 + readers,
        network_operations(entry, images) / (GPU_RATE if run.on_gpu else CPU_RATE),
    )
    return estimate.plus(*CUDA) if run.on_gpu else estimate


def readers_of(run: Run, threads: int, images: int) -> int:
    """Processes that read images beside a network."""
    if run.settings.extraction.workers is not None:
        return min(run.settings.extraction.workers, images)
    wanted = threads - 1 if run.on_gpu else threads
    return 0 if threads == 1 else min(wanted, images // LEAST_IMAGES)
