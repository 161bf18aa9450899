"""The section `auxiliary`: when it is read, what of it is refused, and what a run asks for because of it."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from zsad.cli.command import main
from zsad.data.catalogue import datasets
from zsad.data.subsets import FeatureSet, SizedImage
from zsad.errors import ConfigError, DataError
from zsad.files.learned import Learned, write_learned
from zsad.files.provenance import file_sha256
from zsad.resources.jobs import estimated, threads_of
from zsad.resources.run import Run
from zsad.scoring.registry import SCORERS
from zsad.workflow.settings import DEFAULT_PATH, Settings
from zsad.workflow.software import image_environment
from zsad.workflow.submissions import folder_names
from zsad.workflow.suitability import Suitability

DEMO = {"layout": "demo", "name": "others", "categories": ["board", "brick"]}
CONFIG = merged(
    yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8")),
    dataset={"name": "t", "categories": ["ring"], "demo": {"size": 64, "train": 4, "good": 3, "defective": 4}},
    auxiliary=DEMO,
    backbone="embedded",
    methods={"learned": {"scorer": "direction"}, "alone": {"scorer": "self_similarity"}},
)
PLACES = ("train/good/0", "test/good/0", "test/bad/0")
WritePng = Callable[..., Path]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory, and a toy in the registry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SCORERS._entries, "direction", "toy_trained:Direction")


def settings(**changes: Any) -> Settings:
    return Settings(merged(CONFIG, **changes))


def refusal(**changes: Any) -> str:
    """The one sentence of a configuration that is refused."""
    with pytest.raises((ConfigError, DataError)) as caught:
        settings(**changes)
    said = str(caught.value)
    assert "\n" not in said
    return said


def tree(root: Path, categories: list[str], write_png: WritePng, places: tuple[str, ...] = PLACES) -> dict[str, Any]:
    """The section of images of somebody's own, no two of them the same."""
    for path in (root / category / f"{name}.png" for category in categories for name in places):
        write_png(path, seed=zlib.crc32(str(path).encode()))
    return {"layout": "mvtec", "root": str(root), "name": root.name}


def weights(path: Path, **facts: Any) -> dict[str, Any]:
    """The parameters of a method that is given weights."""
    write_learned(path, Learned({}, {"method": "direction", "trained_on": "elsewhere", **facts}))
    return {"weights": str(path)}


# When it is read


def test_what_methods_are_trained_on_is_a_data_set_beside_that_under_test() -> None:
    found = settings(methods__learned__params={"shots": 2}, backbones={"embedded": {"family": "embedded"}})
    assert found.auxiliary is not None
    assert (found.auxiliary.name, found.auxiliary.categories) == ("others", ["board", "brick"])
    assert [data.name for data in found.data_sets] == ["t", "others"]
    assert found.data_of("others") is found.auxiliary
    assert found.data_of("t") is found.data
    assert (found.is_auxiliary("others"), found.is_auxiliary("t")) == (True, False)
    assert found.training_features == [
        ("embedded", FeatureSet("references-k2-seed0")),
        ("embedded", FeatureSet("test")),
    ]
    assert found.read_features == [(found.data, found.feature_sets), (found.auxiliary, found.training_features)]
    assert found.feature_sets == [("embedded", FeatureSet("test"))]
    assert found.resolved()["auxiliary"]["name"] == "others"
    with pytest.raises(KeyError):
        found.data_of("elsewhere")


def test_members_of_joint_features_are_extracted_of_both_data_sets() -> None:
    found = settings(backbone=["embedded", "efficientnet-lite0"])
    assert len(found.training_features) == 3
    assert found.training_features == found.feature_sets


@pytest.mark.parametrize("methods", [{"alone": {"scorer": "self_similarity"}}, "weights"])
def test_a_section_that_no_method_is_trained_on_is_not_read_and_that_is_said(methods: Any) -> None:
    if methods == "weights":
        methods = {"learned": {"scorer": "direction", "params": weights(Path("w.safetensors"))}}
    found = settings(methods=methods, auxiliary={"layout": "mvtec", "root": "/nowhere"})
    assert found.auxiliary is None
    assert found.data_sets == [found.data]
    assert found.training_features == []
    assert "auxiliary" not in found.resolved()
    (said,) = found.left_out_sentences()
    assert said == "the section 'auxiliary' is not read: no method is trained on another data set"
    assert settings(methods=methods, auxiliary=None).left_out_sentences() == []


