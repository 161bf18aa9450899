"""A sweep becomes named entries, one a combination, or is refused in one sentence."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from PIL import Image

from harness import merged
from paths import REPOSITORY
from zsad.cli.checking import sweep_lines
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError
from zsad.names import NAME_PATTERN
from zsad.workflow.schema import default_config
from zsad.workflow.settings import Settings
from zsad.workflow.sweep_values import value_in_names

DEFAULT: dict[str, Any] = merged(default_config(), backbone="embedded")
SHOTS = {"memory_bank": {"params": {"shots": [1, 2, 4]}}}
RESOLUTIONS = {"embedded": {"params": {"resolution": [64, 128]}}}
BOTH = {"scorer": "fusion", "params": {"methods": ["memory_bank", "mutual"]}}


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


def swept(**changes: Any) -> dict[str, dict[str, Any]]:
    """The values of all entries of a sweep, by their names."""
    return {name: dict(values) for one in settings(**changes).swept for name, values in one.entries.items()}


def test_without_a_sweep_nothing_is_swept() -> None:
    plain = settings()
    assert (plain.swept, plain.swept_columns, plain.measurable.sweep_plots) == ((), {}, {})
    assert "sweep" not in plain.resolved()


def test_a_list_becomes_an_entry_for_each_value_in_the_place_of_the_method() -> None:
    found = settings(sweep__methods=SHOTS)
    assert list(found.methods)[-3:] == ["memory_bank-shots1", "memory_bank-shots2", "memory_bank-shots4"]
    assert "memory_bank" not in found.methods
    assert [found.methods[f"memory_bank-shots{shots}"].params["shots"] for shots in (1, 2, 4)] == [1, 2, 4]
    assert found.swept_columns == {"memory_bank.shots": {f"memory_bank-shots{shots}": shots for shots in (1, 2, 4)}}
    assert found.measurable.sweep_plots == {"memory_bank": "sweep_memory_bank.png"}
    assert found.resolved()["sweep"] == {"methods": SHOTS}


def test_all_combinations_are_made_in_the_order_of_the_scorers_parameters() -> None:
    lists = {"k": [1, 3], "shots": [2, 4]}
    expected = {
        f"memory_bank-shots{shots}-k{k}": {"memory_bank.shots": shots, "memory_bank.k": k}
        for shots in (2, 4)
        for k in (1, 3)
    }
    for params in (lists, dict(reversed(lists.items()))):
        assert swept(sweep__methods__memory_bank={"params": params}) == expected


def test_lists_are_paired_by_zip() -> None:
    pairs = {"params": {"shots": [1, 2, 4], "k": [1, 1, 3]}, "combine": "zip"}
    assert list(swept(sweep__methods__memory_bank=pairs)) == [
        "memory_bank-shots1-k1",
        "memory_bank-shots2-k1",
        "memory_bank-shots4-k3",
    ]


def test_image_scores_thresholds_and_backbones_are_swept_too() -> None:
    asked = {
        "backbone": ["embedded", "plain"],
        "image_score": {"fraction": [0.05]},
        "threshold": {"rule": ["robust_tail"], "params": {"z": [4]}},
    }
    found = settings(
        sweep__methods__mutual=asked,
        backbones__plain={"family": "embedded", "params": {"resolution": 64}},
        methods__mutual__image_score={"smoothing": 0.5},
    )
    tail = "image_score_fraction0_05-threshold_rule_robust_tail-threshold_z4"
    assert list(found.swept[0].entries) == [f"mutual-backbone_{name}-{tail}" for name in ("embedded", "plain")]
    entry = found.methods[f"mutual-backbone_plain-{tail}"]
    assert entry.backbone == "plain"
    assert (entry.scoring["image_score"]["fraction"], entry.scoring["image_score"]["smoothing"]) == (0.05, 0.5)
    assert (entry.deciding["rule"], entry.deciding["params"]["z"]) == ("robust_tail", 4)
    assert found.swept[0].columns == [
        "mutual.backbone",
        "mutual.image_score.fraction",
        "mutual.threshold.rule",
        "mutual.threshold.z",
    ]


def test_every_method_on_a_swept_backbone_has_an_entry_on_each_and_they_share_features() -> None:
    found = settings(sweep={"methods": SHOTS, "backbones": RESOLUTIONS}, methods__flip_consistency=None)
    assert list(found.backbones) == ["embedded-resolution64", "embedded-resolution128"]
    assert [one.method for one in found.swept] == ["self_similarity", "mirror_symmetry", "mutual", "memory_bank"]
    assert found.methods["memory_bank-shots4-resolution64"].backbone == "embedded-resolution64"
    assert found.swept[-1].entries["memory_bank-shots4-resolution64"] == {
        "memory_bank.shots": 4,
        "embedded.resolution": 64,
    }
    of_tests = [backbone for backbone, wanted in found.feature_sets if wanted == FeatureSet("test")]
    assert of_tests == ["embedded-resolution128", "embedded-resolution64"]  # whatever number of methods reads them


def test_a_method_on_another_backbone_stays_as_it_is() -> None:
    changes = {
        "sweep__backbones": RESOLUTIONS,
        "backbones__plain": {"family": "embedded", "params": {}},
        "methods__mutual__backbone": "plain",
    }
    assert settings(**changes).methods["mutual"].backbone == "plain"


def test_a_published_model_can_be_swept_without_an_entry() -> None:
    found = settings(
        methods={"mutual": {"scorer": "mutual", "backbone": "efficientnet-lite0"}},
        sweep__backbones={"efficientnet-lite0": {"params": {"resolution": [224, 448]}}},
    )
    assert list(found.methods) == ["mutual-resolution224", "mutual-resolution448"]
    assert found.backbones["efficientnet-lite0-resolution448"].params["resolution"] == 448


def test_joined_backbones_are_joined_on_each_entry() -> None:
    plain = {"family": "embedded", "params": {"resolution": 96}}
    joint = {"family": "joint", "params": {"members": ["embedded", "plain"]}}
    found = settings(
        methods={
            "mutual": {"scorer": "mutual", "backbone": "joint"},
            "bank": {"scorer": "memory_bank", "backbone": ["embedded", "plain"]},
        },
        backbones={"embedded": {"family": "embedded"}, "plain": plain, "joint": joint},
        sweep__backbones=RESOLUTIONS,
    )
    assert found.methods["mutual-resolution64"].backbone == "joint-resolution64"
    members = [member.name for member in found.backbones["joint-resolution64"].members]
    assert members == ["embedded-resolution64", "plain"]
    assert found.methods["bank-resolution128"].backbone == "embedded-resolution128-plain"


def test_seeds_hold_for_each_entry() -> None:
    found = settings(sweep__methods=SHOTS, methods__memory_bank__seeds=[0, 1])
    names = [f"memory_bank-shots{shots}-seed{seed}" for shots in (1, 2, 4) for seed in (0, 1)]
    assert list(found.methods)[-6:] == names
    assert found.methods["memory_bank-shots4-seed1"].group == "memory_bank-shots4"
    assert found.methods["memory_bank-shots4-seed1"].params["seed"] == 1
    assert found.swept_columns["memory_bank.shots"] == {
        "memory_bank-shots1": 1,
        "memory_bank-shots1-seed0": 1,
        "memory_bank-shots1-seed1": 1,
        "memory_bank-shots2": 2,
        "memory_bank-shots2-seed0": 2,
        "memory_bank-shots2-seed1": 2,
        "memory_bank-shots4": 4,
        "memory_bank-shots4-seed0": 4,
        "memory_bank-shots4-seed1": 4,
    }


def test_fusions_and_modulations_read_each_entry() -> None:
    modulation = {"scorer": "modulation", "params": {"method": "both", "refiner": "guided"}}
    found = settings(sweep__methods=SHOTS, methods={**DEFAULT["methods"], "sharp": modulation, "both": BOTH})
    assert found.methods["both-shots4"].members == ("memory_bank-shots4", "mutual")
    assert found.methods["sharp-shots4"].members == ("both-shots4",)
    assert found.swept_columns["memory_bank.shots"]["sharp-shots4"] == 4


def test_methods_of_a_fusion_are_fused_on_the_same_entry_of_their_backbone() -> None:
    found = settings(sweep={"methods": SHOTS, "backbones": RESOLUTIONS}, methods__both=BOTH)
    (fused,) = (one for one in found.swept if one.method == "both")
    assert len(fused.entries) == 6
    members = found.methods["both-shots2-resolution128"].members
    assert members == ("memory_bank-shots2-resolution128", "mutual-resolution128")


def test_a_single_entry_can_be_named() -> None:
    one = {"scorer": "fusion", "params": {"methods": ["memory_bank-shots1", "memory_bank-shots4"]}}
    found = settings(sweep__methods=SHOTS, methods__few=one, exports__methods=["memory_bank-shots2"])
    assert found.methods["few"].members == ("memory_bank-shots1", "memory_bank-shots4")
    assert found.exports.methods == ("memory_bank-shots2",)
    assert "few" not in found.swept_columns["memory_bank.shots"]


def test_a_parameter_that_two_methods_of_a_fusion_sweep_has_their_names() -> None:
    sweep = {"memory_bank": {"params": {"k": [1, 2]}}, "self_similarity": {"params": {"k": [1, 2]}}}
    both = {"scorer": "fusion", "params": {"methods": ["memory_bank", "self_similarity"]}}
    found = settings(sweep__methods=sweep, methods__both=both)
    assert "both-memory_bank-k1-self_similarity-k2" in found.methods


def test_published_figures_and_exports_of_a_swept_method_are_those_of_each_entry(tmp_path: Any) -> None:
    exported = settings(sweep__methods=SHOTS, exports__methods=["memory_bank"]).exports.methods
    assert exported == ("memory_bank-shots1", "memory_bank-shots2", "memory_bank-shots4")
    for place in ("train/good", "test/good"):
        (tmp_path / "bottle" / place).mkdir(parents=True)
        for index in range(4):
            (tmp_path / "bottle" / place / f"{index}.png").write_bytes(b"")
    row = {"method": "AnomalyDINO", "backbone": "DINOv2 ViT-S/14", "resolution": 448}
    found = settings(
        dataset={"layout": "mvtec_ad", "root": str(tmp_path)},
        sweep__methods=SHOTS,
        published={"memory_bank": row},
    )
    settings_to_meet = {name: named["setting"] for name, named in found.to_meet().items()}
    assert settings_to_meet == {f"memory_bank-shots{shots}": f"few-shot-{shots}" for shots in (1, 2, 4)}


def test_a_further_value_renames_no_entry() -> None:
    before = swept(sweep={"methods": SHOTS, "backbones": RESOLUTIONS})
    more = {
        "methods": {"memory_bank": {"params": {"shots": [1, 3, 2, 4]}}},
        "backbones": {"embedded": {"params": {"resolution": [96, 64, 128]}}},
    }
    after = swept(sweep=more)
    assert before.items() <= after.items()
    assert len(after) > len(before)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (4, "4"),
        (-1, "-1"),
        (0.05, "0_05"),
        (2.0, "2"),
        (1e-05, "1e-05"),
        (1e20, "100000000000000000000"),
        (True, "true"),
        (None, "null"),
        ("random", "random"),
        ([4, 8], "4-8"),
        ("a/b.txt", "a-b-txt-8b2e65"),
        ("x" * 40, "xxxxxxxxxxxxxxxxxxxxxxxx-6e4e6c"),
        ("é", "4a99f3"),
    ],
)
def test_values_in_names(value: Any, name: str) -> None:
    found = value_in_names(value)
    assert re.sub(r"[0-9a-f]{6}$", "", found) == re.sub(r"[0-9a-f]{6}$", "", name)
    assert re.fullmatch(NAME_PATTERN, f"m-{found}")


def test_texts_that_look_alike_in_letters_have_different_names() -> None:
    assert value_in_names("a/b") != value_in_names("a.b")


def test_values_of_the_command_line_are_read_as_what_they_mean() -> None:
    asked = {"params": {"shots": '["1", "4"]', "coreset": ["null", "0.5"]}, "image_score": {"fraction": ["0.1"]}}
    found = swept(sweep__methods__memory_bank=asked)
    assert found["memory_bank-shots4-coreset0_5-image_score_fraction0_1"] == {
        "memory_bank.shots": 4,
        "memory_bank.coreset": 0.5,
        "memory_bank.image_score.fraction": 0.1,
    }


def test_an_entry_that_is_null_sweeps_nothing() -> None:
    assert swept(sweep__methods={"memory_bank": None}) == {}


def test_methods_that_cannot_run_are_not_listed(tmp_path: Any) -> None:
    demo = {**DEFAULT["dataset"]["demo"], "train": 2}
    found = settings(sweep__methods=SHOTS, dataset__demo=demo)
    assert list(found.left_out) == ["memory_bank-shots4"]
    assert found.swept_columns["memory_bank.shots"] == {"memory_bank-shots1": 1, "memory_bank-shots2": 2}
    alone = settings(sweep__methods={"memory_bank": {"params": {"shots": [4]}}}, dataset__demo=demo)
    assert alone.swept == ()


@pytest.mark.parametrize("label", ["", "defective"])
def test_without_labels_no_plot_is_made_and_an_earlier_one_is_removed(tmp_path: Any, label: str) -> None:
    lines = ["path,category,split,label"]
    for index, (split, said) in enumerate([("train", "good"), ("test", label and "good"), ("test", label)]):
        Image.new("L", (8, 8)).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,lid,{split},{said}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    found = settings(
        sweep__methods={"memory_bank": {"params": {"shots": [1]}}},
        dataset={"layout": "csv", "root": str(tmp_path / "table.csv"), "name": "t"},
    )
    plot = "sweep_memory_bank.png"
    assert found.measurable.sweep_plots == ({"memory_bank": plot} if label else {})
    assert (f"plots/{plot}" in found.measurable.unmade()) is (not label)


def test_the_check_lists_the_entries_with_their_values() -> None:
    lists = {"shots": [2, 16], "coreset": [None, 0.1]}
    assert sweep_lines(settings(sweep__methods__memory_bank={"params": lists}, dataset__demo__train=20)) == [
        "swept      memory_bank: 4 methods",
        "  method                            memory_bank.shots  memory_bank.coreset",
        "  memory_bank-shots2-coreset_null                   2                 null",
        "  memory_bank-shots2-coreset0_1                     2                  0.1",
        "  memory_bank-shots16-coreset_null                 16                 null",
        "  memory_bank-shots16-coreset0_1                   16                  0.1",
    ]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sweep__method": {}}, r"unknown key 'method' in 'sweep'; did you mean 'methods'\?"),
    (
        {"sweep__methods__memory_bnk": {"params": {"k": [1]}}},
        r"sweep\.methods\.memory_bnk: there is no method 'memory_bnk'; did you mean 'memory_bank'\?",
    ),
    (
        {"sweep__methods__memory_bank": {"params": {"shot": [1]}}},
        r"sweep\.methods\.memory_bank: unknown parameter 'params\.shot'; did you mean 'shots'\?",
    ),
    (
        {"sweep__methods__memory_bank": {"image_score": {"fractoin": [1]}}},
        r"unknown parameter 'image_score\.fractoin'; did you mean 'fraction'\?",
    ),
    ({"sweep__methods__memory_bank": {"parms": {}}}, r"unknown key 'parms' in '.*'; did you mean 'params'\?"),
    (
        {"sweep__methods__memory_bank": {"params": {"shots": 4}}},
        r"sweep\.methods\.memory_bank\.params: shots = 4 is not valid: it must be a list",
    ),
    ({"sweep__methods__memory_bank": {"params": {"shots": []}}}, r"shots = \[\] is not valid: it must not be empty"),
    ({"sweep__methods__memory_bank": {}}, r"sweep\.methods\.memory_bank: it has no list of values"),
    (
        {"sweep__methods__memory_bank": {"params": {"shots": [1, 2, 1]}}},
        r"sweep\.methods\.memory_bank: shots 1 is listed twice",
    ),
    (
        {"sweep__methods__memory_bank": {"params": {"shots": [1, 0]}}},
        r"sweep\.methods\.memory_bank\.params: shots = 0 is not valid",
    ),
    (
        {"sweep__methods__memory_bank": {"params": {"k": [1]}}, "methods__memory_bank__params": {"shot": 1}},
        r"^methods\.memory_bank\.params: unknown parameter 'shot'",
    ),
    (
        {"sweep__methods__memory_bank": {"image_score": {"fraction": [2]}}},
        r"sweep\.methods\.memory_bank\.image_score: fraction = 2 is not valid",
    ),
    (
        {"sweep__methods__memory_bank": {"threshold": {"rule": ["robust_tial"]}}},
        r"there is no threshold rule 'robust_tial'; did you mean 'robust_tail'\?",
    ),
    (
        {"sweep__methods__memory_bank": {"threshold": {"params": {"alhpa": [0.1]}}}},
        r"sweep\.methods\.memory_bank\.threshold\.params: unknown parameter 'alhpa'; did you mean 'alpha'\?",
    ),
    (
        {"sweep__methods__memory_bank": {"params": {"shots": [1, 2], "k": [1]}, "combine": "zip"}},
        r"combine: zip takes values in pairs, but shots has 2 and k has 1; make the lists equally long",
    ),
    (
        {"sweep__methods__memory_bank": {"params": {"shots": [*range(1, 30)], "k": [*range(1, 11)]}}},
        r"29 x 10 = 290 combinations are more than 100",
    ),
    (
        {"sweep__backbones__embedded": {"params": {"resolution": [*range(64, 704, 8)]}}},
        r"sweep: 400 methods \(self_similarity 80, .*\) are more than the 100 of one run",
    ),
    (
        {"sweep__backbones__embeded": {"params": {"resolution": [64]}}},
        r"sweep\.backbones\.embeded: 'embeded' is neither .* did you mean 'embedded'\?",
    ),
    (
        {"sweep__backbones__embedded": {"params": {"resolutoin": [64]}}},
        r"unknown parameter 'params\.resolutoin'; did you mean 'resolution'\?",
    ),
    (
        {"sweep__backbones__embedded": {"params": {"resolution": [0]}}},
        r"sweep\.backbones\.embedded\.params: resolution",
    ),
    (
        {"sweep__backbones__efficientnet-lite1": {"params": {"resolution": [64]}}},
        r"sweep\.backbones\.efficientnet-lite1: no method is on the backbone 'efficientnet-lite1'",
    ),
    (
        {"sweep__methods": SHOTS, "methods__memory_bank-shots2": {"scorer": "mutual"}},
        r"sweep: 'memory_bank-shots2' would stand for two methods, of 'memory_bank' and of 'memory_bank-shots2'",
    ),
    (
        {
            "sweep__methods": {"x" * 145: {"params": {"shots": [1]}}},
            f"methods__{'x' * 145}": {"scorer": "memory_bank"},
        },
        r"has 152 letters, more than the 150",
    ),
    (
        {
            "methods": {"net": {"scorer": "self_similarity", "backbone": "net"}},
            "backbones": {"net": {"family": "efficientnet_lite"}},
            "sweep": {
                "methods": {"net": {"params": {"layers": [None]}}},
                "backbones": {"net": {"params": {"layers": [[4]]}}},
            },
        },
        r"the column 'net\.layers' twice",
    ),
    (
        {"sweep__backbones": RESOLUTIONS, "classifiers": {"kinds": {"classifier": "prototype"}}},
        r"classifiers\.kinds\.backbone: 'embedded' is swept .* e\.g\. 'embedded-resolution64'",
    ),
    (
        {
            "sweep__methods": SHOTS,
            "classifiers": {"kinds": {"classifier": "prototype", "embedding": "region", "method": "memory_bank"}},
        },
        r"classifiers\.kinds\.method: 'memory_bank' is swept .* e\.g\. 'memory_bank-shots1'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_makes_no_sense_is_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        settings(**changes)
    assert "\n" not in str(refused.value)


def test_what_the_documentation_shows_is_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs/sweeps.md").read_text(), re.S)
    assert len(blocks) == 2
    for block in blocks:
        assert settings(**yaml.safe_load(block)).swept
