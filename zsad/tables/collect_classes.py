"""Write the tables of classifiers: CSV files, and tables to read in Markdown and LaTeX.

classification.csv has one row for each query image (not for support or calibration images), in the sample of examples
that is shown: the first seed with the most shots. ``true`` is empty if the image has no label; it may be a kind without
examples. ``prediction_set`` contains kinds separated by ``|``; it is empty if the classifier abstains. ``nearest
crack`` is the most similar example of that kind, in the list of images of ``support``, which is ``test`` or the name of
labelled examples beside the data set.

classification_metrics.csv has one row for each category, classifier and number of shots, and ``mean`` rows with macro
means, if there are several categories: the mean over ``seeds`` of every metric, with its 95 % limits (``_low``,
``_high``) and its standard deviation over the seeds. ``coverage crack``, ``coverage_low crack`` and so on are for the
images of that kind. Without labels, only the size of the sets, single answers and abstentions are known.

classification_confusion.csv has the number of images for each pair of true and predicted kind, summed over the seeds,
and their ``share`` among those of the true kind, for every labelled category; kinds without examples are included.

``regions`` is the image area of the embeddings: the whole image, the predicted defect, or the ground-truth defect.
Figures with ground-truth regions are never averaged with others.

If results of a run are missing, the tables list them: their rows have names but no figures, and so do the means over
categories that contain them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zsad.files.atomic import write_text
from zsad.files.checksums import write_checksums
from zsad.files.evaluations import read_evaluation
from zsad.tables.class_csv import (
    CONFUSION,
    classification_format,
    classification_frame,
    confusion_frame,
    kinds_of,
    metrics_frame,
    write_metrics,
)
from zsad.tables.class_results import CLASS_KEYS, class_results
from zsad.tables.classification_table import as_latex, as_markdown, classification_notes, classification_tables
from zsad.tables.missing import MissingResult, missing_note
from zsad.tables.table import has_figures, without_unknown

NOTHING: Mapping[Path, MissingResult] = MappingProxyType({})


def collect_classes(
    *,
    evaluations: Sequence[Path],
    missing: Mapping[Path, MissingResult] = NOTHING,
    classification_csv: Path,
    metrics_csv: Path | None = None,
    confusion_csv: Path | None = None,
    markdown: Path | None = None,
    latex: Path | None = None,
    checksums: Path | None = None,
) -> None:
    """Collect the evaluations of a run's classifiers into its tables.

    Categories and classifiers keep the order of their first appearance.

    Args:
        evaluations: JSON files of `zsad.evaluation.evaluate_classes.evaluate_classes`, one for each category and
            classifier.
        missing: the missing results, by their JSON file among those above, which is not read.
        classification_csv: the list of images. The other tables are written if a path is given.
        confusion_csv: confusion matrices of the labelled categories.
        checksums: of all written tables.

    Raises:
        DataError: a file is missing or damaged.
    """
    documents = [_read(path, missing) for path in evaluations]
    kinds = kinds_of(documents)
    metrics = metrics_frame(class_results(documents), kinds)
    not_made = missing_note(documents)
    notes = [*([not_made] if not_made else []), *classification_notes(documents, metrics)]
    known = [without_unknown(table) for table in classification_tables(metrics) if has_figures(table)]
    classification_format(kinds).write(classification_csv, classification_frame(documents))
    if metrics_csv is not None:
        write_metrics(metrics_csv, metrics, kinds)
    if confusion_csv is not None:
        CONFUSION.write(confusion_csv, confusion_frame(documents))
    for document, in_words in ((markdown, as_markdown), (latex, as_latex)):
        if document is not None:
            write_text(document, in_words(known, notes))
    if checksums is not None:
        made = (classification_csv, metrics_csv, confusion_csv, markdown, latex)
        write_checksums(checksums, filter(None, made))


def _read(path: Path, missing: Mapping[Path, MissingResult]) -> dict[str, Any]:
    return missing[path].document() if path in missing else read_evaluation(path, CLASS_KEYS)
