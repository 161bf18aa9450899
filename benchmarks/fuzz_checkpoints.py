"""Put invalid values into every field of the JSON files of tiny checkpoints of every family, and count the results.

    python benchmarks/fuzz_checkpoints.py                 # some ten minutes on one core
    python benchmarks/fuzz_checkpoints.py vit "clip text"

For each family it counts checkpoints that load as the same network, as another network, or are refused with a sentence
(by class of error). Other results are printed, and so are those that take more than 5 s of a core or 200 MB; the exit
status is then 1.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from checkpoint_fuzz import FAMILIES, Outcome, mutated, mutations, outcome, write

SECONDS, MEGABYTES = 5.0, 200
LIMIT = 3 * 2**30  # bytes of address space besides those that the process has when it begins


def main() -> int:
    """Fuzz the given families."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"by default all: {', '.join(FAMILIES)}")
    families = parser.parse_args().families or FAMILIES
    torch.set_num_threads(1)
    problems = 0
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            problems += fuzz(family, Path(folder))
    return int(problems > 0)


def fuzz(family: str, folder: Path) -> int:
    """Fuzz one family; the number of problems."""
    write(family, folder)
    expected = outcome(family, folder)
    if expected.error is not None:
        raise expected.error
    limit_memory()
    counts: Counter[str] = Counter()
    problems = 0
    for mutation in mutations(folder):
        begun, memory = time.process_time(), peak_megabytes()
        with mutated(folder, mutation):
            made = outcome(family, folder)
        seconds, megabytes = time.process_time() - begun, peak_megabytes() - memory
        counts[kind(made, expected)] += 1
        slow = f"{seconds:.1f} s, {megabytes} MB" if seconds > SECONDS or megabytes > MEGABYTES else ""
        if made.problem or slow:
            problems += 1
            print(f"{family}: {mutation}: {made.problem or slow}", flush=True)
    print(f"{family}: {dict(sorted(counts.items()))}", flush=True)
    return problems


def kind(made: Outcome, expected: Outcome) -> str:
    """The result of a checkpoint, in a word."""
    if made.problem:
        return "problem"
    if made.error is not None:
        return type(made.error).__name__
    return "same" if np.array_equal(made.result, expected.result) else "another"


def limit_memory() -> None:
    """Limit the memory, so that a huge allocation fails and not the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft = pages * resource.getpagesize() + LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.getrlimit(resource.RLIMIT_AS)[1]))


def peak_megabytes() -> int:
    """The peak memory of the process, in 2^20 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
