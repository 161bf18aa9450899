"""Measure the time of a promptable segmentation model for an image, and the gain of storing its embedding.

    python benchmarks/sam.py                              # ViT-B by segment_anything on the CPU
    python benchmarks/sam.py --model tiny                 # a quick try: two narrow blocks, the whole decoder
    python benchmarks/sam.py --library transformers       # the same network by the other library
    python benchmarks/sam.py --device cuda --model vit_h

Random weights, one square image of 1024 pixels, boxes as prompts, three candidates each at the size of the image:

predictor  `SamPredictor` of segment_anything, float32: an embedding, then prompt by prompt (segment_anything alone)
zsad       the back-end of the pipeline, in float32, and in the number format that suits the device

Prints the seconds of an embedding, of reading one from HDF5, and of decoding 1, 5 and 20 prompts; the memory that
embedding and decoding add at their peaks to the loaded model; by how much embeddings differ from those in float32; and
how many times as fast an image is decoded with a cached embedding (read, decode) as without (embed, decode). Ways take
turns, each in its own process; figures are medians, ratios are of the same turn.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from scoring import peak_memory, synchronise, timed

from zsad.device import number_format
from zsad.files.embeddings import EmbeddingReader, EmbeddingWriter
from zsad.scoring.compute import MEGABYTE
from zsad.segmentation.base import Candidates, Prompt
from zsad.segmentation.registry import SEGMENTERS
from zsad.segmentation.torchvision_standin import segment_anything_modeling

PROMPTS = (1, 5, 20)
SIDE = 1024
IMAGE_ID = "test/0.png"
WHOLE = (0, 0, SIDE, SIDE)


class Size(NamedTuple):
    """Of an image encoder."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


