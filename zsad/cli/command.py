"""The commands and their options; the modules of a command are imported only when it runs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zsad.errors import ZsadError
from zsad.errors.boundary import is_debugged, sentence_of, with_traceback

Command = Callable[[argparse.Namespace], int | None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a character that the locale lacks must not stop it
    try:
        options = _parser().parse_args(arguments)
        if not options.shares_late:
            _share_caches()
        status = _command(options.run)(options) or 0
        _flush()
    except BrokenPipeError:  # `zsad methods | head`
        _discard_output()
        return 0
    except Exception as error:
        if is_debugged() and not isinstance(error, ZsadError):
            print(with_traceback(error), file=sys.stderr)
        sentence = _output_error(error) or sentence_of(error)
        print(f"zsad: {sentence}", file=sys.stderr)
        return 1
    return status


def _flush() -> None:
    if sys.stdout is not None:  # None if the program was started without a standard output
        sys.stdout.flush()


def _discard_output() -> None:
    """Discard the output that Python would still write at exit, which would raise an error again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _output_error(error: Exception) -> str | None:
    """The message if the standard output cannot be written, e.g. on a full disk; None for any other error."""
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    try:
        os.write(sys.stdout.fileno(), b"\n")  # the lost output need not fail again
    except OSError as failure:
        _discard_output()
        return f"the output cannot be written ({failure.strerror}); send it elsewhere"
    return None


def _share_caches() -> None:
    """Use the models of the shared folder, if there is one; called before the hub's client is imported."""
    from zsad.cli.sharing import share_caches

    share_caches()


def _command(place: str) -> Command:
    """Import and return the function that runs a command, ``"module:function"``."""
    module, _, function = place.partition(":")
    command: Command = getattr(importlib.import_module(module), function)
    return command


