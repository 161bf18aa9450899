"""Write the tables of a run as CSV, and tables to read in Markdown and LaTeX.

A ``mean`` row of metrics.csv is the macro mean over the categories with a value, ``mean textures`` and ``mean objects``
are those over textures and objects, if the data set has both; ``categories`` and ``pixel_categories`` are their numbers
for image metrics and pixel metrics. A method with several random seeds has a row for each seed, and one under its own
name: the mean over ``seeds``, with standard deviations in ``*_std``. The rows of method ``oracle``, one for each
segmentation model, are an upper limit: they have masks, from boxes of the ground truth, but no scores. A
sweep adds a column at the end for each of its parameters.

images.csv is a ranked list for each category and method: ``rank`` 1 is the most anomalous image, equal scores share the
better rank, and labels are not used. defect_types.csv has the metrics of each defect type, computed from its images and
the normal ones. comparisons.csv compares methods in pairs (see `zsad.tables.comparisons`); refinement.csv has the
changes by refiners; decisions.csv has the images called defective, with the threshold rule, its nominal false-alarm
rate and the measured one; against_published.csv, if the configuration names published figures, compares them with ours
(see `zsad.tables.against_published`). The tables to read leave out unknown figures; without labels only images.csv and
decisions.csv are made (see `zsad.workflow.measurable`).

If results of a run are missing, the tables list them: their rows have names but no figures, and so do the means over
categories or seeds that contain them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zsad.files.atomic import write_text
from zsad.files.checksums import write_checksums
from zsad.files.draws import read_draws
from zsad.files.evaluations import read_evaluation
from zsad.tables.against_published import against_published, against_tables
from zsad.tables.comparisons import comparisons
from zsad.tables.csv_tables import (
    AGAINST_PUBLISHED,
    COMPARISONS,
    DECISIONS,
    DEFECT_TYPES,
    IMAGES,
    REFINEMENT,
    defect_types_frame,
    images_frame,
    metrics_frame,
    write_metrics,
)
from zsad.tables.decisions_table import decisions_frame
from zsad.tables.missing import MissingResult, missing_note
from zsad.tables.overview import as_latex, as_markdown, overview_notes, overview_tables
from zsad.tables.published import published_for
from zsad.tables.refinement_table import refinement_frame
from zsad.tables.results import MASK_KEYS, ORACLE_KEYS, SCORE_KEYS, mean_results, results_of, with_seeds_together
from zsad.tables.table import has_figures, without_unknown

NOTHING: Mapping[Path, MissingResult] = MappingProxyType({})


def collect_tables(
    *,
    score_metrics: Sequence[Path],
    score_draws: Sequence[Path] = (),
    mask_metrics: Sequence[Path] = (),
    mask_draws: Sequence[Path] = (),
    oracle_metrics: Sequence[Path] = (),
    oracle_draws: Sequence[Path] = (),
    textures: Sequence[str] = (),
    published: str = "",
    to_meet: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    all_categories: Sequence[str] = (),
    missing: Mapping[Path, MissingResult] = NOTHING,
    unmade: Sequence[Path] = (),
    swept: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    images_csv: Path,
    decisions_csv: Path | None = None,
    metrics_csv: Path | None = None,
    defect_types_csv: Path | None = None,
    refinement_csv: Path | None = None,
    comparisons_csv: Path | None = None,
    against_csv: Path | None = None,
    markdown: Path | None = None,
    latex: Path | None = None,
    checksums: Path | None = None,
) -> None:
    """Collect the evaluations of a run into its tables.

    Categories, methods and refiners keep the order of their first appearance.

    Args:
        score_metrics: JSON files of `zsad.evaluation.evaluate_scores.evaluate_scores`, one for each category and
            method.
        mask_metrics: JSON files of `zsad.evaluation.evaluate_masks.evaluate_masks`, one for each category, method and
            refiner.
        oracle_metrics: JSON files of `zsad.evaluation.evaluate_oracle.evaluate_oracle`, one for each category and
            segmentation model.
        score_draws, mask_draws, oracle_draws: their files of bootstrap replicates, in the same order; empty if there
            are none, e.g. because no test image has a label.
        textures: the categories that are textures; the others are objects.
        published: the published data set whose figures are shown beside ours; empty for none.
        to_meet: by method the published rows to compare with; see `zsad.tables.against_published`.
        all_categories: those of the published data set, in the run or not.
        missing: the missing results, by their JSON file among those above, which is not read.
        unmade: files and folders that an earlier run with more labels may have left; they are removed.
        swept: by added last column of metrics.csv, e.g. ``"memory_bank.shots"``, the value of each method that has one.
        images_csv: the list of images. The other tables are written if a path is given.
        checksums: of all written tables.

    Raises:
        DataError: a file is missing or damaged, or masks come without their scores.
    """
    for path in unmade:
        _remove(path)
    evaluations = _read(score_metrics, score_draws, SCORE_KEYS, missing)
    refinements = _read(mask_metrics, mask_draws, MASK_KEYS, missing)
    oracles = _read(oracle_metrics, oracle_draws, ORACLE_KEYS, missing)
    results = results_of(evaluations, refinements, oracles)
    rows = [*with_seeds_together(results), *with_seeds_together(mean_results(results, textures))]
    metrics, compared = metrics_frame(rows), comparisons(rows)
    refined = refinement_frame(evaluations, refinements, oracles)
    decided = decisions_frame(evaluations, metrics)
    against = against_published(metrics, to_meet, published, all_categories)
    tables = overview_tables(metrics, refined, compared, decided, published_for(published) if published else [])
    tables += against_tables(against)
    documents = [*evaluations, *refinements, *oracles]
    not_made = missing_note(documents)
    notes = [*([not_made] if not_made else []), *overview_notes(documents, metrics)]
    known = [without_unknown(table) for table in tables if has_figures(table)]
    if metrics_csv is not None:
        write_metrics(metrics_csv, metrics, swept)
    if defect_types_csv is not None:
        DEFECT_TYPES.write(defect_types_csv, defect_types_frame(evaluations))
    IMAGES.write(images_csv, images_frame(evaluations))
    if decisions_csv is not None:
        DECISIONS.write(decisions_csv, decided)
    if refinement_csv is not None:
        REFINEMENT.write(refinement_csv, refined)
    if comparisons_csv is not None:
        COMPARISONS.write(comparisons_csv, compared)
    if against_csv is not None:
        AGAINST_PUBLISHED.write(against_csv, against)
    for document, in_words in ((markdown, as_markdown), (latex, as_latex)):
        if document is not None:
            write_text(document, in_words(known, notes, metrics["protocol"]))
    if checksums is not None:
        made = (
            metrics_csv,
            defect_types_csv,
            images_csv,
            decisions_csv,
            refinement_csv,
            comparisons_csv,
            against_csv,
            markdown,
            latex,
        )
        write_checksums(checksums, filter(None, made))


def _read(
    metrics: Sequence[Path], draws: Sequence[Path], keys: Iterable[str], missing: Mapping[Path, MissingResult]
) -> list[dict[str, Any]]:
    """The evaluations, each with its bootstrap replicates, and placeholders for missing ones."""
    beside = dict(zip(metrics, draws, strict=True)) if draws else {}
    return [
        missing[path].document()
        if path in missing
        else {**read_evaluation(path, keys), "draws": read_draws(beside[path]) if beside else {}}
        for path in metrics
    ]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