SIZES = {
    "tiny": Size(64, 2, 2, (1,)),
    "vit_b": Size(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": Size(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": Size(1280, 32, 16, (7, 15, 23, 31)),
}


@dataclass(frozen=True)
class Task:
    """What is measured."""

    folder: Path
    library: str
    size: str
    device: str
    threads: int

    @property
    def weights(self) -> Path:
        """A ``.pth`` file, or a folder of transformers."""
        return self.folder / ("sam.pth" if self.library == "segment_anything" else "sam")


class Measured(NamedTuple):
    """Of one way: seconds and megabytes.

    Attributes:
        embed: seconds.
        read: seconds; zero for what keeps no embedding.
        decode: seconds for each of ``PROMPTS``.
        memory: peaks beyond the loaded model while embedding and while decoding.
        embedding: what was made.
    """

    embed: float
    read: float
    decode: tuple[float, ...]
    memory: tuple[float, float]
    embedding: np.ndarray


# --- the model ----------------------------------------------------------------------------------------------------


def write_segment_anything(task: Task) -> None:
    """Random weights as the authors publish theirs."""
    torch.save(segment_anything(task).state_dict(), task.weights)


def segment_anything(task: Task) -> torch.nn.Module:
    """The authors' network of random weights."""
    segment_anything_modeling()
    torch.manual_seed(0)
    # The package's own function of this name hides the module that it is in.
    return importlib.import_module("segment_anything.build_sam")._build_sam(*SIZES[task.size])


def write_transformers(task: Task) -> None:
    """Random weights as on the hub."""
    size = SIZES[task.size]
    vision = {"hidden_size": size.width, "num_hidden_layers": size.depth, "num_attention_heads": size.heads}
    config = transformers.SamConfig(vision_config={**vision, "global_attn_indexes": list(size.global_blocks)})
    torch.manual_seed(0)
    model = transformers.SamModel(config)
    for parameter in model.vision_encoder.parameters():
        torch.nn.init.trunc_normal_(parameter, std=0.02)  # the library's own are so small that products underflow
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(task.weights)


WRITERS = {"segment_anything": write_segment_anything, "transformers": write_transformers}


def photograph() -> np.ndarray:
    """An image of noise; what is on it changes no time."""
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def boxes(count: int) -> np.ndarray:
    """Boxes ``[box, 4]``, ``(left, top, right, bottom)``."""
    near = np.random.default_rng(1).integers(0, SIDE // 2, (count, 2))
    return np.concatenate([near, near + SIDE // 4], axis=1).astype(np.float64)


# --- the ways -----------------------------------------------------------------------------------------------------


def predictor(task: Task, dtype: str) -> Measured:
    """The authors' predictor, a prompt at a time."""
    network = segment_anything(task).to(task.device)
    from segment_anything import SamPredictor

    model = SamPredictor(network)

    def embed() -> np.ndarray:
        model.set_image(photograph())
        return model.get_image_embedding().cpu().numpy()

    def decode(count: int) -> list[Candidates]:
        return [Candidates(*model.predict(box=box, return_logits=True)[:2]) for box in boxes(count)]

    return measured(task, embed, decode, read=None)


def zsad(task: Task, dtype: str) -> Measured:
    """The back-end of the pipeline, with the file between embedding and decoding."""
    part = SEGMENTERS.build(task.library, {"model": str(task.weights), "dtype": dtype})
    model = part.load(task.device)
    path = task.folder / f"{dtype}.h5"

    def embed() -> np.ndarray:
        (embedding,) = model.embed([model.prepare(photograph())])
        with EmbeddingWriter(path, [IMAGE_ID], {}, windows=np.array([WHOLE]), shapes=model.shapes) as writer:
            writer.write(0, embedding)
        return embedding[0]

    def read() -> tuple[np.ndarray, ...]:
        with EmbeddingReader(path) as reader:
            return reader.find(IMAGE_ID, WHOLE)

    def decode(count: int) -> list[Candidates]:
        no_points, no_labels = np.zeros((0, 2)), np.zeros(0, int)
        prompts = [Prompt(tuple(box), no_points, no_labels) for box in boxes(count)]
        return model.decode(read(), SIDE, SIDE, prompts)

    return measured(task, embed, decode, read)


Way = Callable[[Task, str], Measured]


# --- measuring ----------------------------------------------------------------------------------------------------


def measured(
    task: Task,
    embed: Callable[[], np.ndarray],
    decode: Callable[[int], list[Candidates]],
    read: Callable[[], object] | None,
) -> Measured:
    """Run one way in this process."""
    on_gpu = task.device == "cuda"
    if on_gpu:
        embed()  # kernels are chosen the first time
    with peak_memory() as of_embedding, timed() as embedding_time:
        embedding = embed()
    if on_gpu:
        of_embedding.added = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    decode(1)
    seconds = []
    with peak_memory() as of_decoding:
        for count in PROMPTS:
            with timed() as clock:
                decode(count)
                synchronise(task.device)
            seconds.append(clock.seconds)
    if on_gpu:
        of_decoding.added = torch.cuda.max_memory_allocated()
    reading = 0.0
    if read is not None:
        with timed() as clock:
            read()
        reading = clock.seconds
    memory = (of_embedding.added / MEGABYTE, of_decoding.added / MEGABYTE)
    return Measured(embedding_time.seconds, reading, tuple(seconds), memory, embedding.astype(np.float32).ravel())


def with_threads(way: Way, task: Task, dtype: str) -> Measured:
    """Run one way with the threads of the task."""
    torch.set_num_threads(task.threads)
    return way(task, dtype)


def in_own_process(way: Way, task: Task, dtype: str) -> Measured:
    """Run one turn in its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(with_threads, way, task, dtype).result()


def compare(task: Task, turns: int) -> None:
    """All ways, in turns."""
    WRITERS[task.library](task)
    best = str(number_format("auto", task.device)).removeprefix("torch.")
    ways: dict[str, tuple[Way, str]] = {f"zsad {dtype}": (zsad, dtype) for dtype in dict.fromkeys(("float32", best))}
    if task.library == "segment_anything":
        ways = {"predictor float32": (predictor, "float32"), **ways}
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, (way, dtype) in ways.items():
            found[name].append(in_own_process(way, task, dtype))
    where = torch.cuda.get_device_name() if task.device == "cuda" else f"{task.threads} threads"
    print(f"{task.size} by {task.library}, {where}; seconds, and MB beyond the loaded model")
    print(f"  {'':18} {'embed':>8} {'read':>7}", *(f"{f'decode {n}':>10}" for n in PROMPTS), end="")
    print(f" {'MB embed':>9} {'decode':>7} {'difference':>11}")
    exact = found["zsad float32"][0].embedding
    for name, runs in found.items():
        print_row(name, runs, exact)
    print_ratios(found)


def print_row(name: str, runs: Sequence[Measured], exact: np.ndarray) -> None:
    """Medians of one way, its greatest peaks, and how far its embedding is from that in float32."""
    decode = (statistics.median(run.decode[place] for run in runs) for place in range(len(PROMPTS)))
    memory = (max(run.memory[place] for run in runs) for place in range(2))
    difference = np.linalg.norm(runs[0].embedding - exact) / np.linalg.norm(exact)
    print(
        f"  {name:18} {statistics.median(run.embed for run in runs):8.2f} "
        f"{statistics.median(run.read for run in runs):7.3f}",
        *(f"{seconds:10.3f}" for seconds in decode),
        "{:9.0f} {:7.0f}".format(*memory),
        f"{difference:10.2%}",
    )


def print_ratios(found: dict[str, list[Measured]]) -> None:
    """How many times as fast it is with a cached embedding, and in the other number format: medians over the turns."""
    for name, runs in found.items():
        if name.startswith("zsad"):
            gains = [
                statistics.median((run.embed + run.decode[place]) / run.decode[place] for run in runs)
                for place in range(len(PROMPTS))
            ]
            cells = ", ".join(f"{gain:.1f} for {count}" for count, gain in zip(PROMPTS, gains, strict=True))
            print(f"  {name}: not cached / cached, by prompts: {cells}")
    (plain, of_plain), *others = found.items()
    for name, runs in others:
        pairs = list(zip(of_plain, runs, strict=True))
        embed = statistics.median(first.embed / second.embed for first, second in pairs)
        decode = statistics.median(first.decode[-1] / second.decode[-1] for first, second in pairs)
        print(f"  {plain} / {name}: embedding {embed:.2f}, decoding {PROMPTS[-1]} prompts {decode:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long a promptable segmentation model takes for an image.")
    parser.add_argument("--model", default="vit_b", choices=SIZES)
    parser.add_argument("--library", default="segment_anything", choices=WRITERS)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), options.library, options.model, options.device, options.threads)
        compare(task, options.turns)


if __name__ == "__main__":
    main()
