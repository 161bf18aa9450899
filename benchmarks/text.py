"""Measure the time of WinCLIP for an image, compared with a loop over its windows.

    python benchmarks/text.py
    python benchmarks/text.py --model large --turns 5

One image of 240 x 240 pixels, from pixels to the map and the image score, with random weights of OpenCLIP's
ViT-B/16-plus-240 and random vectors for the two classes of sentences. Ways take turns in one process:

loop     as in a script: each of the 365 windows passes through the network by itself, and each patch gets the harmonic
         mean of the windows that cover it; float32
winclip  the backbone with `path: windows`, and the scorer `winclip`; in float32, and in the format that `dtype: auto`
         comes to on this machine

Prints the median seconds of each, how many times as fast as the loop it is (the median of the ratios of the same turn),
and the greatest difference of a score. It also prints the paths `plain` and `values`, which see the image at once;
--model large uses the size of CLIP's ViT-L/14-336 at 518 pixels for these two alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.utils import logging

from zsad.device import number_format
from zsad.features.base import Extractor
from zsad.features.execution import Execution
from zsad.features.image_text import ImageText
from zsad.scoring.token_source import MemoryTokens
from zsad.scoring.winclip import score_by_texts

PLUS_240: Mapping[str, Any] = {
    "hidden_size": 896,
    "intermediate_size": 3584,
    "num_hidden_layers": 12,
    "num_attention_heads": 14,
    "patch_size": 16,
    "image_size": 240,
    "projection_dim": 640,
    "hidden_act": "gelu",
}
LARGE_336: Mapping[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 336,
    "projection_dim": 768,
}
WINDOWS, TEMPERATURE = (2, 3), 0.07
LARGE_SIDE = 518


class Scored(NamedTuple):
    """The result of a way for an image: its score, and its map, float64 ``[row, column]``."""

    score: float
    anomaly_map: np.ndarray


class Loop:
    """WinCLIP as a script computes it.

    Args:
        folder: of the checkpoint.
        classes: unit vectors ``[state, channel]``.
    """

    def __init__(self, folder: Path, classes: torch.Tensor) -> None:
        network = CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        self._network, self._classes = network.eval(), classes

    def __call__(self, pixels: torch.Tensor) -> Scored:
        """Of pixels ``[1, 3, height, width]``, normalised."""
        patch = self._network.config.patch_size
        rows, columns = (side // patch for side in pixels.shape[-2:])
        with torch.inference_mode():
            tokens = self._network.vision_model.embeddings(pixels, interpolate_pos_encoding=True)
            whole = self._probability(tokens)
            means = [self._means(tokens, rows, columns, side) for side in WINDOWS]
        return Scored(whole, (1 + len(means)) / (1 / whole + sum(1 / mean for mean in means)))

    def _means(self, tokens: torch.Tensor, rows: int, columns: int, side: int) -> np.ndarray:
        """For each patch the harmonic mean of the windows of one size that cover it."""
        inverse, count = np.zeros((rows, columns)), np.zeros((rows, columns))
        for row in range(rows - side + 1):
            for column in range(columns - side + 1):
                places = [0]
                for inner in range(row, row + side):
                    places += [1 + inner * columns + other for other in range(column, column + side)]
                covered = (slice(row, row + side), slice(column, column + side))
                inverse[covered] += 1 / self._probability(tokens[:, places])
                count[covered] += 1
        return count / inverse

    def _probability(self, tokens: torch.Tensor) -> float:
        """How anomalous one sequence of tokens is."""
        tower: Any = self._network.vision_model
        states = tower.encoder(inputs_embeds=tower.pre_layrnorm(tokens)).last_hidden_state
        vector = self._network.visual_projection(tower.post_layernorm(states[:, 0]))[0]
        cosines = self._classes @ (vector / vector.norm())
        return float(torch.softmax(cosines.double() / TEMPERATURE, dim=0)[1])


class Batched:
    """WinCLIP by the backbone and the scorer.

    Args:
        folder, classes: see `Loop`.
        side: of the image, pixels.
    """

    def __init__(self, folder: Path, classes: torch.Tensor, dtype: str, side: int) -> None:
        self._extractor = loaded(folder, dtype, path="windows", resolution=side)
        self._classes = classes

    def __call__(self, image: np.ndarray) -> Scored:
        """Of an image, uint8 ``[height, width, 3]``."""
        tokens = self._extractor.extract(image)
        features = MemoryTokens(tokens.patch_tokens[None], tokens.cls_tokens[None], layers=self._extractor.layers)
        return Scored(*score_by_texts(features, 0, self._classes, None, TEMPERATURE))


def loaded(folder: Path, dtype: str, **params: Any) -> Extractor:
    """The backbone in a number format, ready."""
    backbone = ImageText.build({"model": str(folder), "fit": "square", "dtype": dtype, **params}, where="benchmark")
    return backbone.load(Execution("cpu", torch.get_num_threads()))


def saved(folder: Path, sizes: Mapping[str, Any]) -> Path:
    """A checkpoint of random weights."""
    torch.manual_seed(0)
    CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes)).save_pretrained(folder)
    return folder


def normalised(image: np.ndarray) -> torch.Tensor:
    """An image as CLIP takes it, float32 ``[1, 3, height, width]``."""
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    deviation = np.array([0.26862954, 0.26130258, 0.27577711])
    return torch.from_numpy(((image / 255 - mean) / deviation).astype(np.float32)).permute(2, 0, 1)[None]


def seconds_of(call: Callable[[], Any]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def formats() -> list[str]:
    """float32, and what ``auto`` comes to if it is another."""
    return list(dict.fromkeys(["float32", str(number_format("auto", "cpu")).removeprefix("torch.")]))


def compared(folder: Path, dtypes: Sequence[str], turns: int, side: int) -> str:
    """The rows of WinCLIP: the loop, and ours in each number format."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixels = normalised(image)
    width = CLIPVisionConfig.from_pretrained(folder).projection_dim
    classes = torch.nn.functional.normalize(torch.from_numpy(generator.normal(size=(2, width))).float(), dim=1)
    loop, ours = Loop(folder, classes), [Batched(folder, classes, dtype, side) for dtype in dtypes]
    expected = loop(pixels)  # a first time that does not count
    apart = [difference(each(image), expected) for each in ours]
    calls = [partial(loop, pixels), *(partial(each, image) for each in ours)]
    seconds = np.array([[seconds_of(call) for call in calls] for _ in range(turns)])
    ratios = np.median(seconds[:, :1] / seconds, axis=0)
    rows = [f"| loop, float32 | {np.median(seconds[:, 0]):.2f} s | | |"]
    for place, dtype in enumerate(dtypes, start=1):
        rows.append(
            f"| winclip, {dtype} | {np.median(seconds[:, place]):.2f} s | {ratios[place]:.1f} times as fast | "
            f"{apart[place - 1]:.1e} |"
        )
    return "\n".join(rows)


