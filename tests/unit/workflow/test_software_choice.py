"""Which environment or image jobs run in, and what an image gets to see."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from zsad.errors import ConfigError
from zsad.workflow.settings import DEFAULT_PATH, Settings
from zsad.workflow.software import check_image, device_environment, image_address, image_environment

CONFIG: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())


@pytest.mark.parametrize(
    ("device", "environment"),
    [
        ("auto", "envs/zsad.yaml"),
        ("cpu", "envs/zsad.yaml"),
        ("mps", "envs/zsad.yaml"),
        ("cuda", "envs/zsad-cuda.yaml"),
    ],
)
def test_cuda_has_an_environment_of_its_own(device: str, environment: str) -> None:
    assert device_environment(device) == environment


@pytest.mark.parametrize(
    ("container", "address"),
    [
        ("envs/zsad.sif", "/flow/envs/zsad.sif"),
        ("/images/zsad.sif", "/images/zsad.sif"),
        ("docker://registry.example/zsad:1", "docker://registry.example/zsad:1"),
    ],
)
def test_an_image_is_a_file_from_the_workflows_folder_or_a_url(container: str, address: str) -> None:
    assert image_address(container, Path("/flow")) == address


def test_an_image_that_is_there_or_elsewhere_is_fine(tmp_path: Path) -> None:
    (tmp_path / "zsad.sif").touch()
    check_image(str(tmp_path / "zsad.sif"))
    check_image("docker://registry.example/zsad:1")


def test_an_image_that_is_absent_tells_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist; build it with `apptainer build envs/zsad.sif envs/zsad.de"):
        check_image(str(tmp_path / "zsad.sif"))


def test_an_image_in_a_path_with_a_space_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my image.sif").touch()
    with pytest.raises(ConfigError, match="has a space in its path"):
        check_image(str(tmp_path / "my image.sif"))


@pytest.mark.parametrize("name", ["it's.sif", "a;b.sif", "$x.sif", "{a}.sif"])
def test_an_image_that_a_shell_would_misread_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="in its path, which Snakemake cannot run; move it"):
        check_image(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a:b", "a,b"])
def test_folders_that_an_image_cannot_be_given_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(
        ConfigError, match=r"the folder .* has '.' in its path, which separates folders in the options of a cont"
    ):
        image_environment(settings(), tmp_path / name, {})
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(ConfigError, match=r"the working folder .* has '.' in its path, .* without --sdm apptainer"):
        image_environment(settings(), tmp_path, {})


def test_environments_in_an_image_are_refused() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        check_image("docker://registry.example/zsad:1", environments_too=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a working folder that is the current one, and a data set outside of it."""
    for folder in ("home/.cache", "work", "flow", "set/bottle/test/good", "set/bottle/train/good"):
        (tmp_path / folder).mkdir(parents=True)
    for split in ("test", "train"):
        (tmp_path / "set" / "bottle" / split / "good" / "0.png").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("shutil.which", lambda command: command)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def settings(**dataset: Any) -> Settings:
    config = copy.deepcopy(CONFIG)
    config["dataset"] |= dataset
    return Settings(config)


def bound(here: Path, configured: Settings, **environment: str) -> list[str]:
    found = image_environment(configured, here / "flow", environment)["APPTAINER_BIND"].split(",")
    return [Path(path).relative_to(here).as_posix() if path.startswith(str(here)) else path for path in found]


def test_an_image_sees_the_workflow_the_cache_of_weights_and_no_more_of_the_disk(here: Path) -> None:
    assert bound(here, settings()) == ["flow", "home/.cache"]


def test_an_image_sees_labelled_examples_wherever_they_lie(here: Path, write_png: Callable[..., Path]) -> None:
    for name in ("known/dent/0.png", "known/scratch/0.png", "elsewhere/0.png", "listed/0.png"):
        write_png(here / name)
    lines = ["path,kind", "0.png,dent", f"{here}/elsewhere/0.png,scratch"]
    (here / "listed/table.csv").write_text("\n".join(lines) + "\n")
    config = copy.deepcopy(CONFIG)
    config["supports"] = {"tree": {"folder": str(here / "known")}, "table": {"table": str(here / "listed/table.csv")}}
    config["classifiers"] = {name: {"classifier": "nearest_exemplar", "support": name} for name in config["supports"]}
    assert bound(here, Settings(config)) == ["flow", "known", "listed", "elsewhere", "home/.cache"]


def test_an_image_sees_the_data_set_and_where_downloads_will_be(here: Path) -> None:
    mine = settings(layout="mvtec", root=str(here / "set"), download_to=str(here / "set" / "not" / "yet"))
    assert bound(here, mine) == ["flow", "set", "home/.cache"]


def test_what_the_user_binds_stays_and_nothing_is_bound_twice(here: Path) -> None:
    first = bound(here, settings(), APPTAINER_BIND="/scratch:/mnt")
    assert first == ["/scratch:/mnt", "flow", "home/.cache"]
    again = image_environment(settings(), here / "flow", {})["APPTAINER_BIND"]
    assert image_environment(settings(), here / "flow", {"APPTAINER_BIND": again})["APPTAINER_BIND"] == again


def test_weights_are_sought_where_they_are_outside_of_the_image(here: Path) -> None:
    (here / "weights").mkdir()
    variables = image_environment(settings(), here / "flow", {"HF_HOME": str(here / "weights")})
    assert variables["HF_HOME"] == str(here / "weights")
    assert variables["XDG_CACHE_HOME"] == str(here / "home" / ".cache")
    assert str(here / "weights") in variables["APPTAINER_BIND"].split(",")


def test_singularity_is_told_by_its_own_variable(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda command: None if command == "apptainer" else command)
    assert "SINGULARITY_BIND" in image_environment(settings(), here / "flow", {})
