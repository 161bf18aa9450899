"""`zsad inspect` without a model: which photographs are meant, what is written for them, and where it lies."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from decision_files import write_decisions
from zsad.cli import main
from zsad.data.layouts.csv_table import CsvLayout
from zsad.deciding.batch_verdict import chance_of_as_many
from zsad.errors import ConfigError, DataError
from zsad.files.decisions import DecisionReader
from zsad.files.scores import ScoreWriter
from zsad.inspecting import by_workflow, running
from zsad.inspecting.inspection import Failure
from zsad.inspecting.outcome import Results, threshold_source
from zsad.inspecting.photographs import photographs_of
from zsad.inspecting.place import LOCK, SNAKEMAKE_LOCKS, Place, place_for, with_header
from zsad.inspecting.selection import Selection, select, table_rows
from zsad.inspecting.written_configuration import dataset_name, understood

WritePng = Callable[..., Path]
MESSY = (
    *("a b.PNG", "-dash.png", "{x}.png", "<category>.png", "'q' \"z\" 100 %.png", "ärger ß.png", "$HOME.png"),
    *("same.png", "same.jpg", "sub/same.png", "# no comment.png", "=1+1.png", "a; b, c.png", f"{'x' * 240}.png"),
)


@pytest.fixture
def photographs(tmp_path: Path, write_png: WritePng, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as people have it, beside a folder of good photographs and an empty one to work in."""
    for seed, name in enumerate(MESSY):
        write_png(tmp_path / "ph {x} 'q' #" / name, seed=seed)
    for seed in range(3):
        write_png(tmp_path / "good" / f"{seed}.png", seed=100 + seed)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "ph {x} 'q' #"


def choose(selection: Selection, **asked: Any) -> Any:
    return understood(selection, **{"threshold": None, "method": None, "backbone": None, **asked})


def configured(selection: Selection, out: Path, **asked: Any) -> dict[str, Any]:
    """The configuration as YAML reads it."""
    text = by_workflow._configuration(choose(selection, **asked), selection, out, out / "photographs.csv")
    return yaml.safe_load(with_header(text, selection.subject))


# Which photographs are meant.


def test_a_folder_stays_a_folder_whatever_the_names_in_it(photographs: Path) -> None:
    selection = select([photographs], ["../good"])
    assert selection.is_folder
    assert set(selection.names.values()) == set(MESSY)
    config = configured(selection, photographs.parent / "out")
    assert config["dataset"]["root"] == str(photographs)
    assert config["dataset"]["params"] == {"references": str(photographs.parent / "good")}
    settings = by_workflow._checked(choose(selection), selection)
    assert (settings.categories, list(settings.methods)) == ([selection.category], ["memory_bank"])
    (category,) = settings.categories
    assert {item.image_id for item in settings.data.items(category) if item.split == "test"} == set(MESSY)


def test_files_and_several_folders_become_a_table_that_is_read_back(
    photographs: Path, tmp_path: Path, write_png: WritePng
) -> None:
    other = write_png(tmp_path / "more" / photographs.name / "same.png").parent
    files = [photographs / name for name in MESSY]
    selection = select([*files, other, other / "same.png"], [tmp_path / "good" / "0.png", tmp_path / "good" / "1.png"])
    assert not selection.is_folder
    assert len(selection.names) == len(set(selection.names.values())) == len(MESSY) + 1
    table = tmp_path / "photographs.csv"
    table.write_text(by_workflow._table(selection), encoding="utf-8", newline="")
    with table.open(encoding="utf-8", newline="") as stream:
        assert [tuple(row) for row in csv.reader(stream)][1:] == list(table_rows(selection))
    (category,) = CsvLayout().categories(table)
    items = CsvLayout().items(table, category)
    tests = {item.path: item.image_id for item in items if item.split == "test"}
    assert tests == selection.names
    assert {(item.image_id, item.label) for item in items if item.split == "train"} == {
        ("references/0.png", 0),
        ("references/1.png", 0),
    }
    assert by_workflow._checked(choose(selection), selection).categories == [category]


