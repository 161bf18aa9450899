"""The page: one HTML file with everything a reader needs, which opens offline.

Where that would be too heavy for a browser, the file is an index, and each category has a page of its own in a folder
beside it.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shutil
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, UnidentifiedImageError

from zsad.errors import DataError
from zsad.files.atomic import write_text
from zsad.files.json_files import read_json
from zsad.files.json_values import number
from zsad.files.provenance import library_versions
from zsad.names import MEAN
from zsad.reporting.album import Album
from zsad.reporting.backwards import backwards
from zsad.reporting.comparisons import read_comparisons, win_matrices
from zsad.reporting.costs import cost_table, read_costs
from zsad.reporting.entries import PANEL_TITLES
from zsad.reporting.headlines import best_method, facts, leaders, mean_of, setting_meaning
from zsad.reporting.numbers import shown
from zsad.reporting.refinement import as_percent, reasons_of, refinement_table, regions_refined
from zsad.reporting.results import (
    METRIC_TITLES,
    MethodKey,
    MetricsRow,
    display_names,
    evaluation_key,
    means_of,
    protocol_in_words,
    read_evaluations,
    read_metrics,
    read_refinement,
)
from zsad.reporting.sections import category_section
from zsad.reporting.tables import image_table, mask_table, pixel_table

Evaluation = dict[str, Any]

TEMPLATE = "page.html.jinja"
HEAVIEST = 30.0  # MB
LONGEST_NAME = 255  # bytes of a file name
_NOT_EVERYWHERE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # in names of files: Windows takes none of these
_ANCHOR = re.compile(r"category-\d+", re.IGNORECASE)


def build_page(
    *,
    dataset: str,
    metrics_csv: Path | None,
    refinement_csv: Path | None,
    evaluations: Sequence[Path],
    mask_evaluations: Sequence[Path] = (),
    galleries: Sequence[Path],
    summary_plot: Path | None,
    curve_plots: Mapping[str, Path],
    histogram_plots: Mapping[str, Path],
    configuration: Mapping[str, Any],
    method_summaries: Mapping[str, Mapping[str, str]],
    output: Path,
    checks: Mapping[str, Path] = MappingProxyType({}),
    comparisons_csv: Path | None = None,
    cost_csv: Path | None = None,
    bars_plot: Path | None = None,
    quality_plot: Path | None = None,
    folder: Path | None = None,
    heaviest: float = HEAVIEST,
) -> None:
    """Write the page of a data set.

    What there is nothing of is left out, and so is its heading.

    Args:
        metrics_csv: None where no test image has a label; then nothing is said of quality.
        refinement_csv: None in that case too; what was refined is taken from ``mask_evaluations`` then.
        evaluations: of scores, one a category and method; the page keeps their order of categories.
        mask_evaluations: of masks, one a category, method and refiner: how many regions were refined, why others were
            not, and notes.
        galleries: the ``panels`` files of `zsad.reporting.draw_gallery.draw_gallery`.
        curve_plots, histogram_plots: PNG files by category; no curves where no ranking can be measured.
        configuration: shown as it is; of ``left_out`` the reasons by method stand at the top, too.
        method_summaries: for each method its ``scorer``, ``summary``, ``reference``, ``setting``, what it is
            ``blind_to``, and the ``threshold`` rule in words.
        output: HTML; of a heavy page, the index.
        checks: by category what the check of its images found (see `zsad.data.inspection.Inspection`).
        comparisons_csv: methods in pairs; who wins is left out without it.
        cost_csv: seconds and memory; the cost is left out without it.
        summary_plot, bars_plot, quality_plot: PNG files of all methods, of every category side by side, and of quality
            against cost; may be left out.
        folder: for the pages of the categories of a page that would be heavy, and made in any case; what it held is
            gone. None stands for one page, however heavy.
        heaviest: what one page may weigh, in MB.

    Raises:
        DataError: an input is absent or damaged, a category has no plots, or nothing can be written.
    """
    results = read_evaluations(evaluations)
    names = display_names(map(evaluation_key, results))
    rows = [row for row in read_metrics(metrics_csv) if row.key in names or row.seeds > 1] if metrics_csv else []
    in_tables = display_names([*names, *(row.key for row in rows)])
    categories = list(dict.fromkeys(result["category"] for result in results))
    mask_results = [read_json(path) for path in mask_evaluations]
    refined = read_refinement(refinement_csv) if refinement_csv else regions_refined(results, mask_results)
    shown_galleries = _by_category_and_method(read_json(path) for path in galleries)
    _require_plots(categories, histogram_plots, "histogram")

    means = [row for row in rows if row.category == MEAN]
    best = best_method([row for row in means if row.key in names], names)
    blind_to = {method: summary.get("blind_to", "") for method, summary in method_summaries.items()}
    sections = [
        category_section(
            category,
            place,
            results=[result for result in results if result["category"] == category],
            rows=[row for row in rows if row.category == category],
            refined=[row for row in refined if row.category == category],
            mask_results=[result for result in mask_results if result["category"] == category],
            galleries=shown_galleries[category],
            names=names,
            in_tables=in_tables,
            best=best,
            curves=_plot(curve_plots[category]) if category in curve_plots else None,
            histograms=_plot(histogram_plots[category]),
            check=read_json(checks[category]) if category in checks else None,
            rules={method: summary.get("threshold", "") for method, summary in method_summaries.items()},
            blind_to=blind_to,
        )
        for place, category in enumerate(categories)
    ]
    context = {
        "dataset": dataset,
        "measured": any(section["measured"] for section in sections),
        "facts": facts(results, categories),
        "leaders": leaders(means, in_tables),
        "best": names[best],
        "glances": _glances(sections),
        "all_sections": sections,
        "protocol": protocol_in_words(result["protocol"] for result in results),
        "summary_plot": _plot(summary_plot) if summary_plot else None,
        "bars_plot": _plot(bars_plot) if bars_plot else None,
        "mean_of": mean_of(means, len(categories)),
        "means": _mean_tables(rows, in_tables),
        "mean_masks": mask_table(means, in_tables),
        "backwards": backwards(means, in_tables, blind_to),
        "matrices": win_matrices(read_comparisons(comparisons_csv), in_tables) if comparisons_csv else [],
        "cost": cost_table(read_costs(cost_csv), in_tables) if cost_csv else None,
        "quality_plot": _plot(quality_plot) if quality_plot else None,
        "refinement": refinement_table(
            [row for row in refined if row.category == MEAN], in_tables, reasons_of(mask_results)
        ),
        "methods": [_method(key, name, results, method_summaries) for key, name in names.items()],
        "settings": {key.setting: setting_meaning(key.setting) for key in names},
        "hand_crafted": _hand_crafted({key.backbone for key in names}, configuration),
        "joints": _joints({key.backbone for key in names}, configuration),
        "left_out": configuration.get("left_out", {}),
        "panel_titles": PANEL_TITLES,
        "titles": METRIC_TITLES,
        "any_auspro": any(not math.isnan(row.value("auspro_005")) for row in rows),
        "several": len(names) > 1,
        "versions": library_versions(),
        "configuration": json.dumps(configuration, indent=2, ensure_ascii=False),
        "runs": [
            _run(result, names) for category in categories for result in results if result["category"] == category
        ],
    }
    _write_pages(context, output, folder, heaviest)


def _write_pages(context: Mapping[str, Any], output: Path, folder: Path | None, heaviest: float) -> None:
    """Write one page, or an index and a page a category in ``folder``; all or nothing of them."""
    template = _environment().get_template(TEMPLATE)
    sections = context["all_sections"]

    def page(**part: Any) -> Iterator[str]:
        return template.generate({**context, "album": Album(), "home": "", "folder": "", **part})

    anchors = {section["name"]: f"#{section['anchor']}" for section in sections}
    whole = page(overall=True, whole=True, sections=sections, places=anchors)
    if folder is None:
        write_text(output, "".join(whole))
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if (light := _unless_heavier(whole, heaviest)) is not None:
        write_text(output, light)
        return
    files = _file_names(sections)
    try:
        for section in sections:
            name = section["name"]
            places = {other: anchors[name] if other == name else quote(file) for other, file in files.items()}
            home = quote(os.path.relpath(output, folder).replace(os.sep, "/"))
            runs = [run for run in context["runs"] if run["category"] == name]
            part = page(overall=False, whole=False, sections=[section], places=places, home=home, runs=runs)
            write_text(folder / files[name], "".join(part))
        beside = os.path.relpath(folder, output.parent).replace(os.sep, "/")
        places = {name: quote(f"{beside}/{file}") for name, file in files.items()}
        index = page(overall=True, whole=False, sections=[], places=places, folder=beside, runs=[])
        write_text(output, "".join(index))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _unless_heavier(text: Iterable[str], megabytes: float) -> str | None:
    """The text in one; None if it is heavier, and then no more of it is made than tells that."""
    parts, left = [], megabytes * 1e6
    for part in text:
        left -= len(part.encode("utf-8"))
        if left < 0:
            return None
        parts.append(part)
    return "".join(parts)


def _file_names(sections: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the page of each category is called: like the category, where every file system takes that name.

    The folder is sent to others, whose files may not tell capital letters from small ones. A category that is called
    like another's anchor gets its own anchor, as the names would be the same.
    """
    folded = {section["name"]: unicodedata.normalize("NFC", section["name"]).casefold() for section in sections}
    called = Counter(folded.values())
    return {
        name: f"{name if called[alike] == 1 and _may_name_a_file(name) else section['anchor']}.html"
        for section, (name, alike) in zip(sections, folded.items(), strict=True)
    }


