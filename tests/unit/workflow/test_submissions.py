"""Names that are too long for the LSF plugin, or that it would misread, are refused before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from zsad.errors import ConfigError
from zsad.workflow.settings import Settings, load
from zsad.workflow.submissions import LONGEST, check_folder_names, check_places, folder_names

ONE_METHOD = dict.fromkeys(("mirror_symmetry", "flip_consistency", "mutual", "memory_bank"))


def settings(folder: Path, **changes: object) -> Settings:
    path = folder / "more.yaml"
    path.write_text(yaml.safe_dump(changes))
    return load(path)


def test_usual_names_fit(tmp_path: Path) -> None:
    usual = settings(tmp_path, backbone="facebook/dinov3-vitl16-pretrain-lvd1689m")
    check_folder_names(usual)
    assert max(map(len, folder_names(usual))) < LONGEST


def test_the_folder_is_called_as_the_plugin_calls_it(tmp_path: Path) -> None:
    """As the emulation of LSF records it, but for the order of the steps."""
    small = settings(tmp_path, dataset={"name": "t", "categories": ["ring"]})
    assert (
        "draw_gallery__dataset=t..draw_gallery__category=ring..draw_gallery__method=memory_bank"
        "..draw_plots__dataset=t..draw_plots__category=ring"
    ) in set(folder_names(small))


@pytest.mark.parametrize(
    ("method", "scored_by", "decided_by"),
    [
        ("mutual", "score_images", "decide_images"),
        ("both", "fuse_scores", "decide_images"),
        ("sharp", "modulate_scores", "adopt_decisions"),
    ],
)
def test_decisions_are_submitted_with_the_scores(method: str, scored_by: str, decided_by: str, tmp_path: Path) -> None:
    both = {"scorer": "fusion", "params": {"methods": ["mutual", "self_similarity"]}}
    sharp = {"scorer": "modulation", "params": {"method": "both", "refiner": "guided"}}
    small = settings(tmp_path, dataset={"name": "t", "categories": ["ring"]}, methods={"both": both, "sharp": sharp})
    assert (
        f"{scored_by}__dataset=t..{scored_by}__category=ring..{scored_by}__method={method}"
        f"..{decided_by}__dataset=t..{decided_by}__category=ring..{decided_by}__method={method}"
    ) in set(folder_names(small))


def test_classifiers_are_submitted_by_themselves(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    for kind in ("dent", "scratch"):
        write_png(tmp_path / "known" / kind / "0.png")
    nearest = {"classifier": "nearest_exemplar", "support": "known", "embedding": "region", "method": "self_similarity"}
    small = settings(
        tmp_path,
        dataset={"name": "t", "categories": ["ring"]},
        supports={"known": {"folder": str(tmp_path / "known")}},
        classifiers={"nearest": nearest},
    )
    scored = "..".join(
        f"score_support__{name}" for name in ("dataset=t", "category=ring", "support=known", "method=self_similarity")
    )
    measured = "..".join(f"evaluate_classes__{name}" for name in ("dataset=t", "category=ring", "classifier=nearest"))
    assert {scored, measured} <= set(folder_names(small))


def test_the_names_of_rules_in_another_workflow_count(tmp_path: Path) -> None:
    small = settings(tmp_path, dataset={"name": "t", "categories": ["ring"]})
    names = set(folder_names(small, "of_another_{}".format))
    assert (
        "of_another_evaluate_masks__dataset=t..of_another_evaluate_masks__category=ring"
        "..of_another_evaluate_masks__method=mutual..of_another_evaluate_masks__refiner=guided"
    ) in names
    with pytest.raises(ConfigError, match="too long for LSF"):
        check_folder_names(small, lambda name: name + "x" * 100)


def test_names_that_are_too_long_together_are_one_sentence(tmp_path: Path) -> None:
    long = settings(tmp_path, dataset={"name": "x" * 110})
    with pytest.raises(ConfigError, match=r"too long for LSF, .* of \d+ characters, where 255 are allowed; give the"):
        check_folder_names(long)


@pytest.mark.parametrize("name", ["a b", "it's", "x;y", "50$", "a&b", "(1)", "x*", "#1"])
def test_a_category_that_a_shell_would_misread_is_one_sentence(
    name: str, tmp_path: Path, write_png: Callable[..., Path]
) -> None:
    write_png(tmp_path / "images" / name / "test/good/0.png")
    own = settings(tmp_path, dataset={"layout": "mvtec", "root": f"{tmp_path}/images"}, methods=ONE_METHOD)
    with pytest.raises(ConfigError, match=r"the category '.*' has .+ in its name, .* LSF would misread; rename its"):
        check_folder_names(own)


@pytest.mark.parametrize("name", ["my project", "a{1,2}", "$HOME", "50%;rm", "a\nb"])
def test_folders_that_a_shell_would_misread_are_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match=r"the working folder /w/[\s\S]* has .+ in its path, .* move or"):
        check_places(Path("/w") / name, Path("/flow"))
    with pytest.raises(ConfigError, match=r"the folder of the workflow /w/[\s\S]* has .+ in its path"):
        check_places(Path("/w"), Path("/w") / name)
    check_places(Path("/w/50%-é~#1:,=+@"), Path("/flow"))
