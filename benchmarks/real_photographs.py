"""Make a picture and a table from finished runs on real photographs; they contain no photograph.

    make demo-real                                            # ELPV; its page shows the photographs themselves
    python benchmarks/real_photographs.py results/elpv --picture docs/real.png
    python benchmarks/real_photographs.py results/elpv results/tiles results/elpv-lite0 --picture docs/real.png

Prints a Markdown table of image AUROCs in per cent with 95 % intervals: a row a set, category and method, and a column
a backbone. What follows a ``-`` in the name of a run is left out of its rows, so that ``elpv`` and ``elpv-lite0``
share them. The picture has a column a category: the ROC curves of the images by all methods, with their bands, and the
scores of good and defective images by the method of the greatest image AUROC. Of several runs in one row it shows the
first.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsad.reporting import figures
from zsad.reporting.evaluations import Evaluation, display_names, key_of, measured, read_evaluations
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import categories_of, interval_of, one_row_a_method, read_metrics
from zsad.tables.frames import rows_of
from zsad.tables.notation import with_interval

METHODS = ("memory_bank", "mutual", "self_similarity")
METRIC = "image_auroc"
COLUMN_WIDTH, HEIGHT = 3.6, 5.6  # inches, of a category
DPI = 100
BINS = 16


def table(folders: Sequence[Path], methods: Sequence[str]) -> str:
    """The table, in Markdown."""
    cells: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for folder in folders:
        rows = one_row_a_method(read_metrics(folder / "tables" / "metrics.csv"))
        for category in categories_of(rows):
            for method in methods:
                for row in rows_of(rows[(rows["category"] == category) & (rows["method"] == method)]):
                    figure = with_interval(row[METRIC], *interval_of(row, METRIC), row[f"{METRIC}_std"])
                    cells[_dataset(folder), category, method][row["backbone"]] = figure
    backbones = list(dict.fromkeys(backbone for row in cells.values() for backbone in row))
    lines = [f"| photographs | method | {' | '.join(f'`{backbone}`' for backbone in backbones)} |"]
    lines.append(f"|---|---|{'---:|' * len(backbones)}")
    for (dataset, category, method), found in cells.items():
        figures_of = " | ".join(found.get(backbone, "") for backbone in backbones)
        lines.append(f"| {_named(dataset, category)} | `{method}` | {figures_of} |")
    return "\n".join(lines)


def draw(folders: Sequence[Path], methods: Sequence[str], output: Path) -> None:
    """Curves above, distributions below, a column a category."""
    columns: dict[tuple[str, str], list[Evaluation]] = {}
    for folder in folders:
        paths = [path for method in methods for path in sorted(folder.glob(f"*/metrics/{method}.json"))]
        own: dict[tuple[str, str], list[Evaluation]] = defaultdict(list)
        for evaluation in read_evaluations(paths):
            own[_dataset(folder), evaluation["category"]].append(evaluation)
        columns = {**own, **columns}
    names = display_names(key_of(one) for column in columns.values() for one in column)
    lines = figures.method_lines(names)
    with figures.styled():
        figure = Figure(figsize=(COLUMN_WIDTH * len(columns), HEIGHT), layout="constrained")
        grid = figure.subplots(2, len(columns), squeeze=False, gridspec_kw={"height_ratios": [3, 2]})
        for (above, below), (title, evaluations) in zip(grid.T, sorted(columns.items()), strict=True):
            _draw_curves(above, _named(*title), evaluations, names, lines)
            _draw_scores(below, max(evaluations, key=lambda evaluation: measured(evaluation, METRIC)[0]))
        figures.save(figure, output, ReportOptions(dpi=DPI))


def _named(dataset: str, category: str) -> str:
    return category if dataset == category else f"{dataset}, {category}"


def _dataset(folder: Path) -> str:
    return folder.name.partition("-")[0]


def _draw_curves(axes: Axes, title: str, evaluations: Sequence[Evaluation], names: Any, lines: Any) -> None:
    for evaluation in evaluations:
        key, curve = key_of(evaluation), evaluation["curves"]["image_roc"]
        if band := evaluation["bands"].get("image_roc"):
            low, high = (np.array(band[side], dtype=np.float64) for side in ("low", "high"))
            axes.fill_between(band["x"], low, high, color=lines[key]["color"], alpha=0.14, linewidth=0)
        label = f"{names[key]} {with_interval(*measured(evaluation, METRIC))}"
        axes.plot(curve["x"], curve["y"], label=label, linewidth=1.6, **lines[key])
    axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=0.8)
    axes.set(title=title, xlabel="good images called defective, %", ylabel="defective images found, %")
    figures.in_percent(axes.xaxis, axes.yaxis)
    axes.legend(loc="lower right", fontsize=7)


def _draw_scores(axes: Axes, evaluation: Evaluation) -> None:
    scores = np.array([image["score"] for image in evaluation["images"]])
    labels = np.array([image["label"] for image in evaluation["images"]])
    edges = np.linspace(scores.min(), scores.max(), BINS + 1)
    for label, words, colour in ((0, "good", figures.GOOD_COLOUR), (1, "defective", figures.DEFECTIVE_COLOUR)):
        style = {"facecolor": (colour, 0.35), "edgecolor": colour, "histtype": "stepfilled"}
        axes.hist(scores[labels == label], bins=edges, label=f"{words} ({(labels == label).sum()})", **style)
    axes.set(xlabel=f"image score by {evaluation['method']}", ylabel="images")
    axes.legend(loc="upper right", fontsize=7)


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description="The README's figures on real photographs, from finished runs.")
    parser.add_argument("results", nargs="+", type=Path, help="folders results/NAME")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--picture", type=Path, help="where the picture goes, a PNG")
    options = parser.parse_args()
    print(table(options.results, options.methods))
    if options.picture:
        draw(options.results, options.methods, options.picture)


if __name__ == "__main__":
    main()
