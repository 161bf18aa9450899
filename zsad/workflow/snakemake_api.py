"""What this project uses of Snakemake that its manual does not promise, in one place, and why.

Written for Snakemake 9: what is here must be read again before a newer one is allowed, see `check_version`.
"""

from __future__ import annotations

import importlib
import inspect
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from snakemake import __version__ as snakemake_version
from snakemake.common import get_appdirs
from snakemake.common.tbdstring import TBDString
from snakemake.exceptions import IncompleteCheckpointException, WorkflowError
from snakemake.io import is_flagged
from snakemake.iocontainers import Wildcards
from snakemake.settings.types import DeploymentMethod

if TYPE_CHECKING:
    from snakemake.dag import DAG
    from snakemake.jobs import AbstractJob, Job
    from snakemake.rules import Rule
    from snakemake.workflow import Workflow

UNKNOWN_VERSION = 10  # the first whose internals nobody has looked at
RESULTS = "results"
SHELL_PREFIX = "set -euo pipefail; "  # what Snakemake has bash do before each command
SCRIPTS = (".snakemake", "scripts")  # where it writes scripts to, with what they are given
KEPT = "_zsad"  # the attribute of a workflow that holds what `kept` returns


def check_version() -> None:
    """Refuse a Snakemake whose internals may differ from what this module expects.

    Raises:
        WorkflowError: it is newer.
    """
    if int(snakemake_version.partition(".")[0]) >= UNKNOWN_VERSION:
        raise WorkflowError(
            f"Snakemake {snakemake_version} is newer than this workflow knows; install one before {UNKNOWN_VERSION}, "
            f"e.g. `pip install 'snakemake<{UNKNOWN_VERSION}'`"
        )


# As a module of another workflow: the manual does not say how a Snakefile can know that it is one, or under which name.


def module_name(workflow: Workflow) -> str:
    """The name under which another workflow uses the one that is read now, ``outer.inner`` if nested; empty if none."""
    names, modifier = [], workflow.modifier
    while modifier is not None:
        names.append(modifier.namespace)
        modifier = modifier.parent_modifier
    return ".".join(filter(None, reversed(names)))


def results_folder(workflow: Workflow) -> Path:
    """Where results go: ``results``, or what a module's ``prefix`` or ``replace_prefix`` makes of it.

    Snakemake changes the paths of rules by itself, but not those that functions look at.
    """
    return Path(str(workflow.modifier.modify_path(f"{RESULTS}/")))


def kept(workflow: Workflow, what: str) -> dict[str, Any]:
    """A table by module that lives as long as a workflow: each module has variables of its own and sees no others."""
    table: dict[str, Any] = vars(workflow).setdefault(KEPT, {}).setdefault(what, {})
    return table


class OwnRule(NamedTuple):
    """A rule of this project.

    Attributes:
        name: in its Snakefile, whatever another workflow calls it.
    """

    name: str
    rule: Rule


def own_rules(workflow: Workflow) -> Mapping[str, OwnRule]:
    """The rules of the Snakefile that is read now which are in use, by the names that they have in this run.

    ``workflow.rules`` holds those of all modules. A ``use rule ... with:`` reads the Snakefile once more, for that rule
    alone; what is returned each time is the same table, so that whoever holds it sees the rules that came later.
    """
    known: dict[str, OwnRule] = kept(workflow, "rules").setdefault(module_name(workflow), {})
    for name, proxy in workflow.modifier.rule_proxies._rules.items():
        if any(proxy.rule is rule for rule in workflow.modifier.rules):
            known[proxy.rule.name] = OwnRule(name, proxy.rule)
    return known


def is_new(workflow: Workflow, rule: Rule) -> bool:
    """Whether a rule came with the reading of the Snakefile that goes on now."""
    return any(rule is one for one in workflow.modifier.rules)


def name_to_be(workflow: Workflow, name: str) -> str:
    """The name that a rule of the Snakefile that is read now will have in this run."""
    return str(workflow.modifier.modify_rulename(name))


def name_in_use(workflow: Workflow, name: str) -> str | None:
    """The name that a rule of the Snakefile that is read now has in this run; None where another workflow left it out.

    If several rules were made from it, the last.
    """
    named = {own.name: in_use for in_use, own in own_rules(workflow).items()}
    return named.get(name)


def prefer_in_order(workflow: Workflow, rule_names: Collection[str]) -> None:
    """Have the first of several rules make what all of them could make.

    The directive ``ruleorder`` takes names of the Snakefile that is read alone, and not those of another module.
    """
    if len(rule_names) > 1:
        workflow._ruleorder.add(*rule_names)


# What kind of process reads the rules, and what its command line says: the manual has no way to ask.


def is_main_process(workflow: Workflow) -> bool:
    """Whether this process was started by a person, and not by Snakemake for one of its jobs."""
    return bool(workflow.is_main_process)


def is_dry_run(workflow: Workflow) -> bool:
    """Whether nothing will be run."""
    return bool(workflow.output_settings.dryrun)


def makes_results(workflow: Workflow) -> bool:
    """Whether jobs may be run after the rules are read, or a dry run tells of them: no report, list or `--touch`."""
    return workflow.executor_plugin is not None and not workflow.touch


def uses_conda(workflow: Workflow) -> bool:
    """Whether jobs run in conda environments."""
    return DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method


def uses_image(workflow: Workflow) -> bool:
    """Whether jobs run in a container image."""
    return DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def global_limit(workflow: Workflow, resource: str) -> int | None:
    """What ``--resources`` allows of a resource to all jobs together; None if it does not say."""
    limits = workflow.global_resources
    return int(limits[resource].value) if resource in limits else None


