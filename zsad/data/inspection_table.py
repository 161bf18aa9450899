"""The check of a data set as text: a block per category, and the totals."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from zsad.columns import aligned
from zsad.data.inspection import Inspection

WIDTH = 100  # characters per line
INDENT = 13  # of the text after a keyword, in blanks
SIZES_SHOWN = 3
BYTE_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
TIME_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
COST_COLUMNS = ("features by", "of", "view", "images", "disk", "time")
COST_NUMBERS = ("images", "disk", "time")


@dataclass(frozen=True)
class FeatureCost:
    """The cost of one file of features or of embeddings.

    Attributes:
        source: the backbone, or the segmentation model, by its name in the configuration.
        subset, view: see `zsad.data.subsets`; the view of embeddings is empty.
        images: number that are computed; several for an image whose view shows it at several angles.
        bytes: on disk; None if unknown.
        seconds: on this machine, approximate; None if unknown.
        dataset: the data set, if it is not the one under test; else empty.
    """

    category: str
    source: str
    subset: str
    view: str
    images: int
    bytes: int | None
    seconds: float | None
    dataset: str = ""


def inspection_text(
    inspections: Sequence[Inspection],
    costs: Sequence[FeatureCost],
    auxiliary: Mapping[str, Sequence[Inspection]] = MappingProxyType({}),
) -> str:
    """The whole check, for a terminal of 100 columns.

    Args:
        costs: for all features.
        auxiliary: the categories of the data sets that methods learn from, by data set.
    """
    blocks = [*map(category_text, inspections), _totals(inspections)] if inspections else []
    for name, learned in auxiliary.items():
        title = f"learned from: {name}"
        blocks += [f"{title}\n{'-' * len(title)}", *map(category_text, learned), _totals(learned)]
    if costs:
        blocks.append(_costs(costs))
    return "\n\n".join(blocks)


def category_text(inspection: Inspection) -> str:
    """The facts, problems and warnings of a category's images."""
    lines = [f"{inspection.category}: {_counted(inspection.images, 'image')}"]
    rows = [
        (split, defect_type, str(images))
        for split, types in inspection.counts.items()
        for defect_type, images in types.items()
    ]
    if rows:
        table = aligned([("split", "type", "images"), *rows], ("images",))
        lines += [f"  {line}" for line in table]
        lines += entry_lines("size", _sizes(inspection))
        lines += entry_lines("stored as", ", ".join(f"{mode} ({images})" for mode, images in inspection.modes.items()))
    lines += _sentences(inspection)
    return "\n".join(lines)


def bytes_text(count: float | None) -> str:
    """A number of bytes in a unit of powers of 1000; ``?`` for None."""
    return _in_unit(count, BYTE_UNITS, "B")


def seconds_text(seconds: float | None) -> str:
    """A time in a readable unit; ``?`` for None."""
    if seconds is not None and seconds < 1:
        return "< 1 s"
    return _in_unit(seconds, TIME_UNITS, "s")


def _in_unit(value: float | None, units: Iterable[tuple[float, str]], smallest: str) -> str:
    if value is None:
        return "?"
    size, unit = next(((size, unit) for size, unit in units if value >= size), (1, smallest))
    amount = value / size
    return f"{amount:.1f} {unit}" if size > 1 and amount < 10 else f"{amount:.0f} {unit}"


def _sizes(inspection: Inspection) -> str:
    """Sizes in pixels, width first, with how many images have them; for many sizes the range."""
    counts: Counter[tuple[int, int]] = Counter()
    for size in inspection.sizes:
        counts[size.width, size.height] += size.images
    common = [f"{width} x {height} ({images})" for (width, height), images in counts.most_common(SIZES_SHOWN)]
    if len(counts) <= SIZES_SHOWN:
        return ", ".join(common)
    widths, heights = zip(*counts, strict=True)
    return (
        f"{len(counts)} sizes, most often {common[0]}; "
        f"width {min(widths)} to {max(widths)}, height {min(heights)} to {max(heights)}"
    )


def _sentences(inspection: Inspection) -> Iterator[str]:
    for keyword, sentences in (("problem", inspection.problems), ("warning", inspection.warnings)):
        for sentence in sentences:
            yield from entry_lines(keyword, sentence)


def entry_lines(keyword: str, text: str) -> list[str]:
    """Lines of a text behind a keyword; paths are not broken, so that they can be copied."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"  {keyword:<{INDENT - 3}} ",
        subsequent_indent=" " * INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _totals(inspections: Sequence[Inspection]) -> str:
    splits: Counter[str] = Counter()
    for inspection in inspections:
        splits.update({split: sum(types.values()) for split, types in inspection.counts.items()})
    images = _counted(splits.total(), "image")
    by_split = ", ".join(f"{images} {split}" for split, images in splits.items())
    categories = _counted(len(inspections), "category", "categories")
    leaked, repeated = (sum(getattr(one, name) for one in inspections) for name in ("leaked", "repeated"))
    problems, warnings = (sum(len(getattr(one, name)) for one in inspections) for name in ("problems", "warnings"))
    return "\n".join(
        [
            "in total",
            *entry_lines("images", f"{images} in {categories}" + (f" ({by_split})" if by_split else "")),
            *entry_lines("copies", f"{leaked} of a training image among the test images, {repeated} within a split"),
            *entry_lines("found", f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}"),
        ]
    )


def _costs(costs: Sequence[FeatureCost]) -> str:
    kinds: dict[tuple[str, str, str], list[FeatureCost]] = {}
    for cost in costs:
        subset = f"{cost.dataset}: {cost.subset}" if cost.dataset else cost.subset
        kinds.setdefault((cost.source, subset, cost.view), []).append(cost)
    rows = [(source, subset, view or "embeddings", *_summed(those)) for (source, subset, view), those in kinds.items()]
    lines = aligned([COST_COLUMNS, *rows, ("in total", "", "", *_summed(costs))], COST_NUMBERS)
    note = (
        "Time is the approximate time of the computation on this machine at best, without loading a model or reading "
        "images; ? marks what is unknown before the model is here, and is not in the sum."
    )
    return "\n".join([*lines, *textwrap.wrap(note, WIDTH)])


def _summed(costs: Sequence[FeatureCost]) -> tuple[str, str, str]:
    """Images, disk and time of several costs as text; a sum with unknown terms is a lower limit."""
    sizes = [cost.bytes for cost in costs]
    times = [cost.seconds for cost in costs]
    return str(sum(cost.images for cost in costs)), bytes_text(_known_sum(sizes)), seconds_text(_known_sum(times))


def _known_sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
