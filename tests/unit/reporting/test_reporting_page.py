import math
import re
from dataclasses import fields
from html.parser import HTMLParser

import pytest
from PIL import Image

from reporting_files import (
    METRICS,
    metrics_row,
    refinement_row,
    write_comparisons,
    write_costs,
    write_metrics,
    write_refinement,
    write_results,
)
from zsad.data.image_list import ListedImage, write_images
from zsad.data.manifest import read_manifest
from zsad.errors import DataError
from zsad.files.json_files import read_json, write_json
from zsad.names import ALL_METRICS, MEANS, ORACLE
from zsad.reporting.build_page import build_page
from zsad.reporting.draw_gallery import draw_gallery
from zsad.reporting.draw_layers import draw_layers
from zsad.reporting.draw_thumbnails import draw_thumbnails
from zsad.reporting.evaluations import METRIC_TITLES
from zsad.reporting.options import ReportOptions
from zsad.reporting.results import read_comparisons, read_costs, read_metrics
from zsad.reporting.sections.metrics import image_table, pixel_table, type_table
from zsad.reporting.settings_in_words import setting_meaning
from zsad.tables.against_published import against_published
from zsad.tables.comparisons import comparison_tables
from zsad.tables.csv_tables import AGAINST_PUBLISHED, defect_types_frame
from zsad.tables.csv_tables import METRICS as METRICS_TABLE
from zsad.tables.table import record

