"""What modules of one workflow set side by side in one process, and what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from paths import REPOSITORY
from zsad.errors import ConfigError
from zsad.sharing.options import Sharing, SharingOptions
from zsad.workflow.variables import (
    check_library,
    check_no_twin,
    check_section,
    read_left_out,
    set_left_out,
    set_shared_folder,
)


def test_jobs_of_each_module_are_told_what_it_left_out() -> None:
    environment: dict[str, str] = {}
    assert read_left_out("", environment) is None
    set_left_out("one", {"memory_bank": "no references"}, environment)
    set_left_out("two", {}, environment)
    assert read_left_out("one", environment) == {"memory_bank": "no references"}
    assert read_left_out("two", environment) == {}
    assert read_left_out("three", environment) is None
    set_left_out("one", {}, environment)
    assert read_left_out("one", environment) == {}


def test_modules_share_one_folder_or_none(tmp_path: Path) -> None:
    def sharing(root: Path | None, environment: dict[str, str]) -> Sharing:
        return Sharing(SharingOptions(root=None if root is None else str(root)), environment)

    environment: dict[str, str] = {}
    roots: dict[str, str] = {}
    set_shared_folder("one", sharing(tmp_path, environment), roots, environment)
    assert environment["ZSAD_SHARED"] == str(tmp_path)
    set_shared_folder("two", sharing(None, environment), roots, environment)  # as the environment says
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=r"sharing\.root is .* for the module 'one', and .*/other for this one"):
        set_shared_folder("three", sharing(tmp_path / "other", environment), roots, environment)
    roots = {"one": ""}
    with pytest.raises(ConfigError, match="is not set for the module 'one', and "):
        set_shared_folder("two", sharing(tmp_path, {}), roots, {})


def test_modules_with_the_same_results_must_have_no_rule_in_common() -> None:
    folders = {
        "one": {"dataset": Path("results/t")},
        "two": {"dataset": Path("results/t")},
        "three": {"dataset": Path("moved/results/t")},
    }
    check_no_twin("two", {"one": {"score_images"}, "two": {"evaluate_scores"}, "three": {"score_images"}}, folders)
    with pytest.raises(ConfigError, match="go to results/t, as do those of the module 'one'; give one of them another"):
        check_no_twin("two", {"one": {"score_images"}, "two": {"score_images"}, "three": set()}, folders)


@pytest.mark.parametrize("config", ["mine.yaml", 3, ["dataset"]])
def test_a_section_without_keys_is_refused(config: object) -> None:
    with pytest.raises(ConfigError, match=r"is not a section with keys but .*; give it `config: config\[\"\.\.\.\"\]`"):
        check_section(config)
    check_section({})


def test_two_copies_of_the_workflow_are_refused(tmp_path: Path) -> None:
    check_library(REPOSITORY)
    with pytest.raises(ConfigError, match=f"two copies .* not {tmp_path}/Snakefile"):
        check_library(tmp_path)
