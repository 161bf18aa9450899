"""Small images, real photographs, and a project with a finished run."""

from __future__ import annotations

import gc
import getpass
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other make small products slow
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # where there are some, they leave the cores to other tests
if capability := os.environ.get("ATEN_CPU_CAPABILITY"):
    # Networks that were compiled for other vector units are found in the usual cache, and compute wrongly here.
    cache = Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}_{capability}")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False  # hundreds of processes would compile the same modules
os.environ.pop("ZSAD_SHARED", None)  # what a developer shares with others is no part of a test

import cv2
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from browsing import headless_browser
from harness import SMALL, Project
from paths import REAL_DATA
from warm import SHARED, start_warm_python

cv2.setNumThreads(1)  # as in jobs: its threads, too, would wait for each other


def pytest_configure(config: pytest.Config) -> None:
    """Start a warm Python for all processes of the tests, if there will be several and one may ask for it."""
    several = getattr(config.option, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ
    if several and not all("numerics" in argument for argument in config.args):
        os.environ[SHARED] = start_warm_python()


@pytest.fixture
def write_png() -> Callable[..., Path]:
    """Write an array, or a random RGB image of ``size = (height, width)``, and return the path."""

    def write(path: Path, pixels: np.ndarray | None = None, size: tuple[int, int] = (12, 16), seed: int = 0) -> Path:
        if pixels is None:
            pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def real_root() -> Path:
    """The folder of real photographs in the MVTec AD layout; the test is skipped where it is absent."""
    if not (REAL_DATA / "magnetic_tile").is_dir():
        pytest.skip("no real photographs beside the repository")
    return REAL_DATA


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a finished run of SMALL, for all processes of the tests; copy it, do not change it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with FileLock(folder / "finished.lock"):
        if not (folder / "finished").exists():
            project = Project.copy_of_repository(folder / "in the making" / "finished")
            run = project.run(SMALL)
            assert run.status == 0, run.output
            project.folder.rename(folder / "finished")
    return Project(folder / "finished")


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A fresh copy of the finished project."""
    return finished.copy(tmp_path / "project")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, driven by Playwright; once for each file of tests, as its event loop is in others' way."""
    with headless_browser() as browser:
        yield browser


@pytest.fixture
def edit() -> Callable[[Path], None]:
    """Change a Python file without changing what it does."""

    def append_comment(path: Path) -> None:
        path.write_text(path.read_text() + "\n# edited\n")

    return append_comment


@pytest.fixture(scope="session")
def tile_tokens() -> list[np.ndarray]:
    """Tokens ``[layer, row, column, channel]`` of real photographs, good and cracked, on small grids of mixed sizes."""
    from zsad.data.images import read_image
    from zsad.features.base import Execution
    from zsad.features.embedded import Embedded

    folder = REAL_DATA / "magnetic_tile"
    if not folder.is_dir():
        pytest.skip("no real photographs beside the repository")
    extractor = Embedded(resolution=48).load(Execution(device="cpu"))
    paths = [*sorted(folder.glob("test/good/*"))[:3], *sorted(folder.glob("test/crack/*"))[:2]]
    return [extractor.extract(read_image(path)).patch_tokens for path in paths]


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what all tests share, and come less often for the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
