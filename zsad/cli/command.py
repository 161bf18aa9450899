"""The commands and their options; what a command needs is imported when it is given."""

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
            stream.reconfigure(errors="backslashreplace")  # what a locale has no letter for is no reason to stop
    try:
        options = _parser().parse_args(arguments)
        if not options.shares_late:
            _share_caches()
        status = _command(options.run)(options) or 0
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


def _share_caches() -> None:
    """Take models from the shared folder, if there is one; before the hub's client is imported."""
    from zsad.cli.sharing import share_caches

    share_caches()


def _command(place: str) -> Command:
    """Import and return what runs a command, ``"module:function"``."""
    module, _, function = place.partition(":")
    command: Command = getattr(importlib.import_module(module), function)
    return command


class _Parser(argparse.ArgumentParser):
    """The parser of a command, whose options are added when it is given: some have defaults that take time to know."""

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
    """Says the version, which takes time to find out."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """See `argparse.Action`."""
        from importlib.metadata import version

        print(f"zsad {version('zsad')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zsad",
        description="Zero-shot anomaly detection with vision foundation models. `zsad inspect` looks at photographs; "
        "run the pipeline with `snakemake --cores 8` in a clone of the repository; the other commands show what it can "
        "be made of.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, description, run, add_options in COMMANDS:
        command = commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")
        command.set_defaults(run=run, shares_late=False)
        command.add_options = add_options
    return parser


def _path(text: str) -> Path:
    """A path that a shell has left as it was written, e.g. in ``--to=~/data``."""
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
    parser.add_argument("--json", action="store_true", help="for programs")


def _published_options(parser: argparse.ArgumentParser) -> None:
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("dataset", nargs="?", metavar="DATASET", help="of which alone, e.g. visa (default: all)")
    asked.add_argument(
        "--results", type=_path, metavar="FOLDER", help="of a run, e.g. results/musc: print its figures beside theirs"
    )
    _listing_options(parser)


def _prompts_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prompts", nargs="?", metavar="NAME_OR_FILE", help="a set, or a file, whose sentences are printed word by word"
    )
    parser.add_argument(
        "--part", metavar="NAME", default="object", help="what the part is called in them (default: %(default)s)"
    )
    _listing_options(parser)


def _download_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="as `zsad datasets`, `zsad backbones` or `zsad segmenters` lists it, or a model's id of the hub",
    )
    parser.add_argument("--revision", help="branch, tag or commit (default: the main branch)")
    parser.add_argument(
        "--to", type=_path, help="folder for data sets (default: data, in the shared folder if there is one)"
    )


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=_path, metavar="FOLDER", help="images to check in place of the configured ones"
    )
    parser.add_argument(
        "--configfile", nargs="*", type=_path, default=[], help="merged into config.yaml, in this order"
    )
    parser.add_argument("--full", action="store_true", help="read every pixel, not the headers alone")
    parser.add_argument("--words", action="store_true", help="print every sentence that methods ask about")


def _demo_options(parser: argparse.ArgumentParser) -> None:
    from zsad.data.demo.plan import DemoOptions

    parser.add_argument("folder", type=_path, help="gets one folder a category")
    parser.add_argument(
        "--seed", type=int, default=DemoOptions().seed, help="another seed draws other images (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=DemoOptions().size, help="side of an image in px (default: %(default)s)"
    )


def _inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Tell good photographs from defective ones. With --model each is compared with a model that the pipeline has "
        "stored, in seconds; with --references the photographs are compared with good ones, and with neither with each "
        "other: the workflow runs underneath, by a configuration that is written beside the results. Exit status: 0; 3 "
        "with --fail-on-defect if a photograph is called defective; otherwise 1 if one could not be read."
    )
    parser.add_argument(
        "photographs",
        nargs="+",
        metavar="PHOTO",
        help="a photograph, a folder with its sub-folders, several of them; or -: paths on standard input, one a line, "
        "each answered as it comes (with --model)",
    )
    parser.add_argument(
        "--references",
        type=_path,
        action="append",
        metavar="GOOD",
        help="folder of good photographs to compare with, or one of them; may be given several times",
    )
    parser.add_argument("--model", type=_path, metavar="FILE", help="results/NAME/CATEGORY/models/METHOD.h5")
    parser.add_argument(
        "--threshold",
        metavar="X",
        help="what the highest value of a map must exceed for a photograph to be called defective: a number, or the "
        "name of a rule of `zsad methods` (default: suitable)",
    )
    parser.add_argument("--method", help="scorer of `zsad methods`; a model has its own")
    parser.add_argument("--backbone", help="model of `zsad backbones`; a model has its own")
    parser.add_argument(
        "--weights",
        type=_path,
        metavar="FILE",
        help="of a method that is trained on other parts, what it has learned: results/NAME/trained/METHOD.safetensors",
    )
    parser.add_argument(
        "--part",
        metavar="NAME",
        help="what you would call the part, e.g. 'printed circuit board': it is then compared with sentences, and with "
        "--references too if there are any",
    )
    parser.add_argument(
        "--out", type=_path, metavar="FOLDER", help="for masks, heat maps, overlays, defects.csv and coco.json"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object a line")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="inspect what is in a folder and what appears there, until Ctrl-C (with --model)",
    )
    parser.add_argument(
        "--fail-on-defect", action="store_true", help="exit status 3 if a photograph is called defective"
    )
    parser.set_defaults(shares_late=True)  # most models need none of what may be shared, and to find it takes time
    parser.add_argument("--device", help="auto, cpu, cuda or mps (with --model; default: auto)")


def _export_options(parser: argparse.ArgumentParser) -> None:
    from zsad.exporting.registry import FORMATS
    from zsad.reporting.options import DEFAULT_COLORMAP

    parser.add_argument(
        "results",
        type=_path,
        metavar="RESULTS",
        help="results/NAME/CATEGORY/scores/METHOD.h5, or a folder above it for all that it holds",
    )
    parser.add_argument(
        "--formats", nargs="+", metavar="FORMAT", help=f"of {', '.join(FORMATS.names())} (default: all)"
    )
    parser.add_argument(
        "--refiner",
        metavar="NAME",
        help="whose masks; none for what stands out in maps (default: guided, if it was run)",
    )
    parser.add_argument("--colormap", default=DEFAULT_COLORMAP, help="of the heat maps (default: %(default)s)")
    parser.add_argument(
        "--out", type=_path, metavar="FOLDER", help="to write to (default: exports/NAME/CATEGORY/METHOD)"
    )


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare two finished runs method by method and category by category: the difference of the second to the "
        "first with 95 % limits, by a paired bootstrap over the images that both have. The stored bootstrap replicates "
        "are used if both runs measured the same images alike; otherwise the common images are measured anew from the "
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
    parser.add_argument("--json", action="store_true", help="for programs")


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


# Name, what it does, "module:function" that runs it, and what adds its options.
COMMANDS: tuple[tuple[str, str, str, Callable[[argparse.ArgumentParser], None]], ...] = (
    (
        "methods",
        "list the scorers, thresholds and refiners with their parameters",
        "zsad.cli.listings:show_methods",
        _no_options,
    ),
    (
        "classifiers",
        "list the classifiers of kinds of defect with their parameters",
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
        "list the published data sets, and what their layouts leave open",
        "zsad.cli.listings:show_datasets",
        _listing_options,
    ),
    (
        "published",
        "list the published figures that methods can be set beside, and the configurations that are papers",
        "zsad.cli.published:show_published",
        _published_options,
    ),
    (
        "prompts",
        "list the sets of prompts that methods ask in words, or print the sentences of one",
        "zsad.cli.prompting:show_prompts",
        _prompts_options,
    ),
    (
        "download",
        "fetch models and data sets ahead, for a machine without a network",
        "zsad.cli.downloads:download",
        _download_options,
    ),
    (
        "check",
        "check a configuration and its images, and say what they ask for",
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
    ("inspect", "tell good photographs from defective ones", "zsad.cli.inspecting:inspect", _inspect_options),
)
