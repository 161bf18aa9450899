"""Files of learned weights: the same bytes for the same weights and facts, whatever the library does with metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from zsad.files.learned import Learned, from_bytes, read_facts, read_learned, to_bytes, write_learned

TENSORS = {
    "keys": np.arange(12, dtype=np.float16).reshape(3, 4),
    "bias": np.linspace(0, 1, 5, dtype=np.float32),
    "count": np.array(7, dtype=np.int64),
}
FACTS = {"method": "flow", "notes": ["é ≠ e"], "steps": 3, "nested": {"b": 1, "a": None}}


def test_equal_weights_and_facts_give_equal_bytes() -> None:
    assert len({to_bytes(Learned(TENSORS, FACTS)) for _ in range(20)}) == 1
    turned = Learned(dict(reversed(TENSORS.items())), dict(reversed(FACTS.items())))
    assert to_bytes(turned) == to_bytes(Learned(TENSORS, FACTS))


@pytest.mark.parametrize("length", range(9))
def test_what_is_written_is_read_by_us_and_by_the_library(length: int, tmp_path: Path) -> None:
    facts = FACTS | {"text": "ü" * length}  # headers of many lengths
    path = tmp_path / "weights.safetensors"
    write_learned(path, Learned(TENSORS, facts))
    assert path.read_bytes() == to_bytes(Learned(TENSORS, facts))
    found = read_learned(path)
    assert found.facts == facts == read_facts(path)
    with safe_open(path, framework="numpy") as file:
        assert sorted(file.keys()) == sorted(TENSORS)
        for name, tensor in TENSORS.items():
            for again in (
                file.get_tensor(name),
                found.tensors[name],
                from_bytes(path.read_bytes(), path).tensors[name],
            ):
                assert again.dtype == tensor.dtype
                np.testing.assert_array_equal(again, tensor)