LISTED = [field.name for field in fields(ListedImage)]
MOMENTS = ("before", "after")
OPTIONS = ReportOptions(gallery=2, panel=64, dpi=50)
METHODS = {"self_similarity": "zero-shot-single", "mutual": "zero-shot-batch", "memory_bank": "few-shot-4"}
NASTY = '<script>alert("x")</script> & "co"'
REVERSED = {"win": "loss", "tie": "tie", "loss": "win"}
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, the text, and tags that are never closed or closed wrongly."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.misnested: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.misnested.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data

    def attributes(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def refinement_rows(categories, methods, *, labelled):
    """What the refiner "guided" changes, and the ceiling of a segmentation model; regions alone without labels."""
    values = {"image_iou": (0.4, 0.45), "image_dice": (0.5, 0.48), "mask_f1": (0.6, 0.6), "good_area": (0.02, 0.01)}
    changes = {f"{name}_{moment}": pair[end] for name, pair in values.items() for end, moment in enumerate(MOMENTS)}
    measured = {**changes, "helped": 0.5, "harmed": 0.25} if labelled else {}
    rows = []
    for category in (*categories, "mean"):
        for method, setting in methods.items():
            regions = {"regions_found": 40, "regions_accepted": 10}
            rows.append(refinement_row(category, method, setting, "guided", **measured, **regions))
        ceiling = {name: 0.7 for name in changes if name.endswith("after")} if labelled else {}
        rows.append(refinement_row(category, ORACLE, ORACLE, "sam-vit-b", regions_prompted=9, **ceiling))
        rows[-1]["backbone"] = "sam-vit-b"
    return rows


def mask_evaluation(folder, category, method):
    """Why regions of one category kept their outlines."""
    regions = {"found": 20, "prompted": 0, "accepted": 5, "reasons": {"too large": 12, "empty": 3}}
    names = {"category": category, "method": method, "refiner": "guided"}
    write_json(folder / "masks.json", {**names, "regions": regions, "notes": []})
    return folder / "masks.json"


def compared(categories, methods, labelled):
    """Each method beats those before it in the first category, and ties in the others; by nothing without labels."""
    rows = []
    for category in (*categories, "mean"):
        for better, method in enumerate(methods):
            for other in list(methods)[:better]:
                verdict = "win" if category in (categories[0], "mean") else "tie"
                figures = (0.05, 0.01, 0.09, verdict) if labelled else ("", "", "", "")
                rows.append(("image_auroc", category, method, other, *figures))
                reversed_figures = (-0.05, -0.09, -0.01, REVERSED[verdict]) if labelled else ("", "", "", "")
                rows.append(("image_auroc", category, other, method, *reversed_figures))
    return rows


def costs(methods):
    """What each method costs; the last one has references."""
    rows = []
    for place, (method, setting) in enumerate(methods.items(), start=1):
        who = {"method": method, "setting": setting, "backbone": "embedded", "images": 8}
        rows.append(
            {**who, "stage": "score_images", "seconds": 4.0, "seconds_per_image": 0.5, "peak_mb": 99, "shared": 0}
        )
        rows.append({**who, "stage": "total per image", "seconds_per_image": 0.25 * place, "peak_mb": 321.4})
    return [*rows, {**who, "stage": "references", "seconds": 77.5}]


def draw_plot(path):
    """A picture in place of a plot, which the page embeds as it is."""
    Image.new("RGB", (30, 20), "white").save(path)


def draw_sheet(folder, results):
    """Thumbnails, and the layers of every method, of a category's results; as `build_page` takes them."""
    records = read_manifest(results[0].manifest)
    image_list, thumbnails = folder / "images.csv", folder / "thumbnails.h5"
    write_images(image_list, [ListedImage(**{name: getattr(record, name) for name in LISTED}) for record in records])
    draw_thumbnails(image_list=image_list, longer_side=64, output=thumbnails, provenance={})
    layers = [folder / f"{place}.h5" for place in range(len(results))]
    for files, output in zip(results, layers, strict=True):
        draw_layers(**vars(files), refiner="guided", colormap=OPTIONS.colormap, output=output, provenance={})
    return image_list, thumbnails, layers


def build(
    folder, categories, methods=METHODS, *, labels=(0, 0, 1, 1), refiners=("none", "guided"), sheets=False, **more
):
    labelled = labels[0] is not None
    evaluations, mask_evaluations, galleries, curves, histograms, rows = [], [], [], {}, {}, []
    image_lists, thumbnails, layers = {}, {}, []
    for number, category in enumerate(categories):
        of_category, results = [], []
        for method, setting in methods.items():
            where = folder / f"{number}-{method}"
            files = write_results(
                where, category=category, method=method, setting=setting, labels=labels, with_curves=labelled, **more
            )
            of_category.append(files.evaluation)
            results.append(files)
            if "guided" in refiners:
                mask_evaluations.append(mask_evaluation(where, category, method))
            galleries.append(where / "panels.json")
            draw_gallery(
                manifest=files.manifest,
                scores=files.scores,
                decisions=files.decisions,
                masks=files.masks,
                refiner="guided",
                evaluation=files.evaluation,
                options=OPTIONS,
                sheet=where / "sheet.png",
                panels=galleries[-1],
            )
        evaluations += of_category
        if sheets:
            where = folder / f"sheet-{number}"
            where.mkdir()
            image_lists[category], thumbnails[category], drawn = draw_sheet(where, results)
            layers += drawn
        curves[category], histograms[category] = folder / f"c{number}.png", folder / f"h{number}.png"
        draw_plot(curves[category])
        draw_plot(histograms[category])
    known = [metric for metric in METRICS if labelled and metric != "auspro_005"]
    limits = {f"{metric}_low": 0.61 for metric in known} | {f"{metric}_high": 0.92 for metric in known}
    for place, (method, setting) in enumerate(methods.items()):
        for refiner in refiners:
            values = dict.fromkeys(known, 0.75 + 0.05 * place) | limits
            rows += [metrics_row("board", method, setting, refiner, **values)]
            rows += [metrics_row("mean", method, setting, refiner, **values)]
    refined = refinement_rows(categories, methods, labelled=labelled) if "guided" in refiners else []
    rows += [{**row, "image_auroc": ""} for row in refined if row["method"] == ORACLE]
    draw_plot(folder / "plot.png")
    arguments = {
        "dataset": "parts",
        "metrics_csv": write_metrics(folder / "metrics.csv", rows),
        "refinement_csv": write_refinement(folder / "refinement.csv", refined),
        "evaluations": evaluations,
        "mask_evaluations": mask_evaluations,
        "galleries": galleries,
        "summary_plot": folder / "plot.png",
        "curve_plots": curves,
        "histogram_plots": histograms,
        "configuration": {"backbones": {"embedded": {"family": "embedded"}}, "note": NASTY},
        "method_summaries": {
            method: {"scorer": method, "summary": f"How {method} works.", "reference": "A paper", "setting": setting}
            for method, setting in methods.items()
        },
        "comparisons_csv": write_comparisons(folder / "comparisons.csv", compared(categories, methods, labelled)),
        "cost_csv": write_costs(folder / "cost.csv", costs(methods)),
        "bars_plot": folder / "plot.png",
        "quality_plot": folder / "plot.png",
        "output": folder / "report.html",
        "image_lists": image_lists,
        "thumbnails": thumbnails,
        "layers": layers,
        "root": str(folder),
    }
    build_page(**arguments)
    return arguments


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    arguments = build(tmp_path_factory.mktemp("page"), ["board", NASTY], labels=(0, 1, 0, 1), sheets=True)
    return arguments["output"].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_every_tag_is_closed_in_its_place(page):
    assert page.open == []
    assert page.misnested == []


def test_nothing_is_loaded_from_elsewhere(page, source):
    assert not page.attributes("link")
    assert all("src" not in script for script in page.attributes("script"))
    assert all(image["src"].startswith("data:image/") for image in page.attributes("img"))
    assert all(anchor["href"].startswith("#") for anchor in page.attributes("a"))
    without_names = source.replace("http://www.w3.org/2000/svg", "")  # the name of a kind of elements, not an address
    assert not re.search(r"https?:|@import|url\((?!\"#)|fetch\(", without_names)


def test_every_image_has_words_and_a_size(page):
    assert len(page.attributes("img")) > 20
    for image in page.attributes("img"):
        assert image["alt"].strip()
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0


def test_every_anchor_has_its_target_and_no_identifier_is_given_twice(page):
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert {anchor["href"][1:] for anchor in page.attributes("a")} <= set(identifiers)


def test_every_category_and_method_is_there_with_its_gallery(page):
    galleries = [fold["data-method"] for fold in page.attributes("details") if "gallery" in (fold.get("class") or "")]
    assert sorted(galleries) == sorted(2 * list(METHODS))
    for words in ("board", NASTY, *METHODS, *(f"How {method} works." for method in METHODS)):
        assert words in page.text


def test_a_nasty_name_is_shown_as_text(page, source):
    assert "<script>alert" not in source
    kinds = [script.get("type", "") for script in page.attributes("script")]
    assert kinds == ["application/json", "application/json", "", ""]  # a category each, and what the page does itself


def test_the_page_says_what_each_method_decides_and_what_that_says_of_a_batch(page, tmp_path):
    text = " ".join(page.text.split())
    sentence = (
        "memory_bank: 2 of 4 photographs are called defective. According to the labels, 50 % of the normal images "
    )
    assert text.count(sentence + "and 50 % of the defective images are called defective.") == 2  # a category each
    decided = {"nominal": 0.25, "measure": "p_value", "significance": [1, 0.5, 0.25, 0.012]}
    arguments = build(tmp_path, ["ring"], decided={**decided, "remarks": ["3 references are <few>."]})
    summaries = {"mutual": {"threshold": "conformal (alpha 0.2)"}}
    build_page(**arguments | {"method_summaries": summaries})
    text = " ".join(Page(arguments["output"].read_text(encoding="utf-8")).text.split())
    told = (
        "2 of 4 photographs are called defective. The rule calls about 25 % of normal photographs defective, about 1 "
        "of 4. That is no more than in a normal batch."
    )
    assert text.count(told) == 1 + len(METHODS)  # at a glance, and by each method
    assert text.count("of the defective images are called defective. 3 references are <few>.") == len(METHODS)
    assert "mutualfixed, by conformal (alpha 0.2) 0.50.5 2 of 425 %50 %50 %50 %" in text
    assert "memory_bankfixed 0.50.5 2 of 425 %" in text
    assert "called defective, 2 regions marked · peak 1 above the threshold 0.5, p-value 0.012 · rank 1 of 4" in text


BY_IMAGES = {"region": [0.2, 0.9, math.inf, 0.5], "measure": "false_alarms", "significance": [0.1, 5, 7, 0.02]}


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (
            BY_IMAGES,
            [
                "2 of 4 photographs are called defective.",
                "differs by imagediffers by image 2 of 4–",
                "called defective, 2 regions marked · peak 0.25 above the threshold 0.2, 0.1 false alarms expected in",
                "called good · peak 0.75; nothing exceeds the threshold, 7 false alarms expected in a normal image",
            ],
        ),
        (
            {"region": math.inf, "nominal": 0.1},
            [
                "None of 4 photographs is called defective. The rule calls about 10 % of normal photographs defective, "
                "fewer than one of 4.",
                "infiniteinfinite 0 of 410 %",
            ],
        ),
        (
            {"region": [0.1, 0.1, 0.1, 0.1], "nominal": 0.1},
            ["All 4 photographs are called defective.", "more than in a normal batch", "4 of 410 %"],
        ),
    ],
    ids=["each its own threshold", "nothing", "everything"],
)
@pytest.mark.parametrize("labels", [(None,) * 4, (0, 0, 1, 1)], ids=["unlabelled", "labelled"])
def test_whatever_is_decided_can_be_read(tmp_path, decided, said, labels):
    output = build(tmp_path, ["ring"], {"mutual": "zero-shot-batch"}, labels=labels, decided=decided)["output"]
    page = Page(output.read_text(encoding="utf-8"))
    assert (page.open, page.misnested) == ([], [])
    text = " ".join(page.text.split())
    assert [words for words in said if words not in text] == []
    assert not re.search(r"\b(nan|inf|None)\b", text.split("Provenance")[0].replace("None of 4", ""))


