"""What a forge runs exists, agrees with .ci/run and the metadata, and has no rights that it does not need."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from paths import REPOSITORY

FORGE = REPOSITORY / ".github"
PROJECT: Mapping[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
ACTIONS = sorted((FORGE / "actions").glob("*/action.yml"))
MAY_FAIL = {"newest-snakemake"}


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text())


def jobs() -> dict[str, dict[str, Any]]:
    return {name: job for path in WORKFLOWS for name, job in read(path)["jobs"].items()}


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each step of all jobs and actions, with the name of the job or the folder of the action."""
    for name, job in jobs().items():
        yield from ((name, step) for step in job["steps"])
    for path in ACTIONS:
        yield from ((path.parent.name, step) for step in read(path)["runs"]["steps"])


def make_commands(text: str) -> set[str]:
    """The targets that a script has make do."""
    return set(re.findall(r"^(?:\s*[A-Z_]+=\S+\s+)*make ([\w-]+)", text, re.M))


def image_of(job: Mapping[str, Any]) -> str:
    container = job["container"]
    return container if isinstance(container, str) else container["image"]


def commands_of(target: str) -> str:
    """What make would run for a target, without running it."""
    assert re.search(rf"^{target}:", MAKEFILE, re.M), f"make {target}: no such target"
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"make {target}: {done.stderr}"
    return done.stdout


# --- the forge ---


def test_every_target_that_the_forge_runs_exists() -> None:
    targets = {target for _, step in steps() for target in make_commands(step.get("run", ""))}
    assert {"lint", "test", "test-portable", "docs", "wheel", "coverage", "test-newest-snakemake"} <= targets
    for target in sorted(targets):
        assert commands_of(target), target


def test_the_forge_runs_what_the_continuous_integration_runs_with_the_same_packages_of_debian() -> None:
    script = (REPOSITORY / ".ci/run").read_text().replace("\\\n", " ")
    runs = [step.get("run", "") for _, step in steps()]
    assert make_commands(script) <= make_commands("\n".join(runs))
    packages = r"apt-get install -y -qq --no-install-recommends\s+([\w -]+)"
    (installed,) = re.findall(packages, script)
    assert [found.split() for run in runs for found in re.findall(packages, run)] == [installed.split()]
    variable = "ZSAD_INSTALL_SLURM"
    assert f"{variable}=1 make test" in script
    suites = ("make test", "make test-newest-snakemake", "make coverage")
    allowed = {step["run"]: step["env"].get(variable) for _, step in steps() if step.get("run") in suites}
    assert allowed == dict.fromkeys(suites, "1")


def test_the_tests_run_on_every_python_of_the_metadata() -> None:
    classifiers = [text.removeprefix("Programming Language :: Python :: ") for text in PROJECT["classifiers"]]
    pythons = [version for version in classifiers if re.fullmatch(r"3\.\d+", version)]
    assert jobs()["test"]["strategy"]["matrix"]["python"] == pythons
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(version) for version in pythons)
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    for name, job in jobs().items():
        version = image_of(job).removeprefix("python:").removesuffix("-bookworm")
        assert version in {*pythons, "${{ matrix.python }}"}, name


def test_actions_of_others_are_pinned_by_commit_and_each_once() -> None:
    commits: dict[str, set[str]] = {}
    for path in (*WORKFLOWS, *ACTIONS):
        for action, version in re.findall(r"uses: (\S+?)(?:@(.+))?$", path.read_text(), re.M):
            if action.startswith("./"):
                assert (REPOSITORY / action / "action.yml").is_file(), action
                continue
            assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", version), f"{path.name}: {action}@{version}"
            commits.setdefault(action, set()).add(version)
    assert commits
    assert all(len(versions) == 1 for versions in commits.values()), commits


def test_jobs_may_read_the_repository_and_do_nothing_else() -> None:
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}
        assert "group" in workflow["concurrency"]
        assert "pull_request_target" not in workflow[True], (
            "code of others would run with rights"
        )  # YAML reads `on` as True
        assert "secrets." not in path.read_text()
    for name, job in jobs().items():
        assert "permissions" not in job, name
        assert job["timeout-minutes"] <= 90, name
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert [step["with"] for step in checkouts] == [{"persist-credentials": False}], name


