"""What methods learn on frozen features: networks, losses, the training loop, and anomalies made for training."""
