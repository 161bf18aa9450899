"""The conda environments and the containers hold what requirements.txt says, all of it and nothing else."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from paths import REPOSITORY, load_script
from zsad.workflow.software import ENVIRONMENT, ENVIRONMENTS_BY_DEVICE

ENVS = REPOSITORY / "envs"

# What the metadata of torch on PyPI asks for on Linux, by its version.
CUDA_OF_TORCH = {
    "2.13.0": [
        "cuda-bindings<14,>=13.0.3",
        "cuda-toolkit==13.0.3",
        "nvidia-cudnn-cu13==9.20.0.48",
        "nvidia-cusparselt-cu13==0.8.1",
        "nvidia-nccl-cu13==2.29.7",
        "nvidia-nvshmem-cu13==3.4.5",
        "triton==3.7.1",
        # of cuda-toolkit[cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx]
        "nvidia-cublas==13.1.1.3.*",
        "nvidia-cuda-runtime==13.0.96.*",
        "nvidia-cufft==12.0.0.61.*",
        "nvidia-cufile==1.15.1.6.*",
        "nvidia-cuda-cupti==13.0.85.*",
        "nvidia-curand==10.4.0.35.*",
        "nvidia-cusolver==12.0.4.66.*",
        "nvidia-cusparse==12.6.3.3.*",
        "nvidia-nvjitlink<14,>=13.0.88",
        "nvidia-cuda-nvrtc==13.0.88.*",
        "nvidia-nvtx==13.0.85.*",
        # of cuda-bindings
        "cuda-pathfinder>=1.4.2",
    ]
}


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """envs/write_environments.py, which is a script and no part of a package."""
    return load_script("envs/write_environments.py")


def lines_of(path: Path) -> list[str]:
    lines = [line.strip() for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def pins_of(path: Path) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in lines_of(path) if not line.startswith("--")]
    pins = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    assert len(pins) == len(requirements), "a package stands there twice"
    return pins


def version_of(pin: Requirement) -> Version:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", pin
    return Version(specifier.version)


def needed(name: str, extras: set[str]) -> Iterator[Requirement]:
    """What an installed package needs here, by its own metadata, without libraries of a build of PyTorch for GPUs."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        if canonicalize_name(name) == "torch" and "platform_system" in str(requirement.marker):
            continue  # libraries of the build for GPUs, in versions that it says itself
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


# --- requirements.txt ---


def test_requirements_pin_all_that_is_needed_in_turn_and_nothing_that_is_not() -> None:
    pins = pins_of(REPOSITORY / "requirements.txt")
    named, _, _ = (REPOSITORY / "requirements.txt").read_text().partition("# Needed in turn")
    queue = [Requirement(line) for line in named.splitlines() if "==" in line]
    reached: set[tuple[str, frozenset[str]]] = set()
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{requirement} is needed, and requirements.txt does not pin it"
        assert requirement.specifier.contains(version_of(pins[name])), f"{requirement} is needed, not {pins[name]}"
        if (name, frozenset(requirement.extras)) not in reached:
            reached.add((name, frozenset(requirement.extras)))
            queue += needed(name, requirement.extras)
    assert {name for name, _ in reached} == set(pins), "pinned, but needed by nothing"


def test_the_tests_run_with_the_pinned_versions() -> None:
    for name, pin in pins_of(REPOSITORY / "requirements.txt").items():
        assert Version(distribution(name).version).public == version_of(pin).public, name


# --- conda ---


def test_every_device_has_an_environment_that_is_written(writer: ModuleType) -> None:
    named = {ENVIRONMENT, *ENVIRONMENTS_BY_DEVICE.values()}
    assert named == {f"envs/{name}" for name in writer.BUILDS}
    assert {path.name for path in ENVS.glob("*.yaml")} == set(writer.BUILDS)


