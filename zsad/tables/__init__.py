"""Tables of results: metrics, comparisons, refinement and costs. No ground truth is read here."""
