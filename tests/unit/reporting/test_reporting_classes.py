"""Kinds of defect as the figures and the page show them."""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from test_reporting_page import NASTY, Page, build

from class_files import class_evaluation
from zsad.errors import DataError
from zsad.files.json_files import write_json
from zsad.files.pictures import ThumbnailWriter
from zsad.reporting import figures
from zsad.reporting.build_page import build_page
from zsad.reporting.class_evaluations import shortened
from zsad.reporting.class_groups import groups_of, spread_over_pairs
from zsad.reporting.draw_confusion import draw_confusion
from zsad.reporting.draw_shots import draw_shots, numbers_that_fit, places_of
from zsad.reporting.options import ReportOptions

OPTIONS = ReportOptions(dpi=50)
LONG = tuple(f"{letter}_a_kind_of_defect_with_a_very_long_name" for letter in "abcdefghijkl")
NASTY_KIND = '<i>$x_1$ & "co"</i>'
COUNT = 2  # images in a group
MUTUAL = {"mutual": "zero-shot-batch"}
Document = dict[str, Any]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that are drawn, with their layout settled."""
    kept: list[Figure] = []

    def keep(figure: Figure, *_: Any) -> None:
        FigureCanvasAgg(figure).draw()
        kept.append(figure)

    monkeypatch.setattr(figures, "save", keep)
    return kept


def confusion(folder: Path, document: Document) -> None:
    write_json(folder / "one.json", document)
    draw_confusion(evaluation=folder / "one.json", options=OPTIONS, output=folder / "confusion.png")


def shots(folder: Path, documents: Sequence[Document], name: str = "shots.png") -> Path:
    paths = [folder / f"{place}.json" for place in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        write_json(path, document)
    draw_shots(evaluations=paths, options=OPTIONS, output=folder / name)
    return folder / name


def texts_of(figure: Figure) -> list[Text]:
    """All that can be read."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def unreadable(figure: Figure) -> list[str]:
    """Texts that cover each other or leave the figure.

    Slanted ones are parallel, so that their lines must be so far apart as letters are high.
    """
    texts = texts_of(figure)
    boxes = np.array([text.get_window_extent().extents for text in texts])
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = (low < -1).any(axis=1) | (high > [figure.bbox.width + 1, figure.bbox.height + 1]).any(axis=1)
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    is_slanted = np.array([text.get_rotation() not in (0, 90) for text in texts])
    covered = (
        (shared > 1).all(axis=2) & ~(is_slanted[:, None] & is_slanted) & np.triu(np.ones((len(texts),) * 2, bool), 1)
    )
    found = [texts[place].get_text() for place in np.flatnonzero(outside)]
    found += [f"{texts[one].get_text()} | {texts[other].get_text()}" for one, other in np.argwhere(covered)]
    for one, other in itertools.pairwise(text for text, slanted in zip(texts, is_slanted, strict=True) if slanted):
        places = [text.get_transform().transform(text.get_position()) for text in (one, other)]
        apart = abs(places[1][0] - places[0][0]) * math.sin(math.radians(one.get_rotation()))
        letters = one.get_fontsize() / 72 * figure.dpi
        found += [f"{one.get_text()} | {other.get_text()}"] if one.axes is other.axes and apart < letters else []
    return found


@pytest.mark.parametrize(
    "document",
    [
        class_evaluation(kinds=("bad", "good"), unknown_kinds=(), each=2),
        class_evaluation("a part with a long name of its own" * 2, "c" * 60, unknown_kinds=(NASTY_KIND, "break")),
        class_evaluation(kinds=LONG, unknown_kinds=("one_more_with_such_a_name_that_is_long",), shots=(1,), each=2),
        class_evaluation(kinds=[f"kind {number}" for number in range(13)], shots=(1,), seeds=(0,), each=1),
    ],
    ids=["two kinds", "long title", "12 long names", "13 kinds"],
)
def test_a_matrix_can_be_read(tmp_path: Path, drawn: list[Figure], document: Document) -> None:
    row = document["by_shots"][-1]
    row["confusion"] = [[1234 * count for count in line] for line in row["confusion"]]
    confusion(tmp_path, document)
    assert unreadable(drawn[0]) == []