def default_resources(workflow: Workflow) -> dict[str, Callable[[], Any]]:
    """What a profile says under ``default-resources``, by name: what gives the value, which may be an expression."""
    known = workflow.resource_settings.default_resources or {}
    return {name: partial(_value, workflow, resource) for name, resource in known.items()}


def _value(workflow: Workflow, resource: Any) -> Any:
    return resource.evaluate(None, input=(), attempt=1, threads=1, rulename="", async_run=workflow.async_run).value


def submit_together(workflow: Workflow, group: str, parent: str) -> None:
    """Let ``--group-components parent=N`` join submissions of a group whose name is known to a function alone.

    Snakemake finds the parent by itself only of a group whose name is a text.
    """
    workflow.parent_groupids[group] = parent


def cache_folder() -> Path:
    """Where Snakemake keeps what it fetched.

    Raises:
        RuntimeError: the home folder of this user is not known.
    """
    return Path(get_appdirs().user_cache_dir)


# How the scripts of jobs are started: see `zsad.workflow.warm`.


# What starts a script that Snakemake has written, given its path, the environment of the job, its standard input,
# output and error, and what starts it by a fresh Python; None in place of a process where that is to be done after all.
StartScript = Callable[[Path, Mapping[str, str], Sequence[int], Callable[[], "subprocess.Popen[Any]"]], Any]


def start_scripts_by(start: StartScript, workflow: Workflow) -> None:
    """Have the scripts of jobs started by a function, where Snakemake would run its own Python and nothing else.

    A command that is more than that, as in a conda environment, a container, or with `shell.prefix`, is left as it is.
    So is what runs beside jobs that are handed to a cluster, which is known once all rules are read.
    """

    def popen(command: Any, **settings: Any) -> Any:
        start_cold = partial(subprocess.Popen, command, **settings)
        script, streams = _script_in(command), _streams(settings)
        if script is None or streams is None or not _runs_jobs_itself(workflow):
            return start_cold()
        return start(script, settings["env"], streams, start_cold) or start_cold()

    standing_in = ModuleType("subprocess")
    vars(standing_in).update({**vars(subprocess), "Popen": popen})
    vars(importlib.import_module("snakemake.shell"))["sp"] = standing_in  # not the class of that name


def _runs_jobs_itself(workflow: Workflow) -> bool:
    return workflow.executor_plugin is not None and not workflow.executor_plugin.common_settings.non_local_exec


def _script_in(command: Any) -> Path | None:
    """The script that a command runs by Snakemake's own Python; None if it does anything else."""
    try:
        match shlex.split(command.removeprefix(SHELL_PREFIX)):
            case [sys.executable, path]:
                script = Path(path)
                return script if script.suffix == ".py" and script.parent.parts[-2:] == SCRIPTS else None
    except (AttributeError, ValueError):  # no text, or no command of a shell
        pass
    return None


def _streams(settings: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """What a process is to have as its standard streams; None where they are not those of this one."""
    output = settings.get("stdout")
    try:
        return 0, 1 if output is None else output.fileno(), 2
    except (AttributeError, ValueError, OSError):  # a pipe, or no file
        return None


# The graph of jobs, to tell after a run what is missing: `onerror` is given the log file alone.


def graph(workflow: Workflow) -> DAG | None:
    """The jobs of a run that has begun; None where none has, or where nothing is run."""
    has_run = workflow.scheduler is not None and not workflow.dryrun and not workflow.touch
    return workflow.dag if has_run else None


def failed_jobs(workflow: Workflow) -> Collection[AbstractJob]:
    """The jobs that failed, or groups of them."""
    failed: Collection[AbstractJob] = workflow.scheduler.failed
    return failed


def job_of(dag: DAG, rule: str) -> Job | None:
    """The first job of a rule; None if none is asked for."""
    return next((job for job in dag.jobs if job.rule.name == rule), None)


def is_current(dag: DAG, job: Job) -> bool:
    """Whether the results of a job are what this run would make, from now or from before."""
    return not dag.needrun(job) or dag.finished(job)


def needed_by(dag: DAG, job: Job) -> Mapping[Job, Collection[str]]:
    """The jobs whose results a job reads, and which of them."""
    needed: Mapping[Job, Collection[str]] = dag.dependencies.get(job, {})
    return needed


# Rules, to follow what a result is made from over all of them: a function of a rule is given its own wildcards alone.


def inputs_of(rule: Rule, wildcards: Mapping[str, str], checkpoints: Iterable[Rule]) -> list[Any]:
    """All inputs of a rule's job, those of functions too.

    Raises:
        IncompleteCheckpointException: they are known only once one of the checkpoints has run.
    """
    inputs, *_ = rule.expand_input(wildcards)
    for checkpoint in checkpoints:  # which stands among the inputs for those that are not known yet
        if waiting := next((path for path in inputs if checkpoint.is_producer(path)), None):
            raise IncompleteCheckpointException(checkpoint, waiting)
    return list(inputs)


def is_result(path: Any) -> bool:
    """Whether an input may be made by a rule: files that people named are marked as ``local``."""
    return not is_flagged(path, "local")


def compared_parameters(rule: Rule, wildcards: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Names and values of the parameters that Snakemake compares: those that depend on no input."""
    for name, value in sorted(rule.params.items()):
        if not callable(value):
            yield name, value
        elif len(inspect.signature(value).parameters) == 1:
            yield name, value(Wildcards(fromdict=wildcards))


def known_later(value: Callable[[], str]) -> str:
    """A value, or what Snakemake asks for again where it is known only once a checkpoint has run."""
    try:
        return value()
    except IncompleteCheckpointException:
        later: str = TBDString()
        return later
