"""What the README tells a newcomer to do works as written."""

from __future__ import annotations

import re

import pytest
import yaml

from harness import SMALL, Project, merged
from paths import REPOSITORY
from zsad.config import DEFAULT_PATH, checked

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block of code in a language."""
    return re.search(rf"```{language}\n(.*?)```", README, re.S)[1]


@pytest.mark.slow
def test_the_method_of_the_readme_is_added_by_one_file_and_one_line_and_runs_alone(project: Project) -> None:
    (project.folder / "zsad/scoring/my_method.py").write_text(block("python"))
    line = re.search(r'`("my_method": "[\w.:]+")`', README)[1]
    registry = project.folder / "zsad/scoring/registry.py"
    registry.write_text(registry.read_text().replace('        "mutual":', f'        {line},\n        "mutual":'))
    assert line in registry.read_text()
    added = merged(SMALL, methods__my_method={"scorer": "my_method", "params": {"power": 2}})
    planned = project.would_make(added)
    assert {path for path in planned if "/features/" in path or "/scores/" in path} == {"t/ring/scores/my_method.h5"}
    run = project.run(added, "scores")
    assert run.status == 0, run.output
    assert run.made == {"t/ring/scores/my_method.h5"}


def test_the_configuration_of_the_readme_is_valid() -> None:
    default, mine = (yaml.safe_load(text) for text in (DEFAULT_PATH.read_text(), block("yaml")))
    default["dataset"] |= mine.pop("dataset")
    assert checked(default | mine)["dataset"]["layout"] == "folder"


def test_the_commands_of_the_readme_are_those_of_the_makefile_and_the_command_line() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.M):
        assert f"\n{target}:" in makefile
    for path in re.findall(r"--configfile (config/[\w.]+)", README):
        assert (REPOSITORY / path).exists()
    assert "make test" in (REPOSITORY / ".ci/run").read_text()
