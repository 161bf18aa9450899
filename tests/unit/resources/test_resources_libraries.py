"""What PyTorch takes before it computes, by its build."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from zsad.resources import libraries
from zsad.resources.features import reader_megabytes
from zsad.resources.libraries import (
    CUDA,
    GPU_BUILD_MEGABYTES,
    has_gpu_library,
    is_built_for_gpus,
    with_torch,
    with_transformers,
)


@pytest.mark.parametrize(
    ("names", "is_for_gpus"),
    [
        (("libtorch.so", "libtorch_cpu.so", "libtorch_python.so"), False),
        (("libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so"), True),
        (("libtorch_hip.so",), True),
        (("torch_cuda.dll", "torch_cpu.dll"), True),
        (("libtorch_cpu.dylib", "libtorch.dylib"), False),
        ((), False),
    ],
)
def test_a_build_for_gpus_is_known_by_its_libraries(names: tuple[str, ...], is_for_gpus: bool, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for name in names:
        (tmp_path / "lib" / name).touch()
    assert has_gpu_library(tmp_path) == is_for_gpus


def test_the_installed_build_is_found_without_importing_it() -> None:
    import torch

    assert is_built_for_gpus() == (torch.version.cuda is not None or torch.version.hip is not None)
    (folder,) = find_spec("torch").submodule_search_locations
    assert has_gpu_library(Path(folder)) == is_built_for_gpus()


def test_a_build_for_gpus_takes_more_memory_wherever_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(is_for_gpus: bool, *, on_gpu: bool = False) -> list[float]:
        monkeypatch.setattr(libraries, "is_built_for_gpus", lambda: is_for_gpus)
        bases = [with_torch(on_gpu=on_gpu), with_transformers(on_gpu=on_gpu)]
        return [reader_megabytes(), *(base.megabytes for base in bases)]

    for_cpus, for_gpus = taken(False), taken(True)
    assert for_gpus == [each + GPU_BUILD_MEGABYTES for each in for_cpus]
    _, *started = taken(True, on_gpu=True)  # with what the libraries take
    assert started == [each + CUDA.megabytes for each in for_cpus[1:]]
