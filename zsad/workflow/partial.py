"""After a failed run: write partial tables that list the missing results.

They are in their own folder, ``results/NAME/partial``: in the place of the tables Snakemake would treat them as
finished. Outdated results of an earlier run count as missing, too; only Snakemake knows which results are current, so
that this module reads its graph of jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsad.errors import first_line
from zsad.errors.boundary import known_sentence
from zsad.names import ORACLE
from zsad.workflow.measurable import CLASS_TABLES, TABLES
from zsad.workflow.snakemake_api import failed_jobs, graph, is_current, job_of, needed_by

if TYPE_CHECKING:
    from snakemake.dag import DAG
    from snakemake.jobs import AbstractJob, Job
    from snakemake.workflow import Workflow

    from zsad.tables.missing import MissingResult
    from zsad.workflow.settings import Settings

PARTIAL = "partial"
# The wildcards that distinguish jobs of a rule and category.
BLAMED = ("backbone", "prompts", "segmenter", "support", "classifier", "method", "refiner")

Names = Callable[[Mapping[str, str], Any], dict[str, str]]


@dataclass(frozen=True)
class Tables:
    """Tables that one rule makes of all results of some kind.

    Attributes:
        rule: its name in its Snakefile.
        names: for each input with results, the function that names a result, from its wildcards and the settings.
        files: the file names of the tables, by their names in the rule.
        collect: the stage, called with settings, the inputs and outputs by name, and the missing results.
    """

    rule: str
    names: Mapping[str, Names]
    files: Mapping[str, str]
    collect: Callable[[Settings, dict[str, Any], Mapping[Path, MissingResult]], None]


def report_missing_results(
    workflow: Workflow, settings: Settings, collecting: Mapping[str, Tables] | None = None
) -> None:
    """Write partial tables and print the missing results; any error here is printed as one sentence.

    Args:
        collecting: the tables of this run by the names of their rules in it; None for those of methods.
    """
    collected = {OF_METHODS.rule: OF_METHODS} if collecting is None else collecting
    for said in dict.fromkeys(_said(workflow, settings, rule, tables) for rule, tables in collected.items()):
        if said:
            print(f"zsad: {said}", flush=True)


def _said(workflow: Workflow, settings: Settings, rule: str, tables: Tables) -> str:
    try:
        return write_partial_tables(workflow.dag, failed_jobs(workflow), settings, rule, tables)
    except Exception as error:
        reason = known_sentence(error) or first_line(error)
        return f"partial tables could not be written ({reason}); the error of the run is above"


def remove_partial_tables(workflow: Workflow, rule: str = "", tables: Tables | None = None) -> None:
    """Remove partial tables once the complete tables are current; a dry run removes nothing."""
    tables = tables or OF_METHODS
    with suppress(Exception):  # it must not change the outcome of the run
        dag = graph(workflow)
        job = None if dag is None else job_of(dag, rule or tables.rule)
        if dag is not None and job is not None and is_current(dag, job):
            _remove(_any_partial(job, tables))


def write_partial_tables(
    dag: DAG, failed: Collection[AbstractJob], settings: Settings, rule: str = "", tables: Tables | None = None
) -> str:
    """Write the tables if some of their results are current, and others are missing.

    Args:
        failed: the jobs that failed, or groups of them.
        rule: the name of the tables' rule in this run, if another workflow renames it.
        tables: the tables; None for those of methods.

    Returns:
        The message for the user; empty if nothing is missing from the tables, or their contents are not known yet.

    Raises:
        DataError: a result is damaged, or the tables cannot be written.
    """
    tables = tables or OF_METHODS
    job = job_of(dag, rule or tables.rule)
    if job is None:
        return "no partial tables were written, since no tables were requested in this run"
    made_by = {file: maker for maker, files in needed_by(dag, job).items() for file in files}
    results = {kind: list(getattr(job.input, kind)) for kind in tables.names}
    if not all(path in made_by for paths in results.values() for path in paths):
        return ""  # the data set and its categories do not exist yet
    causes = {path: blame(dag, made_by[path], failed) for paths in results.values() for path in paths}
    missing = {
        Path(path): _missing(tables.names[kind], made_by[path], causes[path], settings)
        for kind, paths in results.items()
        for path in paths
        if causes[path]
    }
    if not missing:
        return ""
    outputs = partial_outputs(job)
    _remove(_any_partial(job, tables))
    if len(missing) == len(causes):
        return "no partial tables were written, since none of their results is finished"
    return _written(job, missing, outputs, settings, tables)


def blame(dag: DAG, job: Job, failed: Collection[AbstractJob]) -> str:
    """Why the results of a job are not current, e.g. ``"score_images by mutual failed"``; empty if they are."""
    if is_current(dag, job):
        return ""
    first = list(_first_unfinished(dag, job))
    single = [one for one in first if one in failed]
    if single:
        return f"{_step(single[0])}{_elsewhere(single[0], job)} failed"
    together = [one for one in first if any(group.is_group() and one in group.jobs for group in failed)]
    if together:
        return f"{_step(together[0])}{_elsewhere(together[0], job)}, or a step submitted with it, failed"
    return f"{_step(first[0])}{_elsewhere(first[0], job)} did not run"


def partial_outputs(job: Job) -> dict[str, Path]:
    """The paths of the partial tables, by the names of the outputs of the complete tables."""
    return {name: Path(path).parents[1] / PARTIAL / Path(path).name for name, path in job.output.items()}


def _any_partial(job: Job, tables: Tables) -> list[Path]:
    """The possible paths of partial tables, including those of a run whose images had more labels."""
    folder = next(iter(partial_outputs(job).values())).parent
    return [folder / name for name in tables.files.values()]


def _first_unfinished(dag: DAG, job: Job) -> Iterator[Job]:
    """The unfinished jobs behind ``job`` that do not wait for other jobs."""
    waiting, seen = [job], {job}
    while waiting:
        one = waiting.pop()
        before = [needed for needed in needed_by(dag, one) if not is_current(dag, needed)]
        if not before:
            yield one
        before = sorted((needed for needed in before if needed not in seen), key=_step, reverse=True)
        waiting += before
        seen.update(before)


def _step(job: Job) -> str:
    """A job by its rule and its wildcards within a category."""
    by = [job.wildcards_dict[name] for name in BLAMED if name in job.wildcards_dict]
    return f"{job.rule.name} by {' and '.join(by)}" if by else job.rule.name


def _elsewhere(job: Job, asking: Job) -> str:
    """The images that a job reads if they belong to another data set than those of another job; else empty."""
    dataset, category = (job.wildcards_dict.get(name) for name in ("dataset", "category"))
    if not category or dataset in (None, asking.wildcards_dict.get("dataset")):
        return ""
    return f" of {dataset}/{category}"


def _written(
    job: Job,
    missing: Mapping[Path, MissingResult],
    outputs: Mapping[str, Path],
    settings: Settings,
    tables: Tables,
) -> str:
    from zsad.tables.missing import missing_note  # late import: every start of Snakemake imports this module

    # Both by their names in the rule.
    files: dict[str, Any] = {name: [Path(path) for path in paths] for name, paths in job.input.items()} | dict(outputs)
    try:
        tables.collect(settings, files, missing)
    except BaseException:
        _remove(outputs.values())
        raise
    whole, folder = Path(job.output[0]).parent, next(iter(outputs.values())).parent
    sentences = [
        f"{missing_note(one.document() for one in missing.values())}.",
        f"Partial tables, without means over the remaining results, are in {folder}.",
        f"Those in {whole} are from an earlier run." if any(map(Path.exists, map(Path, job.output))) else "",
        "Fix the cause and run the same command again; it resumes here.",
    ]
    return " ".join(filter(None, sentences))


def _missing(names: Names, job: Job, cause: str, settings: Settings) -> MissingResult:
    from zsad.tables.missing import MissingResult

    return MissingResult(names(job.wildcards_dict, settings), cause)


def _score_names(wildcards: Mapping[str, str], settings: Settings) -> dict[str, str]:
    method = settings.methods[wildcards["method"]]
    return {
        "dataset": wildcards["dataset"],
        "category": wildcards["category"],
        "backbone": method.backbone,
        "method": method.name,
        "group": method.group,
        "setting": method.description["setting"],
        "protocol": settings.evaluation.measured_at.name,
    }


def _mask_names(wildcards: Mapping[str, str], settings: Settings) -> dict[str, str]:
    names = {name: wildcards[name] for name in ("category", "method", "refiner")}
    return {**names, "protocol": settings.evaluation.measured_at.name}


def _oracle_names(wildcards: Mapping[str, str], settings: Settings) -> dict[str, str]:
    return {
        "dataset": wildcards["dataset"],
        "category": wildcards["category"],
        "backbone": wildcards["segmenter"],
        "method": ORACLE,
        "setting": ORACLE,
        "refiner": wildcards["segmenter"],
        "protocol": settings.evaluation.measured_at.name,
    }


def _class_names(wildcards: Mapping[str, str], settings: Settings) -> dict[str, str]:
    classifier = settings.classifiers[wildcards["classifier"]]
    return {
        "category": wildcards["category"],
        "classifier": classifier.name,
        "backbone": classifier.backbone,
        "method": classifier.method,
        "embedding": classifier.embedding["kind"],
        "regions": classifier.regions,
    }


def _collect_tables(settings: Settings, files: dict[str, Any], missing: Mapping[Path, MissingResult]) -> None:
    from zsad.tables.collect_tables import collect_tables

    collect_tables(
        **files,
        textures=settings.data.textures,
        published=settings.data.published,
        to_meet=settings.to_meet(),
        all_categories=settings.published_categories,
        swept=settings.swept_columns,
        missing=missing,
    )


def _collect_classes(settings: Settings, files: dict[str, Any], missing: Mapping[Path, MissingResult]) -> None:
    from zsad.tables.collect_classes import collect_classes

    collect_classes(**files, missing=missing)


OF_METHODS = Tables(
    "collect_tables",
    {"score_metrics": _score_names, "mask_metrics": _mask_names, "oracle_metrics": _oracle_names},
    TABLES,
    _collect_tables,
)
OF_CLASSIFIERS = Tables("collect_classes", {"evaluations": _class_names}, CLASS_TABLES, _collect_classes)


def _remove(outputs: Collection[Path]) -> None:
    """Remove outputs, and their folder if nothing else is in it."""
    for path in outputs:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in outputs}:
        with suppress(OSError):
            folder.rmdir()
