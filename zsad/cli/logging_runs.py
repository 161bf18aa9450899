"""Finished runs written to a tracker of experiments."""

from __future__ import annotations

import argparse
import os

from zsad.errors import ConfigError
from zsad.tracking.base import Destination, Tracker
from zsad.tracking.records import records_of

DEFAULT_EXPERIMENT = "zsad"
EXPERIMENT_VARIABLES = {"mlflow": "MLFLOW_EXPERIMENT_NAME", "wandb": "WANDB_PROJECT"}


def log(options: argparse.Namespace) -> None:
    """Write the records of finished runs, and print where they are.

    Raises:
        ConfigError: the tracker is not installed, or takes no such option.
        DataError: a folder is not that of a finished run, or its records cannot be written.
    """
    experiment = options.experiment or os.environ.get(EXPERIMENT_VARIABLES[options.to], "") or DEFAULT_EXPERIMENT
    tracker = _tracker(options.to, experiment, options.uri)
    every = [records_of(folder) for folder in options.results]
    for records in every:
        print(tracker.log(records), flush=True)


def _tracker(name: str, experiment: str, uri: str | None) -> Tracker:
    if name == "mlflow":
        from zsad.tracking.mlflow_tracker import MlflowTracker, mlflow_destination

        return MlflowTracker(mlflow_destination(experiment, uri or ""))
    if uri:
        raise ConfigError("--uri is for MLflow; Weights & Biases takes the address of its server from WANDB_BASE_URL")
    from zsad.tracking.wandb_tracker import WandbTracker

    return WandbTracker(Destination(experiment))
