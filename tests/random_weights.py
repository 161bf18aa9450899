"""Networks in which every weight matters, for the tests that compare them with plain forward passes."""

from __future__ import annotations

import numpy as np
import torch


def randomise(network: torch.nn.Module, *, scale: float, seed: int) -> None:
    """Put normally distributed numbers of a standard deviation in the place of all parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))


def exact_weights(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """Its weights by their names, in float64."""
    return {name: value.double().numpy() for name, value in network.state_dict().items()}
