# The resources that each job requests, by its inputs; see zsad/resources/.
#
# Nothing here reads a job's input: a number that is known only after an input exists would be missing in the request of
# jobs that are submitted together.
import shutil

from zsad.resources.estimate import memory_request, runtime_request
from zsad.resources.jobs import estimated, threads_of
from zsad.resources.run import Run, uses_network
from zsad.resources.tokens import is_network
from zsad.workflow.snakemake_api import global_limit


def network_gpus():
    """GPUs that a job with a network or large products requests: the same number in the whole run.

    With `device: auto`, `--resources gpu=N`, which describes the computing machine, takes precedence over whether this
    machine has a GPU.
    """
    if not uses_network(settings):
        return 0
    if settings.config["device"] != "auto":
        return int(settings.config["device"] == "cuda")
    if uses_conda(workflow):
        return 0  # the environment for `auto` has no CUDA
    limit = global_limit(workflow, "gpu")
    if limit is not None:
        return int(limit > 0)
    return int(shutil.which("nvidia-smi") is not None)


planned = Run(settings, settings.results, on_gpu=network_gpus() > 0)


def extraction_gpus(wildcards):
    """GPUs of an extraction: none for the filter bank."""
    return network_gpus() if is_network(settings.backbones[wildcards.backbone]) else 0


def cores(step):
    """The threads of a rule's jobs."""

    def threads(wildcards):
        return threads_of(planned, step, wildcards)

    return threads


def memory(step):
    """The memory of a rule's jobs, MB; more at a second attempt."""

    def megabytes(wildcards, attempt):
        return memory_request(estimated(planned, step, wildcards), attempt)

    return megabytes


def duration(step):
    """The time limit of a rule's jobs, minutes; more at a second attempt."""

    def minutes(wildcards, attempt):
        threads = 1 if planned.on_gpu else threads_of(planned, step, wildcards)
        return runtime_request(estimated(planned, step, wildcards), threads, attempt)

    return minutes
