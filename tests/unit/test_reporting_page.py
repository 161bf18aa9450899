import json
import re
from html.parser import HTMLParser

import pytest

from reporting_files import METRICS, metrics_row, refinement_row, write_metrics, write_refinement, write_results
from zsad.errors import DataError
from zsad.reporting.gallery import draw_gallery
from zsad.reporting.headlines import setting_meaning
from zsad.reporting.options import ReportOptions
from zsad.reporting.page import build_page
from zsad.reporting.plots import draw_curves, draw_histograms, draw_summary
from zsad.reporting.results import read_metrics
from zsad.reporting.tables import score_table
from zsad.store import ORACLE, read_json, write_json

MOMENTS = ("before", "after")
OPTIONS = ReportOptions(gallery=2, panel=64, dpi=50)
METHODS = {"self_similarity": "zero-shot-single", "mutual": "zero-shot-batch", "memory_bank": "few-shot-4"}
NASTY = '<script>alert("x")</script> & "co"'
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


def build(folder, categories, methods=METHODS, *, labels=(0, 0, 1, 1), refiners=("none", "guided")):
    labelled = labels[0] is not None
    evaluations, mask_evaluations, galleries, curves, histograms, rows = [], [], [], {}, {}, []
    for number, category in enumerate(categories):
        of_category = []
        for method, setting in methods.items():
            where = folder / f"{number}-{method}"
            files = write_results(
                where, category=category, method=method, setting=setting, labels=labels, with_curves=labelled
            )
            of_category.append(files.evaluation)
            if "guided" in refiners:
                mask_evaluations.append(mask_evaluation(where, category, method))
            galleries.append(where / "panels.json")
            draw_gallery(
                manifest=files.manifest,
                scores=files.scores,
                masks=files.masks,
                refiner="guided",
                evaluation=files.evaluation,
                options=OPTIONS,
                sheet=where / "sheet.png",
                panels=galleries[-1],
            )
        evaluations += of_category
        curves[category], histograms[category] = folder / f"c{number}.png", folder / f"h{number}.png"
        draw_curves(evaluations=of_category, options=OPTIONS, output=curves[category])
        draw_histograms(evaluations=of_category, options=OPTIONS, output=histograms[category])
    values = dict.fromkeys((*METRICS, "mask_iou"), 0.75) if labelled else {}
    for place, (method, setting) in enumerate(methods.items()):
        for refiner in refiners:
            shift = {metric: value + 0.05 * place for metric, value in values.items()}
            rows += [metrics_row("board", method, setting, refiner, **shift)]
            rows += [metrics_row("mean", method, setting, refiner, **shift)]
    refined = refinement_rows(categories, methods, labelled=labelled) if "guided" in refiners else []
    rows += [{**row, "image_auroc": ""} for row in refined if row["method"] == ORACLE]
    draw_summary(metrics_csv=write_metrics(folder / "metrics.csv", rows), options=OPTIONS, output=folder / "s.png")
    arguments = {
        "dataset": "parts",
        "metrics_csv": folder / "metrics.csv",
        "refinement_csv": write_refinement(folder / "refinement.csv", refined),
        "evaluations": evaluations,
        "mask_evaluations": mask_evaluations,
        "galleries": galleries,
        "summary_plot": folder / "s.png",
        "curve_plots": curves,
        "histogram_plots": histograms,
        "configuration": {"backbones": {"embedded": {"family": "embedded"}}, "note": NASTY},
        "method_summaries": {
            method: {"scorer": method, "summary": f"How {method} works.", "reference": "A paper", "setting": setting}
            for method, setting in methods.items()
        },
        "output": folder / "report.html",
    }
    build_page(**arguments)
    return arguments


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    arguments = build(tmp_path_factory.mktemp("page"), ["board", NASTY], labels=(0, 1, 0, 1))
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
    assert not re.search(r"https?:|@import|url\(|fetch\(", source)


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
    assert len(page.attributes("script")) == 1


def test_captions_stand_in_the_text(page):
    text = " ".join(page.text.split())
    assert "test/003.png" in text
    assert "defective: scratch · score 1 · called defective · rank 1 of 4" in text
    assert "good · score 0.75 · wrongly called defective · rank 2 of 4" in text
    assert "defective: scratch · score 0.5 · called good" not in text
    assert "defective: scratch · score 0.5 · wrongly called good · rank 3 of 4" in text


def test_what_is_found_best_is_said_in_words_for_each_setting(page):
    text = " ".join(page.text.split())
    assert "few-shot-4 (4 good reference images and nothing else): Image AUROC 0.850 by memory_bank" in text
    assert "zero-shot-single (one image at a time and nothing else): Image AUROC 0.750 by self_similarity" in text


def test_refinement_is_shown_before_and_after_with_gains_and_losses_and_the_reasons(page):
    text = " ".join(page.text.split())
    section = text.split("What the refiners change")[1].split("test images:")[0]
    assert "0.400 → 0.450+0.050" in section
    assert "−0.020" in section
    assert "50\u00a0% helped" in page.text
    assert "25\u00a0% harmed" in page.text
    assert "25\u00a0% of 40" in page.text
    assert "turned down: 24 too large, 6 empty" in section


def test_each_category_has_its_own_table_of_refinement_on_demand(page):
    text = " ".join(page.text.split())
    assert text.count("Refinement, before and after") == 2
    assert text.count("turned down: 12 too large, 3 empty") == 2 * len(METHODS)


