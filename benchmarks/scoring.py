"""Measure the speed of scoring images, compared with alternatives.

    pip install -r benchmarks/requirements.txt          # faiss, for the second comparison
    python benchmarks/scoring.py                        # all of it on the CPU
    python benchmarks/scoring.py mutual --images 60     # one of: mutual, few, scaling, bank, coreset, peak
    python benchmarks/scoring.py peak --device cuda     # the share of the matrix-product peak; mutual runs there, too
    python benchmarks/scoring.py --without-bfloat16     # as on a processor without it, see below

mutual   120 images of 28 x 28 patches, 384 channels: each image against all others at once by MuSc's own expression
         (`torch.cdist`, least over the patches of an image, mean of the lowest), and the scorer `mutual`, which reads
         its features from HDF5, in float32 and in 16 bits: seconds, peak memory beyond the loaded libraries, the
         greatest difference of a score, and the image AUROC on planted defects
few      the same with 192 images of 56 channels, as those of the backbone `embedded`, and neighbourhoods of 1, 3 and 5
         patches: finding the least of a distance matrix costs more there, beside making it
scaling  the scorer alone for 30, 60, 120 and 240 images
bank     the nearest of 131 thousand vectors for each patch of an image: faiss `IndexFlatIP`, and the memory bank
coreset  5 % of 20 thousand vectors: a loop that takes the distances to each new one, and the coreset of the memory bank
peak     the scorer on 120 images of 37 x 37 patches, 1024 channels, 4 layers, as a share of the rate of large products

Ways take turns, each in its own process; figures are medians, ratios are of the same turn. If the processor would
emulate bfloat16, it is left out, because it is then used only if explicitly configured; ``--without-bfloat16``
leaves it out everywhere, and hides AVX512-BF16 and AMX from the libraries (``ONEDNN_MAX_CPU_ISA=AVX512_CORE``). As on a
machine without AVX-512 it is with

    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 OPENBLAS_CORETYPE=Haswell \\
        python benchmarks/scoring.py --without-bfloat16

for oneDNN, torch, MKL, and the OpenBLAS of numpy and faiss, in this order.

A kernel that takes the product and both minima at once would gain little: for two images of 784 patches and 56 channels
the product takes 1.2 ms and both minima another 0.25 ms (numpy, one core of an AMD EPYC without AVX-512), and the same
fused by numba took 2.1 ms at best, as its product is the slower one. So numba is no extra of this project.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import torch
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from zsad.device import number_format
from zsad.files.features import FeatureReader, FeatureWriter
from zsad.scoring.compute import MEGABYTE, Compute
from zsad.scoring.coreset import greedy_coreset
from zsad.scoring.image_level import ImageScoring
from zsad.scoring.mutual import Mutual
from zsad.scoring.mutual_distances import unit_means
from zsad.scoring.similarity import Metric
from zsad.scoring.tokens import normalise

LOWEST = 0.3
FEW_IMAGES, FEW_CHANNELS = 192, 56
BANK, BANK_IMAGES, CORESET, CORESET_SHARE = 131_072, 8, 20_000, 0.05
SAMPLING_SECONDS = 0.005
LIMITS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE")


@dataclass(frozen=True)
class Task:
    """What is measured."""

    folder: Path
    device: str
    threads: int
    memory_mb: int
    images: int = 120
    side: int = 28
    channels: int = 384
    layers: int = 1
    precision: str = "float32"
    neighbourhoods: tuple[int, ...] = (1,)
    sixteen_bits: bool = True

    @property
    def features(self) -> Path:
        """The feature file."""
        return self.folder / f"features-{self.images}-{self.side}-{self.channels}-{self.layers}.h5"

    def compute(self) -> Compute:
        """What the scorer gets."""
        return Compute(self.device, self.memory_mb * MEGABYTE, self.precision)


class Measured(NamedTuple):
    """Of one way: seconds, megabytes at the peak beyond the start, and results."""

    seconds: float
    megabytes: float
    result: np.ndarray


# --- features -----------------------------------------------------------------------------------------------------


def write_features(task: Task) -> None:
    """Write images of one object: each position has a prototype, as in aligned objects; a third have a defect."""
    rng = np.random.default_rng(0)
    shape = (task.layers, task.side, task.side, task.channels)
    prototypes = rng.normal(size=shape) + 2 * rng.normal(size=task.channels)
    with FeatureWriter(
        task.features,
        [f"test/{index:03d}.png" for index in range(task.images)],
        {},
        layers=range(task.layers),
        channels=task.channels,
        grid_sizes=np.full((task.images, 2), task.side),
        cls_source="mean of patch tokens",
    ) as writer:
        for index in range(task.images):
            tokens = prototypes + 0.7 * rng.normal(size=shape)
            if is_defective(index):
                row, column = rng.integers(0, task.side - 3, 2)
                tokens[:, row : row + 3, column : column + 3] += rng.uniform(0.1, 0.7) * rng.normal(size=task.channels)
            writer.write(index, tokens, tokens.mean(axis=(1, 2)))


def is_defective(index: int) -> bool:
    """Which images have a defect."""
    return index % 3 == 0


def clustered(count: int, channels: int, seed: int) -> torch.Tensor:
    """Unit vectors around a few hundred centres, as patches of references are."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(256, channels, generator=torch.Generator().manual_seed(0))
    chosen = torch.randint(0, 256, (count,), generator=generator)
    return normalise(centres[chosen] + 0.7 * torch.randn(count, channels, generator=generator))


