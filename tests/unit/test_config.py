"""A configuration is completed and typed, or refused in one sentence that names the key and the mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from zsad.config import DEFAULT_PATH, Settings, load
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, DataError, ZsadError

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


def test_the_default_is_valid_and_complete() -> None:
    default = settings()
    assert default.dataset == "demo"
    assert len(default.categories) >= 4
    assert list(default.methods) == ["self_similarity", "mirror_symmetry", "flip_consistency", "mutual", "memory_bank"]
    assert list(default.backbones) == ["embedded"]
    assert default.methods["memory_bank"].params["shots"] == 8
    assert default.methods["memory_bank"].feature_sets == {
        "test": FeatureSet("test"),
        "references": FeatureSet("references-k8-seed0", "rotations"),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datset": {}}, r"unknown key 'datset'; did you mean 'dataset'\?"),
        ({"dataset__rot": "x"}, r"unknown key 'rot' in 'dataset'; did you mean 'root'\?"),
        ({"methods__mutual__backbon": "x"}, r"unknown key 'backbon' in 'methods\.mutual'; did you mean 'backbone'\?"),
        ({"device": "gpu"}, r"'device' cannot be 'gpu'; (did you mean|choose from)"),
        ({"dataset__name": "a b"}, r"'a b' in 'dataset\.name' cannot be a name"),
        ({"refiners__none": {"refiner": "guided"}}, r"'none' in 'refiners' cannot be a name"),
        ({"dataset__name": "data"}, r"dataset\.name cannot be 'data'"),
        ({"methods__mutual": {"params": {}}}, r"'methods\.mutual\.scorer' is missing"),
        ({"methods__mutual__scorer": "mutal"}, r"there is no scorer 'mutal'; did you mean 'mutual'\?"),
        (
            {"methods__memory_bank__params": {"shot": 3}},
            r"methods\.memory_bank\.params: unknown parameter 'shot'; did you mean 'shots'\?",
        ),
        ({"methods__memory_bank__params": {"shots": 0}}, r"methods\.memory_bank\.params: shots = 0 is not usable"),
        ({"methods__memory_bank__params": {"shots": "many"}}, r"shots = 'many' is not usable"),
        ({"backbone": "embeded"}, r"backbone 'embeded' is neither .* did you mean 'embedded'\?"),
        ({"methods__mutual__backbone": "nothing"}, r"methods\.mutual: backbone 'nothing' is neither"),
        (
            {"backbones__embedded__params": {"resolutoin": 1}},
            r"unknown parameter 'resolutoin'; did you mean 'resolution'\?",
        ),
        ({"threshold__rule": "mebn"}, r"did you mean 'mebin'\?"),
        ({"refiners__guided__refiner": "gided"}, r"there is no refiner 'gided'; did you mean 'guided'\?"),
        ({"report__refiner": "sam"}, r"report\.refiner 'sam' is not among the refiners"),
        ({"report__dip": 3}, r"report: unknown parameter 'dip'; did you mean 'dpi'\?"),
        ({"image_score__fraction": 0}, r"image_score: fraction = 0 is not usable"),
        ({"evaluation__bootstrap": -1}, r"evaluation: bootstrap = -1 is not usable"),
        ({"dataset__categories": []}, r"'dataset\.categories' is not valid"),
        (
            {"dataset__categories": ["rng"]},
            r"category 'rng' does not exist in .*did you mean 'ring'\? \(there are: .*ring.*\)",
        ),
        ({"dataset__layout": "mvtek"}, r"there is no data set layout 'mvtek'; did you mean 'mvtec'\?"),
        ({"dataset__layout": "mvtec"}, r"needs dataset\.root"),
        ({"dataset__root": "x"}, r"dataset\.root is set but dataset\.layout is 'demo'"),
        ({"dataset__demo__trian": 3}, r"dataset\.demo: unknown parameter 'trian'; did you mean 'train'\?"),
        ({"methods": {}}, r"no method is configured"),
        ({"scoring__memory_mb": 1}, r"scoring: memory_mb = 1 is not usable"),
        ({"scoring__precision": "float8"}, r"'scoring\.precision' cannot be 'float8'"),
        ({"methods__memory_bank__seeds": [1]}, r"'methods\.memory_bank\.seeds' is not valid"),
        ({"methods__self_similarity__seeds": [0, 1]}, r"methods\.self_similarity\.params: unknown parameter 'seed'"),
        (
            {"methods__mutual__threshold": {"rule": "reference_quantile"}},
            r"methods\.mutual: threshold rule 'reference_quantile' looks at reference images, and scorer 'mutual' has "
            r"none; choose another under methods\.mutual\.threshold: robust_tail, mebin",
        ),
        (
            {"methods__tokens": {"scorer": "class_token_knn", "threshold": {"rule": "mebin"}}},
            r"methods\.tokens: threshold rule 'mebin' looks at maps, and scorer 'class_token_knn' scores images alone",
        ),
        ({"methods__both": {"scorer": "fusion"}}, r"methods\.both\.params: methods = .* is not usable"),
        (
            {"methods__both": {"scorer": "fusion", "params": {"methods": ["mutual", "memory_bnk"]}}},
            r"methods\.both: 'memory_bnk' is no method with scores of its own; did you mean 'memory_bank'\?",
        ),
        (
            {
                "methods__both": {
                    "scorer": "fusion",
                    "params": {"methods": ["mutual", "memory_bank"]},
                    "threshold": {"rule": "mebin"},
                }
            },
            r"methods\.both: a fusion takes its threshold from its methods; leave 'threshold' out",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ZsadError, match=message) as caught:
        settings(**changes)
    assert "\n" not in str(caught.value)


def test_an_entry_set_to_null_is_switched_off() -> None:
    some = settings(methods__mutual=None, refiners__grabcut=None)
    assert "mutual" not in some.methods
    assert list(some.refiners) == ["guided"]


def test_one_scorer_stands_under_two_names_with_its_own_parameters() -> None:
    both = settings(methods__second={"scorer": "memory_bank", "params": {"shots": 2, "seed": 1}})
    assert both.methods["second"].params["shots"] == 2
    assert both.methods["memory_bank"].params["shots"] == 8
    assert both.methods["second"].feature_sets["references"].subset == "references-k2-seed1"


def test_seeds_make_as_many_methods_of_one_group() -> None:
    several = settings(
        methods__memory_bank={"scorer": "memory_bank", "params": {"shots": 2, "seed": 9}, "seeds": [0, 3]}
    )
    names = [name for name in several.methods if name.startswith("memory_bank")]
    assert names == ["memory_bank-seed0", "memory_bank-seed3"]
    for name, seed in zip(names, (0, 3), strict=True):
        entry = several.methods[name]
        assert (entry.params["seed"], entry.group) == (seed, "memory_bank")
        assert entry.feature_sets["references"].subset == f"references-k2-seed{seed}"
    assert several.methods["mutual"].group == ""
    with pytest.raises(ConfigError, match="'memory_bank-seed0' stands for two methods"):
        settings(
            **{"methods__memory_bank-seed0": {"scorer": "memory_bank"}},
            methods__memory_bank={"scorer": "memory_bank", "params": {}, "seeds": [0, 3]},
        )


def test_a_fusion_reads_the_scores_of_its_methods_and_sees_what_they_see() -> None:
    fused = settings(
        methods__both={"scorer": "fusion", "params": {"methods": ["self_similarity", "memory_bank"], "scale": "rank"}}
    )
    entry = fused.methods["both"]
    assert entry.members == ("self_similarity", "memory_bank")
    assert entry.feature_sets == {}
    assert entry.backbone == "embedded"
    assert entry.description["setting"] == "few-shot-8"
    assert set(entry.stage_config()) == {"scorer", "params"}


def test_nested_text_is_read_as_the_type_of_its_place() -> None:
    typed = settings(
        evaluation={"aupro_limit": "0.05", "bootstrap": "100", "seed": "1"},
        dataset__categories="[ring]",
        methods__memory_bank__params={"shots": "3"},
        dataset__root="null",
    )
    assert typed.evaluation.aupro_limit == 0.05
    assert typed.methods["memory_bank"].params["shots"] == 3
    assert typed.categories == ["ring"]


def test_categories_are_discovered_on_disk_or_listed(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    for category in ("b", "a", "c"):
        write_png(tmp_path / category / "test/good/0.png")
    found = settings(dataset__layout="mvtec", dataset__root=str(tmp_path))
    assert found.categories == ["a", "b", "c"]
    listed = settings(dataset__layout="mvtec", dataset__root=str(tmp_path), dataset__categories=["c", "a"])
    assert listed.categories == ["c", "a"]
    write_png(tmp_path / "plots" / "test/good/0.png")
    with pytest.raises(ConfigError, match="a category cannot be called 'plots'"):
        settings(dataset__layout="mvtec", dataset__root=str(tmp_path))
    with pytest.raises(DataError, match=r"does not exist; set dataset\.root"):
        settings(dataset__layout="mvtec", dataset__root=str(tmp_path / "nowhere"))


def test_a_model_of_the_catalogue_comes_with_what_suits_it() -> None:
    chosen = settings(backbone="clip-vitl14-336")
    params = chosen.backbones["clip-vitl14-336"].params
    assert (params["model"], params["resolution"]) == ("openai/clip-vit-large-patch14-336", 336)
    convnext = settings(backbone="facebook/dinov3-convnext-tiny-pretrain-lvd1689m")
    (entry,) = convnext.backbones.values()
    assert entry.params["layers"] == [2]
    assert entry.weights_megabytes() == 111

    own = {"mine": {"family": "transformers", "params": {"model": "clip-vitb16", "resolution": 224}}}
    params = settings(backbone="mine", backbones=own).backbones["mine"].params
    assert (params["model"], params["resolution"]) == ("openai/clip-vit-base-patch16", 224)


def test_a_misspelt_model_is_led_to_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"nor a model of `zsad backbones`.*did you mean 'dinov3-vits16'"):
        settings(backbone="dinov3-vit16s")


def test_a_file_of_torch_hub_is_a_backbone_and_an_input(tmp_path: Path) -> None:
    path = tmp_path / "dinov3_vits16-08c60483.pth"
    path.write_bytes(bytes(3_000_000))
    (entry,) = settings(backbone=str(path)).backbones.values()
    assert (entry.name, entry.params["model"]) == ("dinov3_vits16-08c60483-pth", str(path))
    assert entry.local_files() == [path.as_posix()]
    assert entry.weights_megabytes() == 3


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"workers": -1}, {"compile": "maybe"}, {"speed": 1}])
def test_wrong_options_of_the_extraction_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        settings(extraction={"batch": None, "workers": None, "compile": False} | wrong)


def test_a_backbone_is_an_entry_a_hub_id_or_a_folder(tmp_path: Path) -> None:
    hub = settings(backbone="facebook/dinov2-small")
    assert hub.backbones["facebook-dinov2-small"].params["model"] == "facebook/dinov2-small"
    assert {method.backbone for method in hub.methods.values()} == {"facebook-dinov2-small"}

    (tmp_path / "my model").mkdir()
    (tmp_path / "my model" / "config.json").write_text("{}")
    local = settings(methods__mutual__backbone=str(tmp_path / "my model"))
    assert local.methods["mutual"].backbone == "my-model"
    assert local.backbones["my-model"].local_files() == [f"{tmp_path}/my model/config.json"]
    assert local.methods["memory_bank"].backbone == "embedded"

    (tmp_path / "other" / "my model").mkdir(parents=True)
    with pytest.raises(ConfigError, match="two backbones would both be called 'my-model'"):
        settings(
            methods__mutual__backbone=str(tmp_path / "my model"),
            methods__memory_bank__backbone=str(tmp_path / "other/my model"),
        )


def test_files_are_merged_key_by_key_in_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("methods: {memory_bank: {params: {shots: 2}}}")
    second.write_text("methods: {memory_bank: {params: {seed: 5}}}")
    params = load(first, second).methods["memory_bank"].params
    assert (params["shots"], params["seed"]) == (2, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [("a: [", "is not valid YAML"), ("- 1", "is no configuration"), (None, "cannot be read")],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path)
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize("preset", ["smoke.yaml"])
def test_presets_that_need_no_data_are_valid(preset: str) -> None:
    load(DEFAULT_PATH.parent / "config" / preset)
