"""How fast features are extracted, beside a plain loop and beside the network alone.

    python benchmarks/features.py                                          # ViT-S/16 at 448 px on the CPU
    python benchmarks/features.py --device cuda --model vitl16 --resolution 672 --images 512 --threads 16

Three ways, in turns, each turn in a process of its own, with the same random weights of DINOv3 and the same PNG files:

plain    as in most scripts: Pillow opens and resizes, one image at a time, float32, the unchanged network
model    only our network, in its number format and batch size, on normalised tensors in its memory
zsad     the stage of the pipeline: files to HDF5

Prints the median images per second of each, the ratios, the mean cosine between the patch tokens of zsad and of the
plain loop, the peak memory of each, and on a GPU the share of its peak performance. The loading time is removed from
zsad's by extracting a few images and many, after a first run that does not count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from transformers import AutoModel, DINOv3ViTConfig, DINOv3ViTModel

from zsad.data.image_list import ListedImage, write_images
from zsad.features.base import Execution
from zsad.features.extract_features import extract_features
from zsad.features.huggingface import HuggingFace
from zsad.features.network import load_extractor
from zsad.files.features import FeatureReader
from zsad.files.provenance import file_sha256

SIZES = {
    "vits16": {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6},
    "vitb16": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "vitl16": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
}
REGISTERS, PATCH = 4, 16
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312}  # bf16, dense, of the data sheets (SXM)
WARM_UP = 3


@dataclass(frozen=True)
class Task:
    """What is measured."""

    folder: Path
    device: str
    resolution: int
    threads: int
    images: int
    dtype: str
    compiled: bool

    @property
    def checkpoint(self) -> Path:
        """The network's folder."""
        return self.folder / "model"

    def paths(self) -> list[Path]:
        """The images."""
        return sorted((self.folder / "images").glob("*.png"))

    def backbone(self) -> HuggingFace:
        """The backbone of the pipeline."""
        return HuggingFace(model=str(self.checkpoint), resolution=self.resolution, dtype=self.dtype)

    def execution(self, workers: int | None) -> Execution:
        """The execution options."""
        return Execution(self.device, self.threads, workers, compiled=self.compiled)


class Measured(NamedTuple):
    """Of one way: images a second, and the peak of memory in MB, of the processes and of the GPU."""

    rate: float
    memory: float
    gpu_memory: float


def plain_tokens(task: Task, model: DINOv3ViTModel, path: Path) -> np.ndarray:
    """Patch tokens ``[patch, channel]`` as a script would get them."""
    image = Image.open(path).convert("RGB").resize((task.resolution, task.resolution), Image.Resampling.BICUBIC)
    pixels = (np.asarray(image, dtype=np.float32) / 255 - MEAN) / STD
    with torch.no_grad():
        output = model(torch.from_numpy(pixels).permute(2, 0, 1)[None].to(task.device)).last_hidden_state
    return output[0, 1 + REGISTERS :].cpu().numpy()


def plain(task: Task) -> Measured:
    """The plain loop."""
    torch.set_num_threads(task.threads)
    model = AutoModel.from_pretrained(task.checkpoint, dtype=torch.float32).eval().to(task.device)
    paths = task.paths()
    for path in paths[:WARM_UP]:
        plain_tokens(task, model, path)
    start = time.perf_counter()
    tokens = [plain_tokens(task, model, path) for path in paths]
    return measured(task, len(tokens) / (time.perf_counter() - start))


