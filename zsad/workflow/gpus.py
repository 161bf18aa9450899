"""Assign the GPUs of a machine to jobs, so that parallel jobs use different ones.

Snakemake counts GPUs (``--resources gpu=4``) but does not assign them, so that all jobs would use the first. A
scheduler that assigns GPUs to a job hides the others; then there is nothing to choose.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT_SECONDS = 1.0
LOCKS = Path("/tmp")  # the same for all users and jobs of a machine, whatever their TMPDIR

logger = logging.getLogger(__name__)


@contextmanager
def own_gpus(count: int) -> Iterator[list[str]]:
    """Lock ``count`` visible GPUs that no other job uses, waiting if necessary; the block sees no others.

    A GPU is locked by a file in ``/tmp``, which the kernel unlocks whenever a job ends. The choice only affects code
    that has not started CUDA yet.

    Args:
        count: 0 for a job without a GPU, which changes nothing.

    Yields:
        Their UUIDs or numbers; empty if there was nothing to choose, since no more are visible than wanted.
    """
    visible = visible_gpus() if count else []
    if len(visible) <= count:
        yield []
        return
    before = os.environ.get(VISIBLE)
    with ExitStack() as locks:
        held = _held(visible, count, locks)
        os.environ[VISIBLE] = ",".join(held)
        logger.info("on GPU %s of %d", os.environ[VISIBLE], len(visible))
        try:
            yield held
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def visible_gpus() -> list[str]:
    """UUIDs of the NVIDIA GPUs that this process may use, in their order; empty without ``nvidia-smi``."""
    wanted = os.environ.get(VISIBLE)
    if shutil.which("nvidia-smi") is None or wanted == "":
        return []
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    listing = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    uuids = dict(line.split(", ", 1) for line in listing.splitlines() if ", " in line)
    if wanted is None:
        return list(uuids.values())
    return [uuids.get(name.strip(), name.strip()) for name in wanted.split(",")]


def _held(gpus: Sequence[str], count: int, locks: ExitStack) -> list[str]:
    """Lock ``count`` GPUs, all at once, so that two jobs that want several cannot wait for each other."""
    waits = False
    while True:
        with ExitStack() as taken:
            held: list[str] = []
            for gpu in gpus:
                if len(held) < count and _lock(gpu, taken):
                    held.append(gpu)
            if len(held) == count:
                locks.enter_context(taken.pop_all())
                return held
        if not waits:
            logger.info("waiting, since other jobs use the %d GPUs", len(gpus))
            waits = True
        time.sleep(WAIT_SECONDS)


def _lock(gpu: str, locks: ExitStack) -> bool:
    """Lock a GPU until ``locks`` end, and return whether this was possible."""
    lock = _opened(LOCKS / f"zsad-{gpu.replace('/', '-')}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    locks.callback(os.close, lock)
    return True


def _opened(path: Path) -> int:
    """Open a file, created if necessary; only for reading, since it may belong to another user."""
    while True:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            with suppress(FileExistsError):
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o644)
