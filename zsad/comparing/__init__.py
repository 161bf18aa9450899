"""Two finished runs compared: what differs, and which is better, by a paired bootstrap over the images of both."""

from zsad.comparing.compare_runs import ComparedRuns, compare_runs

__all__ = ["ComparedRuns", "compare_runs"]