def test_a_matrix_has_numbers_and_shares_of_the_shots_that_are_shown(tmp_path: Path, drawn: list[Figure]) -> None:
    document = class_evaluation(shots=(1, 5), seeds=(0, 1))
    document["by_shots"][1]["confusion"] = [[9, 1, 0], [2, 1, 1], [0, 0, 0], [0, 3, 1]]
    confusion(tmp_path, document)
    images, shares = ([text.get_text() for text in axes.texts] for axes in drawn[0].axes)
    assert images == ["9", "1", "0", "2", "1", "1", "0", "0", "0", "0", "3", "1"]
    assert shares == ["90", "10", "0", "50", "25", "25", "–", "–", "–", "0", "75", "25"]
    left, right = drawn[0].axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "blowhole",
        "crack",
        "good",
        "break (no examples)",
    ]
    assert [label.get_text() for label in right.get_xticklabels()] == ["blowhole", "crack", "good"]
    words = " ".join(text.get_text() for text in texts_of(drawn[0]))
    assert "few-shot-defects-5, summed over 2 random seeds" in words
    document["by_shots"][1]["confusion"] = [[0] * 3] * 4
    confusion(tmp_path, document)
    assert {text.get_text() for text in drawn[1].axes[1].texts} == {"–"}


KS = (1, 2, 3, 4, 5, 10, 20, 50)
THREE = [
    class_evaluation("tiles", "whole", shots=KS, right=0.6),
    class_evaluation("tiles", "found", shots=(1, 5), right=0.7, regions="predicted", kinds=("blowhole", "good")),
    class_evaluation("tiles", "told", shots=(1, 5, "all"), right=0.9, regions="ground truth"),
]


@pytest.mark.parametrize(
    "documents",
    [
        [class_evaluation(shots=(5,))],
        [class_evaluation(shots=tuple(range(1, 25)))],
        THREE,
        [class_evaluation("tiles", f"classifier_of_a_long_name_{n}_{'x' * 50}", shots=(5,)) for n in range(9)],
    ],
    ids=["one point", "24 shots", "three classifiers", "nine at one k"],
)
def test_accuracy_against_shots_can_be_read(tmp_path: Path, drawn: list[Figure], documents: list[Document]) -> None:
    shots(tmp_path, documents)
    assert unreadable(drawn[0]) == []


def test_accuracy_against_shots_has_limits_the_majority_and_tells_regions_apart(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    shots(tmp_path, THREE)
    (axes,) = drawn[0].axes
    curves = {curve.get_label().split()[0]: curve for curve in axes.containers if isinstance(curve, ErrorbarContainer)}
    line, _, (bars,) = curves["whole"]
    measured = [row["metrics"]["accuracy"] for row in THREE[0]["by_shots"]]
    assert list(line.get_xdata()) == list(KS)
    assert list(line.get_ydata()) == pytest.approx([cell["value"] for cell in measured])
    limits = [sorted(segment[:, 1]) for segment in bars.get_segments()]
    assert np.array(limits) == pytest.approx(np.array([[cell["low"], cell["high"]] for cell in measured]))
    assert curves["told"][0].get_markerfacecolor() == "white"
    assert curves["told"][0].get_xdata()[-1] > 50  # all there are
    assert [name for name, curve in curves.items() if curve[0].is_dashed()] == ["told"]
    words = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert words[0].startswith("whole (3 kinds)   ")
    assert words[1].startswith("found (predicted regions, 2 kinds)   ")
    assert words[2].startswith("told (ground-truth regions, 3 kinds)   ")
    assert words[2].endswith(" at k = all")
    assert words[3:] == ["always the most frequent of 2 kinds   50.0", "always the most frequent of 3 kinds   33.3"]
    dashed = [line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1 and line.is_dashed()]
    assert dashed == pytest.approx([0.5, 1 / 3], abs=1e-3)


def test_without_limits_there_are_points_alone_and_without_labels_a_sentence(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    document = class_evaluation(shots=(5,), seeds=(0,))
    for cell in document["by_shots"][0]["metrics"].values():
        cell |= {"low": None, "high": None}
    shots(tmp_path, [document])
    (curve,) = drawn[0].axes[0].containers
    assert all(np.ptp(segment[:, 1]) == 0 for segment in curve[2][0].get_segments())
    shots(tmp_path, [class_evaluation(labelled=False)])
    assert any("no image is labelled" in text.get_text() for text in texts_of(drawn[1]))


def test_figures_are_the_same_bytes_each_time_and_of_one_category(tmp_path: Path) -> None:
    first, second = (shots(tmp_path, THREE[:2], f"{name}.png") for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(DataError, match=r"one category, not 2 \(ring, tiles\)"):
        shots(tmp_path, [THREE[0], class_evaluation("ring")])
    write_json(tmp_path / "no.json", {"category": "ring"})
    with pytest.raises(DataError, match="is not an evaluation file"):
        draw_confusion(evaluation=tmp_path / "no.json", options=OPTIONS, output=tmp_path / "no.png")


def test_numbers_of_shots_stand_in_order_and_do_not_cover_each_other() -> None:
    assert list(places_of([5, "all", 1, 5])) == [1, 5, "all"]
    assert places_of(["all"]) == {"all": 1.0}
    places = places_of(list(range(1, 41)))
    written = numbers_that_fit(places, 0.7, 54)
    assert written[:4] + written[-1:] == ["1", "2", "3", "4", "40"]
    assert written.count("") > 20


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["crack", "good"], ["crack", "good"]),
        (["abcdefghijkl"], ["abcde…ijkl"]),
        (["abcdefXghijkl", "abcdefYghijkl"], ["abcde…ijkl", "abcd…jkl 2"]),
    ],
)
def test_long_names_lose_their_middle_and_stay_different(names: list[str], short: list[str]) -> None:
    assert shortened(names, 10) == short