def test_messages_name_the_section_that_is_meant(tmp_path: Path, write_png: WritePng) -> None:
    assert "auxiliary.root" in refusal(auxiliary={"layout": "mvtec", "name": "a"})
    said = refusal(auxiliary={"layout": "mvtec", "name": "a", "root": "/nowhere/dataset.root"})
    assert "/nowhere/dataset.root does not exist; set auxiliary.root to" in said
    assert refusal(auxiliary={**DEMO, "root": "x"}).startswith("auxiliary.root is set but auxiliary.layout is 'demo'")
    assert "auxiliary.name cannot be 'data'" in refusal(auxiliary={**DEMO, "name": "data"})
    assert "auxiliary.demo" in refusal(auxiliary={**DEMO, "demo": {"size": 1}})
    assert "auxiliary.params" in refusal(auxiliary={**DEMO, "params": {"split": 1}})
    assert "unknown key 'nam' in 'auxiliary'" in refusal(auxiliary={**DEMO, "nam": "x"})
    assert "category 'rong' does not exist in" in refusal(auxiliary={**DEMO, "categories": ["rong"]})
    (tmp_path / "flat").mkdir()
    write_png(tmp_path / "flat" / "good" / "0.png")
    said = refusal(auxiliary={"layout": "mvtec", "root": "flat", "name": "a"})
    assert "dataset." not in said


# Whether it is the data set under test


@pytest.mark.parametrize(
    ("auxiliary", "sentence"),
    [
        ({**DEMO, "name": "t"}, "auxiliary: 't' is also the name of the data set under test; choose another"),
        ({**DEMO, "name": "T"}, "auxiliary: 'T' is also the name of the data set under test; choose another"),
        (
            {**DEMO, "categories": ["board", "ring"]},
            "auxiliary: the category 'ring' of results/data/others is also under",
        ),
        ({**DEMO, "categories": "all"}, "auxiliary: the category 'ring' of results/data/others is also under test"),
    ],
)
def test_the_demo_set_is_learned_from_under_another_name_and_in_other_categories(
    auxiliary: dict[str, Any], sentence: str
) -> None:
    said = refusal(auxiliary=auxiliary)
    assert said.startswith(sentence)
    assert "auxiliary.name" in said or "leave it out of auxiliary.categories" in said


def test_folders_of_somebodys_own_are_learned_from_by_the_same_rule(tmp_path: Path, write_png: WritePng) -> None:
    own = {**tree(tmp_path / "parts", ["lid", "cap"], write_png), "categories": ["lid"]}
    others = {**own, "name": "parts-others", "categories": ["cap"]}
    found = settings(dataset=own, auxiliary=others)
    assert found.auxiliary is not None
    assert "'lid' of" in refusal(dataset=own, auxiliary={**others, "categories": ["lid", "cap"]})
    (tmp_path / "link").symlink_to(tmp_path / "parts")
    linked = {**others, "root": str(tmp_path / "link")}
    assert "'lid' of" in refusal(dataset=own, auxiliary={**linked, "categories": "all"})
    # Elsewhere a category of the same name holds other images.
    assert settings(dataset=own, auxiliary=tree(tmp_path / "elsewhere", ["lid"], write_png)).auxiliary is not None


def test_a_folder_within_that_of_the_images_under_test_may_not_hold_any_of_them(
    tmp_path: Path, write_png: WritePng
) -> None:
    rows = ("category,path,split,label", "all,lid/test/bad/0.png,test,1", "all,cap/test/good/0.png,test,0")
    own = {**tree(tmp_path / "parts", ["lid", "cap"], write_png), "categories": ["lid"]}
    (tmp_path / "parts" / "lid.csv").write_text("\n".join(rows))
    listed = {"layout": "csv", "root": str(tmp_path / "parts" / "lid.csv"), "name": "table"}
    said = refusal(dataset=own, auxiliary=listed)
    assert said.startswith(
        f"auxiliary: {tmp_path}/parts/lid/test/bad/0.png is also under test, and scores on training images"
    )


