"""Tiny checkpoints of every family, and nonsense in any field of their JSON files."""

from __future__ import annotations

import copy
import json
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers

import tiny_open_clip
import tiny_sam
from sentence_piece_files import CONTROL, NORMAL, UNIGRAM, UNKNOWN, sentence_piece_file
from zsad.errors import ZsadError
from zsad.features.architecture import architecture_of
from zsad.features.base import Execution
from zsad.features.huggingface import HuggingFace
from zsad.models.families.tipsv2_config import tipsv2_config
from zsad.models.texts.loading import TextModel, load_texts
from zsad.segmentation.base import Prompt
from zsad.segmentation.transformers_sam import TransformersSam

REMOVED = object()
NONSENSE: tuple[Any, ...] = (
    REMOVED,
    None,
    True,
    -1,
    0,
    1,
    3,
    7,
    2**31 - 1,
    2**40,
    10**30,
    0.5,
    -1e300,
    float("nan"),
    float("inf"),
    "",
    "nonsense",
    "8",
    [],
    [1, 2],
    [2**31 - 1] * 4,
    {},
    {"a": 1},
    [[[]]],
)
ADDED: tuple[tuple[str, Any], ...] = (
    ("quantization_config", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    ("quantization_config", {"quant_method": "gptq", "bits": 4}),
    ("quantization_config", "nonsense"),
    ("auto_map", {"AutoConfig": "code.Config", "AutoModel": "code.Model"}),
    ("attn_implementation", "flash_attention_2"),
    ("_attn_implementation", "nonsense"),
    ("dtype", "float99"),
    ("torch_dtype", ["a"]),
    ("transformers_version", "99.0"),
    ("num_labels", 10**9),
    ("pruned_heads", {"0": [0, 99]}),
    ("return_dict", False),
    ("output_attentions", True),
    ("tie_word_embeddings", "x"),
    ("sub_configs", {"a": 1}),
    ("to_dict", 1),
    ("architectures", 7),
    ("base_model_tp_plan", "x"),
    ("gradient_checkpointing", True),
    ("rope_parameters", "x"),
)
SIDE = 12  # of a patch grid's image, times the patch
VISION = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "patch_size": 4, "image_size": 16}
TEXT = {
    "vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "max_position_embeddings": 6, "bos_token_id": 3, "eos_token_id": 4,
}  # fmt: skip
FLAT_TIPSV2 = {  # as its authors write it
    "model_type": "tipsv2", "patch_size": 4, "img_size": 16, "init_values": 1.0, "num_register_tokens": 1,
    "vocab_size": 5, "max_len": 6, "vision_fn": "vit_small", "embed_dim": 12, "text_hidden_size": 12,
    "text_mlp_dim": 8, "text_num_heads": 2, "text_num_layers": 1, "ffn_layer": "mlp", "temperature": 0.005,
}  # fmt: skip
PIECES = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN), ("▁a", -1.0, NORMAL)]
VOCABULARY = {"a": 0, "a</w>": 1, "b</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4}

BACKBONES: dict[str, Callable[[], transformers.PreTrainedModel]] = {
    "vit": lambda: transformers.ViTModel(
        transformers.ViTConfig(**VISION, intermediate_size=16), add_pooling_layer=False
    ),
    "dinov2": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**VISION, mlp_ratio=1)),
    "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(**VISION, mlp_ratio=1, num_register_tokens=2)
    ),
    "dinov3_vit": lambda: transformers.DINOv3ViTModel(
        transformers.DINOv3ViTConfig(**VISION, intermediate_size=16, num_register_tokens=2)
    ),
    "dinov3_convnext": lambda: transformers.DINOv3ConvNextModel(
        transformers.DINOv3ConvNextConfig(hidden_sizes=[4, 6, 8, 10], depths=[1, 1, 1, 1])
    ),
    "clip": lambda: transformers.CLIPModel(
        transformers.CLIPConfig(text_config=TEXT, vision_config={**VISION, "intermediate_size": 16}, projection_dim=6)
    ),
    "siglip": lambda: transformers.SiglipModel(
        transformers.SiglipConfig(text_config=TEXT, vision_config={**VISION, "intermediate_size": 16})
    ),
    "siglip2": lambda: transformers.Siglip2Model(
        transformers.Siglip2Config(
            text_config=TEXT,
            vision_config={"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "patch_size": 4}
            | {"num_patches": 16, "intermediate_size": 16},
        )
    ),
    "tipsv2": lambda: transformers.Tipsv2Model(
        transformers.Tipsv2Config(text_config=TEXT | {"hidden_size": 16}, vision_config={**VISION, "mlp_ratio": 1})
    ),
    "tipsv2_flat": lambda: transformers.Tipsv2Model(
        tipsv2_config(transformers.Tipsv2Config(**FLAT_TIPSV2)),
    ),
}
OPEN_CLIP = ("open_clip", "open_clip text")
SENTENCE_PIECES = ("siglip text", "siglip2 text", "tipsv2 text", "tipsv2_flat text")
TEXTS = ("clip text", "open_clip text", *SENTENCE_PIECES)
FAMILIES = (*BACKBONES, "dinov2 in shards", "open_clip", *TEXTS, "sam", "sam_hq", "sam2", "sam3_tracker")


class Mutation(NamedTuple):
    """A field of a JSON file, and what is put in its place."""

    file: str
    place: tuple[str | int, ...]
    value: Any

    def __str__(self) -> str:
        shown = "removed" if self.value is REMOVED else f"{self.value!r:.40}"
        return f"{self.file}: {'.'.join(map(str, self.place)) or 'all'} = {shown}"