def difference(found: Scored, expected: Scored) -> float:
    """The greatest of any score."""
    return max(abs(found.score - expected.score), float(np.abs(found.anomaly_map - expected.anomaly_map).max()))


def paths(folder: Path, dtypes: Sequence[str], turns: int, side: int, first: int) -> str:
    """The rows of the two paths that see an image at once, in each number format."""
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    rows = []
    for dtype in dtypes:
        plain = loaded(folder, dtype, resolution=side)
        values = loaded(folder, dtype, resolution=side, path="values", first_value_block=first)
        calls = [partial(each.extract, image) for each in (plain, values)]
        for call in calls:
            call()
        seconds = np.array([[seconds_of(call) for call in calls] for _ in range(turns)])
        quick, longer = np.median(seconds, axis=0)
        ratio = np.median(seconds[:, 1] / seconds[:, 0])
        rows.append(f"| plain, {dtype} | {quick:.2f} s | | |")
        rows.append(f"| values, {dtype} | {longer:.2f} s | {ratio:.2f} times as long as plain | |")
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["plus", "large"], default="plus")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    print("| | one image | | scores differ by at most |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        if options.model == "large":
            print(paths(saved(Path(name), LARGE_336), formats(), options.turns, LARGE_SIDE, first=-19))
            return
        folder, side = saved(Path(name), PLUS_240), PLUS_240["image_size"]
        print(paths(folder, formats(), options.turns, side, first=-6))
        print(compared(folder, formats(), options.turns, side))


if __name__ == "__main__":
    main()
