"""The fitting stage: from the features of normal references to the model of one method."""

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
from zsad.scoring.base import Shown
from zsad.scoring.compute import Compute
from zsad.scoring.extra_inputs import check_texts, describe_inputs
from zsad.scoring.foreground_masks import check_masks, describe_masks
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.references import REFERENCES, SYNTHETIC, ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.scoring.same_features import check_same
from zsad.scoring.token_source import LabelledTokens
from zsad.scoring.trained import with_weights

logger = logging.getLogger(__name__)


class SyntheticFiles(NamedTuple):
    """Files of synthetic images made from references for training.

    Attributes:
        features: of the images.
        manifest: with their masks.
        origins: the references of each image, see `zsad.adaptation.origins`.
    """

    features: Path
    manifest: Path
    origins: Path


def synthetic_files(files: Any) -> SyntheticFiles | None:
    """The files of synthetic images among the named inputs of a job; None if there are none."""
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

    The model holds the fit, and the scores of the references, each by a fit to others, for threshold rules. If there
    are too few references for that, the model has no such scores and records the reason.

    Args:
        references: their features.
        compute: device, memory and number format; scores by the model have its number format.
        output: the model file, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.
        dataset, category, method: data set and category of the references, and the name of the method.
        backbone: ``name``, ``family`` and ``params`` of the backbone, for scoring images by the model alone.
        segmenter: the same for the segmentation model of the foreground, if ``scorer.wants_foreground``.
        segmentation: its options, see `zsad.segmentation.foreground.ForegroundOptions`.
        foregrounds: if ``scorer.wants_foreground``, the mask file of the foreground for the role ``"references"``; not
            needed for a single reference.
        texts: the sentences of the scorer, if its ``text_role`` is ``"references"``.
        synthetic: synthetic images made from the references, if the scorer has the role ``"synthetic"``.
        trained: weights of a `TrainedScorer` without its own, learned from the auxiliary data set; see
            `zsad.scoring.train_method`.

    Raises:
        ConfigError: the features lack a layer that the method names, or a file of trained weights is absent.
        DataError: too few references for the method, masks that do not belong to them, or weights learned from other
            features.
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
            **describe_inputs(scorer, asked),
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
    """The features and labels of synthetic images, open as long as the stack is.

    Raises:
        ValueError: they are missing, or given but not used.
        DataError: they do not belong together.
    """
    if (synthetic is not None) != (SYNTHETIC in scorer.feature_sets()):
        raise ValueError(f"synthetic images are {'missing' if synthetic is None else 'not used by the scorer'}")
    if synthetic is None:
        return None
    reader = stack.enter_context(FeatureReader(synthetic.features))
    return LabelledTokens(reader, synthetic_marks(synthetic.manifest, synthetic.origins, reader.image_ids))


class _Evidence(NamedTuple):
    """The scores of the references.

    Attributes:
        refusal: why there are none; empty if there are.
    """

    refusal: str
    image_ids: list[str]
    maps: list[np.ndarray]
    scores: np.ndarray
    seconds: float = 0.0


def _store_fit(
    scorer: ReferenceScorer, reader: FeatureReader, writer: FittedWriter, compute: Compute
) -> tuple[dict[str, Any], float]:
    """Fit to all references and store the fit; return facts about its training, and the seconds."""
    start = time.perf_counter()
    model = scorer.fit(reader, range(len(reader)), compute)
    scorer.store(model, writer)
    return scorer.training(model), time.perf_counter() - start


def _evidence(
    scorer: ReferenceScorer, reader: FeatureReader, image_scoring: ImageScoring, compute: Compute
) -> _Evidence:
    """The scores of the references by fits to others, or the reason why there are none."""
    shown = Shown.of(reader)
    if reason := scorer.refusal({"test": shown, REFERENCES: shown}, scores_references=True):
        return _Evidence(reason, [], [], np.empty(0))
    start = time.perf_counter()
    total = len(set(map(base_id, reader.image_ids)))
    try:
        asked = scorer.score_references({REFERENCES: reader}, compute)
        scored = [image_scoring.complete(score) for score in progress(asked, total=total, label="scoring references")]
    except (DamagedFileError, MemoryShortageError):
        raise
    except DataError as error:  # found only by a fit to some of them
        return _Evidence(str(error), [], [], np.empty(0))
    return _Evidence(
        "",
        [reader.image_ids[score.index] for score in scored],
        [score.anomaly_map for score in scored if score.anomaly_map is not None],
        np.array([score.image_score for score in scored], dtype=np.float64),
        time.perf_counter() - start,
    )


def _described(reader: FeatureReader) -> dict[str, Any]:
    """The origin of the references, with the options of their backbone, which images to score must share."""
    kept: dict[str, Any] = {key: reader.provenance[key] for key in ("backbone", "white") if key in reader.provenance}
    return {**inherited(reader.provenance), **kept, **describe_masks(reader), "image_ids": reader.image_ids}


def _check_masks(scorer: ReferenceScorer, reader: FeatureReader, masks: Mapping[str, MaskReader]) -> None:
    """Check that the masks belong to the references, if the scorer uses masks.

    Raises:
        ValueError: masks are missing, or given but not used.
        DataError: masks of some references are missing.
    """
    is_single = len(set(map(base_id, reader.image_ids))) == 1  # it is not scored
    wanted = [REFERENCES] if scorer.wants_foreground else []
    if sorted(masks) != wanted and not (is_single and not masks):
        raise ValueError(f"the scorer reads masks of {wanted}, but those of {sorted(masks)} were given")
    for found in masks.values():
        check_masks(found, reader)
