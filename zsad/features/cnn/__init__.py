"""Convolutional networks with the interface of all backbones: shared code, and one module per network."""