class _Parser(argparse.ArgumentParser):
    """Parser of a command. Its options are added only when it runs, because some defaults take time to find."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.add_options: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See `argparse.ArgumentParser`."""
        if self.add_options is not None:
            add_options, self.add_options = self.add_options, None
            add_options(self)
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    """Print the version, which takes time to find."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """See `argparse.Action`."""
        from importlib.metadata import version

        print(f"zsad {version('zsad')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zsad",
        description="Zero-shot anomaly detection with vision foundation models. `zsad inspect` checks photographs; "
        "`snakemake --cores 8`, in a clone of the repository, runs the pipeline; the other commands list its methods, "
        "models and data sets, download, check and export.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, description, run, add_options in COMMANDS:
        command = commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")
        command.set_defaults(run=run, shares_late=False)
        command.add_options = add_options
    return parser


def _path(text: str) -> Path:
    """A path with ``~`` and variables expanded, which a shell does not do in e.g. ``--to=~/data``."""
    if not {"~", "$"} & {*text}:
        return Path(text)
    from zsad.files.user_paths import expanded  # imports pydantic

    try:
        return Path(expanded(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}': {error}") from None


def _no_options(_: argparse.ArgumentParser) -> None:
    pass


def _listing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable output (JSON)")


def _published_options(parser: argparse.ArgumentParser) -> None:
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("dataset", nargs="?", metavar="DATASET", help="only this data set, e.g. visa (default: all)")
    asked.add_argument(
        "--results",
        type=_path,
        metavar="FOLDER",
        help="results of a run, e.g. results/musc: compare its figures with the published ones",
    )
    _listing_options(parser)


def _prompts_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prompts", nargs="?", metavar="NAME_OR_FILE", help="a set of prompts or a file: print all its sentences"
    )
    parser.add_argument(
        "--part", metavar="NAME", default="object", help="name of the object in the sentences (default: %(default)s)"
    )
    _listing_options(parser)


def _download_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="a name listed by `zsad datasets`, `zsad backbones` or `zsad segmenters`, or a model's id on the hub",
    )
    parser.add_argument("--revision", help="branch, tag or commit (default: the main branch)")
    parser.add_argument(
        "--to", type=_path, help="folder for data sets (default: data, in the shared folder if there is one)"
    )


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=_path, metavar="FOLDER", help="images to check instead of the configured ones"
    )
    parser.add_argument(
        "--configfile", nargs="*", type=_path, default=[], help="files to merge into config.yaml, in this order"
    )
    parser.add_argument("--full", action="store_true", help="read every pixel, not only the file headers")
    parser.add_argument("--words", action="store_true", help="print every sentence of the text prompts")


def _demo_options(parser: argparse.ArgumentParser) -> None:
    from zsad.data.demo.plan import DemoOptions

    parser.add_argument("folder", type=_path, help="output folder, with a subfolder for each category")
    parser.add_argument(
        "--seed", type=int, default=DemoOptions().seed, help="random seed of the images (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=DemoOptions().size, help="width and height of an image in px (default: %(default)s)"
    )


def _inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Find defective photographs. With --model, each photograph is compared with a model that the pipeline has "
        "stored, in seconds. With --references, the photographs are compared with normal ones; without either, "
        "with each other. In both of these cases the command runs the workflow, with a configuration that it writes "
        "beside the results. Exit status: 3 if a photograph is called defective and --fail-on-defect is given; "
        "otherwise 1 if one could not be read; otherwise 0."
    )
    parser.add_argument(
        "photographs",
        nargs="+",
        metavar="PHOTO",
        help="photographs, or folders with their subfolders; or -: paths on standard input, one per line, each "
        "answered immediately (with --model)",
    )
    parser.add_argument(
        "--references",
        type=_path,
        action="append",
        metavar="GOOD",
        help="a folder of normal photographs to compare with, or one photograph; may be given several times",
    )
    parser.add_argument("--model", type=_path, metavar="FILE", help="results/NAME/CATEGORY/models/METHOD.h5")
    parser.add_argument(
        "--threshold",
        metavar="X",
        help="a photograph is called defective if the highest value of its map exceeds this: a number, or the name of "
        "a threshold rule listed by `zsad methods` (default: suitable)",
    )
    parser.add_argument("--method", help="a scorer listed by `zsad methods`; not with --model")
    parser.add_argument("--backbone", help="a model listed by `zsad backbones`; not with --model")
    parser.add_argument(
        "--weights",
        type=_path,
        metavar="FILE",
        help="trained weights of a method that is trained on other objects: results/NAME/trained/METHOD.safetensors",
    )
    parser.add_argument(
        "--part",
        metavar="NAME",
        help="the name of the object, e.g. 'printed circuit board': the photographs are compared with sentences about "
        "it, and also with --references if they are given",
    )
    parser.add_argument(
        "--out",
        type=_path,
        metavar="FOLDER",
        help="folder for masks, heat maps, overlays, defects.csv and coco.json",
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output: one JSON object per line")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="inspect the photographs in a folder and each new one, until Ctrl-C (with --model)",
    )
    parser.add_argument(
        "--fail-on-defect", action="store_true", help="exit status 3 if a photograph is called defective"
    )
    parser.set_defaults(shares_late=True)  # most models do not need the shared folder, and finding it takes time
    parser.add_argument("--device", help="auto, cpu, cuda or mps (with --model; default: auto)")


def _export_options(parser: argparse.ArgumentParser) -> None:
    from zsad.exporting.registry import FORMATS
    from zsad.reporting.options import DEFAULT_COLORMAP

    parser.add_argument(
        "results",
        type=_path,
        metavar="RESULTS",
        help="results/NAME/CATEGORY/scores/METHOD.h5, or a folder above it for all scores in it",
    )
    parser.add_argument(
        "--formats", nargs="+", metavar="FORMAT", help=f"one or more of {', '.join(FORMATS.names())} (default: all)"
    )
    parser.add_argument(
        "--refiner",
        metavar="NAME",
        help="refiner of the masks; none for the thresholded maps (default: guided, if it was run)",
    )
    parser.add_argument("--colormap", default=DEFAULT_COLORMAP, help="colours of the heat maps (default: %(default)s)")
    parser.add_argument(
        "--out", type=_path, metavar="FOLDER", help="output folder (default: exports/NAME/CATEGORY/METHOD)"
    )


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare two finished runs method by method and category by category: the difference of the second to the "
        "first with 95 % limits, by a paired bootstrap over the images that both have. The stored bootstrap replicates "
        "are used if both runs measured the same images alike; otherwise the common images are measured again from the "
        "stored scores, which takes as long as measuring them took. Nothing in the folders is changed."
    )
    parser.add_argument("first", type=_path, metavar="FIRST", help="results folder of a run, e.g. results/a")
    parser.add_argument(
        "second", type=_path, metavar="SECOND", help="results folder of another run, or the same for its own methods"
    )
    parser.add_argument(
        "--method",
        nargs="+",
        metavar="NAME",
        help="methods to compare; FIRST=SECOND if its name in the second run is another (default: all of equal name)",
    )
    parser.add_argument(
        "--refiner",
        metavar="NAME",
        help="compare masks of this refiner, or FIRST=SECOND; none for what stands out in the maps (default: none)",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help="columns of metrics.csv, or all (default: image_auroc aupro; with --refiner: mask_f1 mask_iou)",
    )
    parser.add_argument("--out", type=_path, metavar="FILE.csv", help="write the table as CSV, too")
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def _log_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write finished runs to a tracker of experiments, from their tables and plots: a run a method with its "
        "parameters, its metrics with their confidence limits, and its galleries; and one with tables, plots and page "
        "as artefacts. The tracker is an optional dependency of this project."
    )
    parser.add_argument("results", nargs="+", type=_path, metavar="RESULTS", help="results folders, e.g. results/musc")
    parser.add_argument(
        "--to",
        required=True,
        choices=("mlflow", "wandb"),
        help="MLflow, or Weights & Biases (without a network: WANDB_MODE=offline)",
    )
    parser.add_argument(
        "--experiment",
        metavar="NAME",
        help="experiment of MLflow, or project of Weights & Biases (default: MLFLOW_EXPERIMENT_NAME or WANDB_PROJECT, "
        "or zsad)",
    )
    parser.add_argument(
        "--uri",
        help="server or store of MLflow, e.g. http://localhost:5000 or sqlite:///mlflow.db, or a folder for a store "
        "and its files (default: MLFLOW_TRACKING_URI, or the default of MLflow)",
    )


# Name, description, "module:function" that runs the command, and the function that adds its options.
COMMANDS: tuple[tuple[str, str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    (
        "methods",
        "list the scorers, thresholds and refiners with their parameters",
        "zsad.cli.listings:show_methods",
        _no_options,
    ),
    (
        "classifiers",
        "list the classifiers of defect types with their parameters",
        "zsad.cli.listings:show_classifiers",
        _no_options,
    ),
    (
        "backbones",
        "list the published models, and the families of backbones with their parameters",
        "zsad.cli.listings:show_backbones",
        _listing_options,
    ),
    (
        "segmenters",
        "list the published promptable segmentation models, and their families with their parameters",
        "zsad.cli.listings:show_segmenters",
        _listing_options,
    ),
    (
        "datasets",
        "list the published data sets, and the folder layouts with their parameters",
        "zsad.cli.listings:show_datasets",
        _listing_options,
    ),
    (
        "published",
        "list published figures to compare with, and the configurations that reproduce papers",
        "zsad.cli.published:show_published",
        _published_options,
    ),
    (
        "prompts",
        "list the sets of text prompts, or print the sentences of one set",
        "zsad.cli.prompting:show_prompts",
        _prompts_options,
    ),
    (
        "download",
        "download models and data sets in advance, for a machine without a network",
        "zsad.cli.downloads:download",
        _download_options,
    ),
    (
        "check",
        "check a configuration and its images, and estimate what a run needs",
        "zsad.cli.checking:check",
        _check_options,
    ),
    ("demo", "write the demo images to a folder", "zsad.cli.demo:write_demo", _demo_options),
    (
        "export",
        "write masks, heat maps and annotations of results for other programs, without a run",
        "zsad.cli.exporting:export",
        _export_options,
    ),
    (
        "compare",
        "compare two finished runs, with confidence limits",
        "zsad.cli.comparing:compare",
        _compare_options,
    ),
    (
        "log",
        "write finished runs to a tracker of experiments (MLflow, Weights & Biases)",
        "zsad.cli.logging_runs:log",
        _log_options,
    ),
    ("inspect", "find defective photographs", "zsad.cli.inspecting:inspect", _inspect_options),
)
