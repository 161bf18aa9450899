"""Records in Weights & Biases: a run for each method, and one with tables, plots and page as an artefact, as a group.

The names of runs are derived from their tables, so that a results folder that is logged again replaces its earlier
runs. Without a network ``WANDB_MODE=offline`` writes them to the folder ``wandb``, and ``wandb sync`` uploads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zsad.errors import DataError
from zsad.tracking.base import Destination, cause_of, import_tracker
from zsad.tracking.records import Record, RunRecords

_WHOLE, _METHOD = "results", "method"  # kinds of runs
_LONGEST_TAG = 64  # letters


class WandbTracker:
    """Logs to Weights & Biases.

    Raises:
        ConfigError: its package is not installed.
    """

    def __init__(self, destination: Destination) -> None:
        self._wandb = import_tracker("wandb", "Weights & Biases")
        self._project = destination.experiment

    def log(self, records: RunRecords) -> str:
        """See `zsad.tracking.base.Tracker`."""
        with self._failures():
            with self._run(records, records.whole, _WHOLE) as run:
                artefact = self._wandb.Artifact(f"{records.name}-results", type=_WHOLE)
                for folder, paths in records.whole.files.items():
                    for path in paths:
                        artefact.add_file(str(path), name=f"{folder}/{path.name}" if folder else path.name)
                run.log_artifact(artefact)
            for record in records.methods:
                with self._run(records, record, _METHOD) as run:
                    galleries = {
                        f"{folder}/{path.name}": self._wandb.Image(str(path))
                        for folder, paths in record.files.items()
                        for path in paths
                    }
                    run.log({**record.metrics, **galleries})
                    place = "offline, to be sent by `wandb sync`" if run.settings.mode == "offline" else run.url
        return (
            f"{records.name}: {len(records.methods)} methods in project '{self._project}' of Weights & Biases ({place})"
        )

    @contextmanager
    def _run(self, records: RunRecords, record: Record, kind: str) -> Iterator[Any]:
        """A run with the parameters and tags of a record; it is marked as failed if the block fails."""
        key = f"{self._project}/{records.name}/{kind}/{record.name}/{records.digest}"
        run = self._wandb.init(
            project=self._project,
            group=records.name,
            job_type=kind,
            name=record.name,
            id=hashlib.sha256(key.encode()).hexdigest()[:16],
            config={**record.parameters, "tables_sha256": records.digest},
            tags=list(dict.fromkeys(tag[:_LONGEST_TAG] for tag in record.tags.values() if tag)),
            settings=self._wandb.Settings(console="off", silent=True),
        )
        try:
            yield run
        except BaseException:
            run.finish(exit_code=1)
            raise
        run.finish()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Errors of the package in one sentence."""
        try:
            yield
        except (self._wandb.Error, OSError) as error:
            raise DataError(
                f"Weights & Biases cannot take the runs ({cause_of(error)}); log in with `wandb login`, or set "
                "WANDB_MODE=offline"
            ) from None
