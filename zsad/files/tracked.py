"""Track user-named paths in Snakemake: by name, or by a digest if Snakemake would misread the name.

Snakemake reads ``{word}`` in a path as a wildcard and ``<word>`` as a path variable, and cannot escape either. A file
with such a name cannot be an input. Its size and modification time go into a parameter instead, so that a changed file
makes the same steps run again. If a path must be a part of a pattern, such as the folder of downloads, it is rejected.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from zsad.errors import ConfigError

SYNTAX = frozenset("{}<>")


def has_syntax(text: str | Path) -> bool:
    """Whether Snakemake may misread the text."""
    return not SYNTAX.isdisjoint(str(text))


def is_literal(path: str | Path) -> bool:
    """Whether Snakemake reads the path literally, and without a warning for each job that reads it."""
    text = str(path)
    return not has_syntax(text) and text == text.strip(" ") and len(text.splitlines()) == 1


def literal(paths: Iterable[str | Path]) -> list[str]:
    """The paths that can be inputs, in their order."""
    return [Path(path).as_posix() for path in paths if is_literal(path)]


def stamp(paths: Iterable[str | Path]) -> str:
    """A digest of names, sizes and times of the files that cannot be inputs, hexadecimal; empty if there are none."""
    states = [_state(Path(path)) for path in paths if not is_literal(path)]
    return hashlib.sha256(repr(states).encode(errors="surrogateescape")).hexdigest() if states else ""


def check_folder_of_downloads(folder: Path) -> None:
    """Reject a folder that cannot be a part of a pattern, as required for the outputs of a rule.

    Raises:
        ConfigError: Snakemake would misread it.
    """
    if has_syntax(folder):
        raise ConfigError(
            f"the folder of downloads {folder} has one of {{ }} < > in its path, which Snakemake would misread; set "
            "dataset.download_to to another folder"
        )


def check_workflow_folder(folder: Path) -> None:
    """Reject a folder of the workflow in which Snakemake would not find the scripts, or Python the library.

    Raises:
        ConfigError: its path contains braces, or the separator of path lists.
    """
    reasons = {**dict.fromkeys("{}", "Snakemake would misread"), os.pathsep: "separates folders in PYTHONPATH"}
    for sign, reason in reasons.items():
        if sign in str(folder):
            raise ConfigError(
                f"the folder of the workflow, {folder}, has '{sign}' in its path, which {reason}; move or rename it"
            )


def local_files(model: str | None) -> list[str]:
    """The files of a model in a local folder, sorted, or its single file; empty for any other model."""
    if model is None or not Path(model).exists():
        return []
    path = Path(model)
    files = [path] if path.is_file() else path.iterdir()
    return sorted(file.as_posix() for file in files if file.is_file())


def _state(path: Path) -> tuple[str, int, int]:
    """Path, size in bytes and modification time in ns; -1 for a missing file."""
    try:
        status = path.stat()
    except OSError:
        return path.as_posix(), -1, -1
    return path.as_posix(), status.st_size, status.st_mtime_ns
