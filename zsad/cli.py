"""The command ``zsad``: looks at what there is; the work itself is done by ``snakemake``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from zsad.config import load
from zsad.data.demo import CATEGORIES, DemoOptions, make_category
from zsad.errors import ZsadError
from zsad.features.catalogue import MODELS, ModelFacts
from zsad.features.registry import BACKBONES
from zsad.refinement.registry import REFINERS
from zsad.registry import Part, Registry
from zsad.scoring.registry import SCORERS
from zsad.scoring.thresholds.registry import THRESHOLDS
from zsad.segmentation.catalogue import MODELS as SEGMENTATION_MODELS
from zsad.segmentation.catalogue import SegmenterFacts
from zsad.segmentation.catalogue import facts_of as segmenter_facts_of
from zsad.segmentation.registry import SEGMENTERS

BACKBONE_COLUMNS = ("name", "hub id", "size", "GB", "licence", "gated", "patch", "px", "cached")
SEGMENTER_COLUMNS = ("name", "hub id or file", "family", "size", "GB", "licence", "gated", "px", "cached")
NUMBER_COLUMNS = ("size", "GB", "patch", "px")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ZsadError as error:
        print(f"zsad: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `zsad methods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="zsad",
        description="Zero-shot anomaly detection with vision foundation models. "
        "Run the pipeline with `snakemake --cores 8`; these commands show what it can be made of.",
    )
    parser.add_argument("--version", action="version", version=f"zsad {version('zsad')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(commands, "methods", "list the scorers, thresholds and refiners with their parameters", _show_methods)
    backbones = _add(
        commands,
        "backbones",
        "list the published models, and the families of backbones with their parameters",
        _show_backbones,
    )
    segmenters = _add(
        commands,
        "segmenters",
        "list the published promptable segmentation models, and their families with their parameters",
        _show_segmenters,
    )
    for listing in (backbones, segmenters):
        listing.add_argument("--json", action="store_true", help="for programs")
    download = _add(commands, "download", "fetch models ahead, for a machine without a network", _download)
    download.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="as `zsad backbones` or `zsad segmenters` lists it, or an id of the hub",
    )
    download.add_argument("--revision", help="branch, tag or commit (default: the main branch)")
    check = _add(commands, "check", "check a configuration and say what it asks for", _check)
    check.add_argument("--configfile", nargs="*", type=Path, default=[], help="merged into config.yaml, in this order")
    demo = _add(commands, "demo", "write the demo images to a folder", _write_demo)
    demo.add_argument("folder", type=Path, help="gets one folder a category")
    demo.add_argument("--seed", type=int, default=0, help="another seed draws other images (default: 0)")
    demo.add_argument("--size", type=int, default=256, help="side of an image in px (default: 256)")
    return parser


def _add(commands: Any, name: str, description: str, run: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")
    command.set_defaults(run=run)
    return command


def _show_methods(_: argparse.Namespace) -> None:
    for title, registry in (("Scorers", SCORERS), ("Thresholds", THRESHOLDS), ("Refiners", REFINERS)):
        print(f"{title}\n")
        _show(registry)


def _show_backbones(options: argparse.Namespace) -> None:
    # It imports the hub's client, which the other commands do without.
    from zsad.features.hub import is_cached

    cached = {facts.name: is_cached(facts.hub_id, revision=None) for facts in MODELS.values()}
    if options.json:
        return _print_json(MODELS.values(), cached, BACKBONES)
    _show_models(
        [BACKBONE_COLUMNS, *(_backbone_row(facts, cached[facts.name]) for facts in MODELS.values())],
        "px is the default short side of the image",
        BACKBONES,
    )


def _show_segmenters(options: argparse.Namespace) -> None:
    from zsad.segmentation.weights import is_cached

    models = SEGMENTATION_MODELS.values()
    cached = {facts.name: is_cached(facts) for facts in models}
    if options.json:
        return _print_json(models, cached, SEGMENTERS)
    _show_models(
        [SEGMENTER_COLUMNS, *(_segmenter_row(facts, cached[facts.name]) for facts in models)],
        "px is the side of the square that an image is resized to",
        SEGMENTERS,
    )


def _print_json(models: Iterable[NamedTuple], cached: Mapping[str, bool], registry: Registry[Any]) -> None:
    listed = [{**facts._asdict(), "cached": cached[facts.name]} for facts in models]
    print(json.dumps({"models": listed, "families": _described(registry)}, indent=1, ensure_ascii=False))


def _show_models(rows: Sequence[Sequence[str]], pixels: str, registry: Registry[Any]) -> None:
    print("Models\n")
    for line in _aligned(rows):
        print(f"  {line}")
    print(f"\nGB is the size of the weights in float32; {pixels}.")
    print("A gated model needs an account of the hub that has accepted its licence; `zsad download NAME` fetches one.")
    print("\nFamilies\n")
    _show(registry)


def _backbone_row(facts: ModelFacts, cached: bool) -> tuple[str, ...]:
    return (
        facts.name,
        facts.hub_id,
        f"{facts.parameters / 1e6:.1f} M",
        f"{facts.gigabytes:.2f}",
        facts.licence,
        "yes" if facts.gated else "-",
        str(facts.patch),
        str(facts.resolution),
        "yes" if cached else "-",
    )


def _segmenter_row(facts: SegmenterFacts, cached: bool) -> tuple[str, ...]:
    return (
        facts.name,
        facts.place,
        facts.family,
        f"{facts.parameters / 1e6:.1f} M",
        f"{facts.gigabytes:.2f}",
        facts.licence,
        "yes" if facts.gated else "-",
        str(facts.side),
        "yes" if cached else "-",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line a row, its columns set apart by two spaces; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if title in NUMBER_COLUMNS else cell.ljust(width)
            for title, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _described(registry: Registry[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "summary": part.summary,
            "parameters": [
                {
                    "name": parameter,
                    "required": field.is_required(),
                    "default": None if field.is_required() else field.default,
                    "description": field.description,
                }
                for parameter, field in part.model_fields.items()
            ],
        }
        for name, part in ((name, registry.load(name)) for name in registry.names())
    ]


def _download(options: argparse.Namespace) -> None:
    for name in options.names:
        is_segmenter = segmenter_facts_of(name) is not None
        path, version = (_downloaded_segmenter if is_segmenter else _downloaded_backbone)(name, options.revision)
        print(f"{name}: {path}, {version}")


def _downloaded_segmenter(name: str, revision: str | None) -> tuple[Path, str]:
    """Where a model is now, and what version it is."""
    from zsad.segmentation.weights import download

    weights = download(name, revision, progress=True)
    if weights.commit is None:
        return weights.path, f"SHA-256 {weights.sha256[weights.path.name]}"
    return weights.path, f"commit {weights.commit}"


def _downloaded_backbone(name: str, revision: str | None) -> tuple[Path, str]:
    """Where a model is now, and what version it is; it may also be one of the hub that no catalogue names."""
    from zsad.features.hub import BACKBONE_MODELS, check_weights, download, weight_files
    from zsad.segmentation.weights import published_models

    located = download(name, revision, BACKBONE_MODELS.joined(published_models()), progress=True)
    check_weights(weight_files(located.path), None, name)
    return located.path, f"commit {located.commit}"


def _show(registry: Registry[Any]) -> None:
    for name in registry.names():
        part: type[Part] = registry.load(name)
        print(f"  {name}: {part.summary}")
        if reference := getattr(part, "reference", ""):
            print(f"    source: {reference}")
        for parameter, field in part.model_fields.items():
            default = "required" if field.is_required() else f"default {field.default!r}"
            print(f"    {parameter} ({default}): {field.description}")
        print()


def _check(options: argparse.Namespace) -> None:
    settings = load(*options.configfile)
    print(f"data set   {settings.dataset} ({settings.layout_name} layout in {settings.root})")
    print(f"categories {', '.join(settings.categories)}")
    print(f"backbones  {', '.join(settings.backbones)}")
    print(f"methods    {', '.join(settings.methods)}")
    print(f"refiners   {', '.join(settings.refiners) or 'none'}")
    if settings.segmenters:
        print(f"segmenters {', '.join(settings.segmenters)}")


def _write_demo(options: argparse.Namespace) -> None:
    demo = DemoOptions.build({"seed": options.seed, "size": options.size}, where="zsad demo")
    for category in CATEGORIES:
        make_category(category, demo, options.folder / category)
        print(options.folder / category)


if __name__ == "__main__":
    sys.exit(main())
