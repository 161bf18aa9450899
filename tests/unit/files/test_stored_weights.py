"""What a fit has learned comes out of a model file as it went in, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsad.errors import DamagedFileError
from zsad.files.learned import Learned
from zsad.scoring.stored_weights import store_weights, stored_weights

TENSORS = {"way": np.array([[1.0, -2.0]], np.float32), "order": np.array([1, 0])}


class InMemory:
    """The arrays of a model file."""

    path = Path("model.h5")

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def write(self, name: str, array: np.ndarray) -> None:
        self.kept[name] = array

    def array(self, name: str, kind: Any, shape: Any) -> np.ndarray:
        return self.kept[name]

    def foreign(self, reason: str) -> DamagedFileError:
        return DamagedFileError(self.path, reason)


def stored(tensors: dict[str, np.ndarray]) -> Any:
    file: Any = InMemory()
    store_weights(file, Learned(tensors, {"seed": 3}))
    return file


def test_weights_and_facts_come_back() -> None:
    found = stored_weights(stored(TENSORS))
    assert found.facts == {"seed": 3}
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(found.tensors[name], tensor)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    file = stored({**TENSORS, "way": np.array([1.0, value])})
    with pytest.raises(DamagedFileError, match="'way' has numbers that are not finite"):
        stored_weights(file)


def test_a_damaged_byte_is_told_by_the_path_of_the_model() -> None:
    file = stored(TENSORS)
    file.kept["weights"] = file.kept["weights"].copy()
    file.kept["weights"][-1] ^= 1
    with pytest.raises(DamagedFileError, match=r"model\.h5"):
        stored_weights(file)
