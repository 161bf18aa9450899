"""The command line says what there is, and what is wrong in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paths import REPOSITORY
from zsad.cli import main
from zsad.data.demo import CATEGORIES
from zsad.features.registry import BACKBONES
from zsad.refinement.registry import REFINERS
from zsad.scoring.registry import SCORERS
from zsad.scoring.thresholds.registry import THRESHOLDS


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("methods", "backbones", "check", "demo", "snakemake --cores 8"))


def test_every_part_is_listed_with_its_parameters_and_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == main(["backbones"]) == 0
    shown = capsys.readouterr().out
    for registry in (SCORERS, THRESHOLDS, REFINERS, BACKBONES):
        for name in registry.names():
            part = registry.load(name)
            assert f"{name}: {part.summary}" in shown
            for parameter, field in part.model_fields.items():
                assert field.description, f"{name}.{parameter} has no description"
                assert f"{parameter} (" in shown


def test_a_configuration_is_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", "--configfile", str(REPOSITORY / "config" / "smoke.yaml")]) == 0
    assert "brick, ring" in capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text("methds: {}")
    assert main(["check", "--configfile", str(tmp_path / "mine.yaml")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("zsad: configuration: unknown key 'methds'; did you mean 'methods'?")
    assert said.count("\n") == 1


def test_the_demo_set_is_written_in_the_layout_of_mvtec_ad(tmp_path: Path) -> None:
    assert main(["demo", str(tmp_path), "--size", "64"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(CATEGORIES)
    assert len(list(tmp_path.glob("ring/train/good/*.png"))) == 20


def test_a_closed_pipe_is_no_error() -> None:
    listing = subprocess.Popen(
        [sys.executable, "-m", "zsad.cli", "methods"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    listing.stdout.close()
    said = listing.stderr.read()
    listing.stderr.close()
    assert listing.wait() == 0
    assert said == b""
