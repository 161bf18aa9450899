"""Several backbones in one method: how they are named, what is refused, and what is known of them beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from feature_files import random_tokens, write_features
from harness import merged
from zsad.data.dataset import Dataset
from zsad.data.inspection import inspect_category
from zsad.data.layouts.mvtec import MvtecLayout
from zsad.data.subsets import SizedImage
from zsad.errors import ConfigError, DamagedFileError, DataError
from zsad.features.join_features import join_features
from zsad.features.joint import Joint
from zsad.files.chunks import CHUNK_WASTE
from zsad.files.features import FeatureReader
from zsad.reporting.sections.heading import hand_crafted, joints
from zsad.resources.feature_files import expected_cost
from zsad.resources.jobs import estimated, threads_of
from zsad.resources.run import Run, uses_network
from zsad.workflow.settings import DEFAULT_PATH, Settings
from zsad.workflow.submissions import folder_names
from zsad.workflow.suitability import Suitability

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
COARSE = {"family": "embedded", "params": {"resolution": 128}}
FINE = {"family": "embedded", "params": {"stride": 4}}


def settings(**changes: Any) -> Settings:
    """The default with the filter bank, and two more of them."""
    return Settings(
        merged(DEFAULT, **{"backbone": "embedded", "backbones__coarse": COARSE, "backbones__fine": FINE, **changes})
    )


def joint(members: Any, **params: Any) -> dict[str, Any]:
    return {"family": "joint", "params": {"members": members, **params}}


def test_a_list_joins_its_backbones_for_every_method_or_for_one() -> None:
    every = settings(backbone=["embedded", "coarse"])
    assert {method.backbone for method in every.methods.values()} == {"embedded-coarse"}
    assert list(every.backbones) == ["embedded", "coarse", "embedded-coarse"]
    one = settings(methods__mutual__backbone=["coarse", "fine"])
    assert [method.backbone for method in one.methods.values()].count("embedded") == 4
    assert one.methods["mutual"].backbone == "coarse-fine"
    assert [member.name for member in one.backbones["coarse-fine"].members] == ["coarse", "fine"]


def test_an_entry_gives_a_joint_its_name_and_weights() -> None:
    entry = settings(backbone="both", backbones__both=joint(["fine", "embedded"], weights=[3, 1])).backbones["both"]
    assert Joint(**entry.params).shares == [0.75, 0.25]
    assert [member["params"]["stride"] for member in entry.params["members"]] == [4, 8]
    assert entry.shown() == {"family": "joint", "params": {"members": ["fine", "embedded"], "weights": [3.0, 1.0]}}


def test_members_are_named_in_every_way_that_a_backbone_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my model").mkdir()
    (tmp_path / "my model/config.json").write_text("{}")
    named = settings(backbone=["dinov2-small", "~/my model", "someone/something"])
    assert list(named.backbones)[-1] == "dinov2-small-my-model-someone-something"
    (entry,) = (entry for entry in named.backbones.values() if entry.members)
    assert [member.params["model"] for member in entry.members] == [
        "facebook/dinov2-small",
        f"{tmp_path}/my model",
        "someone/something",
    ]
    assert entry.local_files() == []
    assert entry.members[1].local_files() == [f"{tmp_path}/my model/config.json"]


def test_what_is_not_known_of_a_member_is_not_known_of_the_joint() -> None:
    joined = settings(backbone=["embedded", "someone/something"]).backbones["embedded-someone-something"]
    assert joined.known_layout() is None
    assert joined.weights_megabytes() == 0


BOTH = {"methods__mutual__backbone": "both"}
LISTED = "methods__mutual__backbone"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({LISTED: ["embedded", "corse"]}, r"methods\.mutual: backbone 'corse' is neither .*did you mean 'coarse'\?"),
        ({"backbone": ["embedded", "absent/folder.pth", "x"]}, r"backbone 'x' is neither"),
        ({LISTED: ["embedded"]}, r"methods\.mutual: a joint needs a list of at least two backbones"),
        ({LISTED: []}, r"methods\.mutual: backbone = \[\] is not valid: it must not be empty"),
        ({"backbone": []}, r"backbone = \[\] is not valid: it must not be empty"),
        ({LISTED: ["embedded", "coarse", "embedded"]}, r"methods\.mutual: .*'embedded' is listed twice"),
        ({LISTED: ["embedded", 5]}, r"name 2 in 'methods\.mutual\.backbone' must be text, but YAML reads it as .* 5"),
        ({"backbone": ["embedded", True]}, r"name 2 in 'backbone' must be text, but YAML reads it as .* true"),
        ({"backbone": ["embedded", None]}, r"item 2 of backbone = null is not valid: it must be text"),
        (
            {"backbone": ["embedded", ["coarse", "fine"]]},
            r"item 2 of backbone = \['coarse', 'fine'\] is not valid: it must be text",
        ),
        ({"backbone": {"members": ["embedded"]}}, r"backbone = .* is not valid: it must be a name or a list of names"),
        ({"backbone": ["embedded", ""]}, r"item 2 of backbone = '' is not valid: it must not be empty"),
        (
            {"backbones__same": {"family": "embedded"}, LISTED: ["embedded", "same"]},
            r"'embedded' and 'same' are the same backbone with the same parameters",
        ),
        ({"backbones__both": joint(["coarse", "fine"]), LISTED: ["both", "embedded"]}, r"'both' is a joint itself"),
        ({"backbones__both": joint(["both", "fine"]), **BOTH}, r"backbones\.both\.params: 'both' is a joint itself"),
        ({"backbones__both": joint(["coarse"]), **BOTH}, r"backbones\.both\.params: a joint needs a list of at least"),
        ({"backbones__both": joint("coarse"), **BOTH}, r"backbones\.both\.params: a joint needs a list of at least"),
        ({"backbones__both": joint(["fine", 5]), **BOTH}, r"backbones\.both\.params: member 2 .* is 5, which is no"),
        ({"backbones__both": joint(["fine", ["coarse"]]), **BOTH}, r"member 2 .* is \['coarse'\], which is not a name"),
        (
            {"backbones__both": joint(["fine", "~nobody-at-all/x"]), **BOTH},
            r"backbones\.both\.params: user '.*' has no",
        ),
        (
            {"backbones__both": {"family": "joint"}, **BOTH},
            r"backbones\.both\.params: a joint needs a list of at least",
        ),
        (
            {"backbones__both": joint(["coarse", "fine"], weights=[1, 2, 3]), **BOTH},
            r"backbones\.both\.params: weights = \[1, 2, 3\] is not valid: there are 2 members but 3 weights",
        ),
        (
            {"backbones__both": joint(["coarse", "fine"], weights=[1, 0]), **BOTH},
            r"item 2 of weights = 0 is not valid",
        ),
        (
            {"backbones__both": joint(["coarse", "fine"], weights=[1, -2]), **BOTH},
            r"item 2 of weights = -2 is not valid",
        ),
        ({"backbones__both": joint(["coarse", "fine"], weights="x"), **BOTH}, r"weights = 'x' is not valid"),
        (
            {
                "backbones__seen": {"family": "image_text", "params": {"model": "clip-vitb16", "path": "windows"}},
                "backbones__both": joint(["coarse", "seen"]),
                **BOTH,
            },
            r"backbones\.both\.params: 'seen' has tokens of windows, which cannot be joined; use one",
        ),
        (
            {"backbones__both": joint(["coarse", "fine"], wieghts=[1, 1]), **BOTH},
            r"'wieghts'; did you mean 'weights'\?",
        ),
        (
            {"backbones__both": joint(["coarse", "fine"]), "backbones__coarse": None, **BOTH},
            r"backbones\.both\.params: backbone 'coarse' is neither",
        ),
        (
            {"backbones__a": COARSE, "backbones__a-a": FINE, "backbone": ["a", "embedded"], LISTED: "a-embedded"}
            | {"backbones__a-embedded": {"family": "embedded", "params": {"resolution": 64}}},
            r"two backbones would both be called 'a-embedded'",
        ),
    ],
)
def test_what_makes_no_joint_is_said_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        settings(**changes)
    assert "\n" not in str(caught.value)


def test_members_have_files_for_all_subsets_and_views_that_methods_ask_for() -> None:
    wanted = settings(backbone=["embedded", "coarse"]).feature_sets
    by_name = {name: {of for each, of in wanted if each == name} for name in dict(wanted)}
    assert by_name["embedded-coarse"] == by_name["embedded"] == by_name["coarse"]
    assert len({of.view for of in by_name["coarse"]}) > 3


def test_members_go_with_the_joint_that_a_method_has_which_cannot_run(tmp_path: Path, write_png: Callable) -> None:
    for name in ("test/good/0", "test/good/1", "test/dent/0"):
        write_png(tmp_path / f"tile/{name}.png")
    layout = {"dataset__layout": "mvtec", "dataset__root": str(tmp_path), "dataset__demo": {}}
    left = settings(methods__memory_bank__backbone=["coarse", "fine"], **layout)
    assert "memory_bank" in left.left_out
    assert list(left.backbones) == ["embedded"]


def test_what_a_method_refuses_and_what_members_refuse_is_known_beforehand(tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    DINOv3ViTModel(DINOv3ViTConfig(**sizes, patch_size=8)).save_pretrained(tmp_path / "vit")
    network = {"model": str(tmp_path / "vit"), "resolution": 32, "layers": [1], "debias": 20}
    configured = settings(
        backbones__vit={"family": "transformers", "params": network},
        backbones__both=joint(["coarse", "vit"]),
        methods__mutual__backbone="both",
        methods__memory_bank__backbone="both",
        methods__memory_bank__params={"shots": 2, "rotations": False, "k": 1025},
    )
    assert configured.backbones["both"].known_layout().channels == 33 + 32
    images = [SizedImage(f"{split}/{i}.png", split, 60, 60) for split in ("train", "test") for i in range(3)]
    told = Suitability.from_json(json.dumps(configured.suitability().stage_config()))
    reasons = told.refusals("tile")(images)
    assert reasons == configured.suitability().refusals("tile")(images)
    assert any("debias removes" in reason for reason in reasons)
    enough = [image._replace(height=30, width=60) for image in images]
    (reason,) = told.refusals("tile")(enough)
    # In two references, each with 16 x 32 patches of the coarse bank, whose grid is the finest.
    assert "'memory_bank': the references have 1024 patches to compare with, fewer than k = 1025" in reason


def test_a_joint_has_no_bounds_beside_those_of_its_members() -> None:
    bounds = settings(backbone=["fine", "coarse"], dataset__max_patches=5000).image_bounds()
    assert list(bounds.grids) == ["fine", "coarse"]
    with pytest.raises(ConfigError, match=r"backbone 'fine' .* computes 4096 patches"):
        settings(backbone=["coarse", "fine"], dataset__max_patches=4000).check_models()


@pytest.fixture
def root(tmp_path: Path, write_png: Callable[..., Path]) -> Path:
    """Images of two sizes."""
    names = {f"train/good/{name}.png": (60, 80) for name in "012"} | {"test/good/0.png": (60, 240)}
    for seed, (name, size) in enumerate(names.items()):
        write_png(tmp_path / "set" / "tile" / name, size=size, seed=seed)
    return tmp_path / "set"


def test_the_check_tells_the_bytes_of_the_joint_and_of_its_members(root: Path, tmp_path: Path) -> None:
    configured = settings(
        **{"dataset__layout": "mvtec", "dataset__root": str(root), "dataset__demo": {}, "device": "cpu"},
        methods=dict.fromkeys(DEFAULT["methods"]) | {"memory_bank": {"scorer": "memory_bank", "params": {"shots": 2}}},
        backbone=["embedded", "coarse"],
    )
    costs = expected_cost(configured, [inspect_category(MvtecLayout(), root, "tile")])
    by_file = {(cost.source, cost.subset): cost for cost in costs}
    assert {source for source, _ in by_file} == {"embedded", "coarse", "embedded-coarse"}
    for subset in ("test", "references-k2-seed0"):
        assert by_file["embedded-coarse", subset].bytes == 2 * by_file["embedded", subset].bytes
        assert 0 < by_file["embedded-coarse", subset].seconds < 60
    tokens = [[np.ones((1, 32, 128, 33))], [np.ones((1, 16, 64, 33))]]
    files = [write_features(tmp_path / f"{place}.h5", images) for place, images in enumerate(tokens)]
    join(files, tmp_path / "joint.h5", configured.backbones["embedded-coarse"].params)
    told = by_file["embedded-coarse", "test"].bytes
    assert told <= (tmp_path / "joint.h5").stat().st_size <= CHUNK_WASTE * told + 10_000


def test_of_an_unknown_member_only_the_number_of_images_is_known(root: Path) -> None:
    configured = settings(
        **{"dataset__layout": "mvtec", "dataset__root": str(root), "dataset__demo": {}, "device": "cpu"},
        methods=dict.fromkeys(DEFAULT["methods"]) | {"self_similarity": {"scorer": "self_similarity"}},
        backbone=["embedded", "someone/something"],
    )
    costs = {cost.source: cost for cost in expected_cost(configured, [inspect_category(MvtecLayout(), root, "tile")])}
    joined = costs["embedded-someone-something"]
    assert (joined.images, joined.bytes, joined.seconds) == (1, None, None)


def test_joining_asks_for_more_with_larger_members_and_scoring_for_the_threads_of_a_network(tmp_path: Path) -> None:
    run = Run(settings(backbone=["embedded", "coarse"], methods__mutual__backbone=["fine", "dinov2-small"]), tmp_path)
    names = {"category": "ring", "subset": "test", "view": "original"}
    small, large = (
        estimated(run, "join_features", {**names, "backbone": backbone})
        for backbone in ("embedded-coarse", "fine-dinov2-small")
    )
    assert large.megabytes > small.megabytes
    assert large.seconds > 2 * small.seconds
    assert uses_network(run.settings)
    assert [threads_of(run, "score_images", {**names, "method": name}) for name in ("mutual", "self_similarity")] == [
        4,
        1,
    ]
    assert threads_of(run, "join_features", {**names, "backbone": "fine-dinov2-small"}) == 1
    assert not uses_network(settings(backbone=["embedded", "coarse"]))


def test_folders_of_submissions_are_named_by_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataset, "categories", ["ring"])
    names = list(folder_names(settings(backbone=["embedded", "coarse"])))
    assert any(name.startswith("join_features__") and "=embedded-coarse.." in name for name in names)
    assert not any(name.startswith("extract_features__") and "=embedded-coarse.." in name for name in names)


def test_the_page_says_what_a_joint_is_of() -> None:
    configuration = settings(backbone=["embedded", "dinov2-small"]).resolved()
    assert joints({"embedded-dinov2-small"}, configuration) == {"embedded-dinov2-small": ["embedded", "dinov2-small"]}
    assert hand_crafted({"embedded-dinov2-small"}, configuration) == ["embedded"]
    assert joints({"embedded", "a+b"}, settings().resolved()) == {}


PARAMS = {"members": [{"name": name, "family": "embedded", "params": {}} for name in ("a", "b")]}


def join(files: Sequence[Path], output: Path, params: dict[str, Any] = PARAMS) -> None:
    join_features(features=files, joint=Joint(**params), output=output, provenance={"stage": "join_features"})


def member(path: Path, ids: Sequence[str] = ("test/0.png", "test/1.png"), **provenance: Any) -> Path:
    return write_features(path, random_tokens(len(path.stem), (3, 4), (4, 3)), list(ids), **provenance)


def test_the_provenance_is_that_of_all_members(tmp_path: Path) -> None:
    common = {"images_sha256": "abc", "image_list_sha256": "def", "subset": "test", "view": "hflip"}
    first = member(tmp_path / "one.h5", **common, model={"id": "x"}, device="cuda")
    second = member(tmp_path / "other.h5", **common, model={"id": "y", "revision": "main"}, device="cpu")
    join([first, second], tmp_path / "joint.h5")
    with FeatureReader(tmp_path / "joint.h5") as reader:
        found = reader.provenance
    assert common.items() <= found.items()
    assert (found["stage"], found["device"], found["seconds"] >= 0) == ("join_features", "cpu", True)
    assert found["model"]["members"] == {"a": {"id": "x"}, "b": {"id": "y", "revision": "main"}}
    assert {name: each["device"] for name, each in found["members"].items()} == {"a": "cuda", "b": "cpu"}
    assert found["members"]["a"]["layers"] == ["0", "1"]


@pytest.mark.parametrize(
    ("ids", "provenance"),
    [
        (["test/0.png", "test/2.png"], {}),
        (["test/1.png", "test/0.png"], {}),
        (["test/0.png", "test/1.png"], {"images_sha256": "others"}),
        (["test/0.png", "test/1.png"], {"view": "hflip"}),
        (["test/0.png", "test/1.png"], {"subset": "train"}),
    ],
    ids=["another image", "another order", "changed images", "another view", "another subset"],
)
def test_members_of_other_images_are_refused_and_leave_no_file(
    tmp_path: Path, ids: list[str], provenance: dict[str, str]
) -> None:
    sound = {"images_sha256": "abc", "view": "original", "subset": "test"}
    files = [member(tmp_path / "a.h5", **sound), member(tmp_path / "b.h5", ids, **{**sound, **provenance})]
    with pytest.raises(DataError, match=r"b\.h5 and .*a\.h5 are not of the same images; delete both and run again"):
        join(files, tmp_path / "joint.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_damaged_member_is_named_and_leaves_no_file(tmp_path: Path, share: float) -> None:
    files = [member(tmp_path / "a.h5"), member(tmp_path / "b.h5")]
    content = bytearray(files[1].read_bytes())
    content[int(share * len(content))] ^= 1
    files[1].write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"b\.h5 is damaged"):
        join(files, tmp_path / "joint.h5")
    assert not (tmp_path / "joint.h5").exists()


def test_tokens_are_read_and_written_image_by_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [member(tmp_path / "a.h5"), member(tmp_path / "b.h5")]
    monkeypatch.setattr(FeatureReader, "cls_tokens", lambda reader: pytest.fail("reads all images at once"))
    places: list[Any] = []
    read = FeatureReader._read

    def noted(reader: FeatureReader, name: str, place: Any) -> Any:
        places.append(place if isinstance(place, int) else place[0])
        return read(reader, name, place)

    monkeypatch.setattr(FeatureReader, "_read", noted)
    join(files, tmp_path / "joint.h5")
    assert places == [0] * 4 + [1] * 4
