"""Weights learned by a fit, in a model file: one array with the bytes of a file of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from zsad.files.learned import Learned, from_bytes, to_bytes

if TYPE_CHECKING:
    from zsad.files.fitted import FittedReader, FittedWriter

WEIGHTS: Final = "weights"  # the array, uint8


def store_weights(writer: FittedWriter, learned: Learned) -> None:
    """Store learned weights with their facts."""
    writer.write(WEIGHTS, np.frombuffer(to_bytes(learned), dtype=np.uint8))


def stored_weights(reader: FittedReader) -> Learned:
    """The weights stored by `store_weights`.

    Raises:
        DamagedFileError: the array is something else.
    """
    return from_bytes(reader.array(WEIGHTS, np.uint8, (None,)).tobytes(), reader.path)