def test_references_among_the_photographs_are_not_inspected(photographs: Path, write_png: WritePng) -> None:
    write_png(photographs / "good" / "1.png")
    assert set(select([photographs], [photographs / "good"]).names.values()) == set(MESSY)
    some = select([photographs], [photographs / "same.png", photographs / "same.jpg"])
    assert set(some.names.values()) == {*MESSY, "good/1.png"} - {"same.png", "same.jpg"}
    assert not some.is_folder


def test_links_and_relative_paths_lead_to_the_photographs(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "link").symlink_to(photographs)
    assert select(["link"]).root == tmp_path / "work" / "link"
    assert select([f"link/../{photographs.name}"]).root == photographs.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert select(["~/good"]).root == tmp_path / "good"
    monkeypatch.chdir(photographs)
    assert select(["."]).root == photographs
    assert list(select(["-dash.png"]).names.values()) == ["-dash.png"]


def test_what_earlier_inspections_made_is_not_inspected(photographs: Path, write_png: WritePng) -> None:
    earlier = photographs / "x [1]-inspection"
    write_png(earlier / "results" / "overlay.png")
    (earlier / LOCK).touch()
    (earlier / "config.yaml").touch()
    selection = select([photographs])
    assert set(selection.names.values()) == set(MESSY)
    (category,) = (settings := by_workflow._checked(choose(selection), selection)).categories
    assert {item.image_id for item in settings.data.items(category)} == set(MESSY)


UNNAMED = (b"Fl\xe4che.png", b"line\nbreak.png", b"sub\xe4/inside.png")


def test_a_photograph_whose_name_no_table_can_hold_is_put_aside_and_the_rest_goes_on(photographs: Path) -> None:
    count = len(select([photographs]).names)
    some = next(path for path in photographs.iterdir() if path.is_file())
    for name in UNNAMED:
        path = photographs / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        shutil.copy(some, path)
    selection = select([photographs])
    assert len(selection.names) == count
    assert not selection.is_folder  # whose layout would find them
    put_aside = {photographs / os.fsdecode(name.partition(b"/")[0]) for name in UNNAMED}
    assert selection.unnamed.keys() == put_aside
    assert all("rename it" in str(error) for error in selection.unnamed.values())
    found = photographs_of([photographs])
    assert {said.path for said in found if isinstance(said, Failure)} == put_aside
    assert sum(isinstance(said, Path) for said in found) == count
    for path in selection.names:
        path.unlink()
    with pytest.raises(DataError, match="rename it"):
        select([photographs])


@pytest.mark.parametrize(
    ("words", "good", "sentence"),
    [
        (["absent"], [], "^absent does not exist; correct the path$"),
        (["."], [], r"^the folder .*work and its subfolders contain no image \(.*\); give another folder$"),
        (["../good"], ["."], "^--references .*work and its subfolders contain no image"),
        (["../good"], [".."], "^the references in .* also contain the photographs .*good; give --references"),
        (["../good/0.png"], ["../good"], "^the references in .* also contain the photographs .*0.png;"),
        (
            ["../good/0.png"],
            ["../good/0.png"],
            "^the references in .* also contain|^all photographs in .* are also references",
        ),
        (["/dev/null"], [], "^/dev/null is neither a file nor a folder"),
        (["dead"], [], "^dead is a broken link"),
        (["$NOWHERE/x"], [], r"^\$NOWHERE/x: .*variables"),
    ],
)
def test_what_cannot_be_inspected_is_one_sentence(
    photographs: Path, words: list[str], good: list[str], sentence: str
) -> None:
    Path("dead").symlink_to("nothing")
    with pytest.raises(DataError, match=sentence):
        select(words, good)