def _may_name_a_file(name: str) -> bool:
    if _NOT_EVERYWHERE.search(name) or _ANCHOR.fullmatch(name):
        return False
    return len(f".{name}.html.12345678.tmp".encode()) <= LONGEST_NAME


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = lambda value: shown(number(value))
    environment.filters["percent"] = as_percent
    environment.filters["significant"] = lambda value: "n/a" if value is None else f"{value:.4g}"
    environment.tests["missing"] = lambda value: value is None or (isinstance(value, float) and math.isnan(value))
    return environment


def _mean_tables(rows: Sequence[MetricsRow], names: Mapping[MethodKey, str]) -> list[dict[str, Any]]:
    """Tables of each mean, that over all categories first."""
    tables = []
    for mean in sorted(means_of(rows), key=lambda mean: mean != MEAN):
        of_mean = [row for row in rows if row.category == mean]
        images, pixels = image_table(of_mean, names), pixel_table(of_mean, names)
        if images or pixels:
            tables.append({"name": mean, "images": images, "pixels": pixels})
    return tables


def _glances(sections: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The highest-scored image of each category by the method whose galleries stand open."""
    glances = []
    for section in sections:
        for gallery in section["galleries"]:
            if gallery["open"] and gallery["content"]:
                content = gallery["content"]
                glances.append({"section": section, "content": content, "entry": content["groups"][0]["entries"][0]})
    return glances


def _method(
    key: MethodKey,
    name: str,
    results: Sequence[Evaluation],
    summaries: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    seconds = [
        number(image["seconds"]) for result in results if evaluation_key(result) == key for image in result["images"]
    ]
    known = [value for value in seconds if not math.isnan(value)]
    summary = summaries.get(key.method, {})
    return {
        "name": name,
        "setting": key.setting,
        "backbone": key.backbone,
        "scorer": summary.get("scorer", ""),
        "summary": summary.get("summary", ""),
        "reference": summary.get("reference", ""),
        "blind_to": summary.get("blind_to", ""),
        "milliseconds": f"{1000 * sum(known) / len(known):.3g}" if known else "n/a",
    }


def _hand_crafted(backbones: Iterable[str], configuration: Mapping[str, Any]) -> list[str]:
    """The backbones that are no foundation model, those of a joint too."""
    families = configuration.get("backbones") or {}
    used = {single for name in backbones for single in _members(name, configuration) or [name]}
    return sorted(name for name in used if (families.get(name) or {}).get("family", name) == "embedded")


def _joints(backbones: Iterable[str], configuration: Mapping[str, Any]) -> dict[str, list[str]]:
    """The backbones that are joined from others, and those others."""
    members = {name: _members(name, configuration) for name in sorted(set(backbones))}
    return {name: joined for name, joined in members.items() if joined}


def _members(backbone: str, configuration: Mapping[str, Any]) -> list[str]:
    """What a backbone is joined from; nothing for a single one."""
    entry = (configuration.get("backbones") or {}).get(backbone) or {}
    return list(entry["params"]["members"]) if entry.get("family") == "joint" else []


def _run(result: Evaluation, names: Mapping[MethodKey, str]) -> dict[str, Any]:
    return {
        "category": result["category"],
        "title": f"{result['category']} · {names[evaluation_key(result)]}",
        "method": names[evaluation_key(result)],
        "thresholds": {"images": result["image_threshold"], "pixels": result["threshold"]},
        "provenance": result["provenance"],
    }


def _by_category_and_method(galleries: Iterable[dict[str, Any]]) -> dict[str, dict[MethodKey, dict[str, Any]]]:
    found: dict[str, dict[MethodKey, dict[str, Any]]] = defaultdict(dict)
    for gallery in galleries:
        found[gallery["category"]][evaluation_key(gallery)] = gallery
    return found


def _require_plots(categories: Iterable[str], plots: Mapping[str, Path], kind: str) -> None:
    for category in categories:
        if category not in plots:
            raise DataError(f"the page has no {kind} plot of category '{category}'; run again to draw it")


def _plot(path: Path) -> dict[str, Any]:
    """A PNG as a ``data:`` address, with its size, so that the page does not jump while it loads."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that draws it") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is no picture; delete it and run again") from None
    address = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    return {"address": address, "width": width, "height": height}
