"""The configuration that an inspection writes: valid, short, and with comments for new users."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zsad.deciding.registry import THRESHOLDS
from zsad.errors import ConfigError, nearest_hint
from zsad.features.registry import IMAGE_TEXT
from zsad.inspecting.asked_words import ENTRY, Words, method_for, words_of
from zsad.inspecting.selection import Selection, repeats
from zsad.inspecting.trained_elsewhere import ENTRY as LEARNED_ENTRY
from zsad.inspecting.trained_elsewhere import backbone_of_weights, method_of_weights, params_of_weights
from zsad.inspecting.verdict import FIXED, SUITABLE, as_number
from zsad.scoring.base import FEWEST_COMPARED, Scorer
from zsad.scoring.references import ReferenceScorer
from zsad.scoring.registry import SCORERS
from zsad.texts.part_names import ANY_PART

BATCH, WITH_REFERENCES, ALONE = "mutual", "memory_bank", "self_similarity"
TARGETS = ("all", "exports")
_LONGEST = 60  # characters of the name of a data set


class Asked(NamedTuple):
    """The options of an inspection.

    Attributes:
        method: a scorer.
        params: its parameters, if they differ from the defaults.
        backbone: None for that of the configuration of the workflow.
        threshold: a rule with its parameters, as in the section ``threshold``.
        remark: sentences on choices that the user did not make; may be empty.
        words: text prompts of a method, which then has its own backbone.
        learned_by: for a method with trained weights, the backbone of these, if no other is given.
    """

    method: str
    params: Mapping[str, Any]
    backbone: str | None
    threshold: Mapping[str, Any]
    remark: str
    words: Words | None = None
    learned_by: Mapping[str, Any] | None = None


def understood(
    selection: Selection,
    *,
    threshold: str | float | None,
    method: str | None,
    backbone: str | None,
    part: str | None = None,
    weights: Path | None = None,
) -> Asked:
    """The options of an inspection, with defaults that fit the photographs.

    Raises:
        ConfigError: a method or a rule does not exist, or needs something that is missing.
    """
    remarks = []
    if method is None and weights is not None:
        method = method_of_weights(weights)
    if method is None and part is not None:
        method = method_for(bool(selection.references))
    elif method is None:
        several = len(selection.names) >= FEWEST_COMPARED
        method = WITH_REFERENCES if selection.references else BATCH if several else ALONE
        if method == ALONE:
            remarks.append(
                f"a single photograph without references is compared with itself (method {ALONE}); give --references "
                "to compare it with normal ones, or --part NAME to compare it with sentences"
            )
    params = params_of_weights(method, weights) | _params(SCORERS.load(method))
    scorer = SCORERS.build(method, params)
    _check_method(method, scorer, selection)
    words = words_of(method, scorer, part, _backbone(backbone))
    if words is not None and part is None:
        remarks.append(f"the object is called '{ANY_PART}'; give its name, e.g. --part 'printed circuit board'")
    if selection.references and "shots" not in params:
        remarks.append(f"method {method} uses no references; the given ones are ignored")
    learned_by = backbone_of_weights(weights) if weights is not None and backbone is None else None
    seen_by = ENTRY if words else LEARNED_ENTRY if learned_by else _backbone(backbone)
    rule = _threshold(threshold, selection, params)
    return Asked(method, params, seen_by, rule, "; ".join(remarks), words, learned_by)


def configuration_text(
    asked: Asked,
    selection: Selection,
    *,
    out: Path,
    table: Path,
    workflow: Path,
    other_methods: Iterable[str],
    other_refiners: Iterable[str],
) -> str:
    """The configuration, YAML.

    Args:
        out: folder for the results.
        table: of the images, if they must be listed.
        workflow: folder of the workflow.
        other_methods: those of the workflow's own configuration, which are switched off.
        other_refiners: likewise.
    """
    command = (
        f"cd {shlex.quote(str(workflow))} && snakemake --cores all --directory {shlex.quote(str(out))} "
        f"{' '.join(TARGETS)} --configfile {shlex.quote(str(out / 'config.yaml'))}"
    )
    lines = [
        "#",
        "# You can change this file and run it with the pipeline itself; dependent results are made again:",
        "#",
        f"#   {_in_comment(command)}",
        "#",
        "# It is merged into the pipeline's own config.yaml, which lists every option with a comment.",
        "",
        "dataset:",
        *_dataset_lines(selection, table),
        *([f"  part_names: {_scalar(asked.words.part)} # name of the object in sentences"] if asked.words else []),
        "",
        *(
            [f"backbone: {_scalar(asked.backbone)} # source of the features: see `zsad backbones`", ""]
            if asked.backbone
            else []
        ),
        *(_words_lines(asked.words) if asked.words else []),
        *(_learned_lines(asked.learned_by) if asked.learned_by else []),
        "methods: # how photographs are scored: see `zsad methods`",
        f"  {asked.method}:",
        f"    scorer: {asked.method}",
        *([f"    params: {_flow(asked.params)}"] if asked.params else []),
        *(
            f"  {name}: null # switched off; delete this line to get its results too"
            for name in other_methods
            if name != asked.method
        ),
        "",
        *_threshold_lines(asked.threshold),
        "",
        "refiners: # how masks follow edges",
        *(f"  {name}: null # switched off; delete this line to get its masks too" for name in other_refiners),
    ]
    if lines[-1].startswith("refiners"):
        lines = lines[:-2]
    return "\n".join(lines) + "\n"


def dataset_name(title: str) -> str:
    """A valid name for the folder of results."""
    plain = re.sub("[^A-Za-z0-9_-]+|_+", "_", title)[:_LONGEST].strip("_-")
    return "photographs" if plain in ("", "data") or repeats(plain) else plain


def _dataset_lines(selection: Selection, table: Path) -> list[str]:
    params: dict[str, Any] = {}
    lines = [
        f"  name: {_scalar(dataset_name(selection.title))} # the results are in "
        f"results/{dataset_name(selection.title)}/"
    ]
    if selection.is_folder:
        if selection.reference_folder is not None:
            params["references"] = str(selection.reference_folder)
        if selection.left_out:
            params["leave_out"] = [_literal(name) for name in selection.left_out]
        lines += [
            "  layout: folder # all images in a folder and its subfolders",
            f"  root: {_scalar(str(selection.root))}",
        ]
    else:
        lines += [
            "  layout: csv # a table of images; write good or defective into its column label to measure the results",
            f"  root: {_scalar(str(table))}",
        ]
    return [
        *lines,
        f"  params: {_flow(params)}",
        "  unreadable: skip # an unreadable photograph is left out and listed; stop: it stops the run",
    ]


def _words_lines(words: Words) -> list[str]:
    return [
        "backbones:",
        f"  {ENTRY}: # an image-text model",
        f"    family: {IMAGE_TEXT}",
        f"    params: {_flow(words.params)}",
        "",
    ]


def _learned_lines(backbone: Mapping[str, Any]) -> list[str]:
    return [
        "backbones:",
        f"  {LEARNED_ENTRY}: # the backbone of the trained weights",
        f"    family: {backbone['family']}",
        f"    params: {_flow(backbone['params'])}",
        "",
    ]


def _threshold_lines(threshold: Mapping[str, Any]) -> list[str]:
    return [
        "threshold: # decides which images are defective; for a known value: {rule: fixed, params: {image: 0.8}}",
        f"  rule: {threshold['rule']} # see `zsad methods`",
        f"  params: {_flow(threshold['params'])}",
    ]


def _params(scorer: type[Scorer]) -> dict[str, Any]:
    return {"shots": "all"} if issubclass(scorer, ReferenceScorer) else {}


def _check_method(name: str, scorer: Scorer, selection: Selection) -> None:
    needs = scorer.needs()
    if len(selection.references) < needs.least_train:
        have = f"{len(selection.references)} were given" if selection.references else "none was given"
        count = "normal photographs" if needs.least_train == 1 else f"at least {needs.least_train} normal photographs"
        raise ConfigError(f"method '{name}' compares with {count}, but {have}; add some with --references")
    if len(selection.names) < needs.test:
        raise ConfigError(
            f"method '{name}' compares photographs with each other, but there is only one; give more, or leave "
            "out --method"
        )


def _threshold(given: str | float | None, selection: Selection, params: Mapping[str, Any]) -> dict[str, Any]:
    if given is None:
        return {"rule": SUITABLE, "params": {}}
    number = as_number(given)
    if number is not None:
        return {"rule": FIXED, "params": {"image": number}}
    names = [name for name in THRESHOLDS.names() if name != FIXED]
    if given not in names:
        raise ConfigError(f"--threshold '{given}' is neither a number nor a rule{nearest_hint(str(given), names)}")
    rule, references = THRESHOLDS.load(str(given)), len(selection.references) if "shots" in params else 0
    if rule.needs_references and references < FEWEST_COMPARED:
        raise ConfigError(
            f"the threshold rule '{given}' needs the scores of at least {FEWEST_COMPARED} references of a method "
            "that compares with them; add some with --references, or choose another rule"
        )
    if rule.needs_batch and len(selection.names) == 1:
        raise ConfigError(
            f"the threshold rule '{given}' compares photographs with each other, but there is only one; give more, or "
            "leave out --threshold"
        )
    return {"rule": str(given), "params": {}}


def _backbone(given: str | None) -> str | None:
    """A name, or the absolute path of a file or folder, because the run has another working folder."""
    if given is None:
        return None
    path = Path(given).expanduser()
    is_path = path.exists() and (path.is_absolute() or len(path.parts) > 1 or path.suffix != "")
    return str(path.resolve()) if is_path else given


def _literal(name: str) -> str:
    """A name as a pattern that matches only itself."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _scalar(value: str) -> str:
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf).strip()


def _flow(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), default_flow_style=True, allow_unicode=True, width=math.inf).strip()


def _in_comment(text: str) -> str:
    """The text in one line that YAML can read, for any characters."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
