"""The tables of what classifiers say of images: CSV, and their figures to read in Markdown and LaTeX.

classification.csv has a row for each image whose kind was to be found out (no support or calibration image), in the
draw that stands for all: the first seed with the most shots. ``true`` is empty where nobody labelled the image; its
kind may also be one that was not shown. ``prediction_set`` holds kinds with ``|`` between them, none where the
classifier abstains. ``nearest crack`` is the example of that kind that is most alike, in the list of images of
``support``, which is ``test`` or the name of labelled examples beside the data set.

classification_metrics.csv has a row for each category, classifier and number of shots, and ``mean`` rows, the macro
means, where there are several categories: the mean over ``seeds`` of every metric, with its 95 % limits (``_low``,
``_high``) and its standard deviation over the seeds. ``coverage crack``, ``coverage_low crack`` and so on are of the
images of that kind. Where no image is labelled only the size of the sets, single answers and abstentions are known.

classification_confusion.csv has how many images of each kind, summed over the seeds, were said to be of which, and
their ``share`` among those of the true kind, for every labelled category; a true kind that was not shown is there too.

``regions`` tells where embeddings look: at the image, where the defect is predicted to be, or where the ground truth
says that it is. Figures of the last are never averaged with others.

Of a run that did not make all of its results, the tables say which are missing: their rows have names and no figures,
as has every mean over categories that they belong to.
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

    Categories and classifiers keep the order in which they are first given.

    Args:
        evaluations: JSON files of `zsad.evaluation.evaluate_classes.evaluate_classes`, one a category and classifier.
        missing: the results that were not made, by their JSON file among those above, which is not read.
        classification_csv: the list of images. The other tables are written where they are given.
        confusion_csv: what is taken for what, of the labelled categories.
        checksums: of all that are written.

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
