"""Which files of a model's folder are read: its configuration, and of several sets of weights the first."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from zsad.errors import DataError, ModelError
from zsad.files.json_values import read_foreign_json

CONFIG = "config.json"


class WeightSet(NamedTuple):
    """The files that hold the weights of a checkpoint in one format: either one, or shards and their index."""

    whole: str
    shards: str
    shard_index: str


WEIGHT_SETS = (  # the first that is there is used, and no other downloaded
    WeightSet("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
    WeightSet("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
)


def weight_files(folder: Path) -> list[Path]:
    """The weights in a folder: safetensors before pickles, one file before shards; empty if no set is whole."""
    for weights in WEIGHT_SETS:
        if (folder / weights.whole).is_file():
            return [folder / weights.whole]
        shards = [folder / shard for shard in _shards(folder / weights.shard_index)]
        if shards and all(shard.is_file() for shard in shards):
            return shards
    return []


def required_weights(name: str, folder: Path) -> list[Path]:
    """The files of weights in a folder; none is read.

    Raises:
        ModelError: there are none, or they are not whole.
    """
    if files := weight_files(folder):
        return files
    raise ModelError(f"model '{name}' has no weights (model.safetensors) in {folder}; add them, or choose another")


def _shards(index: Path) -> list[str]:
    """Names of the files that an index spreads the weights over, in order; empty if there is no usable index."""
    if not index.is_file():
        return []
    try:
        content = read_foreign_json(index)
    except DataError:
        return []
    shard_of = content.get("weight_map") if isinstance(content, dict) else None
    return sorted({str(shard) for shard in shard_of.values()}) if isinstance(shard_of, dict) else []
