"""The table of all faults, one module for each kind of thing that can be wrong."""

from cases import (
    archives,
    dependence,
    downloads,
    errors,
    folders,
    geometry,
    images,
    joints,
    labelled,
    masks,
    networks,
    packages,
    paths,
    resnets,
    results,
    spreadsheet,
    tables,
    unreadable,
)
from fault import Fault

FAULTS: tuple[Fault, ...] = (
    *images.FAULTS,
    *masks.FAULTS,
    *joints.FAULTS,
    *folders.FAULTS,
    *tables.FAULTS,
    *labelled.FAULTS,
    *unreadable.FAULTS,
    *resnets.FAULTS,
    *results.FAULTS,
    *spreadsheet.FAULTS,
    *dependence.FAULTS,
    *downloads.FAULTS,
    *archives.FAULTS,
    *errors.FAULTS,
    *geometry.FAULTS,
    *paths.FAULTS,
    *networks.FAULTS,
    *packages.FAULTS,
)
