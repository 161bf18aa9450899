"""Zero-shot anomaly detection in images with frozen vision foundation models."""
