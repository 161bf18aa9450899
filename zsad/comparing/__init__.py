"""Compare two finished runs: which parameters differ, and which run is better, by a paired bootstrap."""

from zsad.comparing.compare_runs import ComparedRuns, compare_runs

__all__ = ["ComparedRuns", "compare_runs"]