# --- the ways -----------------------------------------------------------------------------------------------------


def cdist_mutual(task: Task) -> np.ndarray:
    """Each image against all others at once, by the expression of MuSc's code for each neighbourhood.

    Returns:
        ``[image, patch]``.
    """
    with FeatureReader(task.features) as reader:
        tokens = [torch.from_numpy(reader.patch_tokens(i)[0]) for i in range(len(reader))]
    scores = []
    for side in task.neighbourhoods:
        pooled = torch.stack([unit_means(image, side).flatten(0, 1) for image in tokens]).to(task.device)
        scores.append(torch.stack([cdist_scores(pooled, image) for image in range(len(pooled))]))
    return torch.stack(scores).mean(dim=0).cpu().numpy()


def cdist_scores(tokens: torch.Tensor, image: int) -> torch.Tensor:
    """Scores of the patches of one image, from ``[image, patch, channel]``, as MuSc's `compute_scores_fast` has it.

    That is ``torch.cdist`` to the patches of all other images, ``torch.min`` with its places, and two sorts.
    """
    images, patches, channels = tokens.shape
    others = torch.cat([tokens[:image], tokens[image + 1 :]]).reshape(-1, channels)
    distances = torch.cdist(tokens[image : image + 1], others).reshape(patches, images - 1, patches)
    nearest = torch.min(distances, -1)[0]
    count = max(1, int(LOWEST * (images - 1)))
    lowest = nearest.topk(count, dim=1, largest=False, sorted=True).values
    return lowest.topk(count, dim=1, largest=True, sorted=True).values.mean(dim=1)


def zsad_mutual(task: Task) -> np.ndarray:
    """The scorer of the pipeline, from HDF5: ``[image, patch]``."""
    scorer = Mutual(interval=(0.0, LOWEST), neighbourhoods=task.neighbourhoods, rescoring=())
    with FeatureReader(task.features) as reader:
        found = sorted(scorer.score({"test": reader}, task.compute()), key=lambda score: score.index)
    return np.array([score.anomaly_map.ravel() for score in found])


def faiss_bank(task: Task) -> np.ndarray:
    """Cosines of images' patches and their nearest of the bank, by faiss."""
    import faiss

    faiss.omp_set_num_threads(task.threads)
    index = faiss.IndexFlatIP(task.channels)
    index.add(clustered(BANK, task.channels, 1).numpy())
    images = clustered(BANK_IMAGES * task.side**2, task.channels, 2).split(task.side**2)
    index.search(images[0].numpy(), 1)
    with timed() as clock:
        found = [index.search(image.numpy(), 1)[0] for image in images]
    return np.append(np.concatenate(found).ravel(), clock.seconds)