@pytest.mark.parametrize(
    ("dataset", "auxiliary", "reason"),
    [
        ("visa", {"layout": "visa", "name": "mine"}, "'visa' is for training, which is the data set under test"),
        ("mvtec_ad", {"name": "MVTec-AD"}, "'MVTec-AD' is for training, which is the data set under test"),
        ("visa", {"name": "visa-copy", "like": "visa"}, "VisA is under test, and all categories in .* names of those"),
        ("like visa", {"layout": "visa"}, "'visa' is for training, and all categories in .* have the names of those"),
    ],
)
def test_a_published_data_set_is_known_by_layout_title_and_categories(
    dataset: str, auxiliary: dict[str, Any], reason: str, tmp_path: Path, write_png: WritePng
) -> None:
    def section(name: str, published: str) -> dict[str, Any]:
        categories = list(datasets()[published].categories)[:3]
        return {**tree(tmp_path / "copy", categories, write_png), "name": name}

    under_test = section("mine", dataset.split()[1]) if " " in dataset else {"layout": dataset}
    if "like" in auxiliary:
        auxiliary = section(auxiliary["name"], auxiliary["like"])
    elif "layout" not in auxiliary:
        auxiliary = {**tree(tmp_path / "others", ["lid", "cap"], write_png), **auxiliary}
    said = refusal(dataset={**under_test, "name": under_test.get("name")}, auxiliary=auxiliary)
    assert re.match(f"auxiliary: {reason}", said)
    assert said.endswith("scores on training images measure nothing; choose another")


def test_another_published_data_set_is_learned_from_before_it_is_downloaded() -> None:
    found = settings(dataset={"layout": "mvtec_ad"}, auxiliary={"layout": "visa", "name": None})
    assert found.auxiliary is not None
    assert (found.auxiliary.name, found.auxiliary.is_downloaded) == ("visa", True)
    assert Run(found).auxiliary_categories == list(datasets()["visa"].categories)


def test_two_downloads_go_into_one_folder(tmp_path: Path) -> None:
    there = {"layout": "mvtec_ad", "download_to": "there"}
    found = settings(dataset=there, auxiliary={"layout": "visa", "name": None})
    assert {data.download_to for data in found.data_sets} == {Path("there")}
    said = refusal(dataset=there, auxiliary={"layout": "visa", "name": None, "download_to": "elsewhere"})
    assert said.startswith("auxiliary.download_to is elsewhere, and dataset.download_to there; both")
    # A data set that is not downloaded is in nobody's way.
    own = {"layout": "visa", "name": None, "download_to": "elsewhere"}
    assert settings(dataset={**CONFIG["dataset"], "download_to": "there"}, auxiliary=own).auxiliary is not None


@pytest.mark.parametrize(
    ("trained_on", "is_refused"), [("t", True), ("T", True), ("tt", False), ("others", False), ("visa", False)]
)
def test_weights_that_were_learned_from_the_data_set_under_test_are_refused(
    trained_on: str, *, is_refused: bool
) -> None:
    params = weights(Path("w.safetensors"), trained_on=trained_on)
    changes = {"methods": {"learned": {"scorer": "direction", "params": params}}, "auxiliary": None}
    if is_refused:
        assert refusal(**changes).startswith(f"methods.learned: its weights were trained on '{trained_on}', which is")
    else:
        assert settings(**changes).methods["learned"].trained_on == trained_on


# What can be learned from it


def test_labels_of_both_kinds_are_needed_and_masks_are_not(tmp_path: Path, write_png: WritePng) -> None:
    assert settings(auxiliary=tree(tmp_path / "whole", ["lid"], write_png)).auxiliary is not None
    good = tree(tmp_path / "good", ["lid"], write_png, ("train/good/0", "test/good/0"))
    said = refusal(auxiliary=good)
    assert said.startswith(f"auxiliary: the data set 'good' has no anomalous test image in {tmp_path}/good, but")
    bad = tree(tmp_path / "bad", ["lid"], write_png, ("train/good/0", "test/dent/0"))
    assert "'bad' has no normal test image" in refusal(auxiliary=bad)
    write_png(tmp_path / "photographs" / "0.png")
    unlabelled = {"layout": "folder", "root": str(tmp_path / "photographs"), "name": "photographs"}
    assert "has no anomalous and no normal test image" in refusal(auxiliary=unlabelled)
    # One category may lack what another has.
    for place in ("train/good/0", "test/good/0"):
        write_png(tmp_path / "bad" / "cap" / f"{place}.png")
    assert settings(auxiliary=bad).auxiliary is not None
    assert "'others' has no anomalous test image, but" in refusal(auxiliary={**DEMO, "demo": {"defective": 0}})


