"""Names in results and tables: metrics, means, and settings in order.

``docs/metrics.md`` defines each metric.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

MEAN = "mean"  # in place of a category in the tables: the mean over all
MEAN_TEXTURES, MEAN_OBJECTS = "mean textures", "mean objects"  # likewise: the mean over textures or objects
MEANS = (MEAN, MEAN_TEXTURES, MEAN_OBJECTS)
ALL_TYPES = "all types"  # in place of a defect type: all images, including good ones
ORACLE = "oracle"  # in place of a method: prompts from the ground truth, an upper bound
NO_REFINER = "none"  # in place of a refiner: the marked regions of the map itself
PER_IMAGE = "total per image"  # in place of a stage in the costs: the total of one more test image
REFERENCES = "references"  # likewise: steps done once, with other images

AUPRO_LIMITS = {"aupro": 0.3, "aupro_005": 0.05}
AUSPRO_LIMIT = 0.05

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1max")
PIXEL_METRICS = (
    *("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_ioumax"),
    *("aupro", "aupro_005", "aupimo", "auspro_005"),
)
RANKING_METRICS = IMAGE_METRICS + PIXEL_METRICS
MASK_METRICS = ("mask_precision", "mask_recall", "mask_f1", "mask_iou", "region_recall", "region_precision")
DECISION_METRICS = ("decision_f1", "decision_recall", "decision_fpr", "decision_ratio")
THRESHOLD_METRICS = (*MASK_METRICS, *DECISION_METRICS, "mask_ratio")
ALL_METRICS = RANKING_METRICS + THRESHOLD_METRICS
HEADLINE_METRICS = ("image_auroc", "aupro")
EACH_AT_THE_COST_OF_THE_OTHER = ("decision_recall", "decision_fpr")  # so that neither alone shows which method is best
CLASSIFICATION_METRICS = (  # of classifiers, never in one table with those of detectors
    *("accuracy", "balanced_accuracy", "macro_f1", "majority"),
    *("coverage", "set_size", "singletons", "singleton_accuracy", "abstained", "unknown_abstained"),
)
COMPARED_METRICS = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro", "mask_f1")

TITLES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1max": "image F1-max",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1max": "pixel F1-max",
    "pixel_ioumax": "pixel IoU-max",
    "aupro": "AUPRO",
    "aupro_005": "AUPRO 0.05",
    "aupimo": "AUPIMO",
    "auspro_005": "AU-sPRO 0.05",
    "mask_precision": "precision",
    "mask_recall": "recall",
    "mask_f1": "SegF1",
    "mask_iou": "IoU",
    "region_recall": "defects hit",
    "region_precision": "hits right",
    "decision_f1": "image F1",
    "decision_recall": "found",
    "decision_fpr": "false alarms",
    "decision_ratio": "F1 / F1-max",
    "mask_ratio": "SegF1 / F1-max",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "majority": "majority kind",
    "coverage": "coverage",
    "set_size": "set size",
    "singletons": "single answers",
    "singleton_accuracy": "accuracy of single answers",
    "abstained": "abstained",
    "unknown_abstained": "abstained, unknown kinds",
}

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]*"  # of names used for folders of results or in file names

AUXILIARY = "zero-shot-auxiliary"  # trained only on another data set
_DETECTORS = ("zero-shot-single", "zero-shot-batch", "zero-shot-text", AUXILIARY, "few-shot", "full-shot")
_CLASSIFIERS = "few-shot-defects"  # classifiers learn from labelled defects, and so see more than any detector
_SETTINGS = (*_DETECTORS, _CLASSIFIERS)
_SHOTS = re.compile(rf"(few-shot|{_CLASSIFIERS})-(\d+)")
_ALL_SHOTS = f"{_CLASSIFIERS}-all"
_TRAINED = re.compile(r"(?P<own>.+?)(?:(?<=zero-shot)-|\+)auxiliary\((?P<names>.+)\)")
_AND = "+"  # between the names of data sets


def setting_order(setting: str) -> tuple[int, int, str]:
    """Sort key of a setting: settings with less data come first; few-shot by the number of references.

    Settings with training on another data set come after those without, for equal numbers of references. Settings of
    classifiers, which learn from labelled defects, come after those of all detectors.
    """
    kind, shots = _parts(setting)
    return _SETTINGS.index(kind) if kind in _SETTINGS else len(_SETTINGS), shots, setting


def is_of_detector(setting: str) -> bool:
    """Whether it is a setting of detectors, which see no labelled defect of the data set under test."""
    return _parts(setting)[0] in _DETECTORS


def auxiliary_sets(setting: str) -> tuple[str, ...]:
    """The names of the other data sets on which a method of a setting was trained."""
    trained = _TRAINED.fullmatch(setting)
    return tuple(trained["names"].split(_AND)) if trained else ()


def without_auxiliary(setting: str) -> str:
    """The setting of a method without its training on other data sets.

    Empty for a zero-shot one, which contains nothing else.
    """
    trained = _TRAINED.fullmatch(setting)
    if trained is None:
        return setting
    return "" if trained["own"] == "zero-shot" else trained["own"]


def with_auxiliary(setting: str, names: Iterable[str]) -> str:
    """Add training on other data sets to a setting, e.g. ``few-shot-4+auxiliary(visa)``.

    Any zero-shot setting becomes ``zero-shot-auxiliary(visa)``. Several names are joined, ``mvtec_ad+visa``.

    Args:
        names: of the data sets; empty to leave the setting unchanged.
    """
    together = sorted({*auxiliary_sets(setting), *names})
    if not together:
        return setting
    own = without_auxiliary(setting)
    is_zero_shot = not own or own.startswith("zero-shot")
    return f"{AUXILIARY if is_zero_shot else f'{own}+auxiliary'}({_AND.join(together)})"


def _parts(setting: str) -> tuple[str, int]:
    """The kind of a setting, and its number of shots."""
    if auxiliary_sets(setting):
        setting = without_auxiliary(setting) or AUXILIARY
    if setting == _ALL_SHOTS:
        return _CLASSIFIERS, sys.maxsize
    few_shot = _SHOTS.fullmatch(setting)
    return (few_shot[1], int(few_shot[2])) if few_shot else (setting, 0)
