"""Jobs that are forked from a process that has imported what they need are like jobs of a fresh Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import psutil
import pytest
from snakemake.benchmark import BenchmarkRecord
from snakemake.shell import shell

import zsad.workflow.warm
from zsad.workflow import snakemake_api, warm_process
from zsad.workflow.warm import WarmJob, WarmStart, is_wanted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs start warm on Linux alone")

PREAMBLE = "######## snakemake preamble start ########\n"
TELLING = """
import os, sys, random
import numpy
print(sys.argv, sys.path[:2], __name__, __file__, os.getcwd(), os.environ["TOLD"], os.environ["OMP_NUM_THREADS"])
print("said aside", file=sys.stderr)
import imaplib
"""


class Started:
    """The scripts of a folder, and what has started them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warm = WarmStart(folder / "workflow_scripts")
        (folder / ".snakemake/scripts").mkdir(parents=True)
        (folder / "workflow_scripts").mkdir()

    def script(self, name: str, text: str) -> Path:
        """What Snakemake makes of a script."""
        (self.folder / "workflow_scripts" / f"{name}.py").write_text(text)
        written = self.folder / f".snakemake/scripts/tmp1.{name}.py"
        written.write_text(PREAMBLE + text)
        return written

    def start(self, script: Path, out: int = 1, err: int | None = None, **environment: str) -> WarmJob | None:
        """Start it warm; None if it is to be started cold."""
        given = environment_of_a_job(**environment)
        return self.warm.start(script, given, (0, out, err or out), lambda: start_cold(script, out, **environment))


def environment_of_a_job(**more: str) -> dict[str, str]:
    """The same for all tests, but for what is given."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"} | {"TOLD": "é"} | more


def start_cold(script: Path, out: int = 1, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment_of_a_job(**environment), stdout=out, stderr=subprocess.STDOUT
    )


def is_there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def servers_of(process: int) -> list[psutil.Process]:
    return [each for each in psutil.Process(process).children(recursive=True) if "warm_process" in str(each.cmdline())]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what the tests start, though a shell that runs the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    started = Started(tmp_path_factory.mktemp("warm"))
    yield started
    started.warm.close()
    assert servers_of(os.getpid()) == []


def test_a_job_has_what_a_fresh_python_gives_it(started: Started, tmp_path: Path) -> None:
    script = started.script("tell", TELLING)
    told = []
    for number, start in enumerate((started.start, start_cold)):
        with (tmp_path / f"{number}.txt").open("w+") as file:
            job = start(script, file.fileno(), OMP_NUM_THREADS="3")
            assert job is not None
            assert job.wait() == 0
            file.seek(0)
            told.append(sorted(file))
    assert told[0] == told[1]


def test_what_one_job_imports_the_next_finds_and_their_random_numbers_differ(started: Started, tmp_path: Path) -> None:
    text = "import sys, numpy\nprint('imaplib' in sys.modules, numpy.random.rand())\nif True:\n    import imaplib\n"
    script = started.script("learn", text)
    told = []
    for number in range(3):
        with (tmp_path / f"{number}.txt").open("w+") as file:
            assert started.start(script, file.fileno()).wait() == 0
            file.seek(0)
            told.append(file.read().split())
    assert [was_there for was_there, _ in told] == ["False", "True", "True"]
    assert len({number for _, number in told}) == 3


SLOW = """
import sys, time
sys.path.insert(0, "FOLDER")
import warm_process

fork = warm_process.Server._fork

def fork_and_sleep(self, connection):
    process = fork(self, connection)
    time.sleep(0.3 if process else 0)
    return process

