"""The interface of experiment trackers."""

from __future__ import annotations

import importlib
import textwrap
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from zsad.errors import ConfigError, first_line
from zsad.tracking.records import RunRecords

_LONGEST = 200  # letters of a cause


class Tracker(Protocol):
    """Logs the records of finished runs."""

    def log(self, records: RunRecords) -> str:
        """Write the records, and return a line that says where they are.

        Raises:
            DataError: they cannot be written.
        """


class Destination(NamedTuple):
    """The place to which records are logged.

    Attributes:
        experiment: the experiment of MLflow, or the project of Weights & Biases.
        uri: of the tracking server or store of MLflow; empty for its own default.
        artefacts: where MLflow keeps the files of a new experiment; empty for its own default.
    """

    experiment: str
    uri: str = ""
    artefacts: str = ""


def cause_of(error: Exception) -> str:
    """The message of a tracker's error, in one short line."""
    return textwrap.shorten(first_line(error), _LONGEST, placeholder=" ...")


def import_tracker(module: str, name: str) -> Any:
    """Import the Python package of a tracker, an optional dependency whose extra has the name of the module.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec(module) is None:
        raise ConfigError(f'{name} is not installed; pip install "zsad[{module}]"')
    return importlib.import_module(module)
