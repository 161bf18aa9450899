"""Decision files of given thresholds, for the tests of whatever reads decisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsad.deciding.base import Verdicts
from zsad.deciding.decide_images import evidence_of
from zsad.files.decisions import DecisionWriter
from zsad.files.provenance import inherited
from zsad.files.scores import ScoreReader

Numbers = float | Sequence[float] | np.ndarray


def write_decisions(
    path: Path,
    scores_path: Path,
    region: Numbers = 0.5,
    pixel: Numbers | None = None,
    *,
    significance: Sequence[float] | np.ndarray | None = None,
    measure: str = "",
    nominal: float = np.nan,
    remarks: Sequence[str] = (),
    rule: str = "fixed",
    params: dict[str, Any] | None = None,
    **provenance: Any,
) -> Path:
    """Decide the images of a score file by given thresholds.

    Args:
        region, pixel: one number for all images, or one for each; without ``pixel`` it is ``region``. The pixel
            threshold is lowered to ``region`` where it is above, and without maps it is infinite.
        significance, measure, nominal, remarks: see `zsad.deciding.base.Verdicts`.
        rule, params: what is said to have set the thresholds.
        provenance: what is said of the job beside that; what the scores say of it is inherited.

    Returns:
        ``path``.
    """
    with ScoreReader(scores_path) as scores:
        evidence = evidence_of(scores, None)
        verdicts = Verdicts(
            evidence,
            np.asarray(region, dtype=np.float64),
            np.asarray(region if pixel is None else pixel, dtype=np.float64),
            significance=None if significance is None else np.asarray(significance, dtype=np.float64),
            measure=measure,
            nominal=nominal,
            remarks=remarks,
        )
        described = {
            "stage": "decide_images",
            "threshold_rule": {"name": rule, "params": params or {}},
            "references": [],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with DecisionWriter(
            path, scores.image_ids, {**inherited(scores.provenance), **described, **provenance}
        ) as writer:
            writer.write(verdicts, evidence.peaks, rule=rule, localises=scores.localises)
    return path