def test_the_oracle_stands_apart_and_is_no_method(page):
    text = " ".join(page.text.split())
    assert "With boxes from the ground truth · a ceiling, not a method" in text
    assert "true boxes" in text
    assert {element["data-method"] for _, element in page.tags if "data-method" in element} == set(METHODS)
    assert not any(element.get("value") == ORACLE for element in page.attributes("input"))
    summary = text.split("Masks at the label-free threshold")[1].split("What the refiners change")[0]
    assert "sam-vit-b" not in summary


def test_without_refiners_nothing_is_said_of_refinement(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"}, refiners=("none",))
    page = Page(arguments["output"].read_text(encoding="utf-8"))
    assert "Refinement" not in page.text
    assert "ceiling" not in page.text


def test_the_rules_of_honesty_are_on_the_page(page):
    assert "oracle" in page.text
    assert "hand-crafted filter bank, no foundation model" in page.text
    assert all(setting in page.text for setting in METHODS.values())


def test_the_script_is_not_needed_to_see_anything(page):
    hidden = [tag for tag, attributes in page.tags if "hidden" in attributes]
    assert hidden == ["fieldset"]


def test_provenance_is_shown(page):
    for words in ("evaluate_scores", "weights", "not known", "numpy"):
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
    assert "New outlines accepted" in text
    assert "Whether that is for the better is not known" in text
    assert "helped" not in text.split("Scores are relative")[0]
    assert "ceiling" not in text


UNLABELLED = {"self_similarity": "zero-shot-single", "mutual": "zero-shot-batch"}


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    arguments = build(tmp_path_factory.mktemp("unlabelled"), ["board"], UNLABELLED, labels=(None,) * 7)
    return Page(arguments["output"].read_text(encoding="utf-8"))


def test_without_labels_the_page_claims_no_metric_and_has_no_empty_table(unlabelled):
    assert unlabelled.misnested == unlabelled.open == []
    words = unlabelled.text.split("What made these results")[0]
    assert not re.search(r"\b(nan|n/a|AUROC|AUPRO|IoU|F1|truth|metrics of)\b", words, re.IGNORECASE)
    assert all(picture["alt"] for picture in unlabelled.attributes("img"))
    assert not any("truth" in picture["alt"] for picture in unlabelled.attributes("img"))


def test_without_labels_a_ranked_list_leads_to_the_pictures(unlabelled):
    text = " ".join(unlabelled.text.split())
    ranking = text.split("Most anomalous images")[1].split("Score distributions")[0]
    assert "At its label-free threshold of 0.5, mutual calls 4 of 7 images defective. mutual leads the list" in ranking
    assert (
        "Rank byself_similarity 1 test/006.png 1called defective 1 2 test/005.png 0.8571called defective 2" in ranking
    )
    assert ranking.count("called good") == 3
    links = [anchor["href"] for anchor in unlabelled.attributes("a") if "gallery" in anchor["href"]]
    cards = [figure["id"] for figure in unlabelled.attributes("figure") if "id" in figure]
    assert len(links) == 6  # of gallery: 2, four highest and two lowest; the image between has no picture
    assert {link[1:] for link in links} < set(cards)
    folds = {fold["data-method"]: "open" in fold for fold in unlabelled.attributes("details") if "id" in fold}
    assert folds == {"mutual": True, "self_similarity": False}


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
    assert "Image AUROC" not in ring.split("How to read it")[0]
    assert "4 images are ranked instead" in ring


def test_a_method_without_a_gallery_is_marked_as_not_done(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    build_page(**{**arguments, "galleries": []})
    assert "Not done: no gallery" in arguments["output"].read_text(encoding="utf-8")


def test_a_missing_plot_is_named_and_nothing_is_written(tmp_path):
    arguments = build(tmp_path, ["board"], {"mutual": "zero-shot-batch"})
    arguments["output"].unlink()
    with pytest.raises(DataError, match="no curve plot of category 'board'"):
        build_page(**{**arguments, "curve_plots": {}})
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
    table = score_table(rows, {row.key: row.key.method for row in rows})
    column = table.columns.index("AUPRO")
    marks = {
        row.method: (row.cells[column].best_in_setting, row.cells[column].best)
        for group in table.groups
        for row in group.rows
    }
    no, in_setting, overall = (False, False), (True, False), (True, True)
    assert marks == {"a": no, "b": in_setting, "c": in_setting, "d": overall, "e": no}


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [("few-shot-16", "16 good reference images and nothing else"), ("full-shot", "all good training images")],
)
def test_settings_are_explained(setting, meaning):
    assert setting_meaning(setting) == meaning


def test_what_the_check_of_the_images_remarks_stands_in_its_category(tmp_path):
    arguments = build(tmp_path, ["board", "ring"], labels=(0, 1, 0, 1))
    checks = {category: tmp_path / f"{category}.json" for category in ("board", "ring")}
    checks["board"].write_text(json.dumps({"warnings": ["2 images are <odd>"]}))
    checks["ring"].write_text(json.dumps({"warnings": []}))
    build_page(**{**arguments, "checks": checks})
    shown = arguments["output"].read_text(encoding="utf-8")
    board, ring = shown.index('id="category-1"'), shown.index('id="category-2"')
    assert shown.count("The check of the images remarks:") == 1
    assert board < shown.index("<li>2 images are &lt;odd&gt;</li>") < ring
