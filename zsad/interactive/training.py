"""Train a method on labelled photographs, with the code of the workflow, but without a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.adaptation.marks import MemoryMarks
from zsad.data.images import image_size
from zsad.data.masks import read_mask
from zsad.errors import ArrayError, ConfigError
from zsad.features.base import Backbone
from zsad.files.learned import read_facts, write_learned
from zsad.files.provenance import file_sha256
from zsad.interactive.extracting import Image, extract, listed
from zsad.interactive.parts import backbone_named, scorer_named
from zsad.scoring.compute import ScoringOptions, compute_of
from zsad.scoring.data_set_name import is_data_set_name
from zsad.scoring.labelled import AuxiliaryCategory
from zsad.scoring.references import REFERENCES
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import LabelledTokens
from zsad.scoring.train_method import learn
from zsad.scoring.trained import IMAGES, AnyScorer, TrainedScorer

Mask = str | Path | np.ndarray | None


class Labelled(NamedTuple):
    """Labelled photographs of one kind of object, for `train`.

    Attributes:
        images: files or arrays, as for `zsad.extract`.
        labels: for each image, 1 if it is anomalous and 0 if it is normal.
        masks: for each image, a file or an array ``[height, width]`` of its size that is not 0 at anomalous pixels;
            None for a normal image, or if the mask is unknown. None for no masks at all.
        references: further normal photographs, for a method that needs them.
    """

    images: Iterable[Image]
    labels: Sequence[int]
    masks: Sequence[Mask] | None = None
    references: Iterable[Image] = ()


def train(
    output: str | Path,
    categories: Mapping[str, Labelled],
    scorer: str,
    params: Mapping[str, Any] | None = None,
    *,
    trained_on: str,
    backbone: str,
    backbone_params: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Path:
    """Train a method on labelled photographs of other objects than those to inspect, and store its weights.

    The workflow makes the same file from the same photographs, for ``weights`` of `zsad.score`, `zsad.fit` and the
    configuration. Scores on training photographs measure nothing: files that were used for training are recognised and
    refused, but arrays are not.

    Args:
        output: the file of weights, ``....safetensors``, written whole or not at all.
        categories: the photographs, by the name of the object; together they must have normal and anomalous ones.
        scorer: a method that is trained, e.g. ``"visual_prompts"``; ``zsad methods`` lists them.
        params: parameters of the scorer, e.g. ``{"seed": 1}``.
        trained_on: common name of the photographs, in settings and tables, e.g. ``"visa"``.
        backbone, backbone_params: as for `zsad.extract`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        The path of the file.

    Raises:
        ArrayError: as for `zsad.extract`; or the numbers of labels, masks and photographs differ, or a mask has another
            size.
        ConfigError: the scorer is not trained on another data set, or there is no such scorer, backbone or parameter.
        DataError: a photograph or mask cannot be read, none is anomalous or none normal, or the file cannot be written.
        ModelError: the weights of the backbone are missing, or the device has too little memory.
    """
    method = _method(scorer, params)
    if not is_data_set_name(trained_on):
        raise ConfigError(f"trained_on = {trained_on!r} is not valid: use letters, digits, '_' and '-'")
    if not isinstance(categories, Mapping) or not categories:
        raise ArrayError("there are no categories to train on; give a mapping from names to zsad.Labelled")
    seen_by = backbone_named(backbone, backbone_params)
    if not seen_by.sees_images:
        raise ConfigError(f"backbone '{backbone}' joins the features of others; train such a method with the workflow")
    digests: list[str] = []
    opened = [
        _category(name, photographs, method, seen_by, device, digests) for name, photographs in categories.items()
    ]
    options = ScoringOptions()
    compute = compute_of(device=device, memory_mb=options.memory_mb, precision=options.precision)
    write_learned(Path(output), learn(opened, digests, method, compute, trained_on))
    return Path(output)


def with_training_facts(scorer: AnyScorer, weights: str | Path | None) -> AnyScorer:
    """A copy of a scorer with the training facts of a file of weights; unchanged without a file.

    Args:
        weights: the file; None for the one that the scorer itself names, if any.

    Raises:
        ConfigError: the scorer uses no such file.
        DataError: it is missing, damaged or of another method.
    """
    if weights is None and isinstance(scorer, TrainedScorer):
        weights = scorer.weights
    if weights is None:
        return scorer
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        raise ConfigError(f"{type(scorer).__name__} uses no trained weights; leave them out")
    scorer = scorer.as_learned(read_facts(Path(weights)))
    facts = scorer.with_weights(Path(weights)).learned().facts
    return scorer.model_copy(update={"trained_on": scorer.trained_on or facts.get("trained_on")})


def _method(scorer: str, params: Mapping[str, Any] | None) -> TrainedScorer:
    """The scorer, which is trained on another data set.

    Raises:
        ConfigError: there is none of this name, it is not trained on another data set, or weights are given.
    """
    method = scorer_named(scorer, params)
    if not isinstance(method, TrainedScorer) or not method.learns_elsewhere:
        trained = [name for name in SCORERS.names() if issubclass(SCORERS.load(name), TrainedScorer)]
        raise ConfigError(
            f"scorer '{scorer}' with these parameters is not trained on labelled images; "
            f"choose from: {', '.join(trained)}"
        )
    if method.weights is not None or method.trained_on is not None:
        raise ConfigError(f"scorer '{scorer}' will be trained; leave weights and trained_on out of its parameters")
    return method


def _category(
    name: str, photographs: Labelled, method: TrainedScorer, backbone: Backbone, device: str, digests: list[str]
) -> AuxiliaryCategory:
    """A category as training data for methods.

    Args:
        digests: collects the digests of all photographs.

    Raises:
        ArrayError, DataError: see `train`.
    """
    if not isinstance(photographs, Labelled):
        raise ArrayError(f"the category '{name}' is a {type(photographs).__name__}; give zsad.Labelled(images, labels)")
    sets = method.training_sets()
    images = listed(photographs.images)
    labels = [int(label) for label in photographs.labels]
    masks = [None] * len(images) if photographs.masks is None else list(photographs.masks)
    for what, given in (("labels", labels), ("masks", masks)):
        if len(given) != len(images):
            raise ArrayError(
                f"the category '{name}' has {len(images)} images, but {len(given)} {what}; give one for each"
            )
    if set(labels) - {0, 1}:
        raise ArrayError(
            f"the labels of the category '{name}' are {sorted(set(labels))}; give 1 for anomalous, 0 otherwise"
        )
    tokens = extract(images, backbone, view=sets[IMAGES].view, device=device)
    read = [_mask(mask, image, label) for mask, image, label in zip(masks, images, labels, strict=True)]
    references = None
    if REFERENCES in sets:
        if isinstance(photographs.references, Sized) and not len(photographs.references):
            raise ArrayError(
                f"the category '{name}' has no references, but the method compares with normal photographs; give "
                "zsad.Labelled(references=...)"
            )
        normal = listed(photographs.references)
        references = extract(normal, backbone, view=sets[REFERENCES].view, device=device)
        digests += map(_digest, normal)
    digests += map(_digest, images)
    return AuxiliaryCategory(name, LabelledTokens(tokens, MemoryMarks(labels, read)), references)


def _mask(mask: Mask, image: Image, label: int) -> np.ndarray | None:
    """bool ``[height, width]``; None for a normal image, or if it is unknown."""
    if mask is None or label == 0:
        return None
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image_size(Path(image))
    if isinstance(mask, str | Path):
        return read_mask(mask, height, width)
    marked: np.ndarray = np.asarray(mask) != 0
    if marked.shape != (height, width):
        raise ArrayError(
            f"a mask has the shape {list(marked.shape)}, but its image has {height} x {width} pixels; give a mask of "
            "the size of its image"
        )
    return marked


def _digest(image: Image) -> str:
    """The SHA-256 of a photograph's file, to recognise it later; for an array, that of its numbers."""
    if isinstance(image, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
    return file_sha256(image)
