"""The command ``zsad``: lists, checks, downloads, inspects and exports; ``snakemake`` runs the pipeline itself."""

from zsad.cli.command import main

__all__ = ["main"]
