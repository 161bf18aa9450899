"""Write the conda environments from the pins of requirements.txt and of cpu.txt or cuda.txt beside this file.

Run it after any of them has changed: ``python envs/write_environments.py``, or ``make envs``.
"""

from __future__ import annotations

from pathlib import Path

ENVS = Path(__file__).resolve().parent
REQUIREMENTS = ENVS.parent / "requirements.txt"

PYTHON = "3.11.14"  # as in the containers
PIP = "25.2"
BUILDS = {"zsad.yaml": "cpu.txt", "zsad-cuda.yaml": "cuda.txt"}


def requirement_lines(path: Path) -> list[str]:
    """The lines of a requirements file for pip, without comments and empty ones."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def environment_text(name: str) -> str:
    """The content of one of the environments, by its file name (see `BUILDS`).

    The pins are repeated in it, since Snakemake gives conda a copy of the file in another folder, without a path to
    requirements.txt.
    """
    build = BUILDS[name]
    pins = [*requirement_lines(REQUIREMENTS), *requirement_lines(ENVS / build)]
    return "\n".join(
        [
            f"# For `snakemake --sdm conda`; written by write_environments.py from requirements.txt and {build}.",
            f"name: {Path(name).stem}",
            "channels: [conda-forge, nodefaults]",
            "dependencies:",
            f"  - python={PYTHON}",
            f"  - pip={PIP}",
            "  - pip:",
            *(f"      - {pin}" for pin in pins),
            "",
        ]
    )


if __name__ == "__main__":
    for name in BUILDS:
        (ENVS / name).write_text(environment_text(name), encoding="utf-8")