def test_references_that_a_training_lacks_are_refused(tmp_path: Path, write_png: WritePng) -> None:
    few = tree(tmp_path / "few", ["lid", "cap"], write_png)
    write_png(tmp_path / "few/lid/train/good/1.png")
    said = refusal(auxiliary=few, methods__learned__params={"shots": 2})
    assert said.startswith(
        "methods.learned: its training compares images with 2 normal ones of the category, and 'cap'"
    )
    assert (
        settings(auxiliary={**few, "categories": ["lid"]}, methods__learned__params={"shots": 2}).auxiliary is not None
    )
    # Of images that are not here, nobody knows.
    assert settings(auxiliary={"layout": "visa"}, methods__learned__params={"shots": 9999}).auxiliary is not None


def test_images_are_asked_for_what_a_training_reads() -> None:
    found = settings(methods__learned__params={"shots": 3})
    suitability = Suitability.from_json(json.dumps(found.suitability("others").stage_config()))
    assert set(suitability.methods) == {"learned"}
    train, test = [SizedImage("a", "train", 64, 64)] * 2, [SizedImage("b", "test", 64, 64)]
    (said,) = suitability.refusals("board")([*train, *test])
    assert said.startswith("method 'learned': category 'board' has 2 training images, fewer than the 3 references")
    assert suitability.refusals("board")([*train, *train, *test]) == []
    (said,) = suitability.refusals("board", "train")(train)
    assert "fewer than the 3 references" in said
    assert set(found.suitability().methods) == {"learned", "alone"}
    assert found.suitability("t") == found.suitability()


# What a run asks for


def test_jobs_ask_for_what_the_images_of_their_data_set_take(tmp_path: Path, write_png: WritePng) -> None:
    """A category of the same name is another one in another data set."""
    own = tree(tmp_path / "parts", ["lid"], write_png)
    big = tree(tmp_path / "bigger", ["lid"], write_png)
    for number in range(60):
        write_png(tmp_path / "bigger" / "lid" / "test" / "bad" / f"more{number}.png", size=(200, 300), seed=number)
    found = settings(dataset=own, auxiliary=big)
    run = Run(found)
    assert run.workload("lid").test.number == run.workload("lid", "parts").test.number == 2
    assert run.workload("lid", "bigger").test.number == 62
    assert run.auxiliary_categories == ["lid"]
    names = {"category": "lid", "backbone": "embedded", "subset": "test", "view": "original"}
    for rule in ("read_images", "build_manifest", "check_images", "extract_features", "join_features"):
        asked = {name: estimated(run, rule, {**names, "dataset": name}) for name in ("parts", "bigger")}
        assert asked["bigger"].seconds > asked["parts"].seconds, rule
    assert threads_of(run, "read_images", {**names, "dataset": "bigger"}) > 1
    unseen = estimated(run, "check_unseen", {"category": "lid", "dataset": "parts", "method": "learned"})
    alone = settings(dataset=big, auxiliary=own)
    assert unseen == estimated(
        Run(alone), "check_unseen", {"category": "lid", "dataset": "bigger", "method": "learned"}
    )


def test_demo_jobs_ask_for_what_the_options_of_their_section_say() -> None:
    run = Run(settings(auxiliary={**DEMO, "demo": {"size": 512}}))
    small, large = (estimated(run, "make_demo", {"category": "board", "dataset": name}) for name in ("t", "others"))
    assert large.seconds > 10 * small.seconds


def test_images_are_held_to_the_bounds_of_their_section() -> None:
    found = settings(auxiliary={**DEMO, "max_patches": 5000, "max_aspect": 3})
    assert (found.image_bounds("others").max_aspect, found.image_bounds().max_aspect) == (3, 50)
    assert found.image_bounds("t") == found.image_bounds()