@pytest.mark.parametrize("name", ["d" * 240, "=" * 20, "".join(map(str, range(90)))])
def test_a_folder_whose_name_no_run_can_take_is_listed(name: str, tmp_path: Path, write_png: WritePng) -> None:
    write_png(tmp_path / name / "1.png")
    selection = select([tmp_path / name])
    assert not selection.is_folder
    assert list(selection.names.values()) == ["1.png"]
    assert by_workflow._checked(choose(selection), selection).categories == [selection.category]
    assert len(selection.category) <= 150
    assert selection.category in ("images", name[:150])


# What is written.


def test_the_method_suits_what_there_is(photographs: Path) -> None:
    assert choose(select([photographs]))[:2] == ("mutual", {})
    assert choose(select([photographs], ["../good"]))[:2] == ("memory_bank", {"shots": "all"})
    alone = choose(select([photographs / "same.png"]))
    assert alone.method == "self_similarity"
    assert "single photograph" in alone.remark
    assert "the given ones are ignored" in choose(select([photographs], ["../good"]), method="mutual").remark


def test_the_threshold_is_a_number_a_rule_or_what_suits(photographs: Path) -> None:
    batch, few = select([photographs]), select([photographs], ["../good"])
    one = select([photographs / "same.png"])
    for selection in (batch, few, one, select([photographs], ["../good/0.png"])):
        assert choose(selection).threshold == {"rule": "suitable", "params": {}}
        assert configured(selection, photographs.parent)["threshold"] == {"rule": "suitable", "params": {}}
    assert choose(few, threshold="conformal").threshold == {"rule": "conformal", "params": {}}
    assert choose(batch, threshold="largest_gap").threshold == {"rule": "largest_gap", "params": {}}
    with pytest.raises(ConfigError, match="'largest_gap' compares photographs with each other, but there is only one"):
        choose(one, threshold="largest_gap")
    assert choose(batch, threshold="1e-3").threshold == {"rule": "fixed", "params": {"image": 0.001}}
    config = configured(batch, photographs.parent, threshold="0.25", method="subspace" if batch.references else None)
    assert config["threshold"] == {"rule": "fixed", "params": {"image": 0.25}}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"method": "mutal"}, "no scorer 'mutal'; did you mean 'mutual'"),
        ({"method": "memory_bank"}, "'memory_bank' compares with normal photographs, but none was given"),
        ({"threshold": "high"}, "'high' is neither a number nor a rule; choose from: a_contrario, conformal,"),
        ({"threshold": "nan"}, "the threshold is nan; give a finite number"),
        ({"threshold": "fixed"}, "'fixed' is neither a number nor a rule"),
        ({"threshold": "reference_quantile"}, "'reference_quantile' needs the scores of at least 2 references"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(photographs: Path, asked: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        choose(select([photographs]), **asked)


def test_a_method_that_compares_photographs_wants_two(photographs: Path) -> None:
    with pytest.raises(ConfigError, match="there is only one; give more, or leave out --method"):
        choose(select([photographs / "same.png"]), method="mutual")


def test_a_backbone_that_lies_here_is_found_from_the_folder_of_the_results(photographs: Path) -> None:
    Path("model.pth").touch()
    assert choose(select([photographs]), backbone="model.pth").backbone == str(Path("model.pth").resolve())
    Path("embedded").mkdir()
    assert choose(select([photographs]), backbone="embedded").backbone == "embedded"
    with pytest.raises(ConfigError, match="dinov9"):
        by_workflow._checked(choose(select([photographs]), backbone="dinov9"), select([photographs]))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        *(("my tiles", "my_tiles"), ("ß", "photographs"), ("data", "photographs"), ("-a_-ß{x}", "a_-_x")),
        *(("d" * 30, "photographs"), ("a" + "照" * 30 + "b", "a_b")),
    ],
)
def test_the_data_set_has_a_name_that_it_may_have(title: str, name: str) -> None:
    assert dataset_name(title) == name


# Where it lies.


def place(selection: Selection, out: str | Path | None = None) -> Place:
    return place_for(
        out,
        title=selection.title,
        subject=selection.subject,
        folders=selection.folders,
        searched=selection.searched,
    )


