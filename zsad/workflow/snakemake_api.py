"""All uses of Snakemake's internal interfaces, which its manual does not promise, with the reasons.

Written for Snakemake 9: this module must be reviewed before a newer version is allowed, see `check_version`.
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

UNKNOWN_VERSION = 10  # the first version whose internals have not been reviewed
RESULTS = "results"
SHELL_PREFIX = "set -euo pipefail; "  # what Snakemake puts before each shell command
SCRIPTS = (".snakemake", "scripts")  # where it writes scripts, with their inputs
KEPT = "_zsad"  # the attribute of a workflow with the tables of `kept`


def check_version() -> None:
    """Reject a Snakemake whose internals may differ from what this module expects.

    Raises:
        WorkflowError: it is newer.
    """
    if int(snakemake_version.partition(".")[0]) >= UNKNOWN_VERSION:
        raise WorkflowError(
            f"Snakemake {snakemake_version} is newer than this workflow supports; install a version before "
            f"{UNKNOWN_VERSION}, e.g. `pip install 'snakemake<{UNKNOWN_VERSION}'`"
        )


# As a module of another workflow: the manual does not say how a Snakefile can know that it is one, or under which name.


def module_name(workflow: Workflow) -> str:
    """The module name under which another workflow uses the current one, ``outer.inner`` if nested; empty if none."""
    names, modifier = [], workflow.modifier
    while modifier is not None:
        names.append(modifier.namespace)
        modifier = modifier.parent_modifier
    return ".".join(filter(None, reversed(names)))


def results_folder(workflow: Workflow) -> Path:
    """The folder of results: ``results``, changed by a module's ``prefix`` or ``replace_prefix``.

    Snakemake changes the paths of rules by itself, but not those used in functions.
    """
    return Path(str(workflow.modifier.modify_path(f"{RESULTS}/")))


def kept(workflow: Workflow, what: str) -> dict[str, Any]:
    """A table by module that exists as long as a workflow: each module has its own variables and sees no others."""
    table: dict[str, Any] = vars(workflow).setdefault(KEPT, {}).setdefault(what, {})
    return table


class OwnRule(NamedTuple):
    """A rule of this project.

    Attributes:
        name: in its Snakefile, independent of names given by another workflow.
    """

    name: str
    rule: Rule


def own_rules(workflow: Workflow) -> Mapping[str, OwnRule]:
    """The rules in use of the current Snakefile, by their names in this run.

    ``workflow.rules`` contains the rules of all modules. A ``use rule ... with:`` reads the Snakefile once more, only
    for that rule; the same table is returned each time, so that its holders see rules that are added later.
    """
    known: dict[str, OwnRule] = kept(workflow, "rules").setdefault(module_name(workflow), {})
    for name, proxy in workflow.modifier.rule_proxies._rules.items():
        if any(proxy.rule is rule for rule in workflow.modifier.rules):
            known[proxy.rule.name] = OwnRule(name, proxy.rule)
    return known


def is_new(workflow: Workflow, rule: Rule) -> bool:
    """Whether a rule was added by the current reading of the Snakefile."""
    return any(rule is one for one in workflow.modifier.rules)


def name_to_be(workflow: Workflow, name: str) -> str:
    """The name that a rule of the current Snakefile will have in this run."""
    return str(workflow.modifier.modify_rulename(name))


def name_in_use(workflow: Workflow, name: str) -> str | None:
    """The name that a rule of the current Snakefile has in this run; None if another workflow left it out.

    If several rules were made from it, the last one.
    """
    named = {own.name: in_use for in_use, own in own_rules(workflow).items()}
    return named.get(name)


def prefer_in_order(workflow: Workflow, rule_names: Collection[str]) -> None:
    """Prefer the first of several rules for outputs that all of them can make.

    The directive ``ruleorder`` only accepts names of the current Snakefile, not those of another module.
    """
    if len(rule_names) > 1:
        workflow._ruleorder.add(*rule_names)


# The kind of process that reads the rules, and its command line: the manual offers no way to get them.


def is_main_process(workflow: Workflow) -> bool:
    """Whether this process was started by a user, and not by Snakemake for one of its jobs."""
    return bool(workflow.is_main_process)


def is_dry_run(workflow: Workflow) -> bool:
    """Whether nothing will be run."""
    return bool(workflow.output_settings.dryrun)


def makes_results(workflow: Workflow) -> bool:
    """Whether jobs may run after the rules are read, or a dry run lists them: no report, list or `--touch`."""
    return workflow.executor_plugin is not None and not workflow.touch


def uses_conda(workflow: Workflow) -> bool:
    """Whether jobs run in conda environments."""
    return DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method


def uses_image(workflow: Workflow) -> bool:
    """Whether jobs run in a container."""
    return DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def global_limit(workflow: Workflow, resource: str) -> int | None:
    """The limit of ``--resources`` on a resource for all jobs together; None if not given."""
    limits = workflow.global_resources
    return int(limits[resource].value) if resource in limits else None


def default_resources(workflow: Workflow) -> dict[str, Callable[[], Any]]:
    """The ``default-resources`` of a profile, by name: functions that return the value, which may be an expression."""
    known = workflow.resource_settings.default_resources or {}
    return {name: partial(_value, workflow, resource) for name, resource in known.items()}


def _value(workflow: Workflow, resource: Any) -> Any:
    return resource.evaluate(None, input=(), attempt=1, threads=1, rulename="", async_run=workflow.async_run).value


def submit_together(workflow: Workflow, group: str, parent: str) -> None:
    """Let ``--group-components parent=N`` join submissions of a group whose name a function computes.

    Snakemake itself finds the parent only for a group whose name is a text.
    """
    workflow.parent_groupids[group] = parent


def cache_folder() -> Path:
    """The folder of Snakemake's downloads.

    Raises:
        RuntimeError: the home folder of this user is not known.
    """
    return Path(get_appdirs().user_cache_dir)


# The start of jobs' scripts: see `zsad.workflow.warm`.


# A function that starts a script written by Snakemake. It gets the script's path, the environment of the job, its
# standard input, output and error, and a function that starts it with a new Python; it returns None if that function
# must be used.
StartScript = Callable[[Path, Mapping[str, str], Sequence[int], Callable[[], "subprocess.Popen[Any]"]], Any]


def start_scripts_by(start: StartScript, workflow: Workflow) -> None:
    """Start the scripts of jobs with a function, where Snakemake would only run its own Python.

    Other commands, as in a conda environment, a container, or with `shell.prefix`, are unchanged. So are local jobs of
    a run on a cluster, which is known once all rules are read.
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
    """The script that a command runs with Snakemake's own Python; None for other commands."""
    try:
        match shlex.split(command.removeprefix(SHELL_PREFIX)):
            case [sys.executable, path]:
                script = Path(path)
                return script if script.suffix == ".py" and script.parent.parts[-2:] == SCRIPTS else None
    except (AttributeError, ValueError):  # not a text, or not a shell command
        pass
    return None