def row(name: str, true: str, predicted: str, kinds: Sequence[str], sure: float = 0.6) -> Document:
    likely = dict.fromkeys(("crack", "dent", "good"), (1 - sure) / 2) | {predicted: sure}
    nearest = {kind: {"source": "test", "image_id": kind, "similarity": likely[kind]} for kind in likely}
    return {
        **{"image_id": name, "true": true, "predicted": predicted, "probabilities": likely, "nearest": nearest},
        **{"prediction_set": list(kinds), "abstained": not kinds},
    }


def grouped(rows: Sequence[Document], count: int = COUNT) -> dict[str, tuple[list[str], int]]:
    groups = groups_of({"kinds": ["crack", "dent", "good"], "images": list(rows)}, count)
    return {group.title: ([one["image_id"] for one in group.rows], group.total) for group in groups}


def test_labelled_images_are_shown_where_the_answer_was_wrong_or_none() -> None:
    rows = [
        row("right", "crack", "crack", ["crack"]),
        row("right of several", "crack", "crack", ["crack", "dent"]),
        row("wrong", "dent", "crack", ["crack"]),
        row("wrong of several", "crack", "dent", ["crack", "dent"]),
        row("strange", "hole", "dent", ["dent"]),
        row("strange and none", "hole", "dent", [], 0.5),
        row("none", "crack", "crack", [], 0.7),
        row("none and wrong", "crack", "dent", [], 0.4),
    ]
    assert grouped(rows) == {
        "Confusions": (["wrong", "wrong of several"], 2),
        "Of a kind without examples, but predicted as one with examples": (["strange"], 1),
        "None of the known kinds": (["none and wrong", "strange and none"], 3),
    }
    assert grouped(rows[:2]) == {}


def test_unlabelled_images_are_each_in_one_group_by_what_they_are_called() -> None:
    rows = [row(f"crack {place}", "", "crack", ["crack"], 0.5 + 0.05 * place) for place in range(9)]
    rows += [
        row("good", "", "good", ["good"]),
        row("two", "", "good", ["crack", "good"], 0.7),
        row("another", "", "good", ["crack"], 0.5),  # the set has one kind, and it is not the most probable
        row("none", "", "good", []),
    ]
    groups = grouped(rows)
    assert groups == {
        "Predicted: crack": ([f"crack {place}" for place in (8, 7, 6, 5, 4, 3)], 9),
        "Predicted: good": (["good"], 1),
        "Most probably good, but other kinds are possible": (["two", "another"], 2),
        "None of the known kinds": (["none"], 1),
    }
    assert sum(total for _, total in groups.values()) == len(rows)