def write(where: Place, selection: Selection, *, changed: str = "") -> None:
    where.folder.mkdir(parents=True, exist_ok=True)
    where.configuration.write_text(with_header("backbone: embedded\n", selection.subject) + changed)


def test_results_lie_in_the_current_folder_but_never_among_the_photographs(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place(select(["../good"])).folder == tmp_path / "work" / "good-inspection"
    monkeypatch.chdir(tmp_path / "good")
    for words in (["."], ["0.png"], ["0.png", "1.png"]):
        assert place(select(words)).folder.parent == tmp_path
    assert place(select(["0.png"])).folder.name == "0-inspection"
    monkeypatch.chdir(photographs / "sub")
    assert place(select([".."])).folder.parent == tmp_path


def test_another_inspection_gets_another_folder_and_the_same_one_its_own(
    photographs: Path, tmp_path: Path, write_png: WritePng
) -> None:
    first = select(["../good"])
    write(place(first), first)
    assert place(first).folder == tmp_path / "work" / "good-inspection"
    write_png(tmp_path / "other" / "good" / "1.png")
    assert place(select(["../other/good"])).folder == tmp_path / "work" / "good-inspection-2"
    assert place(select(["../other/good"]), "good-inspection").folder == tmp_path / "work" / "good-inspection"


def test_nothing_of_anybodys_is_overwritten(photographs: Path, tmp_path: Path) -> None:
    selection = select(["../good"])
    (tmp_path / "work" / "notes.txt").touch()
    refused = {
        "..": "is in|contains other files",
        ".": "contains other files than those of an inspection",
        "../good/results": "is in .*good, among the photographs",
        "notes.txt": "is not a folder",
        "a\nb": "has an unprintable character",
    }
    for out, sentence in refused.items():
        with pytest.raises(DataError, match=sentence):
            place(selection, out)
    write(place(selection, "mine"), selection, changed="# mine\n")
    with pytest.raises(DataError, match="was changed by hand and is not overwritten"):
        place(selection, "mine")
    Path("foreign").mkdir()
    Path("foreign", "config.yaml").write_text("a: 1\n")
    with pytest.raises(DataError, match="was not written by `zsad inspect`"):
        place(selection, "foreign")
    assert not [path for path in (tmp_path / "good").iterdir() if path.suffix != ".png"]


def test_a_folder_is_used_by_one_at_a_time_and_locks_of_the_dead_are_removed(tmp_path: Path) -> None:
    where = Place(tmp_path / "out")
    locks = where.folder / SNAKEMAKE_LOCKS
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    with where.reserved():
        assert not locks.exists()
        with pytest.raises(DataError, match="another inspection is running"), where.reserved():
            pass
    with where.reserved():
        pass
    if os.geteuid():
        where.folder.chmod(0o500)
        with pytest.raises(DataError, match="you cannot write to"):
            where.check()


def test_a_snakemake_that_somebody_runs_by_hand_keeps_its_lock(tmp_path: Path) -> None:
    where = Place(tmp_path / "out")
    locks = where.folder / SNAKEMAKE_LOCKS
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    wait = [sys.executable, "-c", "input()", "-m", "snakemake"]
    with subprocess.Popen(wait, cwd=where.folder, stdin=subprocess.PIPE) as process:
        with (
            pytest.raises(DataError, match=rf"Snakemake is running in .* \(process {process.pid}\)"),
            where.reserved(),
        ):
            pass
        assert list(locks.iterdir())
        process.communicate(b"\n")
    with where.reserved():
        assert not locks.exists()


def test_what_was_killed_at_its_very_beginning_is_used_again(photographs: Path) -> None:
    selection = select(["../good"])
    with place(selection).reserved():
        pass
    assert place(selection).folder.name == "good-inspection"


# How a failure is told.


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (["Building DAG\n", "zsad: no partial tables were\n", "zsad: read_images: it is bad\n"], "it is bad"),
        (["zsad: the folder /x does not exist; set it\n"], "the folder /x does not exist; set it"),
        (["Traceback (most recent call last):\n", "KeyError\n"], "for an unknown reason"),
    ],
)
def test_a_failure_is_one_sentence(said: list[str], cause: str, tmp_path: Path) -> None:
    sentence = running._cause(said, tmp_path)
    assert cause in sentence
    assert "\n" not in sentence
    if "known" in cause:
        assert (tmp_path / running.OUTPUT).read_text() == "".join(said)


