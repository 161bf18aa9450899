"""Measure the time from an image to tokens with an EfficientNet-Lite, compared with the plain network.

    python benchmarks/cnn.py --model efficientnet-lite0 --side 256

On one core, in turns, in one process, with the same weights and the same random image:

plain    the published network: separate batch norms, explicit zero padding, float32; up to the last block that is
         used, on a normalised image
network  only our network: batch norms fused, channels last, with the margin
zsad     all steps after reading an image: resizing from 1.5 times the size, margin, network, tokens

Prints the least milliseconds of each, which depend least on other work on the machine, and their ratios to `plain`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from zsad.features.base import Execution
from zsad.features.cnn.efficientnet_lite import EfficientNetLite as Network
from zsad.features.efficientnet_lite import VARIANTS, EfficientNetLite
from zsad.models.pth import read_pth

ROUNDS = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(VARIANTS), default="efficientnet-lite0")
    parser.add_argument("--side", type=int, default=256, help="of the resized image, pixels")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = least_seconds(ways(options.model, options.side))
    for name, seconds in found.items():
        print(f"{name:8} {1000 * seconds:7.1f} ms an image, {seconds / found['plain']:.2f} of the plain network")


def ways(model: str, side: int) -> dict[str, Callable[[], object]]:
    """The timed functions, by name."""
    backbone = EfficientNetLite(model=model, resolution=side)
    extractor = backbone.load(Execution(device="cpu", threads=1))
    plain = Network(VARIANTS[model].blocks()).eval()
    plain.load_state_dict(read_pth(VARIANTS[model].weights.checked_path()))
    kept = [int(layer.name) for layer in backbone.kept_layers()]
    photograph = np.random.default_rng(0).integers(0, 256, (side * 3 // 2, side * 3 // 2, 3), dtype=np.uint8)
    resized = torch.from_numpy(extractor.prepare(photograph)).permute(2, 0, 1)[None]
    normalised = resized.float().contiguous() / 128 - 1
    return {
        "plain": lambda: plain.maps(normalised, kept),
        "network": lambda: extractor.maps_of(resized),
        "zsad": lambda: extractor.extract(photograph),
    }


@torch.inference_mode()
def least_seconds(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least seconds of many rounds, with each way once per round."""
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            found[name] = min(found[name], time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
