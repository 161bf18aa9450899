"""The refiners by name: one line each."""

from zsad.refinement.base import Refiner
from zsad.registry import Registry

REFINERS: Registry[Refiner] = Registry(
    "refiner",
    {
        "guided": "zsad.refinement.guided:Guided",
        "grabcut": "zsad.refinement.grabcut:GrabCut",
    },
)