def test_every_pair_of_kinds_has_its_turn_before_a_second_image_of_any() -> None:
    rows = [row(f"a{place}", "crack", "good", ["good"], 0.9 - 0.1 * place) for place in range(4)]
    rows += [row("b0", "dent", "good", ["good"], 0.4), row("c0", "good", "dent", ["dent"], 0.4)]
    assert [one["image_id"] for one in spread_over_pairs(rows, 4)] == ["a0", "a1", "b0", "c0"]
    assert [one["image_id"] for one in spread_over_pairs(rows, 1)] == ["a0"]


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The arguments of a page of two categories without classifiers."""
    return build(tmp_path_factory.mktemp("detectors"), ["board", NASTY], MUTUAL, sheets=True)


def picture_of(place: int) -> bytes:
    """A small picture that no other is like."""
    stream = io.BytesIO()
    Image.new("RGB", (12 + place % 7, 10), (place % 251, place // 251, 99)).save(stream, format="JPEG")
    return stream.getvalue()


def write_thumbnails(path: Path, names: Sequence[str]) -> Path:
    with ThumbnailWriter(path, sorted(names), {}) as writer:
        for place, _ in enumerate(names):
            writer.append(picture_of(place))
    return path


def class_arguments(folder: Path, documents: Sequence[Document], listed: Sequence[str] = ()) -> dict[str, Any]:
    """What `build_page` is given for classifiers: evaluations, plots, and thumbnails of all images that they name."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), "white").save(folder / "plot.png")
    paths = [folder / f"{place}.json" for place in range(len(documents))]
    images: dict[tuple[str, str], set[str]] = {}
    for path, document in zip(paths, documents, strict=True):
        write_json(path, document)
        for image in document["images"]:
            images.setdefault((document["category"], "test"), {*listed}).add(image["image_id"])
            for nearest in image["nearest"].values():
                images.setdefault((document["category"], nearest["source"]), set()).add(nearest["image_id"])
    pictures = {
        place: write_thumbnails(folder / f"{number}.h5", list(names))
        for number, (place, names) in enumerate(images.items())
    }
    labelled = [document for document in documents if document["is_labelled"]]
    return {
        "class_evaluations": paths,
        "confusion_plots": {(one["category"], one["classifier"]): folder / "plot.png" for one in labelled},
        "shots_plots": {one["category"]: folder / "plot.png" for one in labelled},
        "support_thumbnails": {place: path for place, path in pictures.items() if place[1] != "test"},
        "thumbnails": {category: path for (category, source), path in pictures.items() if source == "test"},
        "group_size": COUNT,
    }


def write_page(where: Path, detectors: Mapping[str, Any], documents: Sequence[Document], **more: Any) -> Path:
    """A page with classifiers."""
    given = class_arguments(where / "classes", documents, [f"test/{number:03}.png" for number in range(4)])
    thumbnails = {**detectors["thumbnails"], **given.pop("thumbnails")}
    output = where / "report.html"
    build_page(**{**detectors, **given, "thumbnails": thumbnails, "output": output, **more})
    return output


def read_page(folder: Path, detectors: Mapping[str, Any], documents: Sequence[Document]) -> tuple[Page, str]:
    page = Page(write_page(folder, detectors, documents).read_text(encoding="utf-8"))
    assert (page.open, page.misnested) == ([], [])
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    references = {tag["href"][1:] for name in ("a", "use") for tag in page.attributes(name)}
    assert references <= set(identifiers)
    return page, " ".join(page.text.split())


def section_of(text: str, category: str) -> str:
    return text.split(f"{category}: defect types")[1].split(": defect types")[0]


def test_a_page_without_classifiers_says_nothing_of_kinds(detectors: dict[str, Any]) -> None:
    source = detectors["output"].read_text(encoding="utf-8")
    assert not re.search("trained on labelled defects|few-shot-defects|kind-", source, re.IGNORECASE)


