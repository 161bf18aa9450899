"""A table that was changed after it was made is refused; the list is one that ``sha256sum`` understands."""

from __future__ import annotations

import random
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation_files import Run, mask_document, score_document
from paths import REPOSITORY
from zsad.errors import DataError
from zsad.files.checksums import require_unchanged, write_checksums

CHANGED = r"{} was changed after it was made; delete it and run again, and keep edits in a copy elsewhere"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    names = ("a", "b")
    return Run(tmp_path).collect(
        [score_document(name, "mutual", 0.5) for name in names], [mask_document("a", "mutual", 0.5)]
    )


def tables(run: Run) -> list[Path]:
    return [path for path in run.outputs.values() if path.suffix != ".sha256"]


def test_the_list_has_every_table_and_passes(run: Run) -> None:
    require_unchanged([*tables(run), None], run.outputs["checksums"])
    listed = [line.split("  ")[1] for line in run.text("checksums").splitlines()]
    assert sorted(listed) == sorted(path.name for path in tables(run))


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum is installed")
def test_sha256sum_checks_it(run: Run) -> None:
    command = ["sha256sum", "--strict", "-c", "tables.sha256"]
    assert subprocess.run(command, cwd=run.folder, capture_output=True, check=False).returncode == 0
    run.outputs["metrics_csv"].write_text("edited")
    done = subprocess.run(command, cwd=run.folder, capture_output=True, check=False, text=True)
    assert (done.returncode, "metrics.csv: FAILED" in done.stdout) == (1, True)


@pytest.mark.parametrize("name", ["metrics_csv", "refinement_csv", "comparisons_csv", "images_csv", "decisions_csv"])
def test_every_flipped_bit_is_noticed(run: Run, name: str) -> None:
    path, rng = run.outputs[name], random.Random(0)
    whole = path.read_bytes()
    for _ in range(100):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with pytest.raises(DataError, match=CHANGED.format(path.name)):
            require_unchanged([path], run.outputs["checksums"])


def test_tables_that_are_cut_swapped_or_longer_are_noticed(run: Run) -> None:
    path, other = run.outputs["metrics_csv"], run.outputs["refinement_csv"]
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:-1],
        whole[: len(whole) // 2],
        other.read_bytes(),
        whole + b"\n",
        b"\xef\xbb\xbf" + whole,
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=CHANGED.format(path.name)):
            require_unchanged([path, other], run.outputs["checksums"])
    path.write_bytes(whole)
    require_unchanged([path, other], run.outputs["checksums"])


def test_what_is_missing_is_told(run: Run, tmp_path: Path) -> None:
    path, sums = run.outputs["metrics_csv"], run.outputs["checksums"]
    path.unlink()
    with pytest.raises(DataError, match=r"metrics\.csv does not exist; run the step that makes it"):
        require_unchanged([path], sums)
    write_checksums(sums, [])
    with pytest.raises(DataError, match=r"tables\.sha256 is not a list of checksums; delete it and run again"):
        require_unchanged([path], sums)
    write_checksums(sums, [run.outputs["images_csv"]])
    with pytest.raises(DataError, match=r"tables\.sha256 does not list metrics\.csv; delete both and run again"):
        require_unchanged([path], sums)
    sums.unlink()
    with pytest.raises(DataError, match=r"tables\.sha256 does not exist; run the step that makes it"):
        require_unchanged([path], sums)


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"0123  metrics.csv\n", b"<html>\n"])
def test_what_is_no_list_is_told(run: Run, content: bytes) -> None:
    run.outputs["checksums"].write_bytes(content)
    with pytest.raises(DataError, match="is not a list of checksums; delete it and run again"):
        require_unchanged(tables(run), run.outputs["checksums"])


class Files(dict):
    """Inputs or outputs of a rule by name."""

    __getattr__ = dict.__getitem__


READ = {
    "collect_costs": ("metrics_csv",),
    "draw_summary": ("metrics_csv", "cost_csv"),
    "build_page": ("metrics_csv", "refinement_csv", "comparisons_csv", "cost_csv"),
}


@pytest.mark.parametrize(("script", "name"), [(script, name) for script, names in READ.items() for name in names])
def test_no_rule_reads_a_table_that_was_changed(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, name: str
) -> None:
    monkeypatch.setattr("zsad.workflow.job._log_to", lambda path: None)
    monkeypatch.setattr("zsad.workflow.job._limit_threads", lambda threads: None)
    tables = {**run.outputs, "cost_csv": run.folder / "cost.csv"}
    tables["cost_csv"].write_text("method,stage\nmutual,score_images\n")
    write_checksums(run.folder / "cost.sha256", [tables["cost_csv"]])
    tables[name].write_bytes(tables[name].read_bytes() + b" ")
    sums = {"table_sums": str(tables["checksums"]), "cost_sums": str(run.folder / "cost.sha256")}
    outputs = Files({output: str(run.folder / "made") for output in ("page", "folder", "summary", "cost_csv")})
    job = SimpleNamespace(
        rule=script,
        input=Files({name: str(path) for name, path in tables.items()} | sums | {"image_lists": []}),
        output=outputs,
        params=SimpleNamespace(cfg="{}", code="{}"),
        resources={},
        threads=1,
        log=["none"],
    )
    with pytest.raises(SystemExit):
        runpy.run_path(str(REPOSITORY / "workflow_scripts" / f"{script}.py"), {"snakemake": job})
    assert re.fullmatch(f"zsad: {script}: .*{CHANGED.format(tables[name].name)}\n", capsys.readouterr().err)
    assert not (run.folder / "made").exists()
