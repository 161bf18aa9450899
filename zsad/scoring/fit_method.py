"""The fitting stage: from the features of good references to the model of one method."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zsad.adaptation.origins import synthetic_marks
from zsad.data.subsets import base_id
from zsad.errors import DamagedFileError, DataError, MemoryShortageError
from zsad.files.features import FeatureReader
from zsad.files.fitted import FittedWriter
from zsad.files.json_values import canonical_json
from zsad.files.masks import MaskReader
from zsad.files.provenance import inherited
from zsad.files.texts import TextReader
from zsad.files.training_facts import TRAINING
from zsad.progress import progress
from zsad.scoring.asked import check_texts, described_asked
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.part_masks import check_masks, described_masks
from zsad.scoring.references import REFERENCES, SYNTHETIC, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import check_same
from zsad.scoring.token_source import LabelledTokens
from zsad.scoring.trained import with_weights

logger = logging.getLogger(__name__)


class SyntheticFiles(NamedTuple):
    """What there is of images that were made from references for training.

    Attributes:
        features: of them.
        manifest: with their masks.
        origins: which references each is made from, see `zsad.adaptation.origins`.
    """

    features: Path
    manifest: Path
    origins: Path


def synthetic_files(files: Any) -> SyntheticFiles | None:
    """Those among the inputs of a job, whose list is asked by name and holds paths; None where there are none."""
    if not files.get(SYNTHETIC):
        return None
    named = (SYNTHETIC, *(f"{SYNTHETIC}_{what}" for what in ("manifest", "origins")))
    return SyntheticFiles(*(Path(str(files.get(name))) for name in named))


def fit_method(
    *,
    references: Path,
    scorer: ReferenceScorer,
    image_scoring: ImageScoring,
    compute: Compute,
    output: Path,
    provenance: Mapping[str, Any],
    dataset: str,
    category: str,
    method: str,
    backbone: Mapping[str, Any],
    segmenter: Mapping[str, Any] | None = None,
    segmentation: Mapping[str, Any] | None = None,
    foregrounds: Mapping[str, Path] = {},
    texts: Path | None = None,
    synthetic: SyntheticFiles | None = None,
    trained: Path | None = None,
) -> None:
    """Fit a method to the references of a category and write its model.

    The model holds the fit, and the scores of the references, each by a fit to others: what a threshold rule may ask
    for. Where there are too few references for that, the model does without and says why.

    Args:
        references: their features.
        compute: device, memory and number format; scores by the model have its number format.
        output: the model file, written whole or not at all.
        provenance: what is known of the job; the stage adds the rest.
        dataset, category, method: what it is fitted to, and the name of the method there.
        backbone: ``name``, ``family`` and ``params`` of what makes the features, for whoever scores an image by the
            model alone.
        segmenter: the same of the model that outlines the part, where ``scorer.wants_foreground``.
        segmentation: how it is asked, see `zsad.segmentation.foreground.ForegroundOptions`.
        foregrounds: where ``scorer.wants_foreground``, the mask file of the part of the role ``"references"``; a single
            reference needs none.
        texts: what the scorer asks in words, where its ``text_role`` is ``"references"``.
        synthetic: images made from the references with anomalies in them, where the scorer has the role
            ``"synthetic"``.
        trained: of a `TrainedScorer` without weights of its own, what it has learned from the auxiliary data set; see
            `zsad.scoring.train_method`.

    Raises:
        ConfigError: the features lack a layer that the method names, or a file of trained weights is absent.
        DataError: too few references for the method, masks that do not belong to them, or weights that were learned
            from other features.
    """
    fitting = with_weights(scorer, trained)
    with ExitStack() as stack:
        masks = {role: stack.enter_context(MaskReader(path)) for role, path in foregrounds.items()}
        asked = None if texts is None else stack.enter_context(TextReader(texts))
        made = _labelled(scorer, synthetic, stack)
        reader = stack.enter_context(FeatureReader(references, masks.get(REFERENCES), asked, made))
        if made is not None:
            check_same(reader, made.tokens)
        _check_masks(scorer, reader, masks)
        check_texts(scorer, {REFERENCES: reader}, asked)
        details = {
            "dataset": dataset,
            "category": category,
            "method": method,
            "setting": scorer.setting,
            "scorer": {"name": SCORERS.name_of(scorer), "params": scorer.parameters()},
            "image_score": image_scoring.parameters(),
            "precision": compute.precision,
            "backbone": dict(backbone),
            "model": reader.provenance.get("model"),
            "layers": reader.layers,
            "channels": reader.channels,
            "cls_source": reader.cls_source,
            "view": reader.provenance.get("view", "original"),
            "references": _described(reader),
            "device": compute.device,
            "number_format": str(compute.format).removeprefix("torch."),
            **described_asked(scorer, asked),
        }
        if scorer.wants_foreground:
            details |= {"segmenter": dict(segmenter or {}), "foreground": dict(segmentation or {})}
        if made is not None:
            details[SYNTHETIC] = {**inherited(made.tokens.provenance), "images": len(made.tokens)}
        known = dict(provenance)
        details["software"] = known.pop("versions", {})
        with FittedWriter(
            output,
            reader.image_ids,
            {**inherited(reader.provenance), **known, **details},
            layers=reader.layers,
            channels=reader.channels,
            cls_source=reader.cls_source,
        ) as writer:
            training, writer.provenance["seconds"] = _store_fit(fitting, reader, writer, compute)
            if training:
                writer.provenance[TRAINING] = training
                logger.info("trained: %s", canonical_json(training))
            evidence = _evidence(fitting, reader, image_scoring, compute)
            writer.provenance["without_evidence"] = evidence.refusal
            if evidence.image_ids:
                writer.write_evidence(evidence.image_ids, evidence.maps, evidence.scores)
            writer.provenance["evidence_seconds"] = evidence.seconds
    logger.info("fitted to %d references, %d of them scored", len(reader), len(evidence.image_ids))


def _labelled(scorer: ReferenceScorer, synthetic: SyntheticFiles | None, stack: ExitStack) -> LabelledTokens | None:
    """The features of images made for training and what is known of these, open as long as the stack is.

    Raises:
        ValueError: they are missing, or nothing that the scorer reads.
        DataError: they do not belong together.
    """
    if (synthetic is not None) != (SYNTHETIC in scorer.feature_sets()):
        raise ValueError(f"synthetic images are {'missing' if synthetic is None else 'nothing that the scorer reads'}")
    if synthetic is None:
        return None
    reader = stack.enter_context(FeatureReader(synthetic.features))
    return LabelledTokens(reader, synthetic_marks(synthetic.manifest, synthetic.origins, reader.image_ids))


class _Evidence(NamedTuple):
    """What the references score.

    Attributes:
        refusal: why there is none; empty if there is.
    """

    refusal: str
    image_ids: list[str]
    maps: list[np.ndarray]
    scores: np.ndarray
    seconds: float = 0.0


def _store_fit(
    scorer: ReferenceScorer, reader: FeatureReader, writer: FittedWriter, compute: Compute
) -> tuple[dict[str, Any], float]:
    """Fit to all references and keep that; how it was trained, and how many seconds it took. No fit stays in memory."""
    start = time.perf_counter()
    model = scorer.fit(reader, range(len(reader)), compute)
    scorer.store(model, writer)
    return scorer.training(model), time.perf_counter() - start


def _evidence(
    scorer: ReferenceScorer, reader: FeatureReader, image_scoring: ImageScoring, compute: Compute
) -> _Evidence:
    """The scores of the references by fits to others, or why there are none."""
    shown = Shown.of(reader)
    if reason := scorer.refusal({"test": shown, REFERENCES: shown}, scores_references=True):
        return _Evidence(reason, [], [], np.empty(0))
    start = time.perf_counter()
    total = len(set(map(base_id, reader.image_ids)))
    try:
        asked = scorer.score_references({REFERENCES: reader}, compute)
        scored = [image_scoring.summed_up(score) for score in progress(asked, total=total, label="scoring references")]
    except (DamagedFileError, MemoryShortageError):
        raise
    except DataError as error:  # what only a fit to some of them shows
        return _Evidence(str(error), [], [], np.empty(0))
    return _Evidence(
        "",
        [reader.image_ids[score.index] for score in scored],
        [score.anomaly_map for score in scored if score.anomaly_map is not None],
        np.array([score.image_score for score in scored], dtype=np.float64),
        time.perf_counter() - start,
    )


def _described(reader: FeatureReader) -> dict[str, Any]:
    """Where the references come from; with the options of their backbone, which images to score must share."""
    kept: dict[str, Any] = {key: reader.provenance[key] for key in ("backbone", "white") if key in reader.provenance}
    return {**inherited(reader.provenance), **kept, **described_masks(reader), "image_ids": reader.image_ids}


def _check_masks(scorer: ReferenceScorer, reader: FeatureReader, masks: Mapping[str, MaskReader]) -> None:
    """Check that the masks are those of the references, if the scorer wants any.

    Raises:
        ValueError: they are too many or missing.
        DataError: they lack some.
    """
    is_single = len(set(map(base_id, reader.image_ids))) == 1  # it is not scored
    wanted = [REFERENCES] if scorer.wants_foreground else []
    if sorted(masks) != wanted and not (is_single and not masks):
        raise ValueError(f"the scorer reads masks of {wanted}, but those of {sorted(masks)} were given")
    for found in masks.values():
        check_masks(found, reader)
