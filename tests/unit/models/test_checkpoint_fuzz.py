"""Nonsense in any field of a checkpoint's JSON files gives a network or one sentence; never a hang or much memory.

``benchmarks/fuzz_checkpoints.py`` tries every field with every kind of nonsense; here are some of each family.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sam
from checkpoint_fuzz import FAMILIES, REMOVED, Mutation, mutated, outcome, sample, write
from zsad.errors import ModelError
from zsad.models import config_sense
from zsad.models.config_sense import MOST, built_within, check_content

SAMPLE, SAMPLE_OF_SEGMENTERS = 8, 3  # mutations a family
MEMORY = 2**30  # bytes that a tiny model may ask for besides those that the process has


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: write(family, tmp_path_factory.mktemp("tiny")) for family in FAMILIES}


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """No large allocation goes unnoticed."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages is not None:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_nonsense_in_a_field_gives_a_network_or_a_sentence(family: str, folders: dict[str, Path]) -> None:
    folder = folders[family]
    assert outcome(family, folder).error is None
    problems = []
    for mutation in sample(folder, SAMPLE_OF_SEGMENTERS if family in tiny_sam.MAKERS else SAMPLE):
        with mutated(folder, mutation):
            if problem := outcome(family, folder).problem:
                problems.append(f"{mutation}: {problem}")
    assert problems == []


HOSTILE: dict[str, tuple[str, tuple[str | int, ...], Any, str]] = {
    "quantised": ("vit", ("quantization_config",), {"quant_method": "bitsandbytes"}, "are quantised .*bitsandbytes"),
    "quantised tower": ("clip", ("vision_config", "quantization_config"), {"bits": 4}, "are quantised"),
    "a width of gigabytes": ("dinov2", ("hidden_size",), 2**20, "describes a larger network than its weights"),
    "a perceptron of gigabytes": ("vit", ("intermediate_size",), 2**29, "describes a larger network than its weights"),
    "more blocks than weights": (
        "dinov3_vit",
        ("num_hidden_layers",),
        99_999,
        "describes a larger network than its weights",
    ),
    "billions of blocks": (
        "dinov2",
        ("num_hidden_layers",),
        2**30,
        "num_hidden_layers is .*, more than in any network",
    ),
    "billions of labels": ("vit", ("num_labels",), 10**9, "num_labels is 1e[+]09, more than in any network"),
    "billions of stages": ("dinov3_convnext", ("depths",), [10**9], "depths is 1e[+]09, more than in any network"),
    "huge images": ("vit", ("image_size",), 2**30, "model"),
    "huge prompts": ("sam", ("prompt_encoder_config", "image_size"), 2**31 - 1, "more than 4096 px|larger network"),
    "no number": ("dinov2", ("layer_norm_eps",), float("nan"), "layer_norm_eps is nan"),
    "no patch": ("dinov2", ("patch_size",), 0, "the patch size is 0, not a whole number above 0|not usable"),
    "no blocks": ("vit", ("num_hidden_layers",), 0, "the number of blocks is 0, not a whole number above 0"),
    "a type that is a list": ("vit", ("model_type",), ["vit"], "has type "),
    "heads that do not divide": ("dinov2", ("num_attention_heads",), 3, "model"),
    "an unknown activation": ("vit", ("hidden_act",), "nonsense", "model"),
    "other levels of features": (
        "sam2",
        ("vision_config", "backbone_feature_sizes"),
        [[1, 1]] * 3,
        "cannot process its input",
    ),
    "a text without an end": ("clip text", ("text_config", "eos_token_id"), REMOVED, "is not that of its text tower"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_configurations_are_refused_in_a_sentence(case: str, folders: dict[str, Path]) -> None:
    family, place, value, said = HOSTILE[case]
    with mutated(folders[family], Mutation("config.json", place, value)):
        error = outcome(family, folders[family], seconds=30).error
    assert isinstance(error, ModelError), error
    assert error.__suppress_context__ or error.__context__ is None
    with pytest.raises(ModelError, match=said):
        raise error


def test_files_beside_the_configuration_do_no_harm(folders: dict[str, Path]) -> None:
    folder = folders["vit"]
    path = folder / "preprocessor_config.json"
    before, content = outcome("vit", folder).result, path.read_text()
    path.write_text('{"size": -1, "do_resize": []}')
    assert (outcome("vit", folder).result == before).all()
    for value in ("[", '"x"', '{"image_mean": "x"}', '{"rescale_factor": [[]]}', '{"do_normalize": {}}'):
        path.write_text(value)
        assert "preprocessor_config.json" in str(outcome("vit", folder).error)
    path.write_text(content)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/other"}))
    assert "is an adapter of another model" in str(outcome("vit", folder).error)
    (folder / "adapter_config.json").unlink()


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "\x00", "\ufeff{}", ""])
def test_a_configuration_that_is_hardly_json_is_refused(content: str, folders: dict[str, Path]) -> None:
    path = folders["vit"] / "config.json"
    before = path.read_bytes()
    path.write_text(content)
    try:
        error = outcome("vit", folders["vit"]).error
    finally:
        path.write_bytes(before)
    assert isinstance(error, ModelError), error


@pytest.mark.parametrize("family", FAMILIES)
def test_no_network_is_larger_than_its_own_weights(
    family: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_sense, "SPARE", 0)
    monkeypatch.setattr(config_sense, "SPARE_TENSORS", 0)
    assert outcome(family, folders[family]).error is None


def test_a_network_as_large_as_its_weights_is_built(tmp_path: Path, folders: dict[str, Path]) -> None:
    with built_within([folders["vit"] / "model.safetensors"], "tiny"):
        torch.nn.Linear(100, 100)
    with (
        pytest.raises(ModelError, match="larger network than its weights"),
        built_within([folders["vit"] / "model.safetensors"], "tiny"),
        torch.device("meta"),
    ):
        torch.nn.Linear(10**6, 10**6)
    check_content(
        "tiny", tmp_path, {"num_labels": MOST, "id2label": {"0": "a"}, "vocab_size": 10**6, "quantization_config": None}
    )
