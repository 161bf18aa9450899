"""Select the files of a model's folder to read: its configuration, and the first of several sets of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from zsad.errors import DataError, ModelError
from zsad.files.json_values import read_foreign_json

CONFIG = "config.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"  # how pixels are normalised
TOKENIZER = (  # image tokens do not depend on these
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.model",
    "spiece.model",
)


class WeightSet(NamedTuple):
    """The weights files of a checkpoint in one format: either one, or shards and their index."""

    whole: str
    shards: str
    shard_index: str


class Form(NamedTuple):
    """A form of models in folders.

    Attributes:
        config: the file with its configuration.
        weight_sets: the first existing one is used, and no other is downloaded.
    """

    config: str
    weight_sets: tuple[WeightSet, ...]


TRANSFORMERS = Form(  # timm's folders, too
    CONFIG,
    (
        WeightSet("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
        WeightSet("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
    ),
)
OPEN_CLIP = Form(
    OPEN_CLIP_CONFIG,
    tuple(
        WeightSet(f"{stem}.{ending}", f"{stem}-*.{ending}", f"{stem}.{ending}.index.json")
        for stem, ending in (
            ("open_clip_model", "safetensors"),
            ("open_clip_pytorch_model", "safetensors"),
            ("open_clip_pytorch_model", "bin"),
        )
    ),
)


def form_of(folder: Path) -> Form:
    """The form of a model's folder; that of ``transformers`` if a folder has both."""
    if (folder / OPEN_CLIP_CONFIG).is_file() and not names_type(folder / CONFIG):
        return OPEN_CLIP
    return TRANSFORMERS


def names_type(config: Path) -> bool:
    """Whether a file exists and is the configuration of a model of ``transformers``."""
    return config.is_file() and "model_type" in _keys(config)


def config_beside(file: Path) -> Path | None:
    """The configuration of a single file of weights, which only open_clip's have; None if there is none."""
    beside = file.with_name(OPEN_CLIP_CONFIG)
    return beside if file.is_file() and beside.is_file() else None


def files_beside(file: Path) -> list[Path]:
    """All files that are read with a single weights file."""
    if not file.is_file():
        return []
    beside = (file.with_name(name) for name in (OPEN_CLIP_CONFIG, PREPROCESSOR, PROCESSOR))
    return [path for path in beside if path.is_file()]


def weight_files(folder: Path) -> list[Path]:
    """The weights in a folder: safetensors before pickles, one file before shards; empty if no set is complete."""
    for weights in form_of(folder).weight_sets:
        if (folder / weights.whole).is_file():
            return [folder / weights.whole]
        shards = [folder / shard for shard in _shards(folder / weights.shard_index)]
        if shards and all(shard.is_file() for shard in shards):
            return shards
    return []


def required_weights(name: str, folder: Path) -> list[Path]:
    """The weights files in a folder; none is read.

    Raises:
        ModelError: there are none, or they are incomplete.
    """
    if files := weight_files(folder):
        return files
    usual = form_of(folder).weight_sets[0].whole
    raise ModelError(f"model '{name}' has no weights ({usual}) in {folder}; add them, or choose another")


def _shards(index: Path) -> list[str]:
    """Names of the files that an index spreads the weights over, in order; empty if there is no usable index."""
    shard_of = _keys(index).get("weight_map") if index.is_file() else None
    return sorted({str(shard) for shard in shard_of.values()}) if isinstance(shard_of, dict) else []


def _keys(path: Path) -> dict[str, Any]:
    """The content of an object in a JSON file; empty if it is invalid."""
    try:
        content = read_foreign_json(path)
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}
