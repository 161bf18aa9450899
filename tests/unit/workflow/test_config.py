"""A configuration is completed and typed, or refused in one sentence that names the key and the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from zsad.data.subsets import FeatureSet
from zsad.errors import ConfigError, DataError, ZsadError
from zsad.workflow.settings import DEFAULT_PATH, Settings, load

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


def test_the_default_is_valid_and_complete() -> None:
    default = settings()
    assert default.dataset == "demo"
    assert len(default.categories) >= 4
    assert list(default.methods) == ["self_similarity", "mirror_symmetry", "flip_consistency", "mutual", "memory_bank"]
    assert {method.backbone for method in default.methods.values()} <= {*default.backbones}
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
        ({"device": "gpu"}, r"device = 'gpu' is not valid; choose from: auto, cpu, cuda, mps"),
        ({"dataset__name": "a b"}, r"'a b' in 'dataset\.name' cannot be a name"),
        ({"refiners__none": {"refiner": "guided"}}, r"'none' in 'refiners' cannot be a name"),
        ({"dataset__name": "data"}, r"dataset\.name cannot be 'data'"),
        ({"methods__mutual": {"params": {}}}, r"'methods\.mutual\.scorer' is missing"),
        ({"methods__mutual__scorer": "mutal"}, r"there is no scorer 'mutal'; did you mean 'mutual'\?"),
        (
            {"methods__memory_bank__params": {"shot": 3}},
            r"methods\.memory_bank\.params: unknown parameter 'shot'; did you mean 'shots'\?",
        ),
        ({"methods__memory_bank__params": {"shots": 0}}, r"methods\.memory_bank\.params: shots = 0 is not valid"),
        ({"methods__memory_bank__params": {"shots": "many"}}, r"shots = 'many' is not valid"),
        ({"backbone": "embeded"}, r"backbone 'embeded' is neither .* did you mean 'embedded'\?"),
        ({"methods__mutual__backbone": "nothing"}, r"methods\.mutual: backbone 'nothing' is neither"),
        (
            {"backbone": "embedded", "backbones__embedded__params": {"resolutoin": 1}},
            r"unknown parameter 'resolutoin'; did you mean 'resolution'\?",
        ),
        ({"threshold__rule": "mebn"}, r"did you mean 'mebin'\?"),
        ({"refiners__guided__refiner": "gided"}, r"there is no refiner 'gided'; did you mean 'guided'\?"),
        ({"report__refiner": "sam"}, r"report\.refiner 'sam' is not among the refiners"),
        ({"report__dip": 3}, r"unknown key 'dip' in 'report'; did you mean 'dpi'\?"),
        ({"image_score__fraction": 0}, r"image_score: fraction = 0 is not valid"),
        ({"evaluation__bootstrap": -1}, r"evaluation: bootstrap = -1 is not valid"),
        ({"dataset__categories": []}, r"dataset: categories = \[\] is not valid: it must not be empty"),
        (
            {"dataset__categories": ["rng"]},
            r"category 'rng' does not exist in .*did you mean 'ring'\? \(there are: .*ring.*\)",
        ),
        ({"dataset__layout": "mvtek"}, r"there is no data set layout 'mvtek'; did you mean 'mvtec'\?"),
        ({"dataset__layout": "mvtec"}, r"needs dataset\.root"),
        ({"dataset__root": "x"}, r"dataset\.root is set but dataset\.layout is 'demo'"),
        ({"dataset__demo__trian": 3}, r"unknown key 'trian' in 'dataset\.demo'; did you mean 'train'\?"),
        ({"methods": {}}, r"no method is configured"),
        ({"scoring__memory_mb": 1}, r"scoring: memory_mb = 1 is not valid"),
        (
            {"scoring__precision": "float8"},
            r"scoring: precision = 'float8' is not valid; choose from: auto, float32, bfloat16, float16",
        ),
        (
            {"methods__memory_bank__seeds": [1]},
            r"methods\.memory_bank: seeds = \[1\] is not valid: it must have at least 2 items",
        ),
        ({"methods__self_similarity__seeds": [0, 1]}, r"methods\.self_similarity\.params: unknown parameter 'seed'"),
        (
            {"methods__mutual__threshold": {"rule": "reference_quantile"}},
            (
                r"methods\.mutual: threshold rule 'reference_quantile' needs reference images, but scorer "
                r"'mutual' has none of its own; choose another under methods\.mutual\.threshold: suitable, "
                r"robust_tail"
            ),
        ),
        (
            {"methods__tokens": {"scorer": "class_token_knn", "threshold": {"rule": "mebin"}}},
            (
                r"methods\.tokens: threshold rule 'mebin' needs maps, but scorer 'class_token_knn' only scores "
                r"images"
            ),
        ),
        ({"methods__both": {"scorer": "fusion"}}, r"methods\.both\.params: parameter 'methods' is missing"),
        (
            {"methods__both": {"scorer": "fusion", "params": {"methods": ["mutual", "memory_bnk"]}}},
            r"methods\.both: 'memory_bnk' is not a method with its own scores; did you mean 'memory_bank'\?",
        ),
        (
            {
                "methods__both": {
                    "scorer": "fusion",
                    "params": {"methods": ["mutual", "memory_bank"]},
                    "threshold": {"rule": "conformal"},
                }
            },
            r"methods\.both: threshold rule 'conformal' needs reference images, but scorer 'fusion' has none",
        ),
        (
            {"refiners__guided__segmenter": "sam-vit-b"},
            r"refiners\.guided: refiner 'guided' uses no segmenter; remove 'segmenter'",
        ),
        ({"refiners__sam": {"refiner": "sam", "params": {"consensus": 2}}}, r"refiners\.sam\.params: consensus = 2"),
        (
            {"refiners__sam": {"refiner": "sam", "params": {"crops": {"belo": 0.1}}}},
            r"refiners\.sam\.params: unknown parameter 'crops\.belo'",
        ),
        (
            {"refiners__sam": {"refiner": "sam"}, "segmenter": "sam-vit-bb"},
            r"refiners\.sam: segmenter 'sam-vit-bb' is neither an entry of 'segmenters', nor a model of "
            r"`zsad segmenters`, nor a hub id \(owner/name\), nor a folder or file that exists; "
            r"did you mean 'sam-vit-b'\?",
        ),
        (
            {"refiners__sam": {"refiner": "sam", "segmenter": "absent.pth"}},
            r"refiners\.sam: segmenter 'absent\.pth' is neither",
        ),
        (
            {"methods__memory_bank__params": {"foreground": "sam"}, "methods__memory_bank__segmenter": "nothing"},
            r"methods\.memory_bank: segmenter 'nothing' is neither",
        ),
        (
            {
                "refiners__sam": {"refiner": "sam", "segmenter": "mine"},
                "segmenters": {"mine": {"family": "segment_anythin"}},
            },
            r"there is no segmenter 'segment_anythin'; did you mean 'segment_anything'\?",
        ),
        (
            {
                "refiners__sam": {"refiner": "sam", "segmenter": "mine"},
                "segmenters": {"mine": {"family": "segment_anything", "params": {"modle": "x"}}},
            },
            r"segmenters\.mine\.params: unknown parameter 'modle'; did you mean 'model'\?",
        ),
        ({"segmenters": {"mine": {"params": {}}}}, r"'segmenters\.mine\.family' is missing"),
        ({"segmenters": {"a b": {"family": "transformers"}}}, r"'a b' in 'segmenters' cannot be a name"),
        ({"segmenter": ""}, r"segmenter = '' is not valid: it must not be empty"),
        ({"foreground__least_value": 2}, r"foreground: least_value = 2 is not valid"),
        ({"methods__oracle": {"scorer": "mutual"}}, r"a method cannot be called 'oracle'.*; rename it"),
        (
            {"methods__sharp": {"scorer": "modulation", "params": {"method": "mutal", "refiner": "guided"}}},
            r"methods\.sharp: 'mutal' is not a method with its own scores; did you mean 'mutual'\?",
        ),
        (
            {"methods__sharp": {"scorer": "modulation", "params": {"method": "mutual", "refiner": "gided"}}},
            r"methods\.sharp: 'gided' is not among the refiners; did you mean 'guided'\?",
        ),
        (
            {"methods__sharp": {"scorer": "modulation", "params": {"method": "sharp", "refiner": "guided"}}},
            r"methods\.sharp: 'sharp' is not a method with its own",
        ),
        (
            {"methods__sharp": {"scorer": "modulation", "params": {"refiner": "guided"}}},
            r"methods\.sharp\.params: parameter 'method' is missing",
        ),
        *(
            (
                {
                    "methods__sharp": {
                        "scorer": "modulation",
                        "params": {"method": "mutual", "refiner": "guided"},
                        section: value,
                    }
                },
                rf"methods\.sharp: a modulation takes its {section} from its method; remove '{section}'",
            )
            for section, value in (
                ("backbone", "embedded"),
                ("segmenter", "sam-vit-b"),
                ("image_score", {"aggregate": "max"}),
                ("threshold", {"rule": "mebin"}),
                ("seeds", [0, 1]),
            )
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
        backbone="embedded",
        methods__both={"scorer": "fusion", "params": {"methods": ["self_similarity", "memory_bank"], "scale": "rank"}},
    )
    entry = fused.methods["both"]
    assert entry.members == ("self_similarity", "memory_bank")
    assert entry.feature_sets == {}
    assert entry.backbone == "embedded"
    assert entry.description["setting"] == "few-shot-8"
    assert set(entry.stage_config()) == {"scorer", "params"}


def test_nested_text_is_read_as_the_type_of_its_place() -> None:
    typed = settings(
        evaluation={"protocol": "resize256", "bootstrap": "100", "seed": "1", "memory_mb": "300"},
        dataset__categories="[ring]",
        methods__memory_bank__params={"shots": "3"},
        dataset__root="null",
    )
    assert typed.evaluation.measured_at.side == 256
    assert typed.evaluation.memory_mb == 300
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
    local = settings(backbone="embedded", methods__mutual__backbone=str(tmp_path / "my model"))
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
    [("a: [", "is not valid YAML"), ("- 1", "is not a configuration"), (None, "cannot be read")],
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


# --- segmenters ---------------------------------------------------------------------------------------------------

SAM: dict[str, Any] = {"refiner": "sam"}


def with_sam(**changes: Any) -> Settings:
    return settings(refiners__sam=SAM, **changes)


@pytest.mark.parametrize(
    ("reference", "name", "family"),
    [
        ("sam-vit-b", "sam-vit-b", "segment_anything"),
        ("sam-vit-base", "sam-vit-base", "transformers"),
        ("sam2.1-hiera-tiny", "sam2-1-hiera-tiny", "transformers"),
        ("facebook/sam2.1-hiera-tiny", "sam2-1-hiera-tiny", "transformers"),
        ("someone/their-sam", "someone-their-sam", "transformers"),
    ],
)
def test_a_published_segmenter_is_known_by_its_name_or_hub_id(reference: str, name: str, family: str) -> None:
    (entry,) = with_sam(segmenter=reference).segmenters.values()
    assert (entry.name, entry.family, entry.params["model"]) == (name, family, reference.removeprefix("facebook/"))
    assert entry.local_files() == []
    assert (entry.weights_megabytes() is None) == (reference == "someone/their-sam")
    assert set(entry.stage_config()) == {"family", "params"}


def test_a_checkpoint_or_a_folder_is_a_segmenter_and_an_input(tmp_path: Path) -> None:
    checkpoint, folder = tmp_path / "my sam.pth", tmp_path / "tiny_sam"
    checkpoint.write_bytes(bytes(3_000_000))
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    both = with_sam(segmenter=str(checkpoint), refiners__second={"refiner": "sam", "segmenter": str(folder)}).segmenters
    assert [(entry.name, entry.family) for entry in both.values()] == [
        ("my-sam-pth", "segment_anything"),
        ("tiny_sam", "transformers"),
    ]
    assert both["my-sam-pth"].local_files() == [checkpoint.as_posix()]
    assert both["my-sam-pth"].weights_megabytes() == 3
    assert both["tiny_sam"].local_files() == [f"{folder}/config.json"]


def test_an_entry_of_segmenters_comes_before_a_model_of_the_same_name() -> None:
    own = {"sam-vit-b": {"family": "transformers", "params": {"model": "facebook/sam-vit-base", "dtype": "float32"}}}
    (entry,) = with_sam(segmenters=own).segmenters.values()
    assert (entry.name, entry.family, entry.params["dtype"]) == ("sam-vit-b", "transformers", "float32")


def test_two_segmenters_of_one_name_clash(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "sam").mkdir(parents=True)
    with pytest.raises(ConfigError, match="two segmenters would both be called 'sam'; give them names under"):
        with_sam(
            segmenter=str(tmp_path / "a/sam"), refiners__second={"refiner": "sam", "segmenter": str(tmp_path / "b/sam")}
        )


def test_only_what_asks_for_a_segmenter_resolves_one() -> None:
    unused = settings(segmenter="no-such-model", segmenters={"broken": {"family": "nothing"}})
    assert unused.segmenters == {}
    assert unused.oracle_segmenters == []
    assert {entry.segmenter for entry in unused.refiners.values()} == {""}
    assert not any(entry.foreground or entry.crops for entry in unused.refiners.values())
    assert settings(refiners__sam=SAM, segmenters={"broken": {"family": "nothing"}}).oracle_segmenters == ["sam-vit-b"]


def test_a_refiner_tells_the_files_that_it_needs() -> None:
    some = with_sam(
        refiners__plain={"refiner": "sam", "params": {"foreground": False}, "segmenter": "sam2.1-hiera-tiny"},
        refiners__close={"refiner": "sam", "params": {"crops": {}, "max_prompts": 3}},
    ).refiners
    assert [(some[name].segmenter, some[name].foreground) for name in ("sam", "plain", "close")] == [
        ("sam-vit-b", True),
        ("sam2-1-hiera-tiny", False),
        ("sam-vit-b", True),
    ]
    assert some["sam"].crops is None
    assert some["close"].crops == {
        "options": {"below": 1 / 16, "context": 4.0, "least": 1 / 8},
        "min_area": 1e-4,
        "max_prompts": 3,
    }
    assert set(some["sam"].stage_config()) == {"refiner", "params"}


def test_the_ceiling_is_measured_once_for_each_segmenter_of_a_refiner() -> None:
    some = with_sam(
        refiners__second={"refiner": "sam", "params": {"max_prompts": 3}},
        refiners__other={"refiner": "sam", "segmenter": "sam2.1-hiera-tiny"},
        refiners__off=None,
        methods__memory_bank={"scorer": "memory_bank", "params": {"foreground": "sam"}, "segmenter": "sam-hq-vit-base"},
    )
    assert some.oracle_segmenters == ["sam-vit-b", "sam2-1-hiera-tiny"]
    assert set(some.segmenters) == {"sam-vit-b", "sam2-1-hiera-tiny", "sam-hq-vit-base"}


@pytest.mark.parametrize(
    ("shots", "references"), [(1, {}), (2, {"references": "references-k2-seed1"}), ("all", {"references": "train"})]
)
@pytest.mark.parametrize("rule", ["robust_tail", "mebin"])
def test_the_part_is_outlined_in_the_images_that_a_scorer_scores(
    rule: str, shots: int | str, references: dict[str, str]
) -> None:
    """Each reference is scored by a fit to the others, if there are any, whatever the threshold rule."""
    some = settings(
        methods__memory_bank__params={"shots": shots, "seed": 1, "foreground": "sam"},
        methods__memory_bank__threshold={"rule": rule},
    )
    assert some.methods["memory_bank"].foregrounds == {"test": "test", **references}
    assert some.methods["memory_bank"].segmenter == "sam-vit-b"
    assert list(some.segmenters) == ["sam-vit-b"]


def test_a_fit_depends_on_no_threshold_rule_and_a_model_knows_how_to_look_at_a_photograph() -> None:
    bank = {"shots": 2, "foreground": "sam"}
    plain = settings(methods__memory_bank__params=bank)
    config = plain.fit_config("memory_bank")
    backbone, segmenter = plain.backbones[plain.methods["memory_bank"].backbone], plain.segmenters["sam-vit-b"]
    assert config["backbone"] == {"name": backbone.name, "family": backbone.family, "params": backbone.params}
    assert config["segmenter"] == {"name": "sam-vit-b", "family": segmenter.family, "params": segmenter.params}
    assert config["foreground"] == {"least_value": 0.35}
    assert {"scorer", "params", "image_score", "precision"} == set(config) - {"backbone", "segmenter", "foreground"}
    ruled = settings(methods__memory_bank__params=bank, methods__memory_bank__threshold={"rule": "reference_quantile"})
    assert ruled.fit_config("memory_bank") == config
    assert ruled.methods["memory_bank"].stage_config() == plain.methods["memory_bank"].stage_config()
    assert ruled.methods["memory_bank"].deciding != plain.methods["memory_bank"].deciding
    for change in (
        {"methods__memory_bank__params": {**bank, "shots": 3}},
        {"methods__memory_bank__params": {**bank, "k": 2}},
        {"methods__memory_bank__image_score": {"aggregate": "max"}},
        {"scoring__precision": "bfloat16"},
        {"foreground__least_value": 0.2},
        {"segmenter": "sam-vit-l"},
    ):
        assert settings(**{"methods__memory_bank__params": bank, **change}).fit_config("memory_bank") != config, change


def test_models_are_of_methods_that_are_fitted_to_references() -> None:
    some = settings(methods__subspace={"scorer": "subspace"}, methods__memory_bank__seeds=[0, 1])
    assert some.fitted_methods == ["memory_bank-seed0", "memory_bank-seed1", "subspace"]
    assert "backbone" in some.fit_config("subspace")
    assert "segmenter" not in some.fit_config("subspace")


@pytest.mark.parametrize("foreground", [None, "otsu", 10])
def test_a_scorer_that_finds_the_part_by_itself_needs_no_segmenter(foreground: str | float | None) -> None:
    entry = settings(methods__memory_bank__params={"foreground": foreground}).methods["memory_bank"]
    assert (entry.foregrounds, entry.segmenter) == ({}, "")


def test_what_the_page_shows_names_the_segmenters_of_methods_and_refiners() -> None:
    shown = with_sam(
        methods__memory_bank={
            "scorer": "memory_bank",
            "params": {"foreground": "sam"},
            "segmenter": "sam2.1-hiera-tiny",
        }
    ).resolved()
    assert shown["refiners"]["sam"]["segmenter"] == "sam-vit-b"
    assert "segmenter" not in shown["refiners"]["guided"]
    assert shown["methods"]["memory_bank"]["segmenter"] == "sam2-1-hiera-tiny"
    assert "segmenter" not in shown["methods"]["mutual"]
    assert set(shown["segmenters"]) == {"sam-vit-b", "sam2-1-hiera-tiny"}
    assert shown["foreground"] == {"least_value": 0.35}


# --- modulation ---------------------------------------------------------------------------------------------------


def test_a_modulation_reads_the_scores_and_masks_of_one_method() -> None:
    some = with_sam(
        backbone="embedded",
        methods__both={"scorer": "fusion", "params": {"methods": ["self_similarity", "memory_bank"]}},
        methods__sharp={"scorer": "modulation", "params": {"method": "memory_bank", "refiner": "sam", "strength": 0.3}},
        methods__sharper={"scorer": "modulation", "params": {"method": "both", "refiner": "guided"}},
    ).methods
    assert list(some)[-2:] == ["sharp", "sharper"]
    entry = some["sharp"]
    assert (entry.members, entry.refiner, entry.segmenter) == (("memory_bank",), "sam", "")
    assert (entry.backbone, entry.description["setting"]) == ("embedded", "few-shot-8")
    assert (entry.feature_sets, entry.foregrounds, entry.scoring, entry.group) == ({}, {}, {}, "")
    assert entry.params["strength"] == 0.3
    assert set(entry.stage_config()) == {"scorer", "params"}
    assert (some["sharper"].members, some["sharper"].refiner) == (("both",), "guided")
    assert all(other.refiner == "" for name, other in some.items() if not name.startswith("sharp"))


def test_a_modulation_of_a_method_with_seeds_is_led_to_one_of_them() -> None:
    seeded = {"scorer": "memory_bank", "params": {"shots": 2}, "seeds": [0, 3]}

    def modulated(method: str) -> Settings:
        sharp = {"scorer": "modulation", "params": {"method": method, "refiner": "guided"}}
        return settings(methods__memory_bank=seeded, methods__sharp=sharp)

    assert modulated("memory_bank-seed3").methods["sharp"].members == ("memory_bank-seed3",)
    with pytest.raises(ConfigError, match=r"'memory_bank' is not a method .* did you mean 'memory_bank-seed[03]'\?"):
        modulated("memory_bank")


def test_a_modulation_by_a_refiner_that_is_switched_off_is_refused() -> None:
    sharp = {"scorer": "modulation", "params": {"method": "mutual", "refiner": "grabcut"}}
    with pytest.raises(ConfigError, match=r"methods\.sharp: 'grabcut' is not among the refiners"):
        settings(refiners__grabcut=None, methods__sharp=sharp)


def test_a_segmenter_that_a_method_would_not_use_is_refused():
    with pytest.raises(ConfigError, match=r"methods\.mutual: its scorer has no 'foreground: sam'"):
        settings(methods__mutual__segmenter="sam-vit-b")
