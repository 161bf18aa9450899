"""The tables of a run: metrics.csv, images.csv, refinement.csv, and their figures to read in Markdown and LaTeX.

A ``mean`` row of metrics.csv is the macro mean over the categories that have a value; ``categories`` and
``pixel_categories`` say how many these were for image metrics and for metrics of pixels. A method with several seeds
has a row for each, and one under its own name: the mean over ``seeds``, with standard deviations in ``*_std``. The
rows of method ``oracle``, one a segmentation model, are a ceiling: they have masks, from boxes of the truth, and no
scores.

images.csv is a ranked list for each category and method: ``rank`` 1 is the most anomalous image, equal scores share
the better rank, and labels play no part in it. The tables to read leave out what nothing is known of.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import rankdata

from zsad.evaluation.overview import as_latex, as_markdown, overview_notes, overview_tables
from zsad.evaluation.ranking import RANKING_METRICS
from zsad.evaluation.refinement import COUNTS, VALUES
from zsad.evaluation.refinement_table import RefinementResult, refinement_results
from zsad.evaluation.results import (
    DECISION_METRICS,
    KEYS,
    MASK_KEYS,
    ORACLE_KEYS,
    SCORE_KEYS,
    Result,
    first_places,
    grouped,
    is_known,
    mean_result,
    results_of,
    with_seeds_together,
)
from zsad.evaluation.typeset import Cell, Change, Table
from zsad.store import MEAN, number, read_evaluation, write_text

METRICS_COLUMNS = (
    *KEYS,
    *RANKING_METRICS,
    *(f"{metric}_{side}" for metric in RANKING_METRICS for side in ("low", "high")),
    *DECISION_METRICS,
    "categories",
    "pixel_categories",
    "seeds",
    *(f"{metric}_std" for metric in RANKING_METRICS),
)
REFINEMENT_COLUMNS = (*KEYS, "defect_type", *VALUES, *COUNTS, "reasons", "categories", "seeds")
IMAGES_COLUMNS = (
    "category",
    "image_id",
    "method",
    "setting",
    "rank",
    "image_score",
    "threshold",
    "decision",
    "label",
    "defect_type",
    "note",
    "seconds",
)


def collect_tables(
    *,
    score_metrics: Sequence[Path],
    mask_metrics: Sequence[Path],
    oracle_metrics: Sequence[Path] = (),
    metrics_csv: Path,
    images_csv: Path,
    refinement_csv: Path,
    markdown: Path,
    latex: Path,
) -> None:
    """Collect the evaluations of a run into its tables.

    Categories, methods and refiners keep the order in which they are first given.

    Args:
        score_metrics: JSON files of `zsad.evaluation.stage.evaluate_scores`, one a category and method.
        mask_metrics: JSON files of `zsad.evaluation.mask_stage.evaluate_masks`, one a category, method and refiner.
        oracle_metrics: JSON files of `zsad.evaluation.oracle.evaluate_oracle`, one a category and segmentation model.

    Raises:
        DataError: a file is missing or damaged, or masks come without their scores.
    """
    evaluations = [read_evaluation(path, SCORE_KEYS) for path in score_metrics]
    refinements = [read_evaluation(path, MASK_KEYS) for path in mask_metrics]
    oracles = [read_evaluation(path, ORACLE_KEYS) for path in oracle_metrics]
    results = results_of(evaluations, refinements, oracles)
    means = [mean_result(group) for group in grouped(results, lambda result: (result.method, result.refiner))]
    rows = [*with_seeds_together(results), *with_seeds_together(means)]
    refined = refinement_results(evaluations, refinements, oracles)
    tables = overview_tables(
        results, with_seeds_together(means), [result for result in refined if result.category == MEAN]
    )
    notes = overview_notes([*evaluations, *refinements, *oracles], means)
    write_text(metrics_csv, _csv(METRICS_COLUMNS, [_metrics_row(result) for result in rows]))
    write_text(images_csv, _csv(IMAGES_COLUMNS, _image_rows(evaluations)))
    write_text(refinement_csv, _csv(REFINEMENT_COLUMNS, [_refinement_row(result) for result in refined]))
    known = [table for table in tables if _has_figures(table)]
    write_text(markdown, as_markdown(known, notes))
    write_text(latex, as_latex(known, notes))


def _has_figures(table: Table) -> bool:
    """Whether any cell has a value; in a table of images without labels none has."""
    cells = [cell for row in table.rows for cell in row if not isinstance(cell, str)]
    return any(is_known(value) for cell in cells for value in _values(cell))


def _values(cell: Cell | Change) -> tuple[float, ...]:
    return (cell.value,) if isinstance(cell, Cell) else tuple(cell)


def _metrics_row(result: Result) -> dict[str, str]:
    row = {key: getattr(result, key) for key in KEYS}
    row |= {metric: _decimal(value) for metric, value in result.values.items()}
    for metric, limits in result.confidence.items():
        row |= {f"{metric}_low": _decimal(limits.low), f"{metric}_high": _decimal(limits.high)}
    row |= {f"{metric}_std": _decimal(result.deviation[metric]) for metric in RANKING_METRICS if result.deviation}
    counts = ("categories", "pixel_categories", "seeds")
    return row | {count: str(getattr(result, count)) for count in counts}


def _refinement_row(result: RefinementResult) -> dict[str, str]:
    row = {key: getattr(result, key) for key in (*KEYS, "defect_type")}
    row |= {name: _decimal(value) for name, value in result.values.items()}
    row |= {name: f"{round(value, 2):.12g}" for name, value in result.counts.items()}
    row["reasons"] = "; ".join(f"{cause}: {number}" for cause, number in result.reasons.most_common())
    return row | {count: str(getattr(result, count)) for count in ("categories", "seeds")}


def _image_rows(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Ranked lists: within a category and method the most anomalous image comes first, and of equal ones the names."""
    category = first_places(evaluation["category"] for evaluation in evaluations)
    method = first_places(evaluation["method"] for evaluation in evaluations)
    ordered = sorted(
        evaluations, key=lambda evaluation: (category[evaluation["category"]], method[evaluation["method"]])
    )
    return [
        {
            "category": evaluation["category"],
            "image_id": image["image_id"],
            "method": evaluation["method"],
            "setting": evaluation["setting"],
            "rank": str(rank),
            "image_score": f"{image['score']:.7g}",
            "threshold": f"{number(evaluation['image_threshold']):.7g}",
            "decision": str(int(image["decision"])),
            "label": "" if image["label"] is None else str(image["label"]),
            "defect_type": image["defect_type"],
            "note": image["note"],
            "seconds": "" if image["seconds"] is None else f"{image['seconds']:.4f}",
        }
        for evaluation in ordered
        for rank, image in _ranked(evaluation["images"])
    ]


def _ranked(images: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    ordered = sorted(images, key=lambda image: (-image["score"], image["image_id"]))
    ranks = rankdata([-image["score"] for image in ordered], method="min").astype(int).tolist()
    return list(zip(ranks, ordered, strict=True))


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _decimal(value: float) -> str:
    return f"{value:.6f}" if is_known(value) else "NaN"