def test_the_page_says_what_came_of_it_with_limits_beside_the_majority_and_the_setting(
    tmp_path: Path, detectors: dict[str, Any]
) -> None:
    remark = "kind 'crack' has <3> calibration images, too few for alpha 0.1."
    document = class_evaluation("board", "nearest", shots=(1, 5), seeds=range(5), each=20, remarks=[remark])
    document["draws"][0]["remarks"] = [remark, "one more"]
    page, text = read_page(tmp_path, detectors, [document])
    cell = document["by_shots"][1]["metrics"]["accuracy"]
    value, low, high = (f"{100 * cell[name]:.1f}" for name in ("value", "low", "high"))
    assert (
        f"nearest predicts the correct kind for {value} % ({low}–{high}) of the photographs, more than the 33.3 % "
        "of always predicting blowhole (few-shot-defects-5, mean of 5 seeds). Its prediction sets contain the "
        "true kind for "
    ) in text.replace("\u00a0", " ")
    assert "of images of kinds without examples (break)." in text
    assert text.count(remark) == 1
    assert "nearest (1 of 10 samples): one more" in text
    assert text.count("Trained on labelled defects.") == 1
    assert "board · nearest stageevaluate_classes" in text
    plots = [image["alt"] for image in page.attributes("img") if "of each true kind" in image["alt"]]
    assert plots == ["Confusion matrix of nearest on board: numbers of images, and shares of each true kind"]


def test_confusions_stand_beside_the_nearest_examples_of_the_true_and_the_predicted_kind(
    tmp_path: Path, detectors: dict[str, Any]
) -> None:
    document = class_evaluation("board", shots=(5,), seeds=(0,), each=20, right=0.3)
    page, text = read_page(tmp_path, detectors, [document])
    section = section_of(text, "board")
    wrong = [one for one in document["images"] if one["true"] != one["predicted"] and not one["abstained"]]
    of_known = [one for one in wrong if one["true"] in document["kinds"]]
    assert f"Confusions · {3 * COUNT} of {len(of_known)}" in section
    assert (
        f"Of a kind without examples, but predicted as one with examples · {COUNT} of {len(wrong) - len(of_known)}"
        in section
    )
    assert f"None of the known kinds · {COUNT} of {sum(one['abstained'] for one in document['images'])}" in section
    first = groups_of(document, COUNT)[0].rows[0]
    true, predicted = (first["nearest"][first[name]] for name in ("true", "predicted"))
    assert (
        f"the image: {first['true']} nearest {first['true']}, cosine {true['similarity']:.4f}{true['image_id']} "
        f"nearest {first['predicted']}, cosine {predicted['similarity']:.4f}{predicted['image_id']} "
        f"{first['image_id']}{first['true']}, predicted {first['predicted']} "
        f"{100 * first['probabilities'][first['predicted']]:.1f} % · prediction set: "
    ) in section
    labels = [drawing["aria-label"] for drawing in page.attributes("svg") if "aria-label" in drawing]
    assert f"{true['image_id']}, the nearest example of {first['true']}" in labels
    cards = [figure for figure in page.attributes("figure") if figure.get("class") == "kind-card"]
    assert len(cards) == 5 * COUNT
    held = {image["href"] for image in page.attributes("image")}
    assert len(held) == len(page.attributes("image"))  # each picture once
    assert "break (no examples), predicted" in section
    assert "empty prediction set: none of the known kinds" in section


def test_unlabelled_photographs_are_sorted_by_what_they_are_called(tmp_path: Path, detectors: dict[str, Any]) -> None:
    document = class_evaluation("board", labelled=False, shots=(5,), seeds=(0,), source="my <parts>", each=12)
    page, text = read_page(tmp_path, detectors, [document])
    section = section_of(text, "board")
    sizes = [len(one["prediction_set"]) for one in document["images"]]
    assert (
        f"nearest sorts 48 photographs into 3 kinds (few-shot-defects-5, seed 0): {sizes.count(1)} get one kind, "
        f"{sum(size > 1 for size in sizes)} several, and {sizes.count(0)} none of the known kinds. No image is labelled"
    ) in section
    assert all(
        title in section for title in ("Predicted: blowhole · ", "Predicted: good · ", "None of the known kinds · 4")
    )
    assert "my <parts>: crack/" in section
    assert "Confusions" not in section
    assert "Accuracy" not in section
    assert "The examples are labelled test images" not in section
    assert not re.search(r"\bnan\b|None\b(?! of)", section.split("How to read this page")[0])
    assert len(page.attributes("image")) > 20


