"""ResNets from files: absent, damaged, of another network, and parameters that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from cases.sound import IMAGES
from damages import nothing
from fault import Damage, Fault, Place
from tiny_resnet import BASIC, State, saved, state_of

FILE = "own.pth"


def written(change: Callable[[State], object]) -> Damage:
    """A file of weights lies in the working directory, something in it being changed."""

    def damage(_: Place) -> None:
        torch.save(change(state_of(BASIC)), FILE)

    return damage


def cut(_: Place) -> None:
    """The file was not downloaded to its end."""
    saved(BASIC, Path(FILE))
    Path(FILE).write_bytes(Path(FILE).read_bytes()[:5000])


def nothing_extracted(_: Place) -> None:
    """It is said before any feature is extracted."""
    assert not list(Path("results").rglob("*.h5"))


def refused(name: str, said: str, damage: Damage = nothing, **params: object) -> Fault:
    """A run with the file as the backbone ends without features."""
    changes = {
        "backbones__net": {"family": "resnet", "params": {"model": FILE, "resolution": 32, **params}},
        "backbone": "net",
    }
    return Fault(name, IMAGES, damage, said, changes=changes, then=nothing_extracted)


FAULTS: tuple[Fault, ...] = (
    refused("ResNet that is not there", r"the model file or folder '.*own\.pth' does not exist; correct 'model'"),
    refused(
        "ResNet that was cut off",
        (r"the weights file \S*own\.pth (is damaged|cannot be read \(Invalid argument\)); download it " r"again"),
        cut,
    ),
    refused(
        "ResNet of which a tensor is missing",
        r"the weights of model '.*own\.pth' lack the tensor 'bn1\.bias'; download them again",
        written(lambda state: {key: value for key, value in state.items() if key != "bn1.bias"}),
    ),
    refused(
        "ResNet that is another network",
        r"the weights of model '.*own\.pth' are not of a ResNet \(their first tensor is 'cls_token'\)",
        written(lambda state: {"cls_token": torch.zeros(1, 1, 8)}),
    ),
    refused(
        "stage that a ResNet has not",
        r"model '.*own\.pth' has no layer 5; its stages are layers 1 to 4",
        written(lambda state: state),
        layers=[2, 5],
    ),
    refused("weight of the constant that is negative", r"constant = -1 is not valid", constant=-1),
)
