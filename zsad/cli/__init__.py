"""The command ``zsad``: looks at what there is, and fetches it; the work itself is done by ``snakemake``."""

from zsad.cli.command import main

__all__ = ["main"]
