"""Tables of results: metrics, comparisons, refinement and costs. This package reads no ground truth."""