def zsad_bank(task: Task) -> np.ndarray:
    """The same by the memory bank's products."""
    bank = clustered(BANK, task.channels, 1)
    metric = Metric(task.compute(), bank[: task.side**2].mean(dim=0).to(task.device))
    points = torch.cat([metric.points(part.to(task.device)) for part in bank.split(8192)])
    images = clustered(BANK_IMAGES * task.side**2, task.channels, 2).to(task.device).split(task.side**2)
    metric.nearest(metric.queries(metric.points(images[0])), points)
    synchronise(task.device)
    with timed() as clock:
        found = [1 - metric.nearest(metric.queries(metric.points(image)), points)[:, 0] for image in images]
        synchronise(task.device)
    return np.append(torch.cat(found).cpu().numpy(), clock.seconds)


def loop_coreset(task: Task) -> np.ndarray:
    """Farthest-point selection with the distances to each new vector taken anew, as in widespread code."""
    vectors = clustered(CORESET, task.channels, 3).to(task.device)
    with timed() as clock:
        chosen = [int((vectors - vectors.mean(dim=0)).norm(dim=1).argmax())]
        gap = torch.full((len(vectors),), torch.inf, device=task.device)
        while len(chosen) < CORESET_SHARE * CORESET:
            newest = vectors[chosen[-1] : chosen[-1] + 1]
            gap = torch.minimum(gap, torch.nn.functional.pairwise_distance(vectors, newest))
            chosen.append(int(gap.argmax()))
    return np.array([cover_radius(vectors, chosen), clock.seconds])


def zsad_coreset(task: Task) -> np.ndarray:
    """The same by the memory bank's coreset."""
    vectors = clustered(CORESET, task.channels, 3).to(task.device)
    with timed() as clock:
        metric = Metric(task.compute(), vectors.mean(dim=0))
        chosen = greedy_coreset(metric.points(vectors), int(CORESET_SHARE * CORESET), metric).tolist()
    return np.array([cover_radius(vectors, chosen), clock.seconds])


def cover_radius(vectors: torch.Tensor, chosen: Sequence[int]) -> float:
    """The greatest distance of a vector to its nearest chosen one."""
    return max(float(torch.cdist(part, vectors[chosen]).amin(dim=1).max()) for part in vectors.split(2000))


# --- measuring ----------------------------------------------------------------------------------------------------


class timed:  # noqa: N801 (reads as a statement)
    """Seconds of a block."""

    seconds: float

    def __enter__(self) -> timed:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def synchronise(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def measured(way: Callable[[Task], np.ndarray], task: Task) -> Measured:
    """Run one way in this process; its memory is what it adds to that of the imported libraries."""
    torch.set_num_threads(task.threads)
    threadpool_limits(task.threads)  # numpy's as well
    torch.randn(256, 256) @ torch.randn(256, 256)  # the libraries' own buffers and threads
    if task.device == "cuda":
        torch.zeros(1, device="cuda")
    with peak_memory() as memory, timed() as clock:
        result = way(task)
        synchronise(task.device)
    on_gpu = torch.cuda.max_memory_allocated() if task.device == "cuda" else 0
    return Measured(clock.seconds, max(memory.added, on_gpu) / MEGABYTE, result)


class peak_memory:  # noqa: N801 (reads as a statement)
    """Bytes that a block adds to this process at its peak, as a thread sees it every few milliseconds."""

    added = 0

    def __enter__(self) -> peak_memory:
        self._process, self._stop = psutil.Process(), threading.Event()
        self._start = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLING_SECONDS):
            self.added = max(self.added, self._process.memory_info().rss - self._start)


