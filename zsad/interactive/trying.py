"""Score tokens in memory or in a file, with the code of the workflow, but without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zsad.errors import ArrayError
from zsad.interactive.asking import params_asked, with_texts
from zsad.interactive.parts import mapping, scorer_named
from zsad.interactive.training import with_training_facts
from zsad.scoring.base import ImageScore, Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import REFERENCES, SYNTHETIC
from zsad.scoring.token_source import MemoryTokens, Texts, TokenSource
from zsad.scoring.trained import with_weights

Given = TokenSource | Sequence[np.ndarray] | np.ndarray


def score(
    scorer: str | Scorer,
    params: Mapping[str, Any] | None = None,
    *,
    image_score: Mapping[str, Any] | None = None,
    compute: Compute | None = None,
    texts: Texts | None = None,
    weights: str | Path | None = None,
    **tokens: Given,
) -> list[ImageScore]:
    """Score images with one method, as the workflow does with the same tokens.

    Args:
        scorer: one that ``zsad methods`` lists, e.g. ``"mutual"``; or your own scorer.
        params: parameters of the scorer, e.g. ``{"k": 3}``.
        image_score: as ``image_score`` in ``config.yaml``, e.g. ``{"aggregate": "max"}``: how a map is smoothed and
            aggregated to the score of its image.
        compute: device, memory and number format; by default the CPU, 1 GB and float32.
        texts: for a method with text prompts, the result of `encode_texts` or ``zsad.read_texts``.
        weights: for a method that is trained on labelled images of other objects, the file from `train` or the
            workflow.
        tokens: by role: ``test``, the images to score; ``references`` for a method with references, e.g. at eight
            angles; and others that a method needs, such as ``mirrored``. Each is the result of `extract` or
            `zsad.read_features`, or a list of arrays ``[layer, row, column, channel]``.

    Returns:
        For each test image, in order, its map, float32 ``[row, column]`` on its patch grid (None from a method that
        does not localise), its score, and a note, usually empty.

    Raises:
        ArrayError: a role is missing or unknown, tokens do not fit together, or the method has text prompts and there
            are no texts.
        ConfigError: there is no such scorer, parameter or layer, or the method uses no weights.
        DataError: too few images for the method, unusable tokens, or weights that were trained on other features.

    >>> rng = np.random.default_rng(0)
    >>> good, test = rng.normal(size=(2, 1, 4, 4, 8)), rng.normal(size=(3, 1, 4, 4, 8))
    >>> found = score("memory_bank", {"k": 3}, test=list(test), references=list(good))
    >>> [one.index for one in found], found[0].anomaly_map.shape
    ([0, 1, 2], (4, 4))
    """
    named = with_training_facts(scorer_named(scorer, params_asked(scorer, params, texts)), weights)
    method = with_weights(named, None if weights is None else Path(weights))
    scoring = ImageScoring.build(mapping(image_score, "image_score"), where="image_score")
    sources = {role: _source(given, role) for role, given in tokens.items()}
    _check_together(method, sources)
    sources = with_texts(method, sources, texts)
    found = sorted(method.score(sources, compute or Compute()), key=lambda one: one.index)
    if [one.index for one in found] != list(range(len(sources["test"]))):
        raise ValueError(f"the scorer scored the images {[one.index for one in found]}, not each once")
    taken = [scoring.complete(one) for one in found]
    scores = method.rescored(np.array([one.image_score for one in taken], np.float64), sources)
    return [replace(one, image_score=float(value)) for one, value in zip(taken, scores, strict=True)]


def _source(given: Given, role: str) -> TokenSource:
    if isinstance(given, np.ndarray | Sequence) and not isinstance(given, str):
        return MemoryTokens(list(given), path=f"the tokens of '{role}'")
    if not hasattr(given, "half_tokens"):
        raise ArrayError(
            f"the tokens of '{role}' are a {type(given).__name__}; give the result of zsad.extract or "
            "zsad.read_features, or a list of arrays [layer, row, column, channel]"
        )
    return given


def _check_together(scorer: Scorer, sources: Mapping[str, TokenSource]) -> None:
    """Refuse tokens of roles that the scorer does not use, of several backbones, or of other images than 'test'."""
    wanted = {role: each for role, each in scorer.feature_sets().items() if role != SYNTHETIC}
    for role in [*wanted, *sources]:
        if role not in sources or role not in wanted:
            fault = "is missing" if role in wanted else "is not one of them"
            raise ArrayError(
                f"{type(scorer).__name__} uses tokens with the names {', '.join(wanted)}; '{role}' {fault}"
            )
    test = sources["test"]
    for role, source in sources.items():
        if (source.layers, source.channels) != (test.layers, test.channels):
            raise ArrayError(
                f"the tokens of '{role}' have the layers {', '.join(source.layers)} of {source.channels} channels, but "
                f"those of 'test' {', '.join(test.layers)} of {test.channels}; extract both with the same backbone"
            )
        if wanted[role].subset == "test" and not np.array_equal(source.grid_sizes, test.grid_sizes):
            raise ArrayError(
                f"'{role}' must show the images of 'test', but the patch grids differ; give the same images"
            )
    if SYNTHETIC in scorer.feature_sets() and sources[REFERENCES].synthetic is None:
        raise ArrayError(
            f"{type(scorer).__name__} is trained on synthetic images made from the references; give "
            "MemoryTokens(synthetic=...), or let zsad.fit make them from photographs"
        )
    if scorer.wants_foreground and test.foreground is None:
        raise ArrayError(
            f"{type(scorer).__name__} with foreground: sam needs masks of the object; give "
            "MemoryTokens(foreground=...), or another foreground"
        )
