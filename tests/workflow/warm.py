"""The command of a warm Python, by one server for all processes of the tests, or one for each that asks first."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from zsad.workflow.warm import THREADS
from zsad.workflow.warm_process import socket_pair

SERVER = Path(__file__).with_name("warm_python.py")
SHARED = "ZSAD_TESTS_WARM_PYTHON"  # environment: the folder of a server that another process has started
PATIENCE = 120.0  # seconds for its imports


@cache
def warm_python() -> str:
    """The path of a command that runs what `python` runs, by `warm_python.py`."""
    folder = Path(os.environ.get(SHARED) or start_warm_python())
    deadline = time.monotonic() + PATIENCE
    while not (folder / "socket").exists():  # which the server makes when it is ready
        assert time.monotonic() < deadline, "the warm Python does not start"
        time.sleep(0.02)
    return str(folder / "python")


def start_warm_python() -> str:
    """Start a server, which ends with this process, and return its folder without waiting for it."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    place, command = Path(folder.name, "socket"), Path(folder.name, "python")
    # -I -S: it needs the standard library alone.
    command.write_text(f'#!/bin/sh\nWARM_PYTHON="$0" exec "{sys.executable}" -I -S "{SERVER}" "{place}" "$@"\n')
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ours, theirs = socket_pair()
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(place)],
        env={**environment, **dict.fromkeys(THREADS, "1")},
        cwd=folder.name,
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    return folder.name