def _streams(settings: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """The standard streams of a new process; None if they are not those of this process."""
    output = settings.get("stdout")
    try:
        return 0, 1 if output is None else output.fileno(), 2
    except (AttributeError, ValueError, OSError):  # a pipe, or not a file
        return None


# The graph of jobs, to report missing results after a run: `onerror` only gets the log file.


def graph(workflow: Workflow) -> DAG | None:
    """The jobs of a started run; None if no run has started, or nothing runs."""
    has_run = workflow.scheduler is not None and not workflow.dryrun and not workflow.touch
    return workflow.dag if has_run else None


def failed_jobs(workflow: Workflow) -> Collection[AbstractJob]:
    """The jobs that failed, or groups of them."""
    failed: Collection[AbstractJob] = workflow.scheduler.failed
    return failed


def job_of(dag: DAG, rule: str) -> Job | None:
    """The first job of a rule; None if there is none."""
    return next((job for job in dag.jobs if job.rule.name == rule), None)


def is_current(dag: DAG, job: Job) -> bool:
    """Whether the results of a job are current, made in this run or earlier."""
    return not dag.needrun(job) or dag.finished(job)


def needed_by(dag: DAG, job: Job) -> Mapping[Job, Collection[str]]:
    """The jobs whose results a job reads, with these results."""
    needed: Mapping[Job, Collection[str]] = dag.dependencies.get(job, {})
    return needed


# Rules, to follow the inputs of a result through all of them: a function of a rule only gets its own wildcards.


def inputs_of(rule: Rule, wildcards: Mapping[str, str], checkpoints: Iterable[Rule]) -> list[Any]:
    """All inputs of a rule's job, including those from functions.

    Raises:
        IncompleteCheckpointException: they are only known after one of the checkpoints has run.
    """
    inputs, *_ = rule.expand_input(wildcards)
    for checkpoint in checkpoints:  # whose exception represents inputs that are not known yet
        if waiting := next((path for path in inputs if checkpoint.is_producer(path)), None):
            raise IncompleteCheckpointException(checkpoint, waiting)
    return list(inputs)


def is_result(path: Any) -> bool:
    """Whether an input may be made by a rule: files named by the user are marked as ``local``."""
    return not is_flagged(path, "local")


def compared_parameters(rule: Rule, wildcards: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Names and values of the parameters that Snakemake compares: those that do not depend on inputs."""
    for name, value in sorted(rule.params.items()):
        if not callable(value):
            yield name, value
        elif len(inspect.signature(value).parameters) == 1:
            yield name, value(Wildcards(fromdict=wildcards))


def known_later(value: Callable[[], str]) -> str:
    """A value, or Snakemake's marker for a value that is only known after a checkpoint."""
    try:
        return value()
    except IncompleteCheckpointException:
        later: str = TBDString()
        return later
