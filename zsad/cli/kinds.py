"""What classifiers will be shown of each category, as far as listings and tables tell; no image is opened."""

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


class Told(NamedTuple):
    """What is to be said of the labelled images of a run.

    Attributes:
        lines: for a terminal.
        stops: whether a run would stop at any of it.
    """

    lines: list[str]
    stops: bool


def tell_kinds(settings: Settings) -> Told:
    """What classifiers ask of each kind, and for each category its images of each kind, and what goes wrong with them.

    Classifiers that draw alike are told together.
    """
    told = Told([], stops=False)
    for same in grouped(settings.classifiers.values(), lambda entry: (entry.support, canonical_json(entry.drawing))):
        told.lines.extend(entry_lines("drawn", _asked(same)))
        for category in settings.categories:
            lines, stops = _category_lines(same, _pool(settings, same[0].support, category), category)
            told = Told([*told.lines, *lines], told.stops or stops)
    return told


def _pool(settings: Settings, source: str, category: str) -> list[Labelled] | None:
    """The images that may be drawn, copies among them; None where masks alone tell what they are.

    Their content, which nobody has read, is taken to be their name.
    """
    if source != TEST:
        examples = settings.supports[source].source.items(category)
        return [Labelled(source, example.image_id, example.kind, example.image_id) for example in examples]
    kinds = _test_kinds(settings.data, category)
    return None if kinds is None else [Labelled(TEST, name, kind, name) for name, kind in kinds.items()]


def _test_kinds(data: Dataset, category: str) -> dict[str, str] | None:
    """The kind of each test image, empty if unknown; None where masks alone tell whether some are defective."""
    if data.is_demo:
        names = planned_files(category, data.demo_options)
        return {name: name.split("/")[1] for name in names if name.startswith("test/")}
    items = [item for item in data.items(category) if item.split == "test"]
    if any(item.label == "mask" for item in items):
        return None
    return {item.image_id: kind_of(item) for item in items}


def _asked(same: Sequence[ClassifierEntry]) -> str:
    """What is drawn of each kind, from where, and for whom."""
    options, source = DrawOptions(**same[0].drawing), same[0].support
    *some, last = [str(count) for count in options.shots]
    shots = f"{', '.join(some)} or {last}" if some else last
    calibration = f"{options.calibration} for calibration, and " if options.calibration else ""
    seeds = f"{len(options.seeds)} seeds" if len(options.seeds) > 1 else "1 seed"
    place = "the test images, by their labels" if source == TEST else f"the examples of '{source}'"
    names = ", ".join(entry.name for entry in same)
    return f"of each kind {calibration}{shots} to learn from, by {seeds}, from {place}; for {names}"


def _category_lines(same: Sequence[ClassifierEntry], pool: Sequence[Labelled] | None, category: str) -> Told:
    """The images of each kind of a category, which of them are not shown, and what makes a run stop."""
    if pool is None:
        return Told(entry_lines(category, "known once the masks are read, which alone tell what is defective"), False)
    source, options = same[0].support, DrawOptions(**same[0].drawing)
    counts = Counter(image.kind for image in pool if image.kind)
    lines = entry_lines(category, ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "no label")
    try:
        shown = shown_kinds(pool, options, source, category)
    except ZsadError as error:
        return Told([*lines, *entry_lines("problem", str(error))], True)
    enough = options.least_images + (source == TEST)
    left = [kind for kind, count in sorted(counts.items()) if kind not in shown.kinds and count >= enough]
    remarks = [
        *([f"Not shown: {', '.join(left)}."] if left else []),
        *shown.remarks,
        *(said for entry in same for said in _few(entry, options, len(shown.kinds))),
    ]
    return Told([*lines, *(line for remark in remarks for line in entry_lines("remark", remark))], False)


def _few(entry: ClassifierEntry, options: DrawOptions, kinds: int) -> list[str]:
    """That too few images set the thresholds of a classifier's sets for any kind to be ruled out, if that is so."""
    conformal = ConformalOptions(**entry.conformal)
    fewest = fewest_images(conformal.alpha)
    of_sets = 1 if conformal.thresholds == "kind" else kinds
    each = _comparable(options, ProbabilityOptions(**entry.probabilities), conformal)
    few = [shots for shots, size in each.items() if size * of_sets < fewest]
    if not few:
        return []
    by_shots = f" with {' or '.join(few)} to learn from" if conformal.sets == "cross" else ""
    return [
        f"No prediction set of '{entry.name}' will rule a kind out{by_shots}, for at alpha {conformal.alpha:g} that "
        f"takes {fewest} {NOUNS[conformal.sets]}{' of the kind' if of_sets == 1 else ''} that set its thresholds."
    ]


def _comparable(options: DrawOptions, probabilities: ProbabilityOptions, conformal: ConformalOptions) -> dict[str, int]:
    """The images of each kind that set thresholds, by the shots; ``all`` is known only when they are counted."""
    if conformal.sets == "cross":
        return {str(count): count if count > 1 else 0 for count in options.shots if count != "all"}
    fit = choose_fitting_images(np.zeros(options.calibration, dtype=int), probabilities, conformal)
    return {"": int(np.count_nonzero(~fit))}
