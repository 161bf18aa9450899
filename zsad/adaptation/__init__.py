"""Learning on frozen features: networks, losses, the training loop, and synthetic anomalies."""
