"""How far float32 results may lie apart, on whatever processor, in whatever order its libraries add up.

Vector units of other widths, other numbers of threads and other shapes of a batch all change the order of sums. What
that changes is a share of the values' size, and of the largest values at that: the small ones are often differences of
large ones. Absolute bounds that suit one processor and one size of values are therefore no bounds.
"""

from __future__ import annotations

import numpy as np
import torch

# Steps of float32 are 1.2e-7 of a value. Products and whole networks of these tests lost at most 3e-6 of the largest
# value, with and without AVX2, AVX-512 and fused multiply-add; what is computed wrongly is off by far more than this.
FLOAT32 = 2e-5

Array = np.ndarray | torch.Tensor | list | float


def assert_close(found: Array, expected: Array, size: float | None = None, share: float = FLOAT32) -> None:
    """Fail where two arrays differ by more than rounding does.

    Args:
        size: of the values that were added up, if the result does not show it, as a difference of equal things does;
            without it, the largest magnitude that is expected.
        share: of the size that may be lost.
    """
    expected = np.asarray(expected)
    if size is None:
        size = np.abs(expected).max(initial=0, where=np.isfinite(expected))
    assert expected.ndim == 0 or np.shape(found) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * float(size))
