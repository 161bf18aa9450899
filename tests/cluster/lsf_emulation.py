#!/usr/bin/env python3
"""An emulation of LSF for tests, not LSF: bsub, bjobs, bkill, lsid, badmin and lsclusters, as far as Snakemake asks.

`install` makes the commands in a folder. They keep their state in the folder that ``LSF_EMULATION`` names: a folder a
job, ``submissions.jsonl`` with the arguments of every bsub, and ``lsf.json`` with the queues. Jobs really run, side by
side, those with a GPU one after the other. As LSF does, bsub refuses unknown queues, walltimes beyond the queue's and
GPU strings that it does not understand; a job that runs too long is killed by SIGUSR2, then SIGKILL; every log ends
with a trailer of LSF's. Memory is recorded, not enforced.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("bsub", "bjobs", "bkill", "lsid", "badmin", "lsclusters")
CLUSTER = "emulated"
GPU_REQUEST = re.compile(r"num=(\d+)(:mode=(shared|exclusive_process))?(:j_exclusive=(yes|no))?")
FINISHED = ("DONE", "EXIT")


def install(folder: Path, queues: dict[str, int]) -> dict[str, str]:
    """Make the commands and an empty cluster; return the environment that has them.

    Args:
        queues: by name, the longest walltime in minutes; one that begins with ``gpu`` has GPUs.
    """
    commands, state = folder / "bin", folder / "state"
    commands.mkdir(parents=True)
    configured = state / "conf" / "lsbatch" / CLUSTER / "configdir"
    configured.mkdir(parents=True)
    (configured / "lsb.params").write_text("Begin Parameters\nDEFAULT_QUEUE = default\nEnd Parameters\n")
    (state / "share" / CLUSTER / "logdir").mkdir(parents=True)
    (state / "share" / CLUSTER / "logdir" / "lsb.events").touch()
    (state / "jobs").mkdir()
    (state / "lsf.json").write_text(json.dumps({"queues": queues}))
    for name in COMMANDS:
        command = commands / name
        command.write_text(f"#!{sys.executable}\n{Path(__file__).read_text().split(chr(10), 1)[1]}")
        command.chmod(0o755)
    return {**os.environ, "LSF_EMULATION": str(state), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


def submissions(environment: dict[str, str]) -> list[dict[str, object]]:
    """What bsub was asked for, in order: ``line``, and its options by name."""
    path = Path(environment["LSF_EMULATION"]) / "submissions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def bsub(state: Path, arguments: list[str]) -> str:
    """Submit a job."""
    parser = argparse.ArgumentParser(prog="bsub", allow_abbrev=False)
    for flag, name in {
        "-J": "name",
        "-o": "out",
        "-e": "err",
        "-env": "env",
        "-P": "project",
        "-q": "queue",
        "-W": "minutes",
        "-n": "slots",
        "-gpu": "gpu",
        "-cwd": "cwd",
    }.items():
        parser.add_argument(flag, dest=name)
    parser.add_argument("-R", dest="requirements", action="append", default=[])
    parser.add_argument("command")
    asked = vars(parser.parse_args(arguments))
    _check(json.loads((state / "lsf.json").read_text())["queues"], asked)
    number, folder = _new_folder(state)
    (folder / "job.json").write_text(json.dumps(asked))
    _set_status(folder, "PEND")
    with open(state / "submissions.jsonl", "a") as record:
        record.write(json.dumps({"id": number, "line": shlex.join(["bsub", *arguments[:-1]]), **asked}) + "\n")
    environment = {**os.environ, "LSB_JOBID": str(number), "LSB_QUEUE": asked["queue"]}
    environment["LSB_DJOB_NUMPROC"] = asked["slots"]
    subprocess.Popen(
        [sys.executable, sys.argv[0], "--run", str(folder)],
        env=environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return f"Job <{number}> is submitted to queue <{asked['queue']}>."


def _check(queues: dict[str, int], asked: dict[str, str]) -> None:
    if asked["queue"] not in queues:
        sys.exit(f"{asked['queue']}: No such queue. Job not submitted.")
    if int(asked["minutes"]) > queues[asked["queue"]]:
        sys.exit("RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.")
    if asked["gpu"] and not GPU_REQUEST.fullmatch(asked["gpu"]):
        sys.exit(f"{asked['gpu']}: Bad GPU requirement syntax. Job not submitted.")
    if asked["gpu"] and not asked["queue"].startswith("gpu"):
        sys.exit("The queue has no GPU. Job not submitted.")
    for requirement in asked["requirements"]:
        if not re.fullmatch(r"rusage\[mem=[\d.]+\]|span\[hosts=1\]|select\[\w+\]", requirement):
            sys.exit(f"Bad resource requirement syntax: {requirement}. Job not submitted.")


def _new_folder(state: Path) -> tuple[int, Path]:
    number = 1001
    while True:
        try:
            (state / "jobs" / str(number)).mkdir()
        except FileExistsError:
            number += 1
        else:
            return number, state / "jobs" / str(number)


def run(folder: Path) -> None:
    """Run a submitted job to its end; the process of its own that bsub leaves behind."""
    asked = json.loads((folder / "job.json").read_text())
    with open(folder.parent.parent / "gpu.lock", "w") as lock:
        if asked["gpu"]:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.environ["CUDA_VISIBLE_DEVICES"] = "0"
        if _status(folder) != "PEND":
            return
        with open(asked["out"], "a") as log:
            job = subprocess.Popen(
                ["/bin/sh", "-c", asked["command"]],
                cwd=asked["cwd"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            (folder / "group").write_text(str(job.pid))
            _set_status(folder, "RUN")
            try:
                status = job.wait(60 * int(asked["minutes"]))
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGUSR2)
                status = _ended(job)
            log.write(f"\nSender: LSF System (an emulation)\nExited with exit code {status}.\n")
        _set_status(folder, "DONE" if status == 0 else "EXIT")


def _ended(job: subprocess.Popen[bytes]) -> int:
    try:
        return job.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        return job.wait()


def bjobs(state: Path, arguments: list[str]) -> str:
    """Status of the jobs whose name matches ``*text*``."""
    wanted = arguments[arguments.index("-aJ") + 1].strip("*")
    named = [
        (folder.name, _status(folder))
        for folder in sorted((state / "jobs").iterdir())
        if wanted in json.loads((folder / "job.json").read_text())["name"]
    ]
    return "\n".join(f"{number} {status}" for number, status in named)


def bkill(state: Path, arguments: list[str]) -> str:
    """Kill jobs by their numbers: SIGINT, SIGTERM, then SIGKILL, as LSF does, but sooner."""
    for number in arguments:
        folder = state / "jobs" / number
        if _status(folder) == "PEND":
            _set_status(folder, "EXIT")
        for kill in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if _status(folder) == "RUN":
                os.killpg(int((folder / "group").read_text()), kill)
                time.sleep(0.5)
    return "\n".join(f"Job <{number}> is being terminated" for number in arguments)


def badmin(state: Path, arguments: list[str]) -> str:
    """The part of ``badmin showconf mbd`` that the plugin reads."""
    return (
        "MBD configuration at an emulation\n"
        f"LSB_SHAREDIR = {state / 'share'}\nLSF_CONFDIR = {state / 'conf'}\nLSF_UNIT_FOR_LIMITS = MB"
    )


def lsclusters(state: Path, arguments: list[str]) -> str:
    """The cluster's name and state."""
    return f"CLUSTER_NAME   STATUS   MASTER_HOST\n{CLUSTER}       ok       localhost"


def lsid(state: Path, arguments: list[str]) -> str:
    """What this is."""
    return f"An emulation of LSF for tests\nMy cluster name is {CLUSTER}\nMy master name is localhost"


def status(environment: dict[str, str], number: int) -> str:
    """Status of a job, as bjobs gives it."""
    return _status(Path(environment["LSF_EMULATION"]) / "jobs" / str(number))


def _status(folder: Path) -> str:
    return (folder / "status").read_text()


def _set_status(folder: Path, status: str) -> None:
    temporary = folder / f"status.{os.getpid()}"
    temporary.write_text(status)
    temporary.replace(folder / "status")


def main() -> None:
    """Be the command whose name this file has."""
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if arguments[:1] == ["--run"]:
        run(Path(arguments[1]))
        return
    print(globals()[name](Path(os.environ["LSF_EMULATION"]), arguments))


if __name__ == "__main__":
    main()