@pytest.mark.parametrize(("name", "build"), [("zsad.yaml", "cpu.txt"), ("zsad-cuda.yaml", "cuda.txt")])
def test_a_conda_environment_is_the_requirements_and_the_build_of_torch(
    writer: ModuleType, name: str, build: str
) -> None:
    assert (ENVS / name).read_text() == writer.environment_text(name), "run `python envs/write_environments.py`"
    environment = yaml.safe_load((ENVS / name).read_text())
    *conda, pip = environment["dependencies"]
    assert pip["pip"] == lines_of(REPOSITORY / "requirements.txt") + lines_of(ENVS / build)
    assert conda == [f"python={writer.PYTHON}", f"pip={writer.PIP}"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_the_cpu_build_is_that_of_the_pinned_torch_and_left_to_pypi_on_a_mac() -> None:
    pinned, pin = pins_of(REPOSITORY / "requirements.txt")["torch"], pins_of(ENVS / "cpu.txt")["torch"]
    assert str(version_of(pin)) == f"{version_of(pinned)}+cpu"
    assert pin.marker.evaluate({"sys_platform": "linux"})
    assert not pin.marker.evaluate({"sys_platform": "darwin"})
    assert set(pins_of(ENVS / "cpu.txt")) == {"torch"}


def test_the_cuda_build_has_the_libraries_that_the_pinned_torch_asks_for() -> None:
    requirements, pins = pins_of(REPOSITORY / "requirements.txt"), pins_of(ENVS / "cuda.txt")
    asked = [Requirement(text) for text in CUDA_OF_TORCH[str(version_of(requirements["torch"]))]]
    assert {canonicalize_name(requirement.name) for requirement in asked} == set(pins)
    for requirement in asked:
        assert requirement.specifier.contains(version_of(pins[canonicalize_name(requirement.name)])), requirement
    assert not set(pins) & set(requirements)


# --- containers ---

INSTRUCTIONS = {"FROM", "ARG", "COPY", "RUN", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD", "LABEL"}
SECTIONS = {"arguments", "files", "post", "environment", "test", "runscript", "labels", "help"}


def dockerfile() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with what they are given, continued lines joined."""
    text = "\n".join(
        line for line in (REPOSITORY / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")
    )
    joined = re.sub(r"\\\n\s*", "", text)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line]


def values(instruction: str) -> list[str]:
    return [value for name, value in dockerfile() if name == instruction]


def definition() -> tuple[dict[str, str], dict[str, str]]:
    """Header and sections of the Apptainer definition."""
    header, *sections = re.split(r"^%", (ENVS / "zsad.def").read_text(), flags=re.M)
    keys = dict(line.split(": ", 1) for line in header.splitlines() if line and not line.startswith("#"))
    return keys, dict(section.split("\n", 1) for section in sections)


def copies() -> dict[str, str]:
    """Files of the repository and where the definition puts them."""
    return dict(line.split() for line in definition()[1]["files"].splitlines() if line.strip())


def pip_commands(text: str) -> list[str]:
    """The commands of pip, the choice of the device called ``DEVICE``."""
    text = re.sub(r"\{\{ device \}\}|\$\{DEVICE\}", "DEVICE", text).replace('"', "")
    return [re.sub(r"\s+", " ", command).strip() for command in re.findall(r"python -m pip[^&\n]*", text)]


def test_recipes_have_only_what_docker_and_apptainer_know() -> None:
    assert {name for name, _ in dockerfile()} <= INSTRUCTIONS
    assert dockerfile()[0][0] == "FROM"
    header, sections = definition()
    assert list(header) == ["Bootstrap", "From"]
    assert set(sections) <= SECTIONS


def test_both_containers_have_the_python_of_the_environments(writer: ModuleType) -> None:
    image = f"python:{writer.PYTHON}-slim-bookworm"
    header, _ = definition()
    assert values("FROM") == [image]
    assert header == {"Bootstrap": "docker", "From": image}
    needs = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["requires-python"]
    assert Requirement(f"python{needs}").specifier.contains(writer.PYTHON)


def test_both_containers_install_the_requirements_with_the_build_of_the_device(writer: ModuleType) -> None:
    install = "python -m pip install --no-cache-dir --requirement requirements.txt --requirement envs/DEVICE.txt"
    for commands in (pip_commands(values("RUN")[0]), pip_commands(definition()[1]["post"])):
        assert commands == [install, "python -m pip check"]
    assert values("ARG") == ["DEVICE=cpu"]
    assert definition()[1]["arguments"].split() == ["device=cpu"]
    assert {f"{device}.txt" for device in ("cpu", "cuda")} == set(writer.BUILDS.values())


def test_the_containers_get_the_requirements_and_no_other_file() -> None:
    wanted = {"requirements.txt", "envs/cpu.txt", "envs/cuda.txt"}
    assert copies() == {path: f"/opt/zsad/{path}" for path in wanted}
    assert {source for copy in values("COPY") for source in copy.split()[:-1]} == wanted
    assert all((REPOSITORY / path).is_file() for path in wanted)
    ignored, *kept = (REPOSITORY / ".dockerignore").read_text().split()
    assert ignored == "*"
    assert wanted == {path for path in wanted if any(fnmatch.fnmatch(path, keep.removeprefix("!")) for keep in kept)}
    assert len(kept) == len(wanted)


def test_shell_lines_of_the_recipes_parse() -> None:
    sections = definition()[1]
    scripts = {f"%{name}": sections[name] for name in ("post", "environment", "test", "runscript")}
    scripts |= {f"RUN {number}": command for number, command in enumerate(values("RUN"))}
    for name, script in scripts.items():
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{name}: {checked.stderr}"


def test_docker_runs_snakemake_as_somebody_without_rights() -> None:
    assert values("USER") == ["zsad"]
    assert "useradd --uid 1000" in values("RUN")[1]
    assert values("ENTRYPOINT") == ['["snakemake"]']
    order = [name for name, _ in dockerfile()]
    assert order.index("USER") > max(index for index, name in enumerate(order) if name == "RUN")


def test_images_are_deaf_to_packages_of_the_user_and_see_the_same_locale() -> None:
    exported = dict(re.findall(r"export (\w+)=(\S+)", definition()[1]["environment"]))
    docker = dict(pair.split("=") for pair in values("ENV")[0].split())
    assert docker == exported | {"HOME": "/home/zsad"}
    assert exported["PYTHONNOUSERSITE"] == "1"


# --- what is optional ---


EXTRAS = sorted((REPOSITORY / "envs" / "extras").glob("*.txt"))
# Trackers of experiments bring dozens of packages, so that the tests do without them where they are not installed.
NOT_INSTALLED_FOR_TESTS = ("mlflow", "wandb")


@pytest.mark.parametrize("extra", EXTRAS, ids=[path.stem for path in EXTRAS])
def test_what_is_optional_is_pinned_and_tested(extra: Path) -> None:
    optional, tested = pins_of(extra), pins_of(REPOSITORY / "requirements-dev.txt")
    assert optional
    if extra.stem not in NOT_INSTALLED_FOR_TESTS:
        assert optional.items() <= tested.items()
    needed_anyway = pins_of(REPOSITORY / "requirements.txt")
    assert all(version == needed_anyway.get(name, version) for name, version in optional.items())
    assert optional.keys() - needed_anyway.keys()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    ranges = map(Requirement, project["project"]["optional-dependencies"][extra.stem])
    assert {canonicalize_name(requirement.name) for requirement in ranges} == optional.keys()
    for name in optional.keys() & tested.keys():
        for requirement in needed(name, set()):
            assert requirement.specifier.contains(distribution(requirement.name).version), requirement
