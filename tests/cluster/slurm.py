"""A real SLURM of one node for tests: Debian's packages, daemons started by hand, a fake GPU, no accounting.

SLURM reads its configuration from /etc/slurm alone, so that this needs root, and keeps away from a machine that has a
SLURM of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMANDS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "munged")
INSTALL = "ZSAD_INSTALL_SLURM"  # set to 1 where Debian's packages may be installed, as CI does
KILL_SECONDS = 2  # between SIGTERM and SIGKILL
ETC = Path("/etc/slurm")
MARK = "# made by the tests of zsad\n"
CONFIGURATION = """ClusterName=tests
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
MinJobAge=600
KillWait={kill_seconds}
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} CPUs=16 RealMemory=60000 Gres=gpu:fake:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=500
PartitionName=gpu Nodes={host} Default=NO MaxTime=1440 State=UP DefMemPerCPU=500
"""


class UnavailableError(Exception):
    """SLURM cannot be started here; the message says why."""


class Slurm:
    """A running SLURM.

    Args:
        folder: its state, logs and records.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def jobs(self) -> list[dict[str, str]]:
        """All jobs, finished ones too, as ``scontrol show job`` tells of them, in order of submission."""
        text = _output("scontrol", "--oneliner", "show", "job")
        return [_fields(line) for line in text.splitlines() if line.startswith("JobId=")]

    def finished(self) -> list[dict[str, str]]:
        """The records that SLURM keeps of finished jobs (``jobcomp/filetxt``), in order of their end."""
        record = self._folder / "finished.txt"
        return [_fields(line) for line in record.read_text().splitlines()] if record.exists() else []

    def cancel(self, *numbers: str) -> None:
        """``scancel`` jobs."""
        subprocess.run(["scancel", *numbers], check=True)

    def lose_the_node(self) -> None:
        """Have the node go down, with all jobs on it, and come back; SLURM queues the jobs again.

        It would let them wait for two minutes, so an operator has them start as soon as nothing of them is left.
        """
        lost = [job["JobId"] for job in self.jobs() if job["JobState"] == "RUNNING"]
        _output("scontrol", "update", f"NodeName={_output('hostname', '-s').strip()}", "State=DOWN", "Reason=lost")
        time.sleep(KILL_SECONDS + 4)
        for number in lost:
            _output("scontrol", "update", f"JobId={number}", "StartTime=now")


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Install SLURM if that is allowed, start it, and stop it in the end.

    Raises:
        UnavailableError: that is not possible here.
    """
    _check_machine()
    _install()
    _stop_former()
    host = _output("hostname", "-s").strip()
    for name in ("spool", "state"):
        (folder / name).mkdir(parents=True)
    gpu = folder / "nvidia0"
    gpu.touch()
    ETC.mkdir(exist_ok=True)
    (ETC / "slurm.conf").write_text(MARK + CONFIGURATION.format(host=host, folder=folder, kill_seconds=KILL_SECONDS))
    (ETC / "gres.conf").write_text(f"{MARK}NodeName={host} Name=gpu Type=fake File={gpu}\n")
    munged = None if _munge_answers() else _started_munge()
    try:
        for daemon in ("slurmctld", "slurmd"):
            subprocess.run([daemon, "-c"], check=True)
        _wait_until_idle(folder)
        yield Slurm(folder)
    finally:
        _stop_former()
        if munged is not None:
            munged.terminate()


def _check_machine() -> None:
    if os.name != "posix" or os.geteuid() != 0:
        raise UnavailableError("only root can start a SLURM")
    conf = ETC / "slurm.conf"
    if conf.exists() and not conf.read_text().startswith(MARK):
        raise UnavailableError(f"this machine has a SLURM of its own ({conf})")


def _install() -> None:
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if not missing:
        return
    if os.environ.get(INSTALL) != "1" or shutil.which("apt-get") is None:
        raise UnavailableError(
            f"{', '.join(missing)} is not installed; on Debian, {INSTALL}=1 has the tests install it"
        )
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("apt-get update", "apt-get install --yes --no-install-recommends slurm-wlm munge"):
        done = subprocess.run(shlex.split(command), env=quietly, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UnavailableError(f"`{command}` failed: {done.stderr.strip().splitlines()[-1:]}")


def _munge_answers() -> bool:
    return subprocess.run("munge -n | unmunge", shell=True, capture_output=True, check=False).returncode == 0


def _started_munge() -> subprocess.Popen[bytes]:
    socket = Path("/run/munge")
    socket.mkdir(exist_ok=True)
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.write_bytes(os.urandom(128))
    for path in (socket, key.parent, key, Path("/var/lib/munge"), Path("/var/log/munge")):
        shutil.chown(path, "munge", "munge")
    key.chmod(0o400)
    munged = subprocess.Popen(
        ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "--foreground"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while not _munge_answers():
        if munged.poll() is not None or time.monotonic() > deadline:
            munged.kill()
            raise UnavailableError("munged does not start")
        time.sleep(0.1)
    return munged


def _wait_until_idle(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while "idle" not in _output("sinfo", "--noheader", "--format=%T"):
        if time.monotonic() > deadline:
            log = (folder / "slurmctld.log").read_text().splitlines()[-3:]
            raise UnavailableError(f"SLURM does not start: {log}")
        time.sleep(0.2)


def _stop_former() -> None:
    """Stop the daemons of the configuration that tests made, by their process ids, and remove it."""
    conf = ETC / "slurm.conf"
    if not conf.exists():
        return
    settings = dict(line.split("=", 1) for line in conf.read_text().splitlines() if "=" in line)
    for name in ("SlurmctldPidFile", "SlurmdPidFile"):
        _stop(Path(settings[name]))
    conf.unlink()
    (ETC / "gres.conf").unlink(missing_ok=True)


def _stop(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    for _ in range(100):
        if not _is_alive(pid):
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _fields(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
