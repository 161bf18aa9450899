"""From anomaly maps to defect masks."""
