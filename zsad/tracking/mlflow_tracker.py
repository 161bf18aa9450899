"""Records in MLflow: a parent run with tables, plots and page, and a child run for each method.

Neither an active run nor the tracking address of the process is used or changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsad.errors import DataError
from zsad.tracking.base import Destination, cause_of, import_tracker
from zsad.tracking.records import Record, RunRecords

PREFIX = "zsad."  # of tags
DIGEST = f"{PREFIX}tables_sha256"
_PARENT, _NAME = "mlflow.parentRunId", "mlflow.runName"
_SCHEMES = ("file:", "databricks", "uc:")  # addresses without slashes
_AT_ONCE = 100  # parameters or metrics in a request: the least that MLflow allows of either
_LONGEST = 500  # letters of a parameter, which old servers allow


class MlflowTracker:
    """Logs to MLflow.

    Raises:
        ConfigError: MLflow is not installed.
    """

    def __init__(self, destination: Destination) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # not every table of a new database
        self._mlflow = import_tracker("mlflow", "MLflow")
        self._destination = destination

    def log(self, records: RunRecords) -> str:
        """See `zsad.tracking.base.Tracker`; a run whose tables were logged before is not logged again."""
        with self._failures():
            client = self._mlflow.MlflowClient(tracking_uri=self._destination.uri or None)
            experiment = self._experiment_id(client)
            place = f"experiment '{self._destination.experiment}' of MLflow"
            if there := self._logged_before(client, experiment, records.digest):
                return f"{records.name}: its tables are in {place} already (run {there}); nothing is logged again"
            with self._run(client, experiment, records.whole, {DIGEST: records.digest}) as parent:
                for record in records.methods:
                    with self._run(client, experiment, record, {_PARENT: parent}):
                        pass
        return f"{records.name}: {len(records.methods)} methods in {place} (run {parent})"

    @contextmanager
    def _run(self, client: Any, experiment: str, record: Record, tags: Mapping[str, str]) -> Iterator[str]:
        """A run with the contents of a record, which ends with the block; marked as failed if the block fails."""
        named = {f"{PREFIX}{name}": value for name, value in record.tags.items()}
        run = client.create_run(experiment, run_name=record.name, tags={**named, **tags, _NAME: record.name})
        identifier: str = run.info.run_id
        try:
            self._log_figures(client, identifier, record)
            for folder, paths in record.files.items():
                for path in paths:
                    client.log_artifact(identifier, str(path), folder or None)
            yield identifier
        except BaseException:
            client.set_terminated(identifier, "FAILED")
            raise
        client.set_terminated(identifier, "FINISHED")

    def _log_figures(self, client: Any, identifier: str, record: Record) -> None:
        entities = self._mlflow.entities
        now = int(time.time() * 1000)
        parameters = [entities.Param(name, str(value)[:_LONGEST]) for name, value in record.parameters.items()]
        metrics = [entities.Metric(name, value, now, 0) for name, value in record.metrics.items()]
        for start in range(0, len(parameters), _AT_ONCE):
            client.log_batch(identifier, params=parameters[start : start + _AT_ONCE])
        for start in range(0, len(metrics), _AT_ONCE):
            client.log_batch(identifier, metrics=metrics[start : start + _AT_ONCE])

    def _experiment_id(self, client: Any) -> str:
        name = self._destination.experiment
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(name, artifact_location=self._destination.artefacts or None))

    def _logged_before(self, client: Any, experiment: str, digest: str) -> str:
        """The identifier of a finished run with the same tables; empty if there is none."""
        wanted = f"tags.`{DIGEST}` = '{digest}' and attributes.status = 'FINISHED'"
        found = client.search_runs([experiment], filter_string=wanted, max_results=1)
        return str(found[0].info.run_id) if found else ""

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Errors of MLflow in one sentence."""
        try:
            yield
        except (self._mlflow.exceptions.MlflowException, OSError) as error:
            place = self._destination.uri or "the default store"
            raise DataError(
                f"MLflow cannot write to {place} ({cause_of(error)}); check --uri, or MLFLOW_TRACKING_URI"
            ) from None


def mlflow_destination(experiment: str, uri: str) -> Destination:
    """The destination: a server or store by its address, or a folder, which gets a database and the files.

    Args:
        uri: an address, a folder, or empty for MLflow's default.
    """
    if not uri or "://" in uri or uri.startswith(_SCHEMES):
        return Destination(experiment, uri)
    folder = Path(uri).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return Destination(experiment, f"sqlite:///{folder / 'mlflow.db'}", (folder / "artefacts").as_uri())