@pytest.mark.parametrize("labels", [(None,) * 3, (0, 1, 1)], ids=["unlabelled", "labelled"])
def test_a_method_that_scores_images_alone_decides_by_its_score(tmp_path, labels):
    arguments = build(tmp_path, ["ring"], {"mutual": "zero-shot-batch"}, labels=labels, localises=False)
    text = " ".join(Page(arguments["output"].read_text(encoding="utf-8")).text.split())
    assert "0.5only images 2 of 3" in text
    assert "called defective · score 1 above the threshold 0.5" in text


def test_captions_stand_in_the_text(page):
    text = " ".join(page.text.split())
    assert "test/003.png" in text
    above = "peak {} above the threshold 0.5"
    assert f"scratch · score 1 · called defective, 2 regions marked · {above.format(1)} · rank 1 of 4" in text
    assert f"score 0.75 · wrongly called defective, 2 regions marked · {above.format(0.75)} · rank 2 of 4" in text
    assert "defective: scratch · score 0.5 · called good" not in text
    assert "scratch · score 0.5 · wrongly called good · peak 0.5 not above the threshold 0.5 · rank 3 of 4" in text


def test_what_is_found_best_is_said_in_words_for_each_setting(page):
    text = " ".join(page.text.split())
    assert "few-shot-4 (4 normal reference images): Image AUROC 85.0 (61.0–92.0) by memory_bank" in text
    assert "zero-shot-single (only one image at a time): Image AUROC 75.0 (61.0–92.0) by self_similarity" in text