def test_an_installed_package_says_what_it_needs(
    photographs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(by_workflow, "WORKFLOW_PATH", Path("absent"))
    assert main(["inspect", str(photographs)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "clone the repository" in said


# What is said of what came out.


def decided(folder: Path, peaks: list[float], region: Any, *, references: int = 0, **more: Any) -> Results:
    """The results of photographs with one-patch maps."""
    scores = folder / "photos" / "scores" / "way.h5"
    scores.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{place}.png" for place in range(len(peaks))]
    grids = np.ones((len(peaks), 2), int)
    with ScoreWriter(scores, ids, {}, grid_sizes=grids, setting="full-shot") as writer:
        for place, peak in enumerate(peaks):
            writer.write(place, np.full((1, 1), peak, np.float32), peak)
    found = Results(folder, "photos", "way")
    named = [f"{place}.png" for place in range(references)]
    write_decisions(found.decisions, scores, region, references=named, **more)
    return found


@pytest.mark.parametrize(
    ("rule", "references", "measure", "photographs", "source"),
    [
        ("fixed", 4, "", 3, "given"),
        ("conformal", 4, "p_value", 3, "references"),
        ("conformal", 4, "p_value", 1, "references"),
        ("reference_quantile", 4, "", 3, "references"),
        ("a_contrario", 1, "false_alarms", 3, "its own patches"),
        ("a_contrario", 4, "false_alarms", 3, "its own patches"),
        ("robust_tail", 0, "", 1, "its own patches"),
        ("peaks_over_threshold", 0, "p_value", 3, "all photographs"),
        ("robust_tail", 4, "", 3, "all photographs"),
        ("largest_gap", 0, "", 3, "all photographs"),
    ],
)
def test_what_thresholds_come_from_is_told(
    tmp_path: Path, rule: str, references: int, measure: str, photographs: int, source: str
) -> None:
    peaks = [0.5] * photographs
    given = {"significance": peaks, "measure": measure} if measure else {}
    found = decided(tmp_path, peaks, 1.0, references=references, rule=rule, **given)
    with DecisionReader(found.decisions) as decisions:
        assert threshold_source(decisions) == source


def test_the_number_called_is_compared_with_a_good_batch(tmp_path: Path) -> None:
    peaks = [0.1, 0.2, 0.9, *[0.3] * 17]
    plain = decided(tmp_path, peaks, 0.5, rule="largest_gap").batch_verdict()
    assert plain.words == "1 of 20 photographs is called defective."
    usual = decided(tmp_path, peaks, 0.5, rule="peaks_over_threshold", nominal=0.1).batch_verdict()
    assert usual.words.startswith("1 of 20 photographs is called defective. The rule calls about 10 % of normal")
    assert usual.exceeds is False
    many = decided(tmp_path, peaks, 0.25, rule="peaks_over_threshold", nominal=0.1).batch_verdict()
    assert many.exceeds is True
    ranks = {"measure": "p_value", "significance": [0.1] * 20, "nominal": 0.1}
    by_references = decided(tmp_path, peaks, 0.5, references=9, rule="conformal", **ranks).batch_verdict()
    assert by_references.chance == pytest.approx(chance_of_as_many(1, 20, 0.1, 9))
    by_batch = decided(tmp_path, peaks, 0.5, references=1, rule="peaks_over_threshold", **ranks).batch_verdict()
    assert by_batch.chance == pytest.approx(chance_of_as_many(1, 20, 0.1))
