"""The command that inspects photographs: with a stored model in this process, or otherwise by running the workflow."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from zsad.errors import ConfigError

if TYPE_CHECKING:
    from zsad.inspecting.inspection import Failure, Inspection
    from zsad.inspecting.inspector import Inspector
    from zsad.inspecting.kept import Kept
    from zsad.inspecting.stopping import Stopping

STANDARD_INPUT = "-"
DEFECT_CALLED, SOME_FAILED = 3, 1  # exit statuses

# Options that cannot be combined with --model, or that need it, and why.
WITH_A_MODEL = {
    "references": "the model contains its references",
    "method": "the model has its own method",
    "backbone": "the model has its own backbone",
    "weights": "the model contains the weights that it needs",
    "part": "the name of the object is stored in the model",
}
WITHOUT_A_MODEL = {
    "watch": "new photographs are compared with a stored model",
    "device": "the workflow takes the device from its configuration",
}


def inspect(options: argparse.Namespace) -> int:
    """Print the result for each photograph.

    Returns:
        3 if a photograph is called defective and ``--fail-on-defect`` is given; otherwise 1 if a photograph could not
        be inspected; otherwise 0.
    """
    _check_together(options)
    return _by_model(options) if options.model else _by_workflow(options)


def _check_together(options: argparse.Namespace) -> None:
    """Refuse options that cannot be combined.

    Raises:
        ConfigError: some cannot.
    """
    with_model = options.model is not None
    for name, reason in (WITH_A_MODEL if with_model else WITHOUT_A_MODEL).items():
        if getattr(options, name):
            fix = "leave out one of the two" if with_model else "add --model"
            word = "cannot be combined with" if with_model else "needs"
            raise ConfigError(f"--{name} {word} --model: {reason}; {fix}")
    if STANDARD_INPUT not in options.photographs:
        return
    if not with_model:
        raise ConfigError(
            "paths on standard input need --model, because each photograph is compared with a stored model; add "
            "--model, or give a folder"
        )
    if len(options.photographs) > 1 or options.watch:
        other = "--watch" if options.watch else "other photographs"
        raise ConfigError(f"'-' for standard input cannot be combined with {other}; leave out one of the two")


def _by_workflow(options: argparse.Namespace) -> int:
    from zsad.cli.sharing import share_caches
    from zsad.inspecting.by_workflow import inspect_by_workflow

    share_caches()
    outcome = inspect_by_workflow(
        options.photographs,
        references=options.references,
        threshold=options.threshold,
        method=options.method,
        backbone=options.backbone,
        part=options.part,
        weights=options.weights,
        out=options.out,
        json=options.json,
    )
    return _status(outcome.defective, outcome.failed, options)


def _by_model(options: argparse.Namespace) -> int:
    import_ahead(options.model)
    from zsad.inspecting.answers import Count, format_json, format_line
    from zsad.inspecting.inspector import load
    from zsad.inspecting.stopping import Stopping

    answer = format_json if options.json else format_line
    count, stopping = Count(), Stopping()
    with ExitStack() as stack:
        inspector = stack.enter_context(
            load(options.model, threshold=options.threshold, device=options.device or "auto")
        )
        if inspector.needs_weights:
            from zsad.cli.sharing import share_caches

            share_caches()  # before the hub's client is imported
        answers = _answers(options, inspector, stopping)
        kept = _kept(options, inspector, stack) if options.out is not None else None
        if options.watch or options.photographs == [STANDARD_INPUT]:
            stack.enter_context(stopping.listening())
        for said in answers:
            if kept is not None:
                said = kept.add(said)
            print(answer(said), flush=True)
            count = count.with_(said)
    if not options.json:
        for sentence in (count, *count.remarks):
            print(sentence, file=sys.stderr)
    return _status(count.defective, count.failed, options)


def _kept(options: argparse.Namespace, inspector: Inspector, stack: ExitStack) -> Kept:
    from zsad.inspecting.kept import Kept

    named = [Path(word) for word in options.photographs]
    base = named[0] if len(named) == 1 and named[0].is_dir() else None
    return stack.enter_context(Kept(options.out, inspector.provenance, inspector.good_maps, base))


def import_ahead(model: Path) -> None:
    """Start to import torch in a thread, most of the time of a single photograph; only if the model exists."""
    # Threads that wait in a busy loop take the cores from each other if other programs run: several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if model.is_file():
        threading.Thread(target=importlib.import_module, args=("torch",), name="import torch").start()


def _answers(options: argparse.Namespace, inspector: Inspector, stopping: Stopping) -> Iterable[Inspection | Failure]:
    from zsad.inspecting.photographs import paths_on, photographs_of
    from zsad.inspecting.watching import FolderWatch

    if options.watch:
        watch = FolderWatch(list(map(Path, options.photographs)), options.out)
        return watch.inspected(inspector.inspect_all, stopping)
    if options.photographs == [STANDARD_INPUT]:
        paths = stopping.until_asked(paths_on(sys.stdin.buffer))
        return (said for path in paths for said in inspector.inspect_all([path]))
    return _of_all(inspector, photographs_of(options.photographs, options.out))


def _of_all(inspector: Inspector, photographs: Sequence[Path | Failure]) -> Iterator[Inspection | Failure]:
    """Inspect the photographs that exist; answers are in the order in which all were named."""
    found = inspector.inspect_all([path for path in photographs if isinstance(path, Path)])
    for photograph in photographs:
        yield next(found) if isinstance(photograph, Path) else photograph


def _status(defective: int, failed: int, options: argparse.Namespace) -> int:
    if options.fail_on_defect and defective:
        return DEFECT_CALLED
    return SOME_FAILED if failed else 0
