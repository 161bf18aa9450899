"""What a method learns from labelled photographs, by the code of the workflow but without it."""

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
    """Photographs of one kind of part of which it is known what is wrong with them; what `train` learns from.

    Attributes:
        images: files or arrays, as of `zsad.extract`.
        labels: of each, 1 if it is anomalous and 0 if it is normal.
        masks: of each, a file or an array ``[height, width]`` that is not 0 where it is anomalous, of the size of the
            photograph; None of a normal one, or where nobody knows. None for no masks at all.
        references: normal photographs besides, for a method that asks for some.
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
    """Train a method on labelled photographs of other parts than it shall inspect, and store what it has learned.

    It is the file that the workflow makes of the same photographs, for ``weights`` of `zsad.score`, `zsad.fit` and the
    configuration. Scores on photographs that were learned from measure nothing; files are known again and refused,
    but arrays are not.

    Args:
        output: the file of weights, ``....safetensors``, written whole or not at all.
        categories: the photographs, by the name of the part. Among all of them are normal and anomalous ones.
        scorer: a method that is trained, e.g. ``"visual_prompts"``; ``zsad methods`` lists them.
        params: of the scorer, e.g. ``{"seed": 1}``.
        trained_on: what to call the photographs together, in settings and tables, e.g. ``"visa"``.
        backbone, backbone_params: as of `zsad.extract`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        The path of the file.

    Raises:
        ArrayError: as of `zsad.extract`; or labels, masks and photographs are not equally many, or a mask is of another
            size.
        ConfigError: the scorer learns from no other data set, or there is no such scorer, backbone or parameter.
        DataError: a photograph or mask cannot be read, none is anomalous or none normal, or the file cannot be written.
        ModelError: the weights of the backbone are absent, or the device has too little memory.
    """
    method = _method(scorer, params)
    if not is_data_set_name(trained_on):
        raise ConfigError(f"trained_on = {trained_on!r} is not usable: use letters, digits, '_' and '-'")
    if not isinstance(categories, Mapping) or not categories:
        raise ArrayError("there are no categories to learn from; give a mapping from names to zsad.Labelled")
    seen_by = backbone_named(backbone, backbone_params)
    if not seen_by.sees_images:
        raise ConfigError(f"backbone '{backbone}' joins the features of others; train a method on it by the workflow")
    digests: list[str] = []
    opened = [
        _category(name, photographs, method, seen_by, device, digests) for name, photographs in categories.items()
    ]
    options = ScoringOptions()
    compute = compute_of(device=device, memory_mb=options.memory_mb, precision=options.precision)
    write_learned(Path(output), learn(opened, digests, method, compute, trained_on))
    return Path(output)


def told_of_weights(scorer: AnyScorer, weights: str | Path | None) -> AnyScorer:
    """A scorer that says how and on which data set the weights in a file were learned; as it is without one.

    Args:
        weights: the file; None for that which the scorer itself names, if any.

    Raises:
        ConfigError: the scorer reads no such file.
        DataError: it is absent, damaged or of another method.
    """
    if weights is None and isinstance(scorer, TrainedScorer):
        weights = scorer.weights
    if weights is None:
        return scorer
    if not isinstance(scorer, TrainedScorer) or not scorer.learns_elsewhere:
        raise ConfigError(f"{type(scorer).__name__} reads no weights that were learned elsewhere; leave them out")
    scorer = scorer.as_learned(read_facts(Path(weights)))
    facts = scorer.with_weights(Path(weights)).learned().facts
    return scorer.model_copy(update={"trained_on": scorer.trained_on or facts.get("trained_on")})


def _method(scorer: str, params: Mapping[str, Any] | None) -> TrainedScorer:
    """The scorer, which learns from another data set.

    Raises:
        ConfigError: there is none of that name, it learns from none, or weights are given.
    """
    method = scorer_named(scorer, params)
    if not isinstance(method, TrainedScorer) or not method.learns_elsewhere:
        trained = [name for name in SCORERS.names() if issubclass(SCORERS.load(name), TrainedScorer)]
        raise ConfigError(
            f"scorer '{scorer}' as it is asked for learns from no labelled images; choose from: {', '.join(trained)}"
        )
    if method.weights is not None or method.trained_on is not None:
        raise ConfigError(f"scorer '{scorer}' is to be trained; leave weights and trained_on out of its parameters")
    return method


def _category(
    name: str, photographs: Labelled, method: TrainedScorer, backbone: Backbone, device: str, digests: list[str]
) -> AuxiliaryCategory:
    """A category as methods learn from it.

    Args:
        digests: gets those of all photographs.

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
            raise ArrayError(f"the category '{name}' has {len(images)} images and {len(given)} {what}; give one each")
    if set(labels) - {0, 1}:
        raise ArrayError(f"the labels of the category '{name}' are {sorted(set(labels))}; give 1 for anomalous, 0 else")
    tokens = extract(images, backbone, view=sets[IMAGES].view, device=device)
    read = [_mask(mask, image, label) for mask, image, label in zip(masks, images, labels, strict=True)]
    references = None
    if REFERENCES in sets:
        if isinstance(photographs.references, Sized) and not len(photographs.references):
            raise ArrayError(
                f"the category '{name}' has no references, and the method compares with normal photographs; give "
                "zsad.Labelled(references=...)"
            )
        normal = listed(photographs.references)
        references = extract(normal, backbone, view=sets[REFERENCES].view, device=device)
        digests += map(_digest, normal)
    digests += map(_digest, images)
    return AuxiliaryCategory(name, LabelledTokens(tokens, MemoryMarks(labels, read)), references)


def _mask(mask: Mask, image: Image, label: int) -> np.ndarray | None:
    """bool ``[height, width]``; None of a normal image, or where nobody knows."""
    if mask is None or label == 0:
        return None
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image_size(Path(image))
    if isinstance(mask, str | Path):
        return read_mask(mask, height, width)
    marked: np.ndarray = np.asarray(mask) != 0
    if marked.shape != (height, width):
        raise ArrayError(
            f"a mask has the shape {list(marked.shape)} and its image is of {height} x {width} pixels; give the mask "
            "the size of its image"
        )
    return marked


def _digest(image: Image) -> str:
    """The SHA-256 of a photograph's file, by which it is known again; of an array that of its numbers."""
    if isinstance(image, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
    return file_sha256(image)
