"""Two working folders and one shared root: what one has computed, the other takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import SMALL, Project, merged
from zsad.files.features import FeatureReader

pytestmark = pytest.mark.slow

TARGET = "results/t/tables/metrics.csv"
FEATURES = "t/ring/features/embedded/test.original.h5"


def config(root: Path) -> dict[str, object]:
    """One method, so that the runs are short."""
    others = {f"methods__{name}": None for name in SMALL["methods"]}
    return merged(
        SMALL, **others, refiners__guided=None, report__refiner="none", sharing={"root": str(root), "features": True}
    )


def log_of(project: Project) -> str:
    return project.result("t/logs/extract_features/ring.embedded.test.original.log").read_text()


def test_the_second_user_takes_the_features_of_the_first(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    root.mkdir()
    anna, bert = (Project.copy_of_repository(tmp_path / name) for name in ("anna", "bert"))
    for user in (anna, bert):
        run = user.run(config(root), TARGET)
        assert run.status == 0, run.output
    (shared,) = (root / "features").glob("*/*")
    assert "shared with others" in log_of(anna)
    assert f"reused from the shared cache: {shared}" in log_of(bert)
    assert bert.result(FEATURES).readlink() == shared
    assert (bert.folder / TARGET).read_bytes() == (anna.folder / TARGET).read_bytes()
    assert "Nothing to be done" in bert.run(config(root), TARGET, "--dry-run").output

    # Another parameter makes another file; the first one stays as it is.
    before = (shared.stat().st_ino, shared.read_bytes())
    run = bert.run(merged(config(root), backbones__embedded__params__resolution=96), f"results/{FEATURES}")
    assert run.status == 0, run.output
    assert (shared.stat().st_ino, shared.read_bytes()) == before
    assert len(list((root / "features").glob("*/*"))) == 2

    # A link to what somebody deleted counts as a missing result; a root elsewhere is no change of any stage.
    moved = root.rename(tmp_path / "moved")
    assert "Nothing to be done" in anna.run(config(moved), TARGET, "--dry-run").output
    (moved / shared.relative_to(root)).unlink()
    run = anna.run(config(moved), f"results/{FEATURES}")
    assert run.status == 0, run.output
    with FeatureReader(anna.result(FEATURES)) as reader:
        assert anna.result(FEATURES).readlink().is_relative_to(moved)
        assert len(reader) == 7
