"""The threshold rules of a configuration: which method decides by which, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from harness import merged
from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
IMAGES_ALONE = {"scorer": "class_token_knn", "params": {"shots": 2}}
FUSION = {"scorer": "fusion", "params": {"methods": ["mutual", "self_similarity"]}}
MODULATION = {"scorer": "modulation", "params": {"method": "mutual", "refiner": "guided"}}


def ruled(rule: str, **params: Any) -> dict[str, Any]:
    return {"rule": rule, "params": params}


def complete(rule: str, **params: Any) -> dict[str, Any]:
    """The rule with all its parameters."""
    return ruled(rule, **THRESHOLDS.build(rule, params).parameters())


def settings(**changes: Any) -> Settings:
    return Settings(merged(DEFAULT, **changes))


def test_every_method_decides_by_what_suits_unless_told_otherwise() -> None:
    found = settings(methods__both=FUSION, methods__sharp=MODULATION).methods
    assert found.pop("sharp").deciding == {}
    assert "both" in found
    assert [method.deciding for method in found.values()] == [complete("suitable")] * len(found)


def test_a_rule_is_set_for_all_methods_or_for_one() -> None:
    every = settings(threshold=ruled("robust_tail", z=7), methods__both=FUSION).methods
    assert [method.deciding for method in every.values()] == [complete("robust_tail", z=7)] * len(every)
    one = settings(methods__mutual__threshold=ruled("robust_tail", z=4)).methods
    assert one["mutual"].deciding == complete("robust_tail", z=4)
    assert one["self_similarity"].deciding == complete("suitable")


def test_the_parameters_for_all_go_with_their_rule_alone() -> None:
    found = settings(
        threshold=ruled("robust_tail", z=7, extent=0.5),
        methods__mutual__threshold={"rule": "mebin"},
        methods__self_similarity__threshold={"params": {"z": 4}},
    ).methods
    assert found["mutual"].deciding == complete("mebin")
    assert found["self_similarity"].deciding == complete("robust_tail", z=4, extent=0.5)


def test_the_seeds_of_a_method_decide_alike() -> None:
    found = settings(methods__memory_bank__seeds=[0, 1], methods__memory_bank__threshold=ruled("conformal", alpha=0.2))
    assert found.methods["memory_bank-seed0"].deciding == complete("conformal", alpha=0.2)
    assert found.methods["memory_bank-seed1"].deciding == complete("conformal", alpha=0.2)


def test_a_fusion_has_a_rule_of_its_own_whatever_its_methods_have() -> None:
    found = settings(
        methods__both={**FUSION, "threshold": ruled("mebin")}, methods__mutual__threshold=ruled("robust_tail")
    ).methods
    assert (found["both"].deciding, found["mutual"].deciding) == (complete("mebin"), complete("robust_tail"))
    assert found["self_similarity"].deciding == complete("suitable")


def test_neither_scores_nor_models_nor_features_depend_on_the_rule() -> None:
    before, after = (
        settings(
            threshold=ruled("robust_tail", z=z),
            methods__tokens=IMAGES_ALONE,
            methods__both=FUSION,
            methods__sharp=MODULATION,
        )
        for z in (4, 5)
    )
    for name, method in before.methods.items():
        other = after.methods[name]
        assert method.stage_config() == other.stage_config(), name
        assert method.feature_sets == other.feature_sets, name
        assert (method.deciding == other.deciding) == (name == "sharp")
    for name in before.fitted_methods:
        assert before.fit_config(name) == after.fit_config(name)
    assert before.suitability() == after.suitability()
    resolved = before.resolved()["methods"], after.resolved()["methods"]
    assert [methods["mutual"]["threshold"]["params"]["z"] for methods in resolved] == [4, 5]  # as the page says
    assert "threshold" not in resolved[0]["sharp"]


def test_what_set_the_thresholds_is_told_in_words() -> None:
    found = settings(
        threshold=ruled("robust_tail", extent=0.5),
        methods__mutual__threshold=ruled("robust_tail", z=4, extent=1),
        methods__both={**FUSION, "threshold": ruled("mebin", extent=1)},
        methods__sharp=MODULATION,
    )
    assert {name: found.threshold_in_words(name) for name in ("self_similarity", "mutual", "both", "sharp")} == {
        "self_similarity": "robust_tail (extent 0.5, z 5)",
        "mutual": "robust_tail (extent 1, z 4)",
        "both": "mebin (extent 1, levels 64, min_interval 4, min_patches 2)",
        "sharp": "robust_tail (extent 1, z 4), as mutual",
    }


def test_parameters_of_any_kind_are_told_in_words() -> None:
    for name in THRESHOLDS.names():
        needed = [field for field, info in THRESHOLDS.load(name).model_fields.items() if info.is_required()]
        given = {"image": 0.5} if name == "fixed" else dict.fromkeys(needed, 0.2)
        words = settings(methods__memory_bank__threshold=ruled(name, **given)).threshold_in_words("memory_bank")
        assert words.startswith(f"{name} (extent 0.7")
        assert not {"None", "True", "False"} & set(words.replace(",", " ").replace(")", " ").split())
    said = settings(threshold=ruled("peaks_over_threshold", shape="exponential")).threshold_in_words("mutual")
    assert {"shape exponential", "spread yes"} <= set(said.removesuffix(")").split(", "))


REFERENCES_ALONE = [name for name in THRESHOLDS.names() if THRESHOLDS.load(name).needs_references]


@pytest.mark.parametrize("rule", REFERENCES_ALONE)
@pytest.mark.parametrize(("name", "entry"), [("mine", {"scorer": "mutual"}), ("mine", IMAGES_ALONE), ("mine", FUSION)])
def test_a_rule_that_looks_at_references_is_for_methods_that_have_some(
    rule: str, name: str, entry: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {f"methods__{name}": {**entry, "threshold": ruled(rule)}}
    if entry["scorer"] == "class_token_knn":
        if THRESHOLDS.build(rule).needs_maps:
            with pytest.raises(ConfigError, match=rf"threshold rule '{rule}' needs maps"):
                settings(**changes)
            return
        assert settings(**changes).methods[name].deciding["rule"] == rule
        return
    with pytest.raises(ConfigError, match=rf"^methods\.mine: threshold rule '{rule}' needs reference images") as one:
        settings(**changes)
    offered = str(one.value).rpartition("choose another under methods.mine.threshold: ")[2].split(", ")
    assert "suitable" in offered
    assert not set(offered) & set(REFERENCES_ALONE)
    with pytest.raises(ConfigError, match=rf"threshold rule '{rule}' needs reference images"):
        settings(threshold=ruled(rule))


def test_a_rule_for_references_does_where_every_method_has_some() -> None:
    own = {"only": {"scorer": "memory_bank", "params": {"shots": 2}}}
    found = Settings({"methods": own, "threshold": ruled("reference_quantile")}).methods["only"]
    assert found.deciding["rule"] == "reference_quantile"


@pytest.mark.parametrize(
    "entry", [IMAGES_ALONE, {"scorer": "fusion", "params": {"methods": ["one", "two"]}}], ids=["scorer", "fusion"]
)
def test_a_rule_that_looks_at_maps_is_for_methods_that_give_some(entry: dict[str, Any]) -> None:
    others = {} if entry is IMAGES_ALONE else {"one": IMAGES_ALONE, "two": {**IMAGES_ALONE, "scorer": "gmm"}}
    others = {name: {**other, "params": {"shots": 4}} for name, other in others.items()}
    with pytest.raises(ConfigError, match=r"^methods\.mine: .* 'mebin' needs maps, but .* only scores images"):
        Settings({"methods": {**others, "mine": {**entry, "threshold": ruled("mebin")}}})
    assert Settings({"methods": {**others, "mine": entry}}).methods["mine"].deciding == complete("suitable")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"methods__sharp": {**MODULATION, "threshold": ruled("robust_tail")}},
            r"^methods\.sharp: a modulation takes its threshold from its method; remove 'threshold'",
        ),
        ({"threshold": {"rule": "suitible"}}, r"'suitible'.*did you mean 'suitable'"),
        ({"threshold": ruled("robust_tail", y=1)}, r"threshold\.params: unknown parameter 'y'"),
        ({"methods__mutual__threshold": ruled("robust_tail", z=0)}, r"methods\.mutual\.threshold\.params: z = 0"),
        (
            {"methods__both": {**FUSION, "threshold": ruled("robust_tail", z="x")}},
            r"methods\.both\.threshold\.params: z = 'x'",
        ),
        ({"threshold": ruled("conformal", alpha=1)}, r"threshold\.params: alpha = 1"),
        ({"threshold": ruled("suitable", extent=True)}, r"threshold\.params: extent = true"),
    ],
)
def test_what_is_no_rule_is_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        settings(**changes)
    assert "\n" not in str(raised.value)
