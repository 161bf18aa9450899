"""The refiners by name: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsad.registry import Registry

if TYPE_CHECKING:  # importing one of the tables should not import the other
    from zsad.refinement.base import Refiner
    from zsad.refinement.modulation import Modulation

REFINERS: Registry[Refiner] = Registry(
    "refiner",
    {
        "guided": "zsad.refinement.guided:Guided",
        "grabcut": "zsad.refinement.grabcut:GrabCut",
        "sam": "zsad.refinement.sam:Sam",
    },
)

MODULATIONS: Registry[Modulation] = Registry(
    "modulation",
    {
        "modulation": "zsad.refinement.modulation:Modulation",
    },
)
