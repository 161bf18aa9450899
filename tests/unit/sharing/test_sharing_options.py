"""One root for weights, data and results: from the configuration or the environment, and nothing that the user set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import merged
from paths import REPOSITORY
from zsad.cli import downloads, main
from zsad.errors import ConfigError, ModelError
from zsad.models import hub
from zsad.sharing.options import MOVED_BY_USER, Sharing, SharingOptions
from zsad.sharing.root import ROOT_VARIABLE, shared_folder
from zsad.workflow.settings import DEFAULT_PATH, Settings

DEFAULT: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
OF_CACHES = (*MOVED_BY_USER, "TORCH_HOME")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of caches."""
    for name in (ROOT_VARIABLE, *OF_CACHES):
        monkeypatch.delenv(name, raising=False)


def sharing(environment: dict[str, str], **options: Any) -> Sharing:
    return Sharing(SharingOptions(**options), environment)


def test_by_default_nothing_is_shared() -> None:
    settings = Settings(DEFAULT)
    assert settings.sharing.root is None
    assert settings.sharing.variables() == {}
    assert settings.sharing.resource("features") == settings.sharing.resource("embeddings") == 0
    assert settings.data.download_to == Path("data")
    assert shared_folder("features", 0, {}) is None


def test_the_configuration_goes_before_the_environment(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    environment = {ROOT_VARIABLE: str(tmp_path / "a")}
    assert sharing(environment).root == tmp_path / "a"
    assert sharing(environment, root=str(tmp_path / "b")).root == tmp_path / "b"
    assert sharing({ROOT_VARIABLE: ""}).root is None


def test_jobs_find_the_folder_by_the_environment(tmp_path: Path) -> None:
    chosen = sharing({}, root=str(tmp_path), features=True)
    assert (chosen.resource("features"), chosen.resource("embeddings")) == (1, 0)
    variables = chosen.variables()
    assert shared_folder("features", 1, variables) == tmp_path / "features"
    assert shared_folder("embeddings", 0, variables) is None


@pytest.mark.parametrize(
    ("mine", "shared"),
    [
        ({}, {"HF_HUB_CACHE": "huggingface/hub", "TORCH_HOME": "torch"}),
        ({"HF_HOME": "/mine"}, {"TORCH_HOME": "torch"}),
        ({"HF_HUB_CACHE": "/mine"}, {"TORCH_HOME": "torch"}),
        ({"HUGGINGFACE_HUB_CACHE": "/mine"}, {"TORCH_HOME": "torch"}),
        ({"TORCH_HOME": "/mine", "HF_HOME": ""}, {"HF_HUB_CACHE": "huggingface/hub"}),
    ],
)
def test_caches_that_the_user_has_moved_stay_there(
    tmp_path: Path, mine: dict[str, str], shared: dict[str, str]
) -> None:
    expected = {name: str(tmp_path / place) for name, place in shared.items()}
    assert sharing(mine, root=str(tmp_path)).variables() == {ROOT_VARIABLE: str(tmp_path), **expected}


def test_the_client_of_the_hub_uses_the_shared_models_and_the_users_own_token(tmp_path: Path) -> None:
    code = (
        "import os, sys; from zsad.workflow.settings import default_sharing\n"
        "assert 'huggingface_hub' not in sys.modules\n"
        "os.environ.update(default_sharing().variables())\n"
        "from huggingface_hub import constants\n"
        "print(constants.HF_HUB_CACHE, constants.HF_TOKEN_PATH)"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/home/anna", ROOT_VARIABLE: str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY, env=environment
    ).stdout.split()
    assert said == [f"{tmp_path}/huggingface/hub", "/home/anna/.cache/huggingface/token"]


@pytest.mark.parametrize(
    ("download_to", "expected"), [(None, "root/data"), ("mine", "mine"), ("data", "data")], ids=str
)
def test_data_sets_are_downloaded_to_the_root_unless_the_configuration_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, download_to: str | None, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("root").mkdir()
    changed = merged(DEFAULT, sharing__root="root", dataset__layout="visa", dataset__download_to=download_to)
    data = Settings(changed).data
    assert data.download_to.absolute() == tmp_path / expected
    assert data.root.is_relative_to(data.download_to / "visa")


def test_the_command_line_downloads_to_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {ROOT_VARIABLE: str(tmp_path), "HF_HOME": "/mine", "TORCH_HOME": "/mine"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(downloads, "_downloaded_dataset", lambda name, folder: folder / name)
    assert main(["download", "visa"]) == main(["download", "visa", "--to", "mine"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"visa: {tmp_path}/data/visa", "visa: mine/visa"]


def test_the_check_of_a_configuration_says_what_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(f"sharing: {{root: {tmp_path}, embeddings: true}}")
    assert main(["check", "--configfile", "mine.yaml"]) == 0
    assert f"shared     weights, data, embeddings in {tmp_path}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "options", "message"),
    [
        (
            {},
            {"features": True},
            r"sharing\.features is true but no folder is given; set sharing\.root or .*ZSAD_SHARED",
        ),
        ({}, {"root": "{here}/no"}, r"{here}/no does not exist; make it \(`mkdir .*`\), or correct sharing\.root"),
        ({ROOT_VARIABLE: "{here}/no"}, {}, r"{here}/no does not exist; make it .*, or correct ZSAD_SHARED"),
        ({}, {"root": "{here}/file"}, r"the shared folder {here}/file is not a folder"),
    ],
)
def test_a_wrong_root_is_one_sentence(
    tmp_path: Path, environment: dict[str, str], options: dict[str, Any], message: str
) -> None:
    (tmp_path / "file").touch()

    def here(values: dict[str, Any]) -> dict[str, Any]:
        return {name: v.replace("{here}", str(tmp_path)) if isinstance(v, str) else v for name, v in values.items()}

    with pytest.raises(ConfigError, match=message.replace("{here}", str(tmp_path))):
        sharing(here(environment), **here(options))


def test_models_that_are_missing_in_a_cache_of_somebody_else_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hub, "_files_on_hub", lambda *_: {"config.json", "model.safetensors"})
    monkeypatch.setattr(hub.huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(
        ModelError, match=r"cannot write to; ask its owner to run `zsad download dinov2-small`, or set HF_"
    ):
        hub.download("dinov2-small", None)