def model_alone(task: Task) -> Measured:
    """Our network on tensors in memory."""
    extractor = load_extractor(task.backbone(), task.execution(workers=0))
    batch = extractor.capacity(task.resolution, task.resolution)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(batch, 3, task.resolution, task.resolution, generator=generator).to(task.device)
    rounds = max(task.images // batch, 1)
    with torch.inference_mode():
        for _ in range(WARM_UP):
            extractor.tokens_of(pixels)
        synchronise(task.device)
        start = time.perf_counter()
        for _ in range(rounds):
            extractor.tokens_of(pixels)
        synchronise(task.device)
    return measured(task, rounds * batch / (time.perf_counter() - start))


def zsad(task: Task) -> Measured:
    """The stage of the pipeline; leaves its features in the folder."""
    few = task.images // 4
    seconds_of_stage(task, few)  # the first also imports, and starts the server of workers
    seconds = {count: seconds_of_stage(task, count) for count in (few, task.images)}
    return measured(task, (task.images - few) / (seconds[task.images] - seconds[few]))


def seconds_of_stage(task: Task, count: int) -> float:
    """The seconds of the pipeline for a number of images, everything included."""
    start = time.perf_counter()
    extract_features(
        image_list=task.folder / f"manifest-{count}.csv",
        category="benchmark",
        subset="test",
        view="original",
        backbone=task.backbone(),
        execution=task.execution(workers=None),
        output=task.folder / "features.h5",
        provenance={},
    )
    return time.perf_counter() - start


WAYS: dict[str, Callable[[Task], Measured]] = {"plain": plain, "model": model_alone, "zsad": zsad}


def measured(task: Task, rate: float) -> Measured:
    """With the memory of this process and of its workers at their peaks, in MB."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    gpu = torch.cuda.max_memory_allocated() if task.device == "cuda" else 0
    return Measured(rate, sum(peaks) / 1024, gpu / 2**20)


def synchronise(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def in_own_process(way: str, task: Task) -> Measured:
    """Run one turn in its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(WAYS[way], task).result()


def write_inputs(task: Task, model: str, side: int) -> None:
    """A network of random weights, PNG files like photographs, and manifests of a few and of all of them."""
    torch.manual_seed(0)
    network = DINOv3ViTModel(DINOv3ViTConfig(**SIZES[model], num_register_tokens=REGISTERS, patch_size=PATCH))
    network.save_pretrained(task.checkpoint)
    records = []
    (task.folder / "images").mkdir()
    for index in range(task.images):
        path = task.folder / "images" / f"{index:05d}.png"
        Image.fromarray(photograph(np.random.default_rng(index % 16), side)).save(path)
        records.append(ListedImage(f"test/{path.name}", str(path), "test", side, side, file_sha256(path)))
    for count in (task.images // 4, task.images):
        write_images(task.folder / f"manifest-{count}.csv", records[:count])


def photograph(rng: np.random.Generator, side: int) -> np.ndarray:
    """uint8 ``[side, side, 3]``: structure that is fainter the finer it is, and noise of the sensor.

    A PNG of 1024 px takes 1.2 MB, about as much a pixel as the images of MVTec AD do on average, and decodes as slowly.
    """
    image = rng.normal(0, 1.1, (side, side, 3))
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        image += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32) * (4 / cells) ** 0.75
    return np.clip(image - image.min(), 0, 255).astype(np.uint8)


def mean_cosine(task: Task) -> float:
    """Of the patch tokens that zsad stored to the plain loop's, over a few images."""
    model = AutoModel.from_pretrained(task.checkpoint, dtype=torch.float32).eval().to(task.device)
    cosines = []
    with FeatureReader(task.folder / "features.h5") as reader:
        for index, path in enumerate(task.paths()[:4]):
            ours, theirs = reader.patch_tokens(index)[0], plain_tokens(task, model, path)
            ours = ours.reshape(theirs.shape)
            norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
            cosines.append(((ours * theirs).sum(axis=1) / norms).mean())
    return float(np.mean(cosines))


def teraflop_of_an_image(model: str, resolution: int) -> float:
    """Multiplications and additions of the matrix products of one image, in 1e12."""
    size = SIZES[model]
    patches = (resolution // PATCH) ** 2
    tokens, width = patches + 1 + REGISTERS, size["hidden_size"]
    products = tokens * (4 * width**2 + 2 * width * size["intermediate_size"]) + 2 * tokens**2 * width
    return 2 * (size["num_hidden_layers"] * products + patches * 3 * PATCH**2 * width) / 1e12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast features are extracted.")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", default="vits16", choices=list(SIZES))
    parser.add_argument("--resolution", type=int, default=448, help="side of the network's input in px")
    parser.add_argument("--side", type=int, default=1024, help="side of the PNG files in px")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            Path(folder),
            options.device,
            options.resolution,
            options.threads,
            options.images,
            options.dtype,
            options.compile,
        )
        write_inputs(task, options.model, options.side)
        turns = [{way: in_own_process(way, task) for way in WAYS} for _ in range(options.turns)]
        print(
            f"DINOv3 {options.model} at {options.resolution} px, {options.images} PNG files of {options.side} px, "
            f"{options.device}, {options.threads} threads, median of {options.turns} turns"
        )
        rates = {way: statistics.median(turn[way].rate for turn in turns) for way in WAYS}
        for way, rate in rates.items():
            memory, gpu_memory = (max(turn[way][column] for turn in turns) for column in (1, 2))
            on_gpu = f", {gpu_memory:.0f} MB of the GPU's" if gpu_memory else ""
            print(f"{way:6}  {rate:8.2f} images/s   peak memory {memory:.0f} MB{on_gpu}")
        for other in ("plain", "model"):
            ratios = sorted(turn["zsad"].rate / turn[other].rate for turn in turns)
            print(f"zsad / {other}: {statistics.median(ratios):.2f} (turn by turn {ratios[0]:.2f} to {ratios[-1]:.2f})")
        print(f"mean cosine of patch tokens to float32: {mean_cosine(task):.6f}")
        if options.device == "cuda":
            name = torch.cuda.get_device_name()
            done = rates["model"] * teraflop_of_an_image(options.model, options.resolution)
            peak = next((peak for card, peak in PEAK_TFLOPS.items() if card in name), None)
            print(f"{name}: {done:.0f} TFLOP/s" + (f", {done / peak:.0%} of its bf16 peak" if peak else ""))


if __name__ == "__main__":
    main()
