"""Run Snakemake so that it ends, with its jobs, when the process that started it ends in any way.

``python -m zsad.inspecting.supervised ARGUMENT ...`` runs ``snakemake ARGUMENT ...`` until its standard input ends.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

import psutil

SECONDS = 3.0  # time for jobs to end by themselves
KILLED = 1  # exit status


def end_with_jobs() -> None:
    """End this process and all processes that it started."""
    started = psutil.Process().children(recursive=True)
    for process in started:
        with suppress(psutil.Error):  # it has ended meanwhile
            process.terminate()
    _, alive = psutil.wait_procs(started, SECONDS)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    os._exit(KILLED)


def _wait_for_end_of_input() -> None:
    # Not through sys.stdin, because the thread would hold its lock when Python ends.
    while os.read(0, 1024):
        pass
    end_with_jobs()


def main() -> None:
    """Run Snakemake."""
    from snakemake.cli import main as snakemake

    threading.Thread(target=_wait_for_end_of_input, name="wait for end of input", daemon=True).start()
    snakemake(sys.argv[1:])


if __name__ == "__main__":
    main()