def test_submissions_of_a_cluster_are_named_for_both_data_sets() -> None:
    names = list(folder_names(settings()))
    for place in ("dataset=t..extract_features__category=ring", "dataset=others..extract_features__category=brick"):
        assert any(f"extract_features__{place}" in name for name in names)
    assert any(name.startswith("make_demo__dataset=others..make_demo__category=board..") for name in names)
    assert "check_unseen__dataset=t..check_unseen__category=ring..check_unseen__method=learned" in names
    assert not any("dataset=others" in name and "score_images" in name for name in names)


def test_an_image_sees_the_folders_of_both_data_sets(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, write_png: WritePng
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    found = settings(auxiliary=tree(elsewhere / "parts", ["lid"], write_png))
    bound = image_environment(found, tmp_path, {})
    assert any(str(elsewhere / "parts") in value.split(",") for value in bound.values())


# What `zsad check` tells


def check(capsys: pytest.CaptureFixture[str], **changes: Any) -> tuple[int, str]:
    Path("mine.yaml").write_text(yaml.safe_dump(changes))
    status = main(["check", "--configfile", "mine.yaml"])
    shown = capsys.readouterr()
    return status, shown.out + shown.err


METHODS = {"learned": {"scorer": "direction"}, **dict.fromkeys(("mirror_symmetry", "flip_consistency", "mutual"))}


def test_the_check_tells_of_both_data_sets(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_png: WritePng
) -> None:
    own, others = (tree(tmp_path / name, ["lid"], write_png) for name in ("parts", "others"))
    changes = {"dataset": own, "auxiliary": others, "backbone": "embedded", "methods": METHODS}
    status, shown = check(capsys, **changes)
    assert status == 0, shown
    assert f"auxiliary  others (mvtec layout in {tmp_path}/others)" in shown
    assert "trained    learned\n" in shown
    assert shown.count("lid: 3 images") == 2
    assert shown.index("lid: 3 images") < shown.index("learned from: others") < shown.rindex("lid: 3 images")
    assert re.search(r"embedded +others: test +original +2 ", shown)
    sizes = [float(size) for size in re.findall(r" (\d+\.?\d*) kB", shown.split("features by")[1])]
    assert sizes[-1] == pytest.approx(sum(sizes[:-1]), rel=0.1)
    # An image of both is found before anything runs.
    copy = tmp_path / "others/lid/test/bad/0.png"
    copy.write_bytes((tmp_path / "parts/lid/test/good/0.png").read_bytes())
    status, shown = check(capsys, **changes)
    assert status == 1
    said = f"problem {tmp_path}/parts/lid/test/good/0.png is under test, and {copy}, which is for training"
    assert said in " ".join(shown.split())
    copy.write_bytes(copy.read_bytes()[:40])
    status, shown = check(capsys, **changes)
    assert status == 1
    assert "cannot be read as an image" in shown.split("learned from: others")[1]


def test_the_check_tells_of_a_data_set_that_is_not_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_png: WritePng
) -> None:
    own = tree(tmp_path / "parts", ["lid"], write_png)
    status, shown = check(capsys, dataset=own, auxiliary={"layout": "visa"}, backbone="embedded", methods=METHODS)
    assert status == 1
    assert (
        "visa is not in data/visa yet; fetch it (`zsad download visa`, or the run does), or set auxiliary.root" in shown
    )
    status, shown = check(capsys, dataset=own, auxiliary=DEMO, backbone="embedded", methods=METHODS)
    assert status == 0
    assert "The run generates the images of the demo set 'others' (for training); until then" in shown
    assert "lid: 3 images" in shown


def test_the_check_finds_images_that_weights_were_learned_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_png: WritePng
) -> None:
    own = tree(tmp_path / "parts", ["lid"], write_png)
    given = {"learned": {"scorer": "direction", "params": {"weights": "w.safetensors"}}}
    changes = {"dataset": own, "backbone": "embedded", "methods": {**METHODS, **given}}
    seen = tmp_path / "parts/lid/test/bad/0.png"
    for hashes, status in (([file_sha256(seen)], 1), ([64 * "0"], 0)):
        facts = {"method": "direction", "trained_on": "visa", "images_sha256": hashes}
        write_learned(Path("w.safetensors"), Learned({}, facts))
        found, shown = check(capsys, **changes)
        assert found == status, shown
        said = f"problem {seen} is under test, and w.safetensors was trained on the same image"
        assert (said in " ".join(shown.split())) == bool(status)
