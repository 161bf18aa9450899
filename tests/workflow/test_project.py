"""The workflow is formatted, lint-free, and its pieces agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from paths import REPOSITORY

TOOLS = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=REPOSITORY, env=TOOLS, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("snakefmt", "--check", "Snakefile", "rules"),
        ("snakemake", "--lint"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_checks_are_clean(arguments: tuple[str, ...]) -> None:
    done = tool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_that_may_have_a_gpu_have_the_environment_of_the_device_and_no_others() -> None:
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for name, body in re.findall(r"^(?:use )?rule (.+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.S | re.M):
            if "resources:" in body:
                environment = '"../envs/zsad.yaml"' if "gpu=0," in body else "environment()"
                assert f"conda:\n        {environment}\n" in body, name


# Rules that differ in where they run, or in what there is to draw or of what, and share a script.
SHARED_SCRIPTS = {
    "prompt_masks": "refine_masks",
    "draw_histograms": "draw_plots",
    "draw_support_thumbnails": "draw_thumbnails",
    "score_support": "score_images",
}


def test_every_rule_has_a_script_of_its_name_with_log_benchmark_resources_and_message() -> None:
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.S | re.M):
            if "script:" not in body:
                assert re.fullmatch(r"\s+\"\"\".*\"\"\"\s+input:\n\s+.*", body.rstrip(), re.S), name
                continue
            script = SHARED_SCRIPTS.get(name, name)
            assert f'"../workflow_scripts/{script}.py"' in body
            assert (REPOSITORY / "workflow_scripts" / f"{script}.py").exists()
            for directive in (
                "log:",
                "benchmark:",
                "threads:",
                "resources:",
                "mem_mb=",
                "runtime=",
                "gpu=",
                "message:",
                "cfg=",
                "code=",
            ):
                assert directive in body, f"rule {name} has no {directive}"


def test_every_key_of_the_configuration_has_a_comment() -> None:
    for line in (REPOSITORY / "config.yaml").read_text().splitlines():
        if re.match(r"\s*\w+:", line) and not line.lstrip().startswith("#"):
            commented = "#" in line
            section = re.fullmatch(r"(evaluation|report|dataset|params):", line.strip())
            repeated = re.fullmatch(r"scorer: \w+|refiner: \w+", line.strip())
            assert commented or section or repeated, line


@pytest.mark.parametrize("preset", sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml")))
def test_every_preset_has_only_keys_of_the_schema(preset: str) -> None:
    from snakemake.utils import update_config

    from zsad.workflow.schema import validate_config
    from zsad.workflow.settings import DEFAULT_PATH

    default, own = (yaml.safe_load(path.read_text()) for path in (DEFAULT_PATH, REPOSITORY / "config" / preset))
    update_config(default, own)
    validate_config(default)


def test_the_workflow_catalogue_is_told_what_there_is() -> None:
    usage = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["report"] is True
    assert usage["software-stack-deployment"] == {"conda": True, "apptainer": True, "apptainer+conda": False}
    for profile in re.findall(r"profiles/[\w-]+", usage["mandatory-flags"]["desc"]):
        assert (REPOSITORY / profile / "profile.yaml").is_file()
    described = (REPOSITORY / "config/README.md").read_text()
    presets = {path.name for path in (REPOSITORY / "config").glob("*.yaml")}
    assert set(re.findall(r"`(\w+\.yaml)`", described)) == presets


def test_no_two_files_of_tests_have_one_name() -> None:
    """Pytest imports them by it, and collects the first alone."""
    names = [path.name for path in (REPOSITORY / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