def test_refinement_is_shown_before_and_after_with_gains_and_losses_and_the_reasons(page):
    text = " ".join(page.text.split())
    section = text.split("The changes by refiners")[1].split("test images:")[0]
    assert "mutualguided 40.0 → 45.0(+5.0) 50.0 → 48.0(−2.0) 60.0 → 60.0(+0.0) 2.0 → 1.0(−1.0)" in section
    assert "50.0 25.0 25.0(of 40)" in section
    assert "24 too large, 6 empty" in section


def test_each_category_has_its_own_table_of_refinement_on_demand(page):
    text = " ".join(page.text.split())
    assert text.count("Refinement, before and after") == 2
    assert text.count("12 too large, 3 empty") == 2 * len(METHODS)


def test_the_oracle_stands_apart_and_is_no_method(page):
    text = " ".join(page.text.split())
    assert "An upper limit, not a method" in text
    assert "With boxes from the ground truth · native resolution" in text
    assert {element["data-method"] for _, element in page.tags if "data-method" in element} == set(METHODS)
    assert not any(element.get("value") == ORACLE for element in page.attributes("input"))
    summary = text.split("Masks at the label-free threshold")[1].split("The changes by refiners")[0]
    assert "sam-vit-b" not in summary


def test_without_refiners_nothing_is_said_of_refinement(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"}, refiners=("none",))
    page = Page(arguments["output"].read_text(encoding="utf-8"))
    assert "Refinement" not in page.text
    assert "ceiling" not in page.text


def test_the_rules_of_honesty_are_on_the_page(page):
    assert "oracle" in page.text
    assert "hand-crafted filter bank, not a foundation model" in page.text
    assert all(setting in page.text for setting in METHODS.values())


def test_the_script_is_not_needed_to_see_anything(page):
    hidden = [tag for tag, attributes in page.tags if "hidden" in attributes]
    assert hidden == ["fieldset"]


def test_provenance_is_shown(page):
    for words in ("evaluate_scores", "weights", "unknown", "numpy"):
        assert words in page.text


def test_the_page_is_the_same_each_time(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    first = arguments["output"].read_bytes()
    build_page(**arguments)
    assert arguments["output"].read_bytes() == first


def test_without_labels_the_page_shows_rankings_and_says_that_nothing_is_measured(tmp_path):
    output = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"}, labels=(None, None, None))["output"]
    page = Page(output.read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    assert text.count("Not evaluated: no image has a label.") == 3  # at the top, in the summary, in the category
    assert "No test image is labelled, so there are no metrics." in text
    assert "Highest scores" in text
    assert "Image AUROC 0" not in text
    assert "Rejected" in text
    assert "Whether the new outlines are better is unknown" in text
    assert "helped" not in text.split("Scores are relative")[0]
    assert "ceiling" not in text


UNLABELLED = {"self_similarity": "zero-shot-single", "mutual": "zero-shot-batch"}


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    arguments = build(tmp_path_factory.mktemp("unlabelled"), ["board"], UNLABELLED, labels=(None,) * 7)
    return Page(arguments["output"].read_text(encoding="utf-8"))


def test_without_labels_the_page_claims_no_metric_and_has_no_empty_table(unlabelled):
    assert unlabelled.misnested == unlabelled.open == []
    words = unlabelled.text.split("The origin of these results")[0]
    assert not re.search(r"\b(nan|n/a|AUROC|AUPRO|IoU|F1|truth|metrics of)\b", words, re.IGNORECASE)
    assert all(picture["alt"] for picture in unlabelled.attributes("img"))
    assert not any("truth" in picture["alt"] for picture in unlabelled.attributes("img"))


def test_without_labels_a_ranked_list_leads_to_the_pictures(unlabelled):
    text = " ".join(unlabelled.text.split())
    ranking = text.split("Most anomalous images")[1].split("Distributions and thresholds")[0]
    assert ranking.startswith(" The list is ordered by mutual")
    assert "mutual: 4 of 7 photographs are called defective." in text
    assert "Rank byself_similarity 1 test/006.png 1called defective, 2 regions marked · peak 1 above the thr" in ranking
    assert ranking.count("called good") == 3
    links = [anchor["href"] for anchor in unlabelled.attributes("a") if "gallery" in anchor["href"]]
    cards = [figure["id"] for figure in unlabelled.attributes("figure") if "id" in figure]
    assert len(links) == 6  # of gallery: 2, four highest and two lowest; the image between has no picture
    assert {link[1:] for link in links} < set(cards)
    folds = {fold["data-method"]: "open" in fold for fold in unlabelled.attributes("details") if "id" in fold}
    assert folds == {"mutual": True, "self_similarity": False}


LEFT_OUT = ("metrics_csv", "refinement_csv", "comparisons_csv", "summary_plot", "bars_plot", "quality_plot")


def test_without_tables_and_plots_the_page_has_the_list_and_what_was_refined(tmp_path):
    arguments = build(tmp_path, ["board"], UNLABELLED, labels=(None,) * 7)
    build_page(**arguments | dict.fromkeys(LEFT_OUT) | {"curve_plots": {}})
    page = Page(arguments["output"].read_text(encoding="utf-8"))
    assert page.misnested == page.open == []
    text = " ".join(page.text.split())
    assert "Most anomalous images Not evaluated" not in text
    assert "Not evaluated: no image has a label." in text
    assert "masks of the defects, also the maps" in text
    assert "mutualguided 25.0(of 20) 12 too large, 3 empty" in text
    assert "Curves" not in text
    assert not any(picture["alt"].startswith(("ROC", "Bars", "Mean", "Ranking")) for picture in page.attributes("img"))
    assert not re.search(r"\b(nan|n/a)\b", text.split("The origin of these results")[0], re.I)


@pytest.mark.parametrize(
    ("known", "there", "gone"),
    [
        (("image_auroc", "image_ap", "image_f1max", "decision_f1"), ["Image AUROC"], ["Pixel AUROC", "Masks at the"]),
        (("pixel_auroc", "aupro", "mask_f1"), ["Pixel AUROC", "SegF1"], ["Image AUROC", "Pixel AP", "Image F1"]),
        (
            (),
            ["There are not enough labels", "Most anomalous images"],
            ["Image AUROC", "Masks at"],
        ),
    ],
    ids=["labels without masks", "defective images alone", "good images alone"],
)
def test_figures_that_no_method_has_are_left_out_of_the_page(tmp_path, known, there, gone):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"}, refiners=("none",))
    for path in arguments["evaluations"]:
        evaluation = read_json(path)
        values = dict.fromkeys(METRICS) | dict.fromkeys(known, 0.5)
        write_json(path, evaluation | {"metrics": values, "by_type": [], "curves": {}})
    rows = [metrics_row(name, "mutual", "zero-shot-batch", **dict.fromkeys(known, 0.5)) for name in ("board", "mean")]
    new = {"metrics_csv": write_metrics(tmp_path / "known.csv", rows), "comparisons_csv": None, "curve_plots": {}}
    build_page(**arguments | new | ({} if known else dict.fromkeys(("summary_plot", "bars_plot", "quality_plot"))))
    page = Page(arguments["output"].read_text(encoding="utf-8"))
    assert page.misnested == page.open == []
    text = " ".join(page.text.split()).split("How to read this page Scores")[0]
    assert [words for words in there if words not in text] == []
    assert [words for words in gone if words in text] == []
    assert "n/a" not in text.replace("n/a: not measured", "")


def test_a_method_that_scores_all_images_alike_ranks_none_of_them(tmp_path):
    arguments = build(tmp_path, ["board"], UNLABELLED, labels=(None,) * 3)
    alike = read_json(arguments["evaluations"][0])
    assert alike["method"] == "self_similarity"
    write_json(arguments["evaluations"][0], alike | {"images": [{**image, "score": 0.0} for image in alike["images"]]})
    build_page(**arguments)
    assert "Rank by" not in arguments["output"].read_text(encoding="utf-8")


def test_a_category_without_labels_says_so_beside_measured_ones(tmp_path):
    measured = build(tmp_path / "a", ["board"], UNLABELLED, labels=(0, 1, 0, 1))
    other = build(tmp_path / "b", ["ring"], UNLABELLED, labels=(None,) * 4)
    lists = {name: [*measured[name], *other[name]] for name in ("evaluations", "mask_evaluations", "galleries")}
    plots = {name: {**measured[name], **other[name]} for name in ("curve_plots", "histogram_plots")}
    build_page(**{**measured, **lists, **plots})
    page = Page(measured["output"].read_text(encoding="utf-8"))
    assert page.misnested == page.open == []
    board, ring = (" ".join(page.text.split()).split("4 test images: ")[1]).split(
        "Not evaluated: no image has a label."
    )
    assert "Image AUROC" in board
    assert "Image AUROC" not in ring.split("How to read this page")[0]
    assert "Instead, 4 images are ranked" in ring


def test_every_table_of_metrics_states_the_protocol_and_is_narrow(page, source):
    captions = re.findall(r"<caption>(.*?)</caption>", source)
    costs = [caption for caption in captions if caption.startswith(("One more test image", "Every stage"))]
    assert len(captions) > 10
    assert len(costs) == 2
    assert all(caption.endswith(" · native resolution") != (caption in costs) for caption in captions)
    heads = re.findall(r"<caption>(?:Images|Pixels|Decisions|Masks|Types).*?</thead>", source, re.DOTALL)
    assert max(head.count("<th ") for head in heads) <= 10


def test_every_metric_stands_in_a_table_with_its_limits_but_one_that_the_data_set_has_not(page):
    text = " ".join(page.text.split())
    summary = text.split("Means over")[1].split("Comparison of methods")[0]
    words = [METRIC_TITLES[metric] for metric in ALL_METRICS if metric != "auspro_005"]
    assert [word for word in words if word not in summary] == []
    assert "AU-sPRO" not in text
    assert summary.count("(61.0–92.0)") == 3 * (3 + 7 + 4) + 6 * 7


def test_a_method_that_ranks_backwards_is_named_beside_its_figure_with_what_it_cannot_see(page, tmp_path):
    assert "backwards" not in page.text
    arguments = build(tmp_path, ["board"])
    wrong = {"image_auroc": 0.2034, "image_auroc_low": 0.13, "image_auroc_high": 0.28}
    rows = [metrics_row(category, *method, **wrong) for category in ("board", "mean") for method in METHODS.items()]
    summaries = {**arguments["method_summaries"]}
    summaries["mutual"] |= {"blind_to": "<what repeats>"}
    metrics_csv = write_metrics(tmp_path / "metrics.csv", rows)
    for path in arguments["evaluations"]:
        evaluation = read_json(path)
        evaluation["by_type"][0]["confidence"]["pixel_auroc"] = [0.3, 0.4]
        evaluation["by_type"][0]["metrics"]["pixel_auroc"] = 0.35
        write_json(path, evaluation)
    build_page(**arguments | {"metrics_csv": metrics_csv, "method_summaries": summaries})
    text = " ".join(Page(arguments["output"].read_text(encoding="utf-8")).text.split())
    for where in ("on the mean", "here"):
        assert f"mutual ranks worse than chance {where}: Image AUROC 20.3 (13.0–28.0), including" in text
    assert "probably because the method cannot see <what repeats>." in text
    assert "Cannot see <what repeats>." in text  # beside what the method does
    assert "memory_bank ranks worse than chance on defects of type scratch: Pixel AUROC 35.0 (30.0–40.0)" in text
    assert "probably because these defects are similar to the images that it compares with." in text


def test_each_type_of_defect_has_its_rows_folded_away(page):
    text = " ".join(page.text.split())
    assert "scratch · 2 images self_similarity75.0(70.0–80.0)" in text
    assert not any("open" in fold for fold in page.attributes("details") if "gallery" not in (fold.get("class") or ""))


def test_who_wins_is_counted_over_the_categories(page):
    section = " ".join(page.text.split()).split("Wins, ties and losses: image AUROC")[1].split("Wall-clock")[0]
    assert "memory_bank2 / 2 / 0" in section
    assert "1 / 1 / 0+5.0 (+1.0 to +9.0)" in section
    assert "0 / 1 / 1−5.0 (−9.0 to −1.0)" in section


def test_the_cost_of_an_image_stands_beside_that_of_the_references_and_of_every_stage(page):
    section = " ".join(page.text.split()).split("References, in total")[1].split("The changes by refiners")[0]
    assert "self_similarityembedded 0.250 321" in section
    assert "memory_bankembedded 0.750 321 77.5" in section
    assert section.count("score_images") == 3


def test_what_is_not_given_is_left_out(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    new = ("comparisons_csv", "cost_csv", "bars_plot", "quality_plot")
    build_page(**{name: value for name, value in arguments.items() if name not in new})
    page = Page(arguments["output"].read_text(encoding="utf-8"))
    assert not re.search("Comparison of methods|Wall-clock|side by side", page.text)
    assert page.misnested == page.open == []


def test_what_is_to_be_met_stands_beside_ours_with_both_protocols(tmp_path):
    arguments = build(tmp_path, ["bottle"], {"mutual": "zero-shot-batch"}, refiners=("none",))
    names = {"method": "MuSc", "backbone": "CLIP ViT-L/14-336", "resolution": "518", "setting": "zero-shot-batch"}
    values = {name: value for metric in METRICS for name, value in {metric: 0.9, f"{metric}_low": 0.8}.items()}
    rows = [
        {"category": category, "method": "mutual", "refiner": "none", "categories": 1, "pixel_categories": 1, **values}
        | {f"{metric}_high": 0.99 for metric in METRICS}
        | {"seeds": 1}
        for category in ("bottle", "mean")
    ]
    wanted = {"mutual": {**names, "source": "", "protocol": "by our own lights"}}
    against = against_published(METRICS_TABLE.frame(rows), wanted, "mvtec_ad", ["bottle", "cable"])
    AGAINST_PUBLISHED.write(tmp_path / "against.csv", against)
    build_page(**arguments, against_csv=tmp_path / "against.csv")
    page = Page(arguments["output"].read_text(encoding="utf-8"))
    assert page.misnested == page.open == []
    said = page.text.split("Comparison with published figures")[1].split("Changes by each refiner")[0]
    assert "MuSc, CLIP ViT-L/14-336, 518 px" in said
    assert "90.0 (99.92; \u22129.9)" in said.replace("90.0(", "90.0 (")
    assert "Ours: by our own lights. Published: metrics at the network's input size" in said
    assert "the published row of the only category of the run" in said


def test_means_of_textures_and_objects_stand_apart(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    rows = [metrics_row(name, "mutual", "zero-shot-batch", aupro=0.5, mask_f1=0.4) for name in ("board", *MEANS)]
    build_page(**arguments | {"metrics_csv": write_metrics(tmp_path / "kinds.csv", rows)})
    text = " ".join(Page(arguments["output"].read_text(encoding="utf-8")).text.split())
    assert text.index("Mean textures") < text.index("Mean objects") < text.index("Masks at the label-free threshold")


def test_a_mean_over_seeds_has_limits_and_a_deviation(tmp_path):
    values = {"image_auroc": 0.9, "image_auroc_low": 0.85, "image_auroc_high": 0.95, "image_auroc_std": 0.012}
    rows = read_metrics(write_metrics(tmp_path / "m.csv", [metrics_row("ring", "a", "few-shot-1", seeds=3, **values)]))
    setting, name, cell = image_table(rows).rows[0]
    assert (setting, name, cell.text, cell.beside) == ("few-shot-1", "a (3 seeds)", "90.0", "± 1.2 (85.0–95.0)")


def test_the_best_of_each_type_is_marked_and_no_best_over_types():
    def evaluation(method, **of_type):
        parts = [
            {"defect_type": name, "images": 2, "metrics": {"aupro": value}, "confidence": {}}
            for name, value in of_type.items()
        ]
        return {"setting": "s", "method": method, "backbone": "b", "by_type": parts}

    results = [evaluation("one", hole=0.9, crack=0.2), evaluation("two", hole=0.8, crack=0.3, dent=None)]
    table = type_table(defect_types_frame(results))
    assert table.header == ["defect type", "method", "AUPRO"]
    assert {(kind, name): cell.best for kind, name, cell in table.rows} == {
        ("hole", "one"): True,
        ("hole", "two"): False,
        ("crack", "one"): False,
        ("crack", "two"): True,
        ("dent", "two"): False,
    }
    assert table.meanings == {"hole": "2 images", "crack": "2 images", "dent": "2 images"}


def test_a_pair_counts_for_both_methods(tmp_path):
    rows = []
    for category, verdict in zip(
        ("w", "x", "y", "z", *MEANS), ("win", "win", "tie", "loss", *3 * ["win"]), strict=True
    ):
        rows.append(("aupro", category, "a", "b", 0.1, 0.05, 0.15, verdict))
        rows.append(("aupro", category, "b", "a", -0.1, -0.15, -0.05, REVERSED[verdict]))
    [table] = comparison_tables(read_comparisons(write_comparisons(tmp_path / "c.csv", rows)), with_means=True)
    assert table.header == ["method", "against all", "a", "b"]
    assert table.rows == [
        ["a", record([2, 1, 1]), "", record([2, 1, 1], 0.1, 0.05, 0.15)],
        ["b", record([1, 1, 2]), record([1, 1, 2], -0.1, -0.15, -0.05), ""],
    ]
    assert (table.rows[1][2].text, table.rows[1][2].beside) == ("1 / 1 / 2", "−10.0 (−15.0 to −5.0)")


def test_a_table_that_is_no_table_of_comparisons_or_costs_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    for read, what in ((read_comparisons, "comparisons"), (read_costs, "costs")):
        with pytest.raises(DataError, match=f"not a table of {what}"):
            read(tmp_path / "t.csv")


def test_a_method_without_a_gallery_is_marked_as_not_done(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    build_page(**{**arguments, "galleries": []})
    assert "There is no gallery" in arguments["output"].read_text(encoding="utf-8")


def test_a_missing_plot_is_named_and_nothing_is_written(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    arguments["output"].unlink()
    with pytest.raises(DataError, match="no histogram plot of category 'board'"):
        build_page(**{**arguments, "histogram_plots": {}})
    assert not arguments["output"].exists()


def test_the_best_is_marked_within_its_setting_and_over_all(tmp_path):
    rows = [
        metrics_row("ring", "a", "zero-shot-single", aupro=0.5),
        metrics_row("ring", "b", "zero-shot-single", aupro=0.70004),
        metrics_row("ring", "c", "zero-shot-single", aupro=0.70001),
        metrics_row("ring", "d", "few-shot-4", aupro=0.9),
        metrics_row("ring", "e", "few-shot-4"),
    ]
    rows = read_metrics(write_metrics(tmp_path / "metrics.csv", rows))
    table = pixel_table(rows)
    assert table.header == ["setting", "method", "AUPRO"]
    marks = {name: (cell.best, cell.second, cell.best_of_all) for _, name, cell in table.rows}
    assert marks == {
        "a": (False, True, False),
        "b": (True, False, False),
        "c": (True, False, False),
        "d": (True, False, True),
        "e": (False, False, False),
    }


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [("few-shot-16", "16 normal reference images"), ("full-shot", "all normal training images")],
)
def test_settings_are_explained(setting, meaning):
    assert setting_meaning(setting) == meaning


def test_what_the_check_of_the_images_remarks_stands_in_its_category(tmp_path):
    arguments = build(tmp_path, ["board", "ring"], labels=(0, 1, 0, 1))
    checks = {category: tmp_path / f"{category}.json" for category in ("board", "ring")}
    cut = [{"image_id": "<cut>.png", "reason": "it is truncated"}]
    write_json(checks["board"], {"warnings": ["2 images are <odd>"], "unreadable": cut})
    write_json(checks["ring"], {"warnings": [], "unreadable": []})
    build_page(**{**arguments, "checks": checks})
    shown = arguments["output"].read_text(encoding="utf-8")
    board, ring = shown.index('id="category-1"'), shown.index('id="category-2"')
    assert shown.count("Warnings from the image check:") == 1
    assert board < shown.index("<li>2 images are &lt;odd&gt;</li>") < ring
    assert shown.count("Unusable images, which are left out (1)") == 1
    assert board < shown.index("<li><code>&lt;cut&gt;.png</code>: it is truncated</li>") < ring


NASTIES = "".join(
    (
        '"><img src=x onerror=alert(1)>',
        "'><svg/onload=alert(1)>",
        "</script><script>alert(1)</script>",
        "</code></pre></style><style>*{}</style>",
        "<!-- --><b>{{ 7 * 7 }}</b>{% raw %}",
        "&lt;b&gt; &amp; &#60;",
        "javascript:alert(1)",
        "` | _x_ \\ $x$ %s",
        "=1+1",
    )
)
KEPT = ("category", "method", "backbone", "setting", "refiner", "dataset", "protocol", "split", "scale", "pictures")


def with_words(value, words):
    """A document with these words for every text but names of methods and pictures, and the content of the run."""
    if isinstance(value, dict):
        return {key: item if key in KEPT else with_words(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [with_words(item, words) for item in value]
    return f"{value}{words}" if isinstance(value, str) else value


def structure(source):
    """The tags of a page with the names of their attributes, and what is neither text nor a value of an attribute."""
    page = Page(source)
    assert (page.open, page.misnested) == ([], [])
    return [(tag, *attributes) for tag, attributes in page.tags], re.findall(r"<(?:script|style).*?</", source, re.S)


def build_with(folder, words):
    """A page in which all that comes from names and notes has these words in it."""
    folder.mkdir()
    arguments = build(folder, ["board", f"c{words}".replace("/", "-")], labels=(0, 1, 0, 1))
    documents = (*arguments["evaluations"], *arguments["galleries"])
    for path in documents:
        document = read_json(path)
        images = document.get("images", [])
        for image in (*images, *(entry for group in document.get("groups", []) for entry in group["entries"])):
            image |= {key: f"{image[key]}{words}" for key in ("image_id", "defect_type") if image.get(key)}
            image["note"] = f"a note{words}"
        for of_type in document.get("by_type", []):
            of_type["defect_type"] += words
        if "notes" in document:
            document |= {"notes": [f"a note of all{words}"], "provenance": with_words(document["provenance"], words)}
        write_json(path, document)
    for path in arguments["mask_evaluations"]:
        document = read_json(path)
        document["regions"]["reasons"] = {f"too large{words}": 12}
        write_json(path, {**document, "notes": [f"of masks{words}"]})
    check = {"warnings": [f"odd{words}"], "unreadable": [{"image_id": f"cut{words}", "reason": f"why{words}"}]}
    write_json(folder / "check.json", check)
    summary = {"scorer": f"s{words}", "summary": f"what{words}", "reference": f"by{words}", "threshold": f"rule{words}"}
    arguments |= {
        "checks": {"board": folder / "check.json"},
        "configuration": {
            **arguments["configuration"],
            f"key{words}": words,
            "left_out": {f"m{words}": words},
            "classifiers_left_out": {f"kinds{words}": f"maps{words}"},
        },
        "method_summaries": {method: {**summary, "setting": "few-shot-4"} for method in METHODS},
    }
    build_page(**{**arguments, "dataset": f"parts{words}"})
    return arguments["output"].read_text(encoding="utf-8")


def test_no_words_from_names_or_notes_are_markup_on_the_page(tmp_path):
    words, source = NASTIES, build_with(tmp_path / "page", NASTIES)
    assert structure(source) == structure(build_with(tmp_path / "plain", " plain words"))
    page = Page(source)
    for start in (
        "a note",
        "a note of all",
        "of masks",
        "odd",
        "cut",
        "why",
        "what",
        "by",
        "rule",
        "too large",
        "kinds",
        "maps",
        "parts",
    ):
        assert f"{start}{words}" in page.text
    for start in ("test/000.png", "scratch", "evaluate_scores"):
        assert f"{start}{words}" in page.text
    values = [value for _, attributes in page.tags for value in attributes.values() if value]
    assert any(f"test/000.png{words}" in value for value in values)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