def test_several_categories_have_a_section_each_and_one_of_all(tmp_path: Path, detectors: dict[str, Any]) -> None:
    kinds = (NASTY_KIND, "crack", "good")
    documents = [
        class_evaluation(NASTY, "nearest", kinds=kinds, unknown_kinds=("<b>hole",), shots=(1, "all"), seeds=(0,)),
        class_evaluation(NASTY, "told", kinds=kinds, shots=(1,), seeds=(0,), regions="ground truth"),
        class_evaluation("board", "nearest", shots=(1,), labelled=False, seeds=(0,)),
    ]
    page, text = read_page(tmp_path, detectors, documents)
    of_all = text.split("No detector has seen such examples")[1].split("Means over the categories")[0]
    *_, overview, told = of_all.split("Each category")
    assert "nearestfew-shot-defects-1" in overview
    assert "told" not in overview
    assert told.startswith(", with ground-truth regions, which are unknown in practice")
    assert "nearest" not in told
    assert "<i>$x_1" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    section = section_of(text, NASTY)
    assert NASTY_KIND in section
    assert "<b>hole (no examples), predicted" in section
    assert "(few-shot-defects-all, one seed)" in section
    assert "(few-shot-defects-1, one seed, ground-truth regions)" in section
    assert "Figures with ground-truth regions are separate" in section
    assert "Figures with ground-truth regions" not in section_of(text, "board")
    assert [anchor["href"] for anchor in page.attributes("a") if "kinds" in anchor["href"]] == [
        "#kinds",
        *("#kinds-1", "#kinds-2"),
    ]


def test_what_is_not_clearly_better_than_the_majority_is_not_called_so(
    tmp_path: Path, detectors: dict[str, Any]
) -> None:
    documents = [class_evaluation("board", name, shots=(1,), seeds=(0,)) for name in ("bare", "like", "worse")]
    for document, limits in zip(documents, ((None, None), (0.3, 0.5), (0.1, 0.2)), strict=True):
        document["by_shots"][0]["metrics"]["accuracy"] = {
            **{"value": limits[0] or 0.25, "low": limits[0], "high": limits[1], "deviation": None}
        }
    documents[0]["by_shots"][0]["metrics"]["set_size"]["value"] = 3.0
    _, text = read_page(tmp_path, detectors, documents)
    assert text.count("Its prediction sets always contain all kinds") == 1
    words = text.replace("\u00a0", " ")
    assert "bare predicts the correct kind for 25.0 % of the photographs, compared with the 33.3 % of always" in words
    assert "kind for 30.0 % (30.0–50.0) of the photographs, not clearly more than the" in words
    assert "kind for 10.0 % (10.0–20.0) of the photographs, less than the 33.3 %" in words


def test_of_a_heavy_page_the_pictures_lie_beside_and_each_category_has_its_own(
    tmp_path: Path, detectors: dict[str, Any]
) -> None:
    documents = [class_evaluation(name, labelled=name == "board", shots=(1,)) for name in ("board", NASTY)]
    output = write_page(tmp_path, detectors, documents, folder=tmp_path / "report", heaviest=0.02)
    index = Page(output.read_text(encoding="utf-8"))
    assert "Each category" in index.text
    assert "kind-card" not in output.read_text(encoding="utf-8")
    board = Page((tmp_path / "report/board.html").read_text(encoding="utf-8"))
    assert "board: defect types" in board.text
    pictures = [image["href"] for image in board.attributes("image") if not image["href"].startswith("data:")]
    assert pictures
    assert all((tmp_path / "report" / picture).is_file() for picture in pictures)
    own = (tmp_path / "report/category-2.html").read_text(encoding="utf-8")
    assert "catalogue: crack/" in own


def test_an_image_without_a_thumbnail_is_refused_by_its_name(tmp_path: Path, detectors: dict[str, Any]) -> None:
    document = class_evaluation("board", labelled=False, shots=(1,), seeds=(0,))
    given = class_arguments(tmp_path / "classes", [document])
    given["support_thumbnails"]["board", "catalogue"] = write_thumbnails(tmp_path / "few.h5", ["crack/000.png"])
    given["thumbnails"] = {**detectors["thumbnails"], **given["thumbnails"]}
    sheetless = {**detectors, **given, "output": tmp_path / "report.html"}
    with pytest.raises(DataError, match="has no thumbnail"):
        build_page(**sheetless)
    assert not (tmp_path / "report.html").exists()
