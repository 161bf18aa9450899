"""The command of a warm Python: one server for the tests of a process, started when the first of them asks for it."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from zsad.workflow.warm import THREADS
from zsad.workflow.warm_process import socket_pair

SERVER = Path(__file__).with_name("warm_python.py")


@cache
def warm_python() -> str:
    """The path of a command that runs what `python` runs, by `warm_python.py`."""
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
        stdout=subprocess.PIPE,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()
        folder.cleanup()

    atexit.register(end)
    assert server.stdout.readline() == b"ready\n"
    return str(command)