warm_process.Server._fork = fork_and_sleep
warm_process.main()
"""


def test_a_job_may_end_before_its_server_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow_warm_process.py"
    slow.write_text(SLOW.replace("FOLDER", str(Path(warm_process.__file__).parent)))
    monkeypatch.setattr(warm_process, "__file__", str(slow))
    started = Started(tmp_path)
    job = started.start(started.script("short", "import colorsys\n"))
    assert job is not None
    assert psutil.pid_exists(job.pid)
    assert job.wait() == 0
    started.warm.close()


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("raise ValueError('why')", 1),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.kill(os.getpid(), 2)", -2),
        ("os.kill(os.getpid(), 15)", -15),
    ],
)
def test_its_status_is_that_of_its_end(started: Started, tmp_path: Path, end: str, status: int) -> None:
    script = started.script("end", f"import os, sys\n{end}\n")
    with (tmp_path / "err.txt").open("w+") as err:
        assert started.start(script, 1, err.fileno()).wait() == status
        assert start_cold(script).wait() == status
        err.seek(0)
        said = err.read().splitlines()
    if status == 1:
        assert said[0] == "Traceback (most recent call last):"
        assert said[1].strip().startswith(f'File "{script}", line 3')
        assert said[-1] == "ValueError: why"


def test_a_process_with_threads_is_not_forked(tmp_path: Path) -> None:
    starts_a_thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    (tmp_path / "unsafe_to_import.py").write_text(starts_a_thread)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        one = Started(tmp_path)
        script = one.script("unsafe", "import unsafe_to_import\n")
        assert one.start(script) is None
        assert one.start(script) is None
        assert one.start(one.script("safe", "import os\n")).wait() == 0
        one.warm.close()


def test_a_job_goes_on_while_another_of_its_script_makes_known_that_torch_is_needed(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zsad.workflow.warm, "TORCH", "wave")
    text = "import os, time\nif True:\n    import wave\nwhile not os.path.exists(OPEN): time.sleep(0.02)\n"
    gate = tmp_path / "gate"
    script = started.script("gated", text.replace("OPEN", "os.environ['TMPDIR'] + '/gate'"))
    begun: list[str] = []
    waiting = started.warm.start(
        script, environment_of_a_job(TMPDIR=str(tmp_path)), (0, 1, 2), lambda: begun.append("cold")
    )
    server = psutil.Process(waiting.pid).parent()
    (tmp_path / "others").mkdir()
    (tmp_path / "others/gate").touch()
    for _ in range(2):
        assert started.start(script, TMPDIR=str(tmp_path / "others")).wait() == 0
    assert is_there(psutil.Process(waiting.pid))
    gate.touch()
    assert waiting.wait() == 0
    assert begun == []
    wait_until(lambda: not is_there(server))  # no job is left for it, and other jobs have a server with torch


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_a_server_lives_on_where_the_system_has_no_room_for_a_fork(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> NoReturn:
        raise BlockingIOError

    monkeypatch.setattr(warm_process, "is_safe_to_fork", lambda: True)
    monkeypatch.setattr(os, call, refuse)
    control, served = warm_process.socket_pair()
    pairs = [warm_process.socket_pair() for _ in range(3)]
    before = psutil.Process().num_fds()
    warm_process.send(control, ("run", None), [pairs[0][1].fileno(), 0, 1, 2])
    warm_process.send(control, ("run", None), [pairs[1][1].fileno()])  # as where too many files are open
    warm_process.send(control, ("copy", None), [pairs[2][1].fileno()])
    control.close()
    server = warm_process.Server(served)
    server.serve()
    assert warm_process.receive(pairs[0][0]) == (None, [])
    for ours, theirs in pairs:
        theirs.close()
        with pytest.raises(EOFError):
            warm_process.receive(ours)
        ours.close()
    del server
    assert psutil.Process().num_fds() == before - 8


def test_a_job_goes_on_while_another_of_its_script_cannot_start_warm(tmp_path: Path) -> None:
    started = Started(tmp_path)
    text = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'gate')!r}): time.sleep(0.02)\n"
    script = started.script("gated", text)
    begun: list[str] = []
    waiting = started.warm.start(script, environment_of_a_job(), (0, 1, 2), lambda: begun.append("cold"))
    assert started.start(script, out=10**6) is None  # no such stream
    assert started.start(script) is None
    assert is_there(psutil.Process(waiting.pid))
    (tmp_path / "gate").touch()
    assert waiting.wait() == 0
    assert begun == []
    started.warm.close()


def test_scripts_of_others_and_other_environments_start_cold(started: Started, tmp_path: Path) -> None:
    script = started.script("mine", "import os\n")
    assert started.start(script).wait() == 0
    assert started.start(script, HF_HOME=str(tmp_path)) is None  # what was imported may have looked at it
    script.write_text(PREAMBLE + "import sys\n")
    assert started.start(script) is None


def test_a_job_whose_server_is_killed_is_run_by_a_fresh_python(tmp_path: Path) -> None:
    started = Started(tmp_path)
    script = started.script(
        "slow",
        f"import os, time\nprint(os.getppid(), file=open({str(tmp_path / 'begun')!r}, 'a'), flush=True)\n"
        f"time.sleep(0 if os.getppid() == {os.getpid()} else 60)\n",
    )
    begun = tmp_path / "begun"
    job = started.start(script)
    wait_until(lambda: begun.exists() and begun.read_text())
    running = psutil.Process(job.pid)
    started.warm._process.kill()
    assert job.wait() == 0
    assert begun.read_text().split()[1:] == [str(os.getpid())]
    assert not is_there(running)
    assert started.start(script) is None
    started.warm.close()


@pytest.mark.parametrize(
    ("send", "number"), [(os.kill, signal.SIGKILL), (os.killpg, signal.SIGINT), (os.killpg, signal.SIGTERM)]
)
def test_nothing_outlives_a_run_that_is_killed(tmp_path: Path, send: Callable[[int, int], None], number: int) -> None:
    """Outright, by Ctrl-C, which a terminal sends to all processes of a run, or by a cluster."""
    running = tmp_path / "running.py"
    running.write_text(
        "import os, sys\nfrom pathlib import Path\nsys.path[:0] = [sys.argv[2]]\n"
        "from test_warm_jobs import Started\n"
        "started = Started(Path(sys.argv[1]))\n"
        "job = started.start(started.script('sleep', 'import time\\ntime.sleep(100)\\n'))\n"
        "print(job.pid, flush=True)\njob.wait()\n"
    )
    command = [sys.executable, str(running), str(tmp_path / "project"), str(Path(__file__).parent)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        job = psutil.Process(int(process.stdout.readline()))
        servers = servers_of(process.pid)
        assert len(servers) == 3  # of all scripts, of this one, and the job
        send(process.pid, number)
    wait_until(lambda: not any(map(is_there, (job, *servers))))


def test_snakemake_measures_the_job_itself(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    script = started.script(
        "work",
        "import time, numpy\nheld = numpy.ones(25_000_000)\n"
        "end = time.process_time() + 0.8\nwhile time.process_time() < end: pass\n",
    )

    workflow = SimpleNamespace(executor_plugin=SimpleNamespace(common_settings=SimpleNamespace(non_local_exec=False)))
    warm = []

    def start(*arguments: Any) -> WarmJob | None:
        warm.append(started.warm.start(*arguments))
        return warm[-1]

    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setenv("TOLD", "é")
    monkeypatch.setattr(sys.modules["snakemake.shell"], "sp", subprocess)
    snakemake_api.start_scripts_by(start, workflow)
    record = BenchmarkRecord()
    shell("{py} {script:q}", py=sys.executable, script=str(script), bench_record=record)
    assert warm[0] is not None
    assert 0.4 < record.cpu_time < 2
    assert 200 < record.max_rss < 400
    assert record.running_time > 0.7


@pytest.mark.parametrize(
    "command",
    [
        "set -euo pipefail; conda activate x; {python} {script}",
        "set -euo pipefail; {python} {script} more",
        "set -euo pipefail; python3.0 {script}",
        "set -euo pipefail; {python} /tmp/else.py",
        "unbalanced '",
        ["{python}", "{script}"],
    ],
)
def test_a_command_that_is_more_than_a_script_is_left_as_it_is(command: Any) -> None:
    script = "/a/.snakemake/scripts/tmp1.a.py"
    assert snakemake_api._script_in(f"set -euo pipefail; {sys.executable} '{script}'") == Path(script)
    if isinstance(command, str):
        command = command.format(python=sys.executable, script=script)
    assert snakemake_api._script_in(command) is None


def test_it_is_switched_off_by_a_variable() -> None:
    assert is_wanted({})
    assert is_wanted({"ZSAD_WARM": "1"})
    assert not is_wanted({"ZSAD_WARM": "0"})
