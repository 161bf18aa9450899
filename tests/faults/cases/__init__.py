"""The table of all faults, one module for each kind of thing that can be wrong."""

from cases import archives, downloads, folders, images, masks, paths, results, tables, unreadable
from fault import Fault

FAULTS: tuple[Fault, ...] = (
    *images.FAULTS,
    *masks.FAULTS,
    *folders.FAULTS,
    *tables.FAULTS,
    *unreadable.FAULTS,
    *results.FAULTS,
    *downloads.FAULTS,
    *archives.FAULTS,
    *paths.FAULTS,
)
