"""Measure time and memory of a run on a folder of photographs, with the two lines of configuration of the README.

    python benchmarks/own_photographs.py                      # 36 photographs, two of them of 12 megapixels, 2 cores
    python benchmarks/own_photographs.py --folder FOLDER      # yours
    python benchmarks/own_photographs.py --results KEPT       # keep the results in this folder

Without a folder, the photographs are those of tests/photographs.py: many sizes and formats, one strip of 8000 x 200
pixels, one that is cut off, EXIF orientations, umlauts and braces in the names. Prints seconds, the peak of the memory
of all processes together (proportional set size, sampled five times a second), and the end of what the run says.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))
INTERVAL_SECONDS = 0.2


class Measured(NamedTuple):
    """A run: its exit status, seconds, the peak memory of all its processes in 10^6 bytes, and its output."""

    status: int
    seconds: float
    megabytes: float
    said: str


def measure(folder: Path, place: Path, cores: int) -> Measured:
    """Run the pipeline in ``place`` on a folder of photographs."""
    configuration = place / "mine.yaml"
    configuration.write_text(f"dataset:\n  layout: folder\n  root: {folder.resolve()}\n", encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", str(cores)]
    said = place / "said.txt"
    start = time.perf_counter()
    with said.open("wb") as stream:
        run = subprocess.Popen(
            [*command, "--configfile", configuration.name], cwd=place, stdout=stream, stderr=subprocess.STDOUT
        )
        peak = 0.0
        while run.poll() is None:
            peak = max(peak, megabytes_of(run.pid))
            time.sleep(INTERVAL_SECONDS)
    return Measured(
        run.returncode, time.perf_counter() - start, peak, said.read_text(encoding="utf-8", errors="replace")
    )


def megabytes_of(pid: int) -> float:
    """Memory of a process and all that it started, shared pages counted once, 10^6 bytes."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
    return total / 1e6


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="photographs; without it they are made")
    parser.add_argument("--results", type=Path, help="an empty folder to run in; without it a temporary one")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.results or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        folder = arguments.folder
        if folder is None:
            from photographs import write_photographs

            folder = place / "photographs"
            write_photographs(folder)
        run = measure(folder, place, arguments.cores)
    print("\n".join(run.said.splitlines()[-25:]))
    print(f"status {run.status}, {run.seconds:.0f} s on {arguments.cores} cores, peak memory {run.megabytes:.0f} MB")
    return run.status


if __name__ == "__main__":
    sys.exit(main())
