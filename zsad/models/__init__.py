"""Networks: finding their weights, loading them, and the families of networks."""
