"""Which of a machine's GPUs a job takes, so that jobs side by side have one each.

Snakemake counts GPUs (``--resources gpu=4``) but names none, so that all jobs would take the first. A scheduler that
gives a job its GPUs shows it no others; then there is nothing to choose.
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
    """Hold ``count`` of the visible GPUs, which no other job holds, waiting if need be; the block sees no others.

    A GPU is held by a lock on a file in ``/tmp``, which the kernel lets go of however a job ends.
    The choice holds for what has not started CUDA yet.

    Args:
        count: 0 for a job without a GPU, which leaves everything as it is.

    Yields:
        Their UUIDs or numbers; none where there was nothing to choose, as no more are visible than are wanted.
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
    """UUIDs of the NVIDIA GPUs that this process may use, in their order; none without ``nvidia-smi``."""
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
    """Lock as many GPUs; all of them at once, so that two jobs that want several cannot wait for each other."""
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
            logger.info("waiting, as other jobs have the %d GPUs", len(gpus))
            waits = True
        time.sleep(WAIT_SECONDS)


def _lock(gpu: str, locks: ExitStack) -> bool:
    """Whether a GPU could be locked; if so, until ``locks`` end."""
    lock = _opened(LOCKS / f"zsad-{gpu.replace('/', '-')}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    locks.callback(os.close, lock)
    return True


def _opened(path: Path) -> int:
    """Open a file that is made if need be; for reading alone, as it may be another user's."""
    while True:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            with suppress(FileExistsError):
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o644)
