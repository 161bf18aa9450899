"""The commands and their options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from zsad.cli.checking import check
from zsad.cli.downloads import download
from zsad.cli.listings import show_backbones, show_datasets, show_methods, show_segmenters
from zsad.data.demo.make_demo import make_category
from zsad.data.demo.plan import CATEGORIES, DemoOptions
from zsad.errors import ZsadError
from zsad.errors.boundary import is_debugged, sentence_of, with_traceback
from zsad.files.user_paths import expanded
from zsad.reporting.options import DEFAULT_COLORMAP
from zsad.workflow.settings import default_sharing

Command = Callable[[argparse.Namespace], int | None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what a locale has no letter for is no reason to stop
    try:
        options = _parser().parse_args(arguments)
        os.environ.update(default_sharing().variables())  # before the hub's client is imported
        command: Command = options.run
        status = command(options) or 0
        _flush()
    except BrokenPipeError:  # `zsad methods | head`
        _write_no_more()
        return 0
    except Exception as error:
        if is_debugged() and not isinstance(error, ZsadError):
            print(with_traceback(error), file=sys.stderr)
        sentence = _of_output(error) or sentence_of(error)
        print(f"zsad: {sentence}", file=sys.stderr)
        return 1
    return status


def _flush() -> None:
    if sys.stdout is not None:  # which a program that was started without one has not
        sys.stdout.flush()


def _write_no_more() -> None:
    """Send to nowhere what Python would still write at its end, and complain of."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _of_output(error: Exception) -> str | None:
    """The sentence for a standard output that cannot be written, e.g. a file on a full disk; None for anything else."""
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    try:
        os.write(sys.stdout.fileno(), b"\n")  # as what could not be written is lost, and need not fail again
    except OSError as failure:
        _write_no_more()
        return f"the output cannot be written ({failure.strerror}); send it elsewhere"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zsad",
        description="Zero-shot anomaly detection with vision foundation models. "
        "Run the pipeline with `snakemake --cores 8` in a clone of the repository; these commands show what it can be "
        "made of.",
    )
    parser.add_argument("--version", action="version", version=f"zsad {version('zsad')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(commands, "methods", "list the scorers, thresholds and refiners with their parameters", show_methods)
    backbones = _add(
        commands,
        "backbones",
        "list the published models, and the families of backbones with their parameters",
        show_backbones,
    )
    segmenters = _add(
        commands,
        "segmenters",
        "list the published promptable segmentation models, and their families with their parameters",
        show_segmenters,
    )
    published = _add(
        commands, "datasets", "list the published data sets, and what their layouts leave open", show_datasets
    )
    for listing in (published, backbones, segmenters):
        listing.add_argument("--json", action="store_true", help="for programs")
    fetched = _add(commands, "download", "fetch models and data sets ahead, for a machine without a network", download)
    fetched.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="as `zsad datasets`, `zsad backbones` or `zsad segmenters` lists it, or a model's id of the hub",
    )
    fetched.add_argument("--revision", help="branch, tag or commit (default: the main branch)")
    fetched.add_argument(
        "--to", type=_path, help="folder for data sets (default: data, in the shared folder if there is one)"
    )
    checked = _add(commands, "check", "check a configuration and its images, and say what they ask for", check)
    checked.add_argument(
        "folder", nargs="?", type=_path, metavar="FOLDER", help="images to check in place of the configured ones"
    )
    checked.add_argument(
        "--configfile", nargs="*", type=_path, default=[], help="merged into config.yaml, in this order"
    )
    checked.add_argument("--full", action="store_true", help="read every pixel, not the headers alone")
    exported = _add(
        commands,
        "export",
        "write masks, heat maps and annotations of results for other programs, without a run",
        _export,
    )
    exported.add_argument(
        "results",
        type=_path,
        metavar="RESULTS",
        help="results/<name>/<category>/scores/<method>.h5, or a folder above it for all that it holds",
    )
    exported.add_argument(
        "--formats",
        nargs="+",
        metavar="FORMAT",
        help="of masks, maps, overlays, csv, coco, labelme and yolo (default: all)",
    )
    exported.add_argument(
        "--refiner", metavar="NAME", help="whose masks; none for the thresholded map (default: guided, if it was run)"
    )
    exported.add_argument("--colormap", default=DEFAULT_COLORMAP, help="of the heat maps (default: %(default)s)")
    exported.add_argument(
        "--out", type=_path, metavar="FOLDER", help="to write to (default: exports/<method> beside the scores)"
    )
    demo = _add(commands, "demo", "write the demo images to a folder", _write_demo)
    demo.add_argument("folder", type=_path, help="gets one folder a category")
    demo.add_argument(
        "--seed", type=int, default=DemoOptions().seed, help="another seed draws other images (default: %(default)s)"
    )
    demo.add_argument(
        "--size", type=int, default=DemoOptions().size, help="side of an image in px (default: %(default)s)"
    )
    return parser


def _path(text: str) -> Path:
    """A path that a shell has left as it was written, e.g. in ``--to=~/data``."""
    try:
        return Path(expanded(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': {error}") from None


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str, run: Command
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")
    command.set_defaults(run=run)
    return command


def _export(options: argparse.Namespace) -> None:
    from zsad.cli.exporting import export

    export(options)


def _write_demo(options: argparse.Namespace) -> None:
    demo = DemoOptions.build({"seed": options.seed, "size": options.size}, where="zsad demo")
    for category in CATEGORIES:
        make_category(category, demo, options.folder / category)
        print(options.folder / category)
