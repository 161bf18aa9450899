"""The labelled examples that classifiers will get in each category, from file lists and tables; no image is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zsad.classification.calibration import choose_fitting_images
from zsad.classification.conformal import NOUNS, fewest_images
from zsad.classification.draws import DrawOptions, Labelled, shown_kinds
from zsad.classification.options import ConformalOptions, ProbabilityOptions
from zsad.classification.splits import TEST
from zsad.data.dataset import Dataset
from zsad.data.demo.plan import planned_files
from zsad.data.inspection_table import entry_lines
from zsad.data.kinds import kind_of
from zsad.errors import ZsadError
from zsad.files.json_values import canonical_json
from zsad.tables.results import grouped
from zsad.workflow.entries import ClassifierEntry
from zsad.workflow.settings import Settings


class Report(NamedTuple):
    """A report on the labelled images of a run.

    Attributes:
        lines: text for a terminal.
        stops: whether a run would stop because of them.
    """

    lines: list[str]
    stops: bool


def report_examples(settings: Settings) -> Report:
    """Report how many examples classifiers need, the images of each kind in each category, and problems with them.

    Classifiers that sample in the same way are reported together.
    """
    report = Report([], stops=False)
    for same in grouped(settings.classifiers.values(), lambda entry: (entry.support, canonical_json(entry.drawing))):
        report.lines.extend(entry_lines("sampled", _sampled(same)))
        for category in settings.categories:
            lines, stops = _category_lines(same, _pool(settings, same[0].support, category), category)
            report = Report([*report.lines, *lines], report.stops or stops)
    return report


def _pool(settings: Settings, source: str, category: str) -> list[Labelled] | None:
    """The images that may be sampled, copies included; None if only masks show which images are defective.

    Their names stand for their content, because no image is read.
    """
    if source != TEST:
        examples = settings.supports[source].source.items(category)
        return [Labelled(source, example.image_id, example.kind, example.image_id) for example in examples]
    kinds = _test_kinds(settings.data, category)
    return None if kinds is None else [Labelled(TEST, name, kind, name) for name, kind in kinds.items()]


def _test_kinds(data: Dataset, category: str) -> dict[str, str] | None:
    """The kind of each test image, empty if unknown; None if only masks show which images are defective."""
    if data.is_demo:
        names = planned_files(category, data.demo_options)
        return {name: name.split("/")[1] for name in names if name.startswith("test/")}
    items = [item for item in data.items(category) if item.split == "test"]
    if any(item.label == "mask" for item in items):
        return None
    return {item.image_id: kind_of(item) for item in items}


def _sampled(same: Sequence[ClassifierEntry]) -> str:
    """How many examples of each kind are sampled, from where, and for which classifiers, in words."""
    options, source = DrawOptions(**same[0].drawing), same[0].support
    *some, last = [str(count) for count in options.shots]
    shots = f"{', '.join(some)} or {last}" if some else last
    calibration = f"{options.calibration} for calibration, and " if options.calibration else ""
    seeds = f"{len(options.seeds)} random seeds" if len(options.seeds) > 1 else "1 random seed"
    place = "the labelled test images" if source == TEST else f"the examples of '{source}'"
    names = ", ".join(entry.name for entry in same)
    return f"of each kind {calibration}{shots} for training, with {seeds}, from {place}; for {names}"


def _category_lines(same: Sequence[ClassifierEntry], pool: Sequence[Labelled] | None, category: str) -> Report:
    """The number of images of each kind in a category, the kinds that are left out, and problems that stop a run."""
    if pool is None:
        return Report(entry_lines(category, "known after the masks are read, which show the defective images"), False)
    source, options = same[0].support, DrawOptions(**same[0].drawing)
    counts = Counter(image.kind for image in pool if image.kind)
    lines = entry_lines(category, ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "no label")
    try:
        shown = shown_kinds(pool, options, source, category)
    except ZsadError as error:
        return Report([*lines, *entry_lines("problem", str(error))], True)
    enough = options.least_images + (source == TEST)
    left = [kind for kind, count in sorted(counts.items()) if kind not in shown.kinds and count >= enough]
    remarks = [
        *([f"Left out: {', '.join(left)}."] if left else []),
        *shown.remarks,
        *(said for entry in same for said in _few(entry, options, len(shown.kinds))),
    ]
    return Report([*lines, *(line for remark in remarks for line in entry_lines("remark", remark))], False)


def _few(entry: ClassifierEntry, options: DrawOptions, kinds: int) -> list[str]:
    """A warning if too few images set the thresholds of the prediction sets to exclude any kind."""
    conformal = ConformalOptions(**entry.conformal)
    fewest = fewest_images(conformal.alpha)
    of_sets = 1 if conformal.thresholds == "kind" else kinds
    each = _comparable(options, ProbabilityOptions(**entry.probabilities), conformal)
    few = [shots for shots, size in each.items() if size * of_sets < fewest]
    if not few:
        return []
    by_shots = f" with {' or '.join(few)} training examples" if conformal.sets == "cross" else ""
    return [
        f"No prediction set of '{entry.name}' can exclude a kind{by_shots}: alpha {conformal.alpha:g} needs "
        f"{fewest} {NOUNS[conformal.sets]}{' of the kind' if of_sets == 1 else ''} to set its thresholds."
    ]


def _comparable(options: DrawOptions, probabilities: ProbabilityOptions, conformal: ConformalOptions) -> dict[str, int]:
    """The number of images of each kind that set thresholds, by the shots; ``all`` is known only after counting."""
    if conformal.sets == "cross":
        return {str(count): count if count > 1 else 0 for count in options.shots if count != "all"}
    fit = choose_fitting_images(np.zeros(options.calibration, dtype=int), probabilities, conformal)
    return {"": int(np.count_nonzero(~fit))}
