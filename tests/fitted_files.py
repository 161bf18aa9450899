"""Model files of tokens in memory, for the tests of what is fitted to references."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from made_images import made_files
from zsad.files.features import FeatureReader
from zsad.interactive.asking import written_texts
from zsad.interactive.written_tokens import written_tokens
from zsad.scoring.base import Scorer
from zsad.scoring.compute import Compute
from zsad.scoring.fit_method import fit_method
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import SYNTHETIC, ReferenceScorer
from zsad.scoring.score_images import score_images
from zsad.scoring.token_source import TokenSource

BACKBONE = {"name": "toy", "family": "embedded", "params": {}}


def fit_to_file(path: Path, references: Path, scorer: ReferenceScorer, compute: Compute, **options: Any) -> Path:
    """The model of a scorer, fitted to a feature file; of what learns from anomalies, also to such made of it."""
    given: dict[str, Any] = {"image_scoring": ImageScoring(), "provenance": {"stage": "fit_method"}, **options}
    if SYNTHETIC in scorer.feature_sets():
        with FeatureReader(references) as reader:
            given.setdefault("synthetic", made_files(path.with_name(f"{path.stem}-made"), reader))
    fit_method(
        references=references,
        scorer=scorer,
        compute=compute,
        output=path,
        dataset="set",
        category="thing",
        method="way",
        backbone=BACKBONE,
        **given,
    )
    return path


def fitted_file(path: Path, references: TokenSource, scorer: ReferenceScorer, compute: Compute, **options: Any) -> Path:
    """The model of a scorer, fitted to tokens in memory."""
    features = written_tokens(references, path.with_name(f"{path.stem}-references.h5"))
    if references.texts is not None:
        options["texts"] = written_texts(references.texts, path.with_name(f"{path.stem}-texts.h5"))
    return fit_to_file(path, features, scorer, compute, **options)


def score_files(
    output: Path,
    scorer: Scorer,
    features: Mapping[str, Path],
    *,
    image_scoring: ImageScoring,
    compute: Compute,
    foregrounds: Mapping[str, Path] | None = None,
    texts: Path | None = None,
) -> Path:
    """The score file of a method: of one with references by its model, which is fitted first."""
    masks = dict(foregrounds or {})
    given, model = {role: path for role, path in features.items() if role != SYNTHETIC}, None
    if isinstance(scorer, ReferenceScorer):
        of_references = {"references": masks.pop("references")} if "references" in masks else {}
        model = fit_to_file(
            output.with_name("model.h5"),
            given.pop("references"),
            scorer,
            compute,
            image_scoring=image_scoring,
            foregrounds=of_references,
            texts=texts,
        )
    score_images(
        features=given,
        scorer=scorer,
        image_scoring=image_scoring,
        compute=compute,
        output=output,
        provenance={"stage": "score_images"},
        foregrounds=masks,
        model=model,
        texts=None if scorer.text_role in scorer.fitted_roles else texts,
    )
    return output
