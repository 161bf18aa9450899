"""Compare the time and memory of the jobs of a finished run with the workflow's estimates and requests.

    python benchmarks/resources.py results/demo
    python benchmarks/resources.py results/mvtec_ad --configfile config/mvtec_ad.yaml config/sam.yaml
    python benchmarks/resources.py results/demo --gpu      # networks ran on a GPU

One row per job: expected and measured memory in MB and their ratio; seconds and their ratio, divided by the speed of
this machine relative to that of the estimates (the median ratio). `*` marks differences of more than a factor of 2, `-`
unknown values, because the job was shorter than a second.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from zsad.resources.comparison import Comparison, comparisons, speed
from zsad.resources.run import Run
from zsad.workflow.settings import load

MOST = 2.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the results of a data set, results/NAME")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="as given to the run")
    parser.add_argument("--gpu", action="store_true", help="networks ran on a GPU")
    arguments = parser.parse_args()
    run = Run(load(*arguments.configfile), arguments.results.parent, on_gpu=arguments.gpu)
    found = comparisons(run, arguments.results / "benchmarks")
    factor = speed(found)
    print(f"{'rule':<20}{'job':<44}{'MB':>7}{'took':>7}{'ratio':>7} {'s':>9}{'took':>9}{'ratio':>7}")
    for one in found:
        print(line(one, factor))
    print(f"this machine: {factor:.2f} times as fast as the estimates'")


def line(one: Comparison, factor: float) -> str:
    """A row of the table."""
    memory, time = one.memory_ratio, one.time_ratio / factor
    return (
        f"{one.rule:<20}{one.job:<44}{one.expected.megabytes:7.0f}{_shown(one.megabytes, 7, 0)}{_shown(memory, 7, 2)}"
        f"{_mark(memory)}{one.expected.seconds:9.2f}{_shown(one.seconds, 9, 2)}{_shown(time, 7, 2)}{_mark(time)}"
    )


def _shown(value: float, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if math.isnan(value) else f"{value:{width}.{digits}f}"


def _mark(ratio: float) -> str:
    return "*" if not math.isnan(ratio) and not 1 / MOST <= ratio <= MOST else " "


if __name__ == "__main__":
    main()
