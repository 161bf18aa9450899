"""A network is loaded once for the jobs of a script, by a process that they are forked from, where that is safe."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from test_warm_jobs import Started, servers_of, wait_until
from zsad.workflow.warm import WarmJob

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs start warm on Linux alone")

# A network is its text, and who loaded it. What its text says happens to those who load it for others.
NETWORKS = """
import os, threading
from zsad.models import held

held.SETTLED_NS = 0

class Weight:
    def __init__(self, values):
        self.values = values
    def numel(self):
        return self.values
    def element_size(self):
        return 4

class Network:
    def __init__(self, source):
        self.text = (source / "weights").read_text()
        self.by = os.getpid()
    def parameters(self):
        return [Weight(10**13 if "large" in self.text else 1)]
    buffers = parameters

def load(source, *arguments):
    network = Network(source)
    if "threads" in network.text:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if "damaged" in network.text:
        raise ValueError
    return network
"""

JOB = """
import os, time
from pathlib import Path
import networks_of_a_test as networks
from zsad.models.held import take_or_load

name, seconds, out = Path("ASKED").read_text().split()
source = Path("ASKED").parent / name
network = take_or_load("networks_of_a_test:load", source, (True,), lambda: networks.Network(source))
print(network.text, "loaded" if network.by == os.getpid() else "took", os.getpid(), file=open(out, "a"), flush=True)
time.sleep(float(seconds))
"""


class Jobs:
    """Jobs of a script that load networks from folders."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.folder, self.out = folder, out
        (folder / "networks_of_a_test.py").write_text(NETWORKS)
        self.started = Started(folder)
        self.new_script("load")

    def new_script(self, name: str) -> None:
        """Of servers of its own."""
        self.script = self.started.script(name, JOB.replace("ASKED", str(self.folder / "asked")))

    def save(self, name: str, text: str) -> None:
        """Write a network's files, in place if they are there."""
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "weights").write_text(text)

    def begin(self, name: str, seconds: float = 0) -> WarmJob:
        """Start a job; it has asked for its network once this returns."""
        self.out.write_text("")
        (self.folder / "asked").write_text(f"{name} {seconds} {self.out}")
        job = self.started.start(self.script)
        assert job is not None
        wait_until(self.out.read_text)
        return job

    def run(self, name: str) -> str:
        """What a job says of its network."""
        assert self.begin(name).wait() == 0
        return self.said()

    def said(self) -> str:
        return self.out.read_text().strip().rpartition(" ")[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    folder = tmp_path_factory.mktemp("held")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        jobs = Jobs(folder, folder / "out")
        yield jobs
        jobs.started.warm.close()
    assert servers_of(os.getpid()) == []


@pytest.fixture
def jobs(shared: Jobs, request: pytest.FixtureRequest) -> Jobs:
    shared.new_script(request.node.name.partition("[")[0])
    return shared


def test_it_is_loaded_once_until_its_files_change(jobs: Jobs) -> None:
    jobs.save("a", "one")
    assert [jobs.run("a") for _ in range(4)] == ["one loaded", "one took", "one took", "one took"]
    jobs.save("a", "two")
    assert [jobs.run("a") for _ in range(3)] == ["two loaded", "two loaded", "two took"]
    for file in ("weights", "config.json"):  # another file of the same name, size and time of change, and one more
        old = jobs.folder / "a/weights"
        shutil.copy2(old, jobs.folder / "new")
        (jobs.folder / "new").rename(jobs.folder / "a" / file)
        assert jobs.run("a") == "two loaded"


def test_those_in_turns_are_loaded_by_jobs_themselves(jobs: Jobs) -> None:
    jobs.save("a", "one")
    jobs.save("b", "two")
    said = [jobs.run(name) for name in "aabab"]
    assert said == ["one loaded", "one took", "two loaded", "one loaded", "two loaded"]
    assert [jobs.run(name) for name in "bb"] == ["two loaded", "two took"]


@pytest.mark.parametrize("text", ["threads", "damaged", "large"])
def test_what_cannot_be_held_is_loaded_by_jobs_themselves(jobs: Jobs, text: str) -> None:
    jobs.new_script(text)
    jobs.save(text, text)
    assert [jobs.run(text) for _ in range(3)] == [f"{text} loaded"] * 3


def test_a_job_outlives_the_use_of_the_process_that_it_is_forked_from(jobs: Jobs) -> None:
    jobs.save("a", "one")
    jobs.save("b", "two")
    jobs.run("a")
    slow = jobs.begin("a", seconds=1.5)
    assert jobs.said() == "one took"
    process = slow.pid
    assert [jobs.run(name) for name in "bbb"] == ["two loaded", "two loaded", "two took"]
    assert psutil.Process(process).status() != psutil.STATUS_ZOMBIE  # it still runs
    holder = psutil.Process(process).parent()
    assert slow.wait() == 0
    assert slow.pid == process
    wait_until(lambda: not holder.is_running())


def test_a_job_whose_holder_is_killed_is_run_by_a_fresh_python(jobs: Jobs) -> None:
    jobs.save("a", "one")
    jobs.run("a")
    job = jobs.begin("a", seconds=1)
    assert jobs.said() == "one took"
    psutil.Process(job.pid).parent().kill()
    assert job.wait() == 0
    lines = jobs.out.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["took", "loaded"]
    assert jobs.run("a") == "one loaded"
