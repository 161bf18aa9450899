"""Finished runs told to trackers: to recorders in the shape of their packages, and to MLflow where it is installed."""

from __future__ import annotations

import shutil
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from small_runs import REFINER, images_with_masks, write_run
from zsad.cli import main
from zsad.tables.csv_tables import METRICS
from zsad.tables.frames import rows_of
from zsad.tracking.mlflow_tracker import mlflow_destination
from zsad.tracking.records import records_of

SEEDS = {"bank-seed0": 3.0, "bank-seed1": 4.0}
METHODS = {"mutual": 3.0, **SEEDS}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with plots and a page."""
    folder = tmp_path_factory.mktemp("tracked")
    images = {"my tile (1)": images_with_masks(folder / "tile", 3, 3)}
    groups = dict.fromkeys(SEEDS, "bank")
    run = write_run(folder / "musc", images, METHODS, groups=groups, refined=True, params={"shots": 2})
    for name in ("summary.png", "my tile (1)/curves.png", "my tile (1)/mutual.gallery.png", ".snakemake_timestamp"):
        path = run / "plots" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG")
    (run / "report.html").write_text("<html>")
    return run


def mean_of(run: Path, method: str, refiner: str = "none") -> dict[str, Any]:
    rows = rows_of(METRICS.read(run / "tables/metrics.csv"))
    return next(row for row in rows if (row["category"], row["method"], row["refiner"]) == ("mean", method, refiner))


# --- records ---


def test_a_record_has_the_figures_of_the_table_with_limits_and_deviations(run: Path) -> None:
    records = records_of(run)
    assert [record.name for record in records.methods] == ["mutual", "bank"]
    for record in records.methods:
        row = mean_of(run, record.name)
        for name in ("image_auroc", "image_auroc_low", "aupro_high", "decision_f1"):
            assert record.metrics[name] == row[name]
        assert record.metrics[f"mask_f1.{REFINER}"] == mean_of(run, record.name, REFINER)["mask_f1"]
        assert record.metrics["my tile _1_/image_auroc"] == row["image_auroc"]
        assert not any(value != value for value in record.metrics.values())
    assert records.methods[1].metrics["image_auroc_std"] == mean_of(run, "bank")["image_auroc_std"]
    assert "image_auroc_std" not in records.methods[0].metrics


def test_a_record_has_parameters_tags_and_files(run: Path) -> None:
    records = records_of(run)
    mutual, bank = records.methods
    assert mutual.parameters.items() >= {"scorer.params.shots": 2, "model.id": "tiny", "seeds": 1}.items()
    assert bank.parameters["seeds"] == 2
    assert mutual.tags["setting"] == "zero-shot-single"
    assert mutual.tags["backbone"] == "embedded"
    assert mutual.tags["version"] == mutual.parameters["version.zsad"]
    assert {place: [path.name for path in paths] for place, paths in mutual.files.items()} == {
        "plots/my tile (1)": ["mutual.gallery.png"]
    }
    shared = {place: [path.name for path in paths] for place, paths in records.whole.files.items()}
    assert shared["plots"] == ["summary.png"]
    assert shared["plots/my tile (1)"] == ["curves.png"]
    assert shared[""] == ["report.html"]
    assert "metrics.csv" in shared["tables"]


# --- MLflow ---


class RecordedClient:
    """Keeps what is asked of a client of MLflow."""

    def __init__(self, tracking_uri: str | None = None) -> None:
        self.uri = tracking_uri

    runs: dict[str, SimpleNamespace] = {}  # noqa: RUF012

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        return f"id of {name}"

    def search_runs(self, experiment_ids: list[str], filter_string: str = "", max_results: int = 1000) -> list[Any]:
        return [run for run in self.runs.values() if run.tags.get("zsad.tables_sha256", "-") in filter_string]

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: dict | None = None, run_name: str | None = None
    ) -> SimpleNamespace:
        run = SimpleNamespace(
            info=SimpleNamespace(run_id=f"run{len(self.runs)}"),
            name=run_name,
            tags=tags,
            metrics={},
            params={},
            files=[],
            status="RUNNING",
        )
        self.runs[run.info.run_id] = run
        return run

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        assert len(metrics) + len(params) <= 1000
        assert len(params) <= 100
        self.runs[run_id].metrics |= {metric.key: metric.value for metric in metrics}
        self.runs[run_id].params |= {param.key: param.value for param in params}

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        assert Path(local_path).is_file()
        self.runs[run_id].files.append((artifact_path, Path(local_path).name))

    def set_terminated(self, run_id: str, status: str | None = None) -> None:
        self.runs[run_id].status = status


class MlflowError(Exception):
    pass


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> type[RecordedClient]:
    """A package in the shape of MLflow, as far as it is used."""
    module: Any = ModuleType("mlflow")
    module.__spec__ = ModuleSpec("mlflow", None)
    client = type("MlflowClient", (RecordedClient,), {"runs": {}})
    module.MlflowClient = client
    module.exceptions = SimpleNamespace(MlflowException=MlflowError)
    module.entities = SimpleNamespace(
        Param=lambda key, value: SimpleNamespace(key=key, value=value),
        Metric=lambda key, value, timestamp, step: SimpleNamespace(key=key, value=value),
    )
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return client


def test_mlflow_gets_a_run_for_the_results_and_below_it_one_a_method(
    run: Path, mlflow: type[RecordedClient], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", str(run), "--to", "mlflow"]) == 0
    assert capsys.readouterr().out == "musc: 2 methods in experiment 'zsad' of MLflow (run run0)\n"
    whole, mutual, bank = mlflow.runs.values()
    assert [one.name for one in (whole, mutual, bank)] == ["musc", "mutual", "bank"]
    assert {one.status for one in (whole, mutual, bank)} == {"FINISHED"}
    assert ("tables", "metrics.csv") in whole.files
    assert (None, "report.html") in whole.files
    assert mutual.tags["mlflow.parentRunId"] == "run0"
    assert mutual.tags["zsad.setting"] == "zero-shot-single"
    assert mutual.files == [("plots/my tile (1)", "mutual.gallery.png")]
    record = records_of(run).methods[0]
    assert mutual.metrics == record.metrics
    assert mutual.params == {name: str(value) for name, value in record.parameters.items()}


def test_tables_that_are_in_mlflow_are_not_logged_twice(
    run: Path, mlflow: type[RecordedClient], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", str(run), "--to", "mlflow"]) == main(["log", str(run), "--to", "mlflow"]) == 0
    assert len(mlflow.runs) == 3
    assert "its tables are in experiment 'zsad' of MLflow already (run run0)" in capsys.readouterr().out


def test_a_failure_of_mlflow_is_one_sentence_and_the_run_is_marked_as_failed(
    run: Path, mlflow: type[RecordedClient], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowError("the server is away\nand more")

    monkeypatch.setattr(mlflow, "log_artifact", refuse)
    assert main(["log", str(run), "--to", "mlflow", "--uri", "http://tracker"]) == 1
    assert capsys.readouterr().err == (
        "zsad: MLflow cannot write to http://tracker (the server is away); check --uri, or MLFLOW_TRACKING_URI\n"
    )
    assert [one.status for one in mlflow.runs.values()] == ["FAILED"]


def test_a_folder_becomes_a_store_with_its_files(tmp_path: Path) -> None:
    found = mlflow_destination("x", str(tmp_path / "tracked"))
    assert found == ("x", f"sqlite:///{tmp_path}/tracked/mlflow.db", f"file://{tmp_path}/tracked/artefacts")
    assert (tmp_path / "tracked").is_dir()
    for uri in ("", "http://tracker", "sqlite:///m.db", "databricks"):
        assert mlflow_destination("x", uri) == ("x", uri, "")


@pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed")
def test_the_real_mlflow_takes_a_run(run: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    assert main(["log", str(run), "--to", "mlflow", "--uri", str(tmp_path), "--experiment", "papers"]) == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("papers")
    found = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    assert set(found) == {"musc", "mutual", "bank"}
    record = records_of(run).methods[0]
    assert found["mutual"].data.metrics == pytest.approx(record.metrics)
    assert found["mutual"].data.params == {name: str(value) for name, value in record.parameters.items()}
    whole = found["musc"].info.run_id
    assert found["mutual"].data.tags["mlflow.parentRunId"] == whole
    assert {file.path for file in client.list_artifacts(whole)} == {"tables", "plots", "report.html"}
    assert (tmp_path / "artefacts" / whole / "artifacts/tables/metrics.csv").is_file()


# --- Weights & Biases ---


class WandbError(Exception):
    pass


class RecordedRun(SimpleNamespace):
    """Keeps what is told to a run of Weights & Biases."""

    def log(self, data: dict[str, Any]) -> None:
        self.logged = data

    def log_artifact(self, artefact: Any) -> None:
        self.artefact = artefact

    def finish(self, exit_code: int | None = None) -> None:
        self.ended = exit_code


class RecordedArtifact:
    """Keeps the names of the files of an artefact."""

    def __init__(self, name: str, type: str) -> None:
        self.name, self.type, self.files = name, type, []

    def add_file(self, local_path: str, name: str | None = None) -> None:
        assert Path(local_path).is_file()
        self.files.append(name)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> list[RecordedRun]:
    """A package in the shape of that of Weights & Biases, as far as it is used; the runs that were begun."""
    module: Any = ModuleType("wandb")
    module.__spec__ = ModuleSpec("wandb", None)
    runs: list[RecordedRun] = []

    def init(**options: Any) -> RecordedRun:
        runs.append(RecordedRun(**options, url="https://tracker/run"))
        runs[-1].settings.mode = "offline"
        return runs[-1]

    module.init, module.Error, module.Artifact = init, WandbError, RecordedArtifact
    module.Settings = SimpleNamespace
    module.Image = lambda path: f"image of {Path(path).name}"
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return runs


def test_wandb_gets_a_group_of_runs_with_an_artefact(
    run: Path, wandb: list[RecordedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", str(run), "--to", "wandb", "--experiment", "papers"]) == 0
    assert capsys.readouterr().out == (
        "musc: 2 methods in project 'papers' of Weights & Biases (offline, to be sent by `wandb sync`)\n"
    )
    whole, mutual, _ = wandb
    assert {(one.project, one.group, one.ended) for one in wandb} == {("papers", "musc", None)}
    assert [(one.name, one.job_type) for one in wandb] == [
        ("musc", "results"),
        ("mutual", "method"),
        ("bank", "method"),
    ]
    assert {"tables/metrics.csv", "report.html", "plots/summary.png"} <= set(whole.artefact.files)
    record = records_of(run).methods[0]
    galleries = {"plots/my tile (1)/mutual.gallery.png": "image of mutual.gallery.png"}
    assert mutual.logged == {**record.metrics, **galleries}
    assert mutual.config.items() >= record.parameters.items()
    assert {"zero-shot-single", "embedded"} <= set(mutual.tags)
    assert all(0 < len(tag) <= 64 for one in wandb for tag in one.tags)
    assert len({one.id for one in wandb}) == 3


def test_the_same_tables_have_the_same_names_in_wandb(run: Path, wandb: list[RecordedRun]) -> None:
    assert main(["log", str(run), str(run), "--to", "wandb"]) == 0
    assert [one.id for one in wandb[:3]] == [one.id for one in wandb[3:]]


def test_a_failure_of_wandb_is_one_sentence(
    run: Path, wandb: list[RecordedRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> None:
        raise WandbError("no key")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    assert main(["log", str(run), "--to", "wandb"]) == 1
    assert "cannot take the runs (no key); log in with `wandb login`, or set WANDB_MODE" in capsys.readouterr().err
    assert main(["log", str(run), "--to", "wandb", "--uri", "x"]) == 1
    assert "--uri is for MLflow" in capsys.readouterr().err


# --- what is refused ---


@pytest.mark.parametrize(("name", "package"), [("MLflow", "mlflow"), ("Weights & Biases", "wandb")])
def test_a_package_that_is_not_installed_is_one_sentence_with_the_command(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, package: str
) -> None:
    monkeypatch.setattr("zsad.tracking.base.find_spec", lambda module: None)
    assert main(["log", str(run), "--to", package]) == 1
    assert capsys.readouterr().err == f'zsad: {name} is not installed; pip install "zsad[{package}]"\n'


def test_what_is_no_finished_run_is_refused_before_anything_is_logged(
    run: Path, mlflow: type[RecordedClient], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (other / "tables/tables.sha256").unlink()
    assert main(["log", str(run), str(other), "--to", "mlflow"]) == 1
    assert "is not finished" in capsys.readouterr().err
    assert not mlflow.runs