def in_own_process(way: Callable[[Task], np.ndarray], task: Task) -> Measured:
    """Run one turn in its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, way, task).result()


def low_precision(task: Task) -> Task:
    """The task in 16 bits."""
    return replace(task, precision="float16" if task.device == "cuda" else "bfloat16")


# --- the comparisons ----------------------------------------------------------------------------------------------


def in_turns(
    task: Task, turns: int, plain: tuple[str, Callable[[Task], np.ndarray]], own: Callable[[Task], np.ndarray]
) -> dict[str, list[Measured]]:
    """What the plain way, ours in float32 and ours in 16 bits took in each turn, by name; the last if it is native."""
    ways = {plain[0]: (plain[1], task), "zsad float32": (own, task)}
    if task.sixteen_bits:
        low = low_precision(task)
        ways[f"zsad {low.precision}"] = own, low
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, (way, how) in ways.items():
            found[name].append(in_own_process(way, how))
    return found


def print_ratios(seconds: dict[str, list[float]]) -> None:
    """How many times as fast as the first way the others are: the median over the turns, and their range."""
    (plain, of_plain), *others = seconds.items()
    for name, of_own in others:
        ratios = sorted(first / second for first, second in zip(of_plain, of_own, strict=True))
        print(f"  {name} / {plain}: {statistics.median(ratios):.2f} (turn by turn {ratios[0]:.2f} to {ratios[-1]:.2f})")


def compare_mutual(task: Task, turns: int) -> None:
    """`mutual` against MuSc's own expression."""
    write_features(task)
    found = in_turns(task, turns, ("torch.cdist", cdist_mutual), zsad_mutual)
    print(f"mutual, neighbourhoods {task.neighbourhoods}: {described(task)}")
    labels = [is_defective(index) for index in range(task.images)]
    plain = found["torch.cdist"][0].result
    most = max(measure.megabytes for measure in found["torch.cdist"])
    for name, measures in found.items():
        seconds = statistics.median(measure.seconds for measure in measures)
        memory = max(measure.megabytes for measure in measures)
        scores = measures[0].result
        image_scores = [ImageScoring().image_score(image) for image in scores]
        print(
            f"  {name:14} {seconds:8.2f} s   {memory:6.0f} MB (1/{most / memory:.1f})   greatest difference "
            f"{np.abs(scores - plain).max():.1e}   image AUROC {roc_auc_score(labels, image_scores):.4f}"
        )
    print_ratios({name: [measure.seconds for measure in measures] for name, measures in found.items()})


def compare_few(task: Task, turns: int) -> None:
    """`mutual` where the least of distances weighs as much as the distances."""
    compare_mutual(replace(task, images=FEW_IMAGES, channels=FEW_CHANNELS, neighbourhoods=(1, 3, 5)), turns)


def compare_scaling(task: Task, turns: int) -> None:
    """`mutual` on ever more images: time grows with their square, memory stays."""
    print(f"scaling of mutual: {described(task)}")
    for images in (30, 60, 120, 240):
        own = replace(task, images=images)
        write_features(own)
        cells = []
        for how in (own, low_precision(own)) if task.sixteen_bits else (own,):
            runs = [in_own_process(zsad_mutual, how) for _ in range(turns)]
            seconds = statistics.median(run.seconds for run in runs)
            pairs = images * (images - 1) / 2
            rate = 2 * pairs * task.side**4 * task.channels / seconds / 1e9
            memory = max(run.megabytes for run in runs)
            cells.append(f"{how.precision} {seconds:7.2f} s {rate:5.0f} GFLOP/s {memory:5.0f} MB")
        print(f"  {images:4} images   " + "   ".join(cells))


def compare_bank(task: Task, turns: int) -> None:
    """The memory bank against faiss; the last number of a result is its seconds, without those of filling the bank."""
    found = in_turns(task, turns, ("faiss float32", faiss_bank), zsad_bank)
    print(f"bank: {BANK} vectors for each of {BANK_IMAGES} images, {described(task)}")
    plain = found["faiss float32"][0].result[:-1]
    for name, measures in found.items():
        seconds = statistics.median(measure.result[-1] for measure in measures) / BANK_IMAGES
        difference = np.abs(measures[0].result[:-1] - plain).max()
        print(f"  {name:14} {1000 * seconds:8.1f} ms an image   greatest difference of a cosine {difference:.1e}")
    print_ratios({name: [float(measure.result[-1]) for measure in measures] for name, measures in found.items()})


