"""The deciding stage: from the scores of a method and its references to verdicts and thresholds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from zsad.deciding.base import Evidence, ThresholdRule, Verdicts
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import DataError
from zsad.files.decisions import DecisionReader, DecisionWriter
from zsad.files.fitted import FittedReader
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader

ADOPTED = "The thresholds are those of the method whose maps are modulated."

logger = logging.getLogger(__name__)


def decide_images(
    *, scores: Path, rule: ThresholdRule, output: Path, provenance: Mapping[str, Any], model: Path | None = None
) -> None:
    """Decide for every test image of a category whether it is defective, and from which values on its map is marked.

    Args:
        scores: the score file of one method.
        output: the file of decisions, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.
        model: model of the method, for the scores of its references; None for a method without references.

    Raises:
        DataError: the rule needs scores of references, and there are none; or the model did not make the scores.
    """
    with ExitStack() as stack:
        reader = stack.enter_context(ScoreReader(scores))
        fitted = None if model is None else stack.enter_context(FittedReader(model))
        if fitted is not None:
            _check_model(reader, fitted)
        evidence = evidence_of(reader, fitted)
        if rule.needs_references and not len(evidence.reference_peaks):
            raise DataError(_without_evidence(fitted))
        decider = rule.chosen(evidence)
        verdicts = decider.decide(evidence)
        details = {
            "threshold_rule": {"name": THRESHOLDS.name_of(rule), "params": rule.parameters()},
            "references": [] if fitted is None else fitted.reference_ids,
        }
        with DecisionWriter(
            output, reader.image_ids, {**inherited(reader.provenance), **provenance, **details}
        ) as writer:
            writer.write(verdicts, evidence.peaks, rule=THRESHOLDS.name_of(decider), localises=reader.localises)
    logger.info("%d of %d images are called defective", np.count_nonzero(verdicts.decided), len(evidence))


def adopt_decisions(*, scores: Path, decisions: Path, output: Path, provenance: Mapping[str, Any]) -> None:
    """Apply the thresholds of a method to scores that were derived from its own, such as those of a modulation.

    The significance of an image is copied from the method where the verdict is the same; else it is not known.

    Args:
        scores: the score file of the modulation.
        decisions: decision file of the method.
        output: the file of decisions, written whole or not at all.
        provenance: facts about the job; the stage adds the rest.

    Raises:
        DataError: the two files are not of the same images.
    """
    with ScoreReader(scores) as reader, DecisionReader(decisions) as of_method:
        if reader.image_ids != of_method.image_ids or reader.localises != of_method.localises:
            raise DataError(f"{scores} and {decisions} do not show the same images; delete both, run again")
        evidence = evidence_of(reader, None)
        is_same = (evidence.peaks > of_method.region) == of_method.decided
        verdicts = Verdicts(
            evidence,
            of_method.region,
            of_method.pixel,
            significance=np.where(is_same, of_method.significance, np.nan),
            measure=of_method.measure,
            nominal=of_method.nominal,
            remarks=[*of_method.remarks, ADOPTED],
        )
        details = {"threshold_rule": of_method.provenance["threshold_rule"], "decisions": of_method.provenance}
        with DecisionWriter(
            output, reader.image_ids, {**inherited(reader.provenance), **provenance, **details}
        ) as writer:
            writer.write(verdicts, evidence.peaks, rule=of_method.rule, localises=reader.localises)


def evidence_of(scores: ScoreReader, fitted: FittedReader | None) -> Evidence:
    """The input of a threshold rule."""
    maps = [scores.anomaly_map(index) for index in range(len(scores))] if scores.localises else []
    if fitted is None or not fitted.has_evidence:
        return Evidence(maps, scores.image_scores, setting=scores.setting)
    return Evidence(maps, scores.image_scores, fitted.reference_maps, fitted.reference_scores, scores.setting)


def _check_model(scores: ScoreReader, fitted: FittedReader) -> None:
    """Check that the images were scored by this model.

    Raises:
        DataError: its parameters or references are others.
    """
    scored_by = scores.provenance.get("features", {}).get("references", {}).get("image_ids")
    params = scores.provenance.get("scorer", {}).get("params")
    said = fitted.provenance
    if (params, scored_by) != (said.get("scorer", {}).get("params"), said.get("references", {}).get("image_ids")):
        raise DataError(f"{fitted.path} is not the model by which {scores.path} was made; delete both, run again")


def _without_evidence(fitted: FittedReader | None) -> str:
    if fitted is None:
        return "the threshold rule needs references, and the method has none; choose another rule"
    return str(fitted.provenance.get("without_evidence") or f"{fitted.path} has no scores of references")
