"""Pairing of noise with tokens in a mini-batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from zsad.lazy import torch

Pairing = Literal["independent", "optimal", "worst"]
CHUNK = 256  # tokens that are paired among themselves: the work grows with their third power
MAXIMISED: Mapping[Pairing, bool] = {"optimal": False, "worst": True}  # whether squared distances are maximised


def pair_noise(tokens: torch.Tensor, noise: torch.Tensor, pairing: Pairing) -> torch.Tensor:
    """Reorder noise so that each row is paired with the token of the same row.

    Args:
        tokens, noise: ``[token, dimension]``.
        pairing: ``independent`` leaves the order. The others pair the tokens of each chunk of 256 one to one so that
            the sum of squared distances is the least, ``optimal`` (Tong et al., TMLR 2024), or the greatest, ``worst``
            (Li et al., arXiv 2508.05461).
    """
    if pairing not in MAXIMISED:
        return noise
    chunks = zip(tokens.split(CHUNK), noise.split(CHUNK), strict=True)
    return torch.cat([some[_order(those, some, MAXIMISED[pairing])] for those, some in chunks])


def _order(tokens: torch.Tensor, noise: torch.Tensor, maximise: bool) -> torch.Tensor:
    """The position of the noise of each token.

    A sum of squared distances is the sum of all squared lengths, which does not depend on the pairs, less twice the sum
    of the products.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and only some methods need it

    products = (tokens @ noise.T).double().cpu().numpy()
    _, columns = linear_sum_assignment(products, maximize=not maximise)
    return torch.from_numpy(columns).to(noise.device)