def compare_coreset(task: Task, turns: int) -> None:
    """The coreset against a loop; the last number of a result is its seconds."""
    found = in_turns(task, turns, ("loop float32", loop_coreset), zsad_coreset)
    print(f"coreset: {CORESET_SHARE:.0%} of {CORESET} vectors, {described(task)}")
    for name, measures in found.items():
        seconds = statistics.median(measure.result[-1] for measure in measures)
        print(f"  {name:14} {seconds:8.2f} s   cover radius {measures[0].result[0]:.4f}")
    print_ratios({name: [float(measure.result[-1]) for measure in measures] for name, measures in found.items()})


def compare_peak(task: Task, turns: int) -> None:
    """The scorer's rate of useful products as a share of that of large square ones on the same device."""
    large = replace(task, side=37, channels=1024, layers=4)
    if task.device == "cpu":
        large = replace(large, images=min(task.images, 8))
    if task.sixteen_bits:
        large = low_precision(large)
    write_features(large)
    rates, peaks = [], []
    for _ in range(turns):
        seconds = in_own_process(zsad_mutual, large).seconds
        operations = large.layers * large.images * (large.images - 1) * large.side**4 * large.channels
        rates.append(operations / seconds / 1e12)
        peaks.append(float(in_own_process(product_rate, large).result[0]))
    rate, peak = statistics.median(rates), statistics.median(peaks)
    print(f"peak: {described(large)}, {large.precision}: {rate:.2f} of {peak:.2f} TFLOP/s, {rate / peak:.0%}")


def product_rate(task: Task) -> np.ndarray:
    """Rate of a large square matrix product in the task's format, 1e12 operations a second."""
    size = 8192 if task.device == "cuda" else 2048
    left = torch.randn(size, size, device=task.device).to(task.compute().format)
    out = left @ left
    synchronise(task.device)
    repeats = 20
    with timed() as clock:
        for _ in range(repeats):
            torch.mm(left, left, out=out)
        synchronise(task.device)
    return np.array([repeats * 2 * size**3 / clock.seconds / 1e12])


def described(task: Task) -> str:
    """What it is about, and where it runs."""
    what = f"{task.images} images of {task.side} x {task.side} patches, {task.channels} channels, {task.layers} layers"
    if task.device == "cuda":
        return f"{what}, {torch.cuda.get_device_name()}"
    return f"{what}, {task.threads} threads, budget {task.memory_mb} MB"


def machine(device: str) -> str:
    """What decides about speed: the processor, its vector instructions and number formats, the libraries."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in described if line.startswith("model name")), "")
    capabilities = torch.cpu.get_capabilities()
    has = [f"{name} {'yes' if capabilities.get(name) else 'no'}" for name in ("avx512_f", "avx512_bf16", "amx_bf16")]
    where = f", on {torch.cuda.get_device_name()}" if device == "cuda" else ""
    kept = [f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ]
    name = f"{model or capabilities.get('cpu_name', 'unknown processor')}{where}"
    libraries = [f"torch {torch.__version__}", f"numpy {np.__version__}"]
    return ", ".join([name, *has, f"{os.cpu_count()} cores", *libraries, *kept])


COMPARISONS: dict[str, Callable[[Task, int], None]] = {
    "mutual": compare_mutual,
    "few": compare_few,
    "scaling": compare_scaling,
    "bank": compare_bank,
    "coreset": compare_coreset,
    "peak": compare_peak,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast images are scored.")
    parser.add_argument("what", nargs="*", choices=[*COMPARISONS, []], help="comparisons; all if none is named")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", type=int, default=66, help="budget of the scorer in MB")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--without-bfloat16", action="store_true", help="hide it from the libraries, and leave it out")
    options = parser.parse_args()
    if options.without_bfloat16:
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")  # read by the processes that measure
    native = options.device != "cpu" or number_format("auto", "cpu") == torch.bfloat16
    sixteen_bits = native and not options.without_bfloat16
    print(machine(options.device))
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            Path(folder),
            options.device,
            options.threads,
            options.memory,
            options.images,
            sixteen_bits=sixteen_bits,
        )
        for name in options.what or COMPARISONS:
            COMPARISONS[name](task, options.turns)


if __name__ == "__main__":
    main()
