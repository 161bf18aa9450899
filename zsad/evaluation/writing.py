"""Files of an evaluation: its metrics, and the metrics of its bootstrap replicates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zsad.files.draws import written_draws
from zsad.files.json_files import write_json


def write_evaluation(
    path: str | Path, evaluation: Mapping[str, Any], draws_path: str | Path | None, replicates: Mapping[str, np.ndarray]
) -> None:
    """Write an evaluation as JSON and, if ``draws_path`` is given, its bootstrap replicates as HDF5: both or neither.

    Args:
        path: file of the evaluation.
        evaluation: as plain JSON types, with its provenance.
        draws_path: file of the replicates; None to write none.
        replicates: float64 ``[replicate]`` by the name of the metric.
    """
    if draws_path is None:
        write_json(path, evaluation)
        return
    with written_draws(draws_path, replicates, evaluation["provenance"]):
        write_json(path, evaluation)
