"""Base cost of a job: the interpreter and the libraries that it imports.

Measured with the versions of ``requirements.txt`` on Linux; memory includes shared pages of libraries, as Snakemake and
schedulers count it.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from zsad.resources.estimate import Estimate

PLAIN = Estimate(90, 0.4)  # NumPy, OpenCV, h5py
STATISTICS = Estimate(110, 0.7)  # and SciPy
PICTURES = Estimate(100, 0.6)  # and Matplotlib's colours
PLOTS = Estimate(115, 1.0)  # and Matplotlib
PANDAS_MEGABYTES, PANDAS_SECONDS = 35, 0.2  # in addition to any of these
TORCH = Estimate(270, 1.5)  # its build for CPUs
GPU_BUILD_MEGABYTES = 510  # in addition, its build for GPUs where no GPU is started
SCIKIT_LEARN = Estimate(120, 1.7)  # in addition to torch
TRANSFORMERS = Estimate(420, 4.5)  # and torch
CUDA = Estimate(3000, 10.0)  # a GPU's context and kernels and the libraries of the build, in the memory of the host


def with_torch(*, on_gpu: bool) -> Estimate:
    """A job that imports torch, and starts a GPU or not."""
    return TORCH.plus(*CUDA) if on_gpu else TORCH.plus(gpu_build_megabytes())


def with_transformers(*, on_gpu: bool) -> Estimate:
    """A job that imports torch and transformers, and starts a GPU or not."""
    return TRANSFORMERS.plus(*CUDA) if on_gpu else TRANSFORMERS.plus(gpu_build_megabytes())


def gpu_build_megabytes() -> float:
    """What the installed build of PyTorch takes more than the one for CPUs."""
    return GPU_BUILD_MEGABYTES if is_built_for_gpus() else 0.0


@cache
def is_built_for_gpus() -> bool:
    """Whether the installed PyTorch is built for CUDA or ROCm, without importing it."""
    spec = find_spec("torch")
    folders = [] if spec is None else spec.submodule_search_locations or []
    return any(has_gpu_library(Path(folder)) for folder in folders)


def has_gpu_library(package: Path) -> bool:
    """Whether a folder of the package torch has the libraries of a build for GPUs."""
    return any(True for kind in ("cuda", "hip") for _ in package.glob(f"lib/*torch_{kind}.*"))
