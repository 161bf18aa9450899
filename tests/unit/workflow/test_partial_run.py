"""What is said of a run in which something failed, from Snakemake's graph of its jobs; the graph here is made up."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from class_files import class_evaluation
from evaluation_files import score_document
from zsad.files.draws import write_draws
from zsad.files.json_files import write_json
from zsad.workflow.measurable import CLASS_TABLES
from zsad.workflow.partial import (
    OF_CLASSIFIERS,
    OF_METHODS,
    blame,
    remove_partial_tables,
    report_missing_results,
    write_partial_tables,
)

TABLES = {"metrics_csv": "metrics.csv", "defect_types_csv": "defect_types.csv", "images_csv": "images.csv"}
TABLES |= {"refinement_csv": "refinement.csv", "comparisons_csv": "comparisons.csv"}
TABLES |= {"markdown": "metrics.md", "latex": "metrics.tex", "checksums": "tables.sha256"}
METHODS = ("mutual", "self_similarity")
KINDS = ("score", "mask", "oracle")
PARTIAL, WHOLE = Path("results/t/partial/metrics.csv"), Path("results/t/tables/metrics.csv")


class Named(list):
    """Files with names, as Snakemake has them."""

    def __init__(self, **named: str | list[str]) -> None:
        super().__init__(file for files in named.values() for file in ([files] if isinstance(files, str) else files))
        self.__dict__ |= named

    def items(self) -> Iterable[tuple[str, Any]]:
        return self.__dict__.items()


class Job:
    def __init__(self, rule: str, *needs: "Job", files: Named | None = None, **wildcards: str) -> None:
        self.rule, self.needs, self.wildcards_dict = SimpleNamespace(name=rule), needs, wildcards
        self.input, self.output = files or Named(), Named()

    def is_group(self) -> bool:
        return False


class Group:
    def __init__(self, *jobs: Job) -> None:
        self.jobs = jobs

    def is_group(self) -> bool:
        return True


class Graph:
    """A graph of two categories, each with features, and scores and metrics of two methods, and the tables of all."""

    def __init__(self, tables: bool = True) -> None:
        self.features = {c: Job("extract_features", category=c, backbone="embedded") for c in ("cable", "tile")}
        pairs = [(category, method) for category in self.features for method in METHODS]
        self.scores = {(c, m): Job("score_images", self.features[c], category=c, method=m) for c, m in pairs}
        self.metrics = {
            (c, m): Job("evaluate_scores", scores, dataset="t", category=c, method=m)
            for (c, m), scores in self.scores.items()
        }
        self.paths = {f"results/t/{c}/metrics/{m}.json": job for (c, m), job in self.metrics.items()}
        files = {f"{kind}_{what}": [] for kind in KINDS for what in ("metrics", "draws")}
        files |= {"score_metrics": [*self.paths], "score_draws": [path.replace("json", "h5") for path in self.paths]}
        self.tables = Job("collect_tables", *self.metrics.values(), files=Named(**files))
        self.tables.output = Named(**{name: f"results/t/tables/{file}" for name, file in TABLES.items()})
        self.jobs = [*self.features.values(), *self.scores.values(), *self.metrics.values()] + [self.tables] * tables
        self.dependencies = {job: {needed: set() for needed in job.needs} for job in self.jobs}
        self.dependencies[self.tables] = {job: {path} for path, job in self.paths.items()}
        self.needed, self.done = set(), set()

    def __len__(self) -> int:
        return len(self.needed)

    def needrun(self, job: Job) -> bool:
        return job in self.needed

    def finished(self, job: Job) -> bool:
        return job in self.done


@pytest.fixture
def graph(tmp_path, monkeypatch):
    """Results of an earlier run are there; cable is to be made anew, and so are the tables."""
    monkeypatch.chdir(tmp_path)
    graph = Graph()
    for path, job in graph.paths.items():
        names = job.wildcards_dict
        document = score_document(names["category"], names["method"], 0.8) | {"dataset": "t"}
        write_draws(Path(path).with_suffix(".h5"), document.pop("draws"), {})
        write_json(Path(path), document)
    of_cable = [job for job in graph.jobs if job.wildcards_dict.get("category") == "cable"]
    graph.needed = {*of_cable, graph.tables}
    return graph


@pytest.fixture
def settings():
    method = {"backbone": "embedded", "group": "", "description": {"setting": "zero-shot-single"}}
    return SimpleNamespace(
        methods={name: SimpleNamespace(name=name, **method) for name in METHODS},
        data=SimpleNamespace(textures=[], published=""),
        to_meet=dict,
        published_categories=[],
        swept_columns={},
        evaluation=SimpleNamespace(measured_at=SimpleNamespace(name="native")),
    )


def workflow_of(graph, failed=(), **changes):
    state = {"dag": graph, "scheduler": SimpleNamespace(failed=set(failed)), "dryrun": False, "touch": False}
    return SimpleNamespace(**state | changes)


def test_a_category_whose_first_step_failed_is_missing_although_files_of_an_earlier_run_are_there(graph, settings):
    said = write_partial_tables(graph, {graph.features["cable"]}, settings)
    assert said.startswith("missing: cable (extract_features by embedded failed).")
    assert "results/t/partial" in said
    assert "earlier run" not in said
    rows = [line.split(",") for line in PARTIAL.read_text().splitlines()[1:]]
    assert [(row[1], row[3], row[7]) for row in rows] == [
        *(("cable", method, "") for method in METHODS),
        *(("tile", method, "0.800000") for method in METHODS),
        *(("mean", method, "") for method in METHODS),
    ]
    assert {path.name for path in PARTIAL.parent.iterdir()} == set(TABLES.values())


def test_a_method_that_failed_is_missing_and_what_was_made_by_another_is_not(graph, settings):
    other = ("cable", "self_similarity")
    graph.done = {graph.features["cable"], graph.scores[other], graph.metrics[other]}
    WHOLE.parent.mkdir()
    WHOLE.write_text("old")
    said = write_partial_tables(graph, {graph.scores["cable", "mutual"]}, settings)
    assert said.startswith("missing: cable (score_images by mutual failed).")
    assert "Those in results/t/tables are from an earlier run." in said
    assert WHOLE.read_text() == "old"
    rows = [line.split(",") for line in PARTIAL.read_text().splitlines()[1:]]
    assert [row[7] for row in rows] == ["", "0.800000", "0.800000", "0.800000", "", "0.800000"]


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (lambda graph: [graph.features["cable"]], "extract_features by embedded failed"),
        (lambda graph: [graph.features["tile"]], "extract_features by embedded did not run"),
        (
            lambda graph: [Group(graph.features["cable"], graph.scores["cable", "mutual"])],
            "extract_features by embedded, or a step submitted with it, failed",
        ),
    ],
    ids=["failed", "another failed", "submitted together"],
)
def test_the_first_step_that_is_not_finished_is_to_blame(graph, failed, expected):
    assert blame(graph, graph.metrics["cable", "mutual"], failed(graph)) == expected
    assert blame(graph, graph.metrics["tile", "mutual"], failed(graph)) == ""


def test_of_several_steps_that_are_not_finished_the_one_that_failed_is_to_blame(graph):
    one, other = Job("check_images", category="cable"), Job("embed_images", category="cable", segmenter="sam")
    joint = Job("prompt_masks", one, other, category="cable", method="mutual", refiner="sam")
    graph.needed |= {one, other, joint}
    graph.dependencies |= {joint: {one: set(), other: set()}}
    assert blame(graph, joint, [other]) == "embed_images by sam failed"
    graph.done |= {one, other}
    assert blame(graph, joint, [joint]) == "prompt_masks by mutual and sam failed"


def test_a_step_on_images_that_are_learned_from_says_so(graph):
    learned = Job("extract_features", dataset="others", category="cable", backbone="embedded")
    scores = Job("score_images", learned, dataset="t", category="cable", method="learned")
    graph.needed |= {learned, scores}
    graph.dependencies |= {learned: {}, scores: {learned: set()}}
    assert blame(graph, scores, [learned]) == "extract_features by embedded of others/cable failed"
    assert blame(graph, scores, []) == "extract_features by embedded of others/cable did not run"
    graph.done |= {learned}
    assert blame(graph, scores, [scores]) == "score_images by learned failed"


def test_where_not_one_result_is_current_there_are_no_tables_and_old_ones_of_what_there_was_go(graph, settings):
    write_partial_tables(graph, {graph.features["cable"]}, settings)
    graph.needed = set(graph.jobs)
    assert "none of their results" in write_partial_tables(graph, {graph.features["cable"]}, settings)
    assert not PARTIAL.parent.exists()


def test_a_run_that_was_not_asked_for_tables_writes_none_and_says_so(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no tables were requested" in write_partial_tables(Graph(tables=False), set(), settings)
    assert not list(tmp_path.iterdir())


def test_before_a_data_set_is_there_nothing_is_said_of_its_categories(graph, settings):
    graph.dependencies[graph.tables] = {Job("download_dataset"): {"data/mpdd.json"}}
    assert write_partial_tables(graph, set(), settings) == ""
    assert not PARTIAL.exists()


def test_if_the_tables_alone_failed_nothing_is_missing(graph, settings):
    graph.needed = {graph.tables}
    assert write_partial_tables(graph, {graph.tables}, settings) == ""
    assert not PARTIAL.exists()


def test_whatever_goes_wrong_is_one_sentence_and_nothing_is_left(graph, settings, capsys):
    path = next(path for path, job in graph.paths.items() if job is graph.metrics["tile", "mutual"])
    Path(path).write_text("{")
    report_missing_results(workflow_of(graph, [graph.features["cable"]]), settings)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"zsad: partial tables could not be written ({path} is not valid JSON")
    assert not PARTIAL.parent.exists()
    report_missing_results(SimpleNamespace(), settings)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "done", "stays"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"dryrun": True}, True, True),
        ({"touch": True}, True, True),
        ({"scheduler": None}, True, True),
    ],
    ids=["tables made", "tables not made", "dry run", "touched", "nothing was run"],
)
def test_tables_of_what_there_was_go_when_the_tables_are_there(graph, settings, capsys, changes, done, stays):
    report_missing_results(workflow_of(graph, [graph.features["cable"]]), settings)
    assert capsys.readouterr().out.startswith("zsad: missing: cable")
    (PARTIAL.parent / "notes.txt").write_text("the user's own")
    graph.done = {graph.tables} if done else set()
    remove_partial_tables(workflow_of(graph, **changes))
    assert PARTIAL.exists() == stays
    assert (PARTIAL.parent / "notes.txt").exists()


def test_a_run_with_nothing_to_do_finds_the_tables_current(graph, settings):
    write_partial_tables(graph, {graph.features["cable"]}, settings)
    graph.needed = set()
    remove_partial_tables(workflow_of(graph))
    assert not PARTIAL.parent.exists()


def test_without_labels_there_is_the_list_of_images_alone_and_no_table_of_a_run_with_labels_stays(graph, settings):
    write_partial_tables(graph, {graph.features["cable"]}, settings)
    assert PARTIAL.exists()
    files = {name: [] for name in vars(graph.tables.input)} | {"score_metrics": [*graph.paths]}
    graph.tables.input, graph.tables.output = Named(**files), Named(images_csv="results/t/tables/images.csv")
    for path in graph.paths:
        Path(path).with_suffix(".h5").unlink()
    said = write_partial_tables(graph, {graph.features["cable"]}, settings)
    assert said.startswith("missing: cable (extract_features by embedded failed).")
    assert [path.name for path in PARTIAL.parent.iterdir()] == ["images.csv"]
    rows = [line.split(",") for line in (PARTIAL.parent / "images.csv").read_text().splitlines()[1:]]
    assert [row[:3:2] for row in rows if not row[1]] == [["cable", method] for method in METHODS]
    PARTIAL.touch()
    graph.done = {graph.tables}
    remove_partial_tables(workflow_of(graph))
    assert not PARTIAL.parent.exists()


def test_tables_of_classifiers_say_which_of_their_answers_are_missing_and_leave_others_alone(graph, settings, capsys):
    paths = {f"results/t/{category}/metrics/classification/nearest.json": category for category in graph.features}
    jobs = {
        path: Job("evaluate_classes", graph.features[category], category=category, classifier="nearest")
        for path, category in paths.items()
    }
    for path, category in paths.items():
        write_json(Path(path), class_evaluation(category))
    tables = Job("collect_classes", *jobs.values(), files=Named(evaluations=[*paths]))
    tables.output = Named(**{name: f"results/t/tables/{file}" for name, file in CLASS_TABLES.items()})
    graph.jobs += [*jobs.values(), tables]
    graph.dependencies |= {job: {needed: set() for needed in job.needs} for job in jobs.values()}
    graph.dependencies[tables] = {job: {path} for path, job in jobs.items()}
    cable = jobs["results/t/cable/metrics/classification/nearest.json"]
    graph.needed = {cable, tables}
    entry = {
        "name": "nearest",
        "backbone": "embedded",
        "method": "",
        "embedding": {"kind": "image"},
        "regions": "image",
    }
    settings.classifiers = {"nearest": SimpleNamespace(**entry)}
    collecting = {tables.rule: tables for tables in (OF_METHODS, OF_CLASSIFIERS)}
    report_missing_results(workflow_of(graph, [cable]), settings, collecting)
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("zsad: missing: cable (evaluate_classes by nearest failed).")
    assert {path.name for path in PARTIAL.parent.iterdir()} == set(CLASS_TABLES.values())
    rows = (PARTIAL.parent / "classification.csv").read_text().splitlines()[1:]
    assert [row for row in rows if ",cable," in f",{row}" and ",nearest," in row]
    assert len([row for row in rows if "tile" in row]) > 1
    graph.done = {cable, tables}
    remove_partial_tables(workflow_of(graph), tables=OF_CLASSIFIERS)
    assert not PARTIAL.parent.exists()