def test_only_the_newest_snakemake_may_fail_and_does_so_visibly() -> None:
    assert {name for name, job in jobs().items() if job.get("continue-on-error")} == MAY_FAIL
    assert not [step for _, step in steps() if "continue-on-error" in step]
    for name in MAY_FAIL:
        (shown,) = (step for step in jobs()[name]["steps"] if step.get("if") == "failure()")
        assert "::warning " in shown["run"]
        assert "GITHUB_STEP_SUMMARY" in shown["run"]


def test_what_one_step_names_another_gives() -> None:
    inputs = {f"./.github/actions/{path.parent.name}": read(path)["inputs"] for path in ACTIONS}
    for name, step in steps():
        if step.get("uses", "").startswith("./"):
            assert step.get("with", {}).keys() <= inputs[step["uses"]].keys(), name
    for path in ACTIONS:
        text, scripts = path.read_text(), {step.get("id"): step.get("run", "") for step in read(path)["runs"]["steps"]}
        for step, output in re.findall(r"steps\.(\w+)\.outputs\.(\w+)", text):
            assert f'echo "{output}=' in scripts[step]
        assert set(re.findall(r"inputs\.(\w+)", text)) == read(path)["inputs"].keys()
        for variable in re.findall(r"env\.(\w+)", text):
            assert all(variable in read(workflow)["env"] for workflow in WORKFLOWS), variable
        assert all("shell" in step for step in read(path)["runs"]["steps"] if "run" in step)


def test_files_that_steps_read_are_those_that_make_writes() -> None:
    folders = dict(re.findall(r"^(\w+) := (?:\$\(abspath (\S+)\)|\S+)$", MAKEFILE, re.M)) | {
        "NEWEST": "build/newest-snakemake"
    }
    made = re.sub(r"\$\((\w+)\)", lambda found: folders.get(found[1], found[0]), MAKEFILE)
    asked = [step.get("run", "") + str(step.get("with", {}).get("path", "")) for _, step in steps()]
    paths = {path for text in asked for path in re.findall(r"build/[\w./-]+", text)}
    assert {"build/coverage/report.md", "build/coverage/html"} <= paths
    for path in sorted(paths):
        assert path in made, path


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.stem)
def test_scripts_of_steps_parse(path: Path) -> None:
    owners = read(path)["jobs"].values() if path in WORKFLOWS else [read(path)["runs"]]
    for script in (step["run"] for owner in owners for step in owner["steps"] if "run" in step):
        assert "${{" not in script, "a value in a script would run as code: hand it over as a variable"
        checked = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{script}\n{checked.stderr}"


# --- checks before a commit ---


def pins(file: str) -> dict[str, str]:
    lines = [line.strip() for line in (REPOSITORY / file).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(str(each.specifier).startswith("==") for each in found), file
    return {canonicalize_name(each.name): str(each.specifier) for each in found}


def test_hooks_are_the_pinned_tools_of_make_lint_and_fetch_nothing() -> None:
    (repository,) = read(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    linted = commands_of("lint")
    called = set()
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        if hook["entry"].startswith("make "):
            assert commands_of(hook["entry"].removeprefix("make "))
            continue
        words = hook["entry"].split()
        first = next(index for index, word in enumerate(words) if word.startswith(".venv/bin/"))
        tool, arguments = words[first].removeprefix(".venv/bin/"), words[first + 1 :]
        assert tool in pins("requirements-dev.txt")
        subcommand = arguments[0] if arguments and not arguments[0].startswith("-") else ""
        assert re.search(rf"(/| ){tool} ?{subcommand}", linted), hook["entry"]
        called.add(tool)
    assert called == {"ruff", "snakefmt", "mypy"}


def test_tools_that_the_suite_does_not_need_have_requirements_of_their_own() -> None:
    checks, others = pins("requirements-checks.txt"), pins("requirements.txt") | pins("requirements-dev.txt")
    assert {"coverage", "pre-commit"} <= checks.keys()
    assert not {"coverage", "pre-commit", "pytest-cov"} & others.keys(), "the suite would measure itself"
    assert not checks.keys() & others.keys(), "pinned twice"
