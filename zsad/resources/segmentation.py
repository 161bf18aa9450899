"""Estimates of the rules with a promptable segmentation model: rules/segmentation.smk, crops, masks and the oracle."""

from __future__ import annotations

from collections.abc import Mapping

from zsad.resources.data import DECODE_SECONDS, DECODED_BYTES
from zsad.resources.estimate import Estimate
from zsad.resources.features import GPU_RATE, GPU_THREADS, LOADED_COPIES, NETWORK_THREADS, reader_megabytes, readers_of
from zsad.resources.libraries import with_transformers
from zsad.resources.run import Run
from zsad.resources.workload import Images
from zsad.segmentation.catalogue import facts_of

UNKNOWN_WEIGHTS, USUAL_SIDE = 1300, 1024  # MB in float32: about a SAM ViT-L; pixels
PATCH = 16  # pixels of the resized square per token
SQUARE_BYTES, OF_WEIGHTS = 800, 375  # per pixel of the square, for activations of an encoder with this many MB
CPU_RATE = 5e10  # operations per second and core: attention with relative positions is slower than plain products
PROMPT_SECONDS, PROMPT_SECONDS_ON_GPU = 0.2, 0.02  # decoding one, and evaluating its candidates
PROMPT_BYTES = 150  # per pixel of the square: candidates of the prompts decoded at a time
MASK_BYTES = 60  # per pixel of an image: candidates resized to it
PART_PROMPTS, REGION_PROMPTS, TRUE_BOXES = 10, 4, 3  # per image: for the object, for a map's components, for defects
CROPS = 3  # per image
DECODER_THREADS = 4


def encoder_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads of a job that embeds images: with a GPU they read images at the same time."""
    if run.on_gpu:
        return GPU_THREADS
    return max(1, min(NETWORK_THREADS, run.images(names["category"], names.get("subset", "test")).number))


def decoder_threads(run: Run, names: Mapping[str, str]) -> int:
    """Threads of a job that decodes prompts."""
    return DECODER_THREADS


def embed_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Runs the image encoder once per image."""
    images = run.images(names["category"], names["subset"])
    readers = readers_of(run, encoder_threads(run, names), images)
    return _encoded(run, names["segmenter"], images, squares=images.number).plus(reader_megabytes() * readers)


def embed_crops(run: Run, names: Mapping[str, str]) -> Estimate:
    """Runs the image encoder for some windows per image."""
    images = run.workload(names["category"]).test
    segmenter = run.settings.refiners[names["refiner"]].segmenter
    return _encoded(run, segmenter, images, squares=CROPS * images.number)


def segment_foreground(run: Run, names: Mapping[str, str]) -> Estimate:
    """Runs the decoder for a few prompts per image."""
    return _decoded(run, names["segmenter"], run.images(names["category"], names["subset"]), PART_PROMPTS)


def prompt_masks(run: Run, names: Mapping[str, str]) -> Estimate:
    """Runs the decoder for each component of a map."""
    segmenter = run.settings.refiners[names["refiner"]].segmenter
    return _decoded(run, segmenter, run.workload(names["category"]).test, REGION_PROMPTS)


def evaluate_oracle(run: Run, names: Mapping[str, str]) -> Estimate:
    """Runs the decoder for a box around each defect."""
    return _decoded(run, names["segmenter"], run.workload(names["category"]).test, TRUE_BOXES)


def loaded(megabytes: float, *, on_gpu: bool = False) -> Estimate:
    """Loading a segmentation model with this many MB of weights."""
    return with_transformers(on_gpu=on_gpu).plus(LOADED_COPIES * megabytes, megabytes / 500)  # read at 500 MB/s


def encoding(megabytes: float, side: int, squares: int, *, batch: int = 1, on_gpu: bool = False) -> Estimate:
    """Running squares of ``side`` pixels through an image encoder, without loading the model."""
    operations = squares * 2.0 * (megabytes * 1e6 / 4) * (side / PATCH) ** 2
    wider = (megabytes / OF_WEIGHTS) ** (1 / 3)  # weights grow with width and depth together
    activations = 0.0 if on_gpu else batch * wider * SQUARE_BYTES * side**2 / 1e6
    return Estimate(activations, operations / (GPU_RATE if on_gpu else CPU_RATE))


def _encoded(run: Run, segmenter: str, images: Images, squares: int) -> Estimate:
    megabytes, side = _sizes(run, segmenter)
    batch = run.settings.extraction.batch or 1
    started = loaded(megabytes, on_gpu=run.on_gpu)
    return started.plus(*encoding(megabytes, side, squares, batch=batch, on_gpu=run.on_gpu)).plus(
        DECODED_BYTES * images.largest.pixels / 1e6, DECODE_SECONDS * images.pixels
    )


def _decoded(run: Run, segmenter: str, images: Images, prompts: int) -> Estimate:
    megabytes, side = _sizes(run, segmenter)
    seconds = PROMPT_SECONDS_ON_GPU if run.on_gpu else PROMPT_SECONDS
    return loaded(megabytes, on_gpu=run.on_gpu).plus(
        (PROMPT_BYTES * side**2 + (MASK_BYTES + DECODED_BYTES) * images.largest.pixels) / 1e6,
        seconds * prompts * images.number + DECODE_SECONDS * images.pixels,
    )


def _sizes(run: Run, segmenter: str) -> tuple[float, int]:
    """MB of a model's weights, and the side of its square."""
    entry = run.settings.segmenters[segmenter]
    facts = facts_of(entry.params["model"])
    return entry.weights_megabytes() or UNKNOWN_WEIGHTS, facts.side if facts else USUAL_SIDE
