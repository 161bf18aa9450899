"""Estimates of the rules in rules/classification.smk, and of those in rules/report.smk that show classifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zsad.data.subsets import support_subset
from zsad.resources.data import DECODED_BYTES, HASH_SECONDS
from zsad.resources.estimate import Estimate
from zsad.resources.libraries import PANDAS_MEGABYTES, PANDAS_SECONDS, PLAIN, PLOTS, SCIKIT_LEARN, STATISTICS
from zsad.resources.run import Run
from zsad.resources.tokens import tokens_of
from zsad.workflow.entries import GROUND_TRUTH

if TYPE_CHECKING:
    from zsad.workflow.entries import ClassifierEntry

EMBEDDING = Estimate(135, 0.7)  # the libraries that embeddings and prediction sets need
CALIBRATED = SCIKIT_LEARN  # and calibrated probabilities
IMAGE_SECONDS = 4e-3  # per image: finding its tokens, map and mask in files
VALUE_BYTES, VALUE_SECONDS = 24, 4e-9  # per value of an image's tokens: read, converted, averaged
CHANNEL_BYTES = 8  # per channel of an image's embedding
ANSWER_SECONDS, ANSWER_BYTES = 4e-5, 500  # per image in a sample: compared, counted, and stored
MASK_PIXEL_BYTES, MASK_PIXEL_SECONDS = 4, 1.5e-8  # per pixel of ground-truth masks
RESAMPLED_SECONDS = 4e-7  # per image in a sample of examples and in a bootstrap replicate
FIGURE_SECONDS = 0.4
ROW_SECONDS, ROW_BYTES = 5e-5, 3000  # per query in the tables, or in an evaluation


def draw_support(run: Run, names: Mapping[str, str]) -> Estimate:
    """Tables of a few columns."""
    images = run.workload(names["category"]).every.number
    return PLAIN.plus(seconds=ROW_SECONDS * images * (1 + len(_drawing(run, names)["seeds"])))


def outline_truth(run: Run, names: Mapping[str, str]) -> Estimate:
    """Decodes every ground-truth mask, one at a time."""
    images = run.workload(names["category"]).test
    return PLAIN.plus(
        (DECODED_BYTES + MASK_PIXEL_BYTES) * images.largest.pixels / 1e6,
        IMAGE_SECONDS * images.number + (MASK_PIXEL_SECONDS + HASH_SECONDS) * images.pixels,
    )


def classify_images(run: Run, names: Mapping[str, str]) -> Estimate:
    """Reads the tokens of every image once, one at a time, and classifies the embeddings in every sample."""
    entry = run.settings.classifiers[names["classifier"]]
    images = run.workload(names["category"]).test
    tokens = tokens_of(run.settings.backbones[entry.backbone], images)
    number, values = tokens.images, tokens.values
    if not entry.is_drawn_from_tests:
        examples = run.images(names["category"], support_subset(entry.support))
        of_examples = tokens_of(run.settings.backbones[entry.backbone], examples)
        number, values = number + of_examples.images, values + of_examples.values
    channels = 2 * tokens.layers * tokens.channels
    masks = MASK_PIXEL_BYTES * images.largest.pixels if entry.masks == GROUND_TRUTH or entry.refiner else 0
    answers = number * _draws(entry)
    fitted = CALIBRATED if entry.probabilities["calibrated"] != "none" else Estimate(0, 0)
    return EMBEDDING.plus(*fitted).plus(
        (VALUE_BYTES * tokens.image_values + CHANNEL_BYTES * channels * number + masks + ANSWER_BYTES * answers) / 1e6,
        IMAGE_SECONDS * number + VALUE_SECONDS * values + ANSWER_SECONDS * answers,
    )


def evaluate_classes(run: Run, names: Mapping[str, str]) -> Estimate:
    """Every prediction in every sample, with a bootstrap each."""
    entry = run.settings.classifiers[names["classifier"]]
    answers = run.workload(names["category"]).test.number * _draws(entry)
    resampled = RESAMPLED_SECONDS * answers * run.settings.evaluation.bootstrap
    return STATISTICS.plus(ROW_BYTES * answers / 1e6, ROW_SECONDS * answers + resampled)


def collect_classes(run: Run, names: Mapping[str, str]) -> Estimate:
    """The evaluations of all classifiers and categories."""
    queries = sum(run.workload(category).test.number for category in run.categories)
    rows = queries * len(run.settings.classifiers)
    return STATISTICS.plus(PANDAS_MEGABYTES + ROW_BYTES * rows / 1e6, PANDAS_SECONDS + ROW_SECONDS * rows)


def draw_confusion(run: Run, names: Mapping[str, str]) -> Estimate:
    """One figure with two matrices."""
    return PLOTS.plus(20, FIGURE_SECONDS)


def draw_shots(run: Run, names: Mapping[str, str]) -> Estimate:
    """One figure with one line per classifier."""
    return PLOTS.plus(20, FIGURE_SECONDS)


def _drawing(run: Run, names: Mapping[str, str]) -> dict[str, list[int]]:
    drawing: dict[str, list[int]] = run.settings.classifiers[names["classifier"]].drawing
    return drawing


def _draws(entry: ClassifierEntry) -> int:
    """Number of samples of a classifier: one for each seed and number of shots."""
    return len(entry.drawing["seeds"]) * len(entry.drawing["shots"])