class Outcome(NamedTuple):
    """What came of a checkpoint: tokens or masks, or what went wrong."""

    result: np.ndarray | None
    error: BaseException | None

    @property
    def problem(self) -> str:
        """Why it is not as it should be: neither a result nor one sentence; empty if it is."""
        if self.error is None:
            return "" if self.result is not None and self.result.size else "no result"
        if not isinstance(self.error, ZsadError):
            return f"{type(self.error).__name__}: {self.error}"
        return "" if "\n" not in str(self.error).strip() else f"more than a line: {self.error}"


def write(family: str, folder: Path) -> Path:
    """Save a tiny checkpoint of random weights, the same each time."""
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    if family in tiny_sam.MAKERS:
        tiny_sam.write_transformers(folder, family)
    elif family in OPEN_CLIP:
        return tiny_open_clip.save_folder(folder)
    else:
        BACKBONES[family.split()[0]]().save_pretrained(folder)
    if family == "dinov2 in shards":
        shard(folder)
    if family == "clip text":
        (folder / "vocab.json").write_text(json.dumps(VOCABULARY))
        (folder / "merges.txt").write_text("#version: 0.2\n")
        transformers.CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    if family in SENTENCE_PIECES:
        name = "tokenizer.model" if family.startswith("tipsv2") else "spiece.model"
        (folder / name).write_bytes(sentence_piece_file(PIECES, UNIGRAM))
    if family.startswith("tipsv2_flat"):
        (folder / "config.json").write_text(json.dumps(FLAT_TIPSV2))
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": 8, "do_resize": True, "image_mean": None}))
    return folder


def shard(folder: Path) -> None:
    """Spread the weights of a checkpoint over two files with an index."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = (list(tensors)[::2], list(tensors)[1::2])
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name, keys in zip(names, halves, strict=True):
        save_file({key: tensors[key] for key in keys}, folder / name, {"format": "pt"})
    index = {key: name for name, keys in zip(names, halves, strict=True) for key in keys}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps(
            {"metadata": {"total_size": 4 * sum(tensor.numel() for tensor in tensors.values())}, "weight_map": index}
        )
    )


def mutations(folder: Path, values: Sequence[Any] = NONSENSE) -> Iterator[Mutation]:
    """Every field of every JSON file with every kind of nonsense."""
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        for place in _places(content):
            yield from (Mutation(path.name, place, value) for value in values)
        if path.name in ("config.json", tiny_open_clip.CONFIG):
            yield from (Mutation(path.name, (key,), value) for key, value in ADDED)
            parts = [key for key, value in content.items() if isinstance(value, dict)]
            yield from (Mutation(path.name, (part, key), value) for part in parts for key, value in ADDED)


def sample(folder: Path, count: int, seed: int = 0) -> list[Mutation]:
    """Some of them, the same each time."""
    return random.Random(seed).sample(list(mutations(folder)), count)


@contextmanager
def mutated(folder: Path, mutation: Mutation) -> Iterator[None]:
    """The checkpoint with nonsense in it, for a while."""
    path = folder / mutation.file
    before = path.read_bytes()
    content = json.loads(before)
    try:
        path.write_text(json.dumps(_with(content, mutation.place, mutation.value)))
        yield
    finally:
        path.write_bytes(before)


def outcome(family: str, folder: Path, seconds: int = 20) -> Outcome:
    """Load a checkpoint and compute something small with it.

    Args:
        seconds: after which it counts as hanging.
    """
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(seconds)
    try:
        return Outcome(_computed(family, folder), None)
    except (Exception, SystemExit) as error:
        return Outcome(None, error)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _hangs(*_: object) -> None:
    raise TimeoutError("it hangs")


def _computed(family: str, folder: Path) -> np.ndarray:
    generator = np.random.default_rng(0)
    if family in BACKBONES or family in ("dinov2 in shards", "open_clip"):
        side = 32 if family == "dinov3_convnext" else SIDE
        backbone = HuggingFace(model=str(folder), resolution=side, dtype="float32")
        backbone.check_model()
        architecture_of(backbone)
        extractor = backbone.load(Execution("cpu"))
        tokens = extractor.extract(generator.integers(0, 255, (side, side, 3), dtype=np.uint8))
        rows, columns = extractor.grid_size(side, side)
        assert tokens.patch_tokens.shape == (len(extractor.layers), rows, columns, extractor.channels)
        return tokens.patch_tokens
    if family in TEXTS:
        return load_texts(TextModel(str(folder)), "cpu").encode(["a b", "b"])
    segmenter = TransformersSam(model=str(folder), dtype="float32").load("cpu")
    image = generator.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    (embedding,) = segmenter.embed([segmenter.prepare(image)])
    (candidates,) = segmenter.decode(embedding, 20, 30, [Prompt.of_box((2, 3, 9, 11))])
    return candidates.logits


def _places(content: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield place
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _places(value, (*place, key))
    elif isinstance(content, list) and content:
        yield from _places(content[0], (*place, 0))


def _with(content: Any, place: tuple[str | int, ...], value: Any) -> Any:
    if not place:
        return {} if value is REMOVED else value
    changed = copy.deepcopy(content)
    at = changed
    for key in place[:-1]:
        at = at[key]
    if value is REMOVED:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return changed
