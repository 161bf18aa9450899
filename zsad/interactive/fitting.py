"""Fit a model to normal photographs, with the stages of the workflow, but without a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zsad.data.subsets import base_id
from zsad.errors import ArrayError, ConfigError
from zsad.features.base import Backbone
from zsad.features.registry import BACKBONES
from zsad.interactive.asking import check_texts_given, needs_texts, params_asked, written_texts
from zsad.interactive.extracting import Image, extract, listed
from zsad.interactive.parts import backbone_named, mapping, scorer_named
from zsad.interactive.synthetic_images import synthetic_images
from zsad.interactive.training import with_training_facts
from zsad.interactive.written_tokens import written_tokens
from zsad.scoring.class_embeddings import check_space
from zsad.scoring.compute import ScoringOptions, compute_of
from zsad.scoring.fit_method import SyntheticFiles, fit_method
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import ALL, REFERENCES, SYNTHETIC, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.token_source import Texts


def fit(
    output: str | Path,
    references: Iterable[Image],
    scorer: str,
    params: Mapping[str, Any] | None = None,
    *,
    backbone: str,
    backbone_params: Mapping[str, Any] | None = None,
    image_score: Mapping[str, Any] | None = None,
    image_ids: Sequence[str] | None = None,
    category: str = "",
    texts: Texts | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
) -> Path:
    """Fit a method to photographs of normal objects and store the model, for `zsad.load` and ``zsad inspect --model``.

    The workflow makes the same model from the same references.

    Args:
        output: the model file, ``....h5``, written whole or not at all.
        references: files or arrays, as for `zsad.extract`; all are used. With two or more, the model decides by their
            own scores, each from a fit to the others.
        scorer: a method with references, e.g. ``"memory_bank"``; ``zsad methods`` lists them.
        params: parameters of the scorer, e.g. ``{"k": 3}``.
        backbone, backbone_params: as for `zsad.extract`.
        image_score: as for `zsad.score`.
        image_ids: names of the references; by default the paths, and positions of arrays.
        category: a name for the inspected objects, stored in the model.
        texts: for a method with text prompts, the result of `zsad.encode_texts`, by the same model as ``backbone``.
        weights: as for `zsad.score`, for a method with references; the model contains the weights that it needs.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Returns:
        The path of the model.

    Raises:
        ArrayError: as for `zsad.extract`; or the method has text prompts and there are no texts, or it has none and
            there are texts.
        ConfigError: the scorer has no references or uses no weights, or there is no such scorer, backbone or
            parameter.
        DataError: a reference cannot be read, there are too few of them, or the file cannot be written.
        ModelError: the weights are missing, or the device has too little memory.
    """
    given = listed(references)
    method = _method(scorer, params_asked(scorer, params, texts), len(given))
    check_texts_given(method, texts)
    if method.text_role and texts is None:
        raise ArrayError(needs_texts(method))
    seen_by = backbone_named(backbone, backbone_params)
    if not seen_by.sees_images:
        raise ConfigError(f"backbone '{backbone}' joins the features of others; fit such a model with the workflow")
    method = with_training_facts(method, weights)
    view = method.feature_sets()[REFERENCES].view
    tokens = extract(given, seen_by, view=view, image_ids=image_ids, device=device)
    if texts is not None:
        check_space(tokens, texts)
    options = ScoringOptions()
    with tempfile.TemporaryDirectory(prefix="zsad-") as folder:
        features = written_tokens(tokens, Path(folder, "references.h5"))
        names = list(dict.fromkeys(map(base_id, tokens.image_ids)))
        fit_method(
            references=features,
            texts=None if texts is None else written_texts(texts, Path(folder, "texts.h5")),
            synthetic=_synthetic(Path(folder), given, names, method, seen_by, device),
            trained=None if weights is None else Path(weights),
            scorer=method,
            image_scoring=ImageScoring.build(mapping(image_score, "image_score"), where="image_score"),
            compute=compute_of(device=device, memory_mb=options.memory_mb, precision=options.precision),
            output=Path(output),
            provenance={},
            dataset="",
            category=category,
            method=scorer,
            backbone={"name": backbone, "family": BACKBONES.name_of(seen_by), "params": seen_by.parameters()},
        )
    return Path(output)


def _method(scorer: str, params: Mapping[str, Any] | None, references: int) -> ReferenceScorer:
    """The scorer with the given number of references."""
    if not issubclass(SCORERS.load(scorer), ReferenceScorer):
        fitted = [name for name in SCORERS.names() if issubclass(SCORERS.load(name), ReferenceScorer)]
        raise ConfigError(f"scorer '{scorer}' is not fitted to references; choose from: {', '.join(fitted)}")
    chosen = {"shots": references, **mapping(params, "params")}
    if chosen["shots"] not in (ALL, references):
        raise ConfigError(
            f"shots is {chosen['shots']}, but {references} references are given, and all are used; leave out shots"
        )
    method = scorer_named(scorer, chosen)
    if not isinstance(method, ReferenceScorer) or method.wants_foreground:
        raise ConfigError(
            f"scorer '{scorer}' with foreground: sam needs a segmentation model; fit it with the workflow, or use "
            "another foreground"
        )
    return method


def _synthetic(
    folder: Path,
    references: Sequence[Image],
    names: Sequence[str],
    method: ReferenceScorer,
    backbone: Backbone,
    device: str,
) -> SyntheticFiles | None:
    """Synthetic images made from the references, for a method that is trained on them; None for other methods."""
    made = method.feature_sets().get(SYNTHETIC)
    return made and synthetic_images(folder, references, names, made.subset, backbone, device)
