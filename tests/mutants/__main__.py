"""Change single operators and constants of a module, and see whether its tests notice: ``make mutants``.

Cosmic Ray makes the changes, one at a time, in a copy of the repository, and runs the module's test files against each.
The files beside this one say which those are, and which changes are known to do nothing.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import toml
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

from mutants.choice import (
    Equal,
    Mutation,
    Site,
    changed_line,
    drawn,
    equal_mutations,
    is_left_out,
    is_python,
    is_within,
    lines_gone,
    listed_tests,
    modules_of,
    unseen,
)

REPOSITORY = Path(__file__).resolve().parents[2]
ENOUGH = 0.9  # of the mutations must be noticed
SLOWER = 3  # times as long as without a mutation counts as noticed: it goes round for ever
PATIENCE = 20  # seconds more, for a processor that others use as well
MEMORY = 16 << 30  # bytes of address space; a mutated size may ask for any number of them


class Tried(NamedTuple):
    """A mutation, and whether the tests noticed."""

    module: str
    line: int
    before: str
    after: str
    noticed: bool

    @property
    def change(self) -> tuple[str, str, str]:
        """What an entry of equal.toml names it by."""
        return self.module, self.before, self.after


class MutationError(Exception):
    """The tests of a module fail without any mutation, or Cosmic Ray itself does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mutations, print what was found, and return an exit status: 0 if the tests notice enough."""
    options = _options(arguments)
    listed = equal_mutations()
    tests, modules = listed_tests(), options.modules or modules_of(REPOSITORY)
    if unknown := [module for module in modules if module not in tests]:
        print(f"no tests are listed in tests/mutants/modules.toml for {', '.join(unknown)}", file=sys.stderr)
        return 2
    known = {one.change for one in listed}
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(options.jobs) as pool:
        work = Path(folder)
        copy = copy_repository(work / "repository")
        jobs = [pool.submit(try_module, module, tests[module], copy, options) for module in modules]
        try:
            for number, job in enumerate(jobs, start=1):
                found = job.result()
                tried += found
                noticed = sum(one.noticed for one in found)
                print(f"{number}/{len(jobs)} {modules[number - 1]}: {noticed} of {len(found)} noticed", flush=True)
                for one in found:
                    if not one.noticed and one.change not in known:
                        print(f"  line {one.line} survived:\n    - {one.before}\n    + {one.after}", flush=True)
        except MutationError as failure:
            pool.shutdown(wait=False, cancel_futures=True)
            print(failure, file=sys.stderr)
            return 2
    return report(tried, modules, listed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as zsad/scoring/bank.py; without, all")
    parser.add_argument("--sample", type=int, default=8, help="places of a module that are mutated, drawn at random")
    parser.add_argument("--all", action="store_true", help="every mutation of every place, which takes days")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="modules at a time")
    return parser.parse_args(arguments)


def copy_repository(target: Path) -> Path:
    """Copy the files that git tracks, and new ones that it does not ignore, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)
    # Compiled once, and found out of date by content: a mutation may leave a file's time and size as they were.
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(target / "zsad", quiet=1, invalidation_mode=mode)
    return target


def try_module(module: str, tests: Sequence[str], copy: Path, options: argparse.Namespace) -> list[Tried]:
    """The mutations of one module, in a copy of the repository of its own.

    Raises:
        MutationError: the tests fail without any mutation, or Cosmic Ray does not end well.
    """
    own = copy.parent / module.replace("/", "-")
    shutil.copytree(copy, own)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={own}/.tests", *tests]
    environment = {**os.environ, "PYTHONPATH": str(own), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    try:
        session = own / "session.sqlite"
        with use_db(str(session)) as database:
            specs = chosen(database, own / module, options)
        if not specs:
            return []
        begin = time.monotonic()
        _run(command, own, environment, f"without any mutation the tests of {module} fail")
        timeout = SLOWER * (time.monotonic() - begin) + PATIENCE
        configuration = own / "session.toml"
        configuration.write_text(
            toml.dumps(
                {
                    "cosmic-ray": {
                        "module-path": module,
                        "timeout": timeout,
                        "excluded-modules": [],
                        "test-command": shlex.join(command),
                        "distributor": {"name": "local"},
                    }
                }
            ),
            encoding="utf-8",
        )
        execute = [sys.executable, "-m", "cosmic_ray.cli", "exec", str(configuration), str(session)]
        _run(execute, own, environment, f"Cosmic Ray failed at {module}")
        source = (own / module).read_text(encoding="utf-8")
        with use_db(str(session), WorkDB.Mode.open) as database:
            outcomes = dict(database.results)
        return [_tried(module, source, spec, outcomes[job]) for job, spec in specs.items()]
    finally:
        shutil.rmtree(own, ignore_errors=True)


def chosen(database: WorkDB, module: Path, options: argparse.Namespace) -> dict[str, MutationSpec]:
    """Put the mutations of a module into the database, those that are to be tried alone; by the numbers of their jobs.

    Cosmic Ray skips what has a result, as its own filters have it.
    """
    init([module], database, {})
    specs = {_mutation(item.mutations[0]): item for item in database.work_items}
    source = module.read_text(encoding="utf-8")
    spans = unseen(source)
    wanted = [one for one in specs if not is_left_out(one.operator) and not is_within(one.site, spans)]
    if not options.all:
        wanted = drawn(wanted, f"{options.seed} {'/'.join(module.parts[-3:])}")
    real = (one for one in wanted if is_python(_mutated(source, specs[one].mutations[0])))
    tried = sorted(real if options.all else islice(real, options.sample))
    kept = {specs[one].job_id: specs[one].mutations[0] for one in tried}
    skipped = [item.job_id for item in specs.values() if item.job_id not in kept]
    database.set_multiple_results(skipped, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    return kept


def _mutation(spec: MutationSpec) -> Mutation:
    return Mutation(Site(tuple(spec.start_pos), tuple(spec.end_pos)), spec.operator_name, spec.occurrence)


def _mutated(source: str, spec: MutationSpec) -> str:
    return mutate_code(source, get_operator(spec.operator_name)(), spec.occurrence)


def _tried(module: str, source: str, spec: MutationSpec, result: WorkResult) -> Tried:
    if result.worker_outcome != WorkerOutcome.NORMAL or result.test_outcome == TestOutcome.INCOMPETENT:
        raise MutationError(f"{module}, {spec.operator_name}, {spec.start_pos}: {result.output}")
    line, before, after = changed_line(source, _mutated(source, spec))
    return Tried(module, line, before, after, result.test_outcome == TestOutcome.KILLED)


def _run(command: Sequence[str], folder: Path, environment: dict[str, str], failure: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, preexec_fn=_limit_memory
    )
    if done.returncode:
        raise MutationError(f"{failure}:\n{done.stdout}{done.stderr}")


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def report(tried: Sequence[Tried], modules: Sequence[str], listed: Sequence[Equal]) -> int:
    """Print a table, what survived, and which equal mutations are listed wrongly; return an exit status."""
    known = {one.change for one in listed}
    equal = {one for one in tried if one.change in known and not one.noticed}
    survived = [one for one in tried if not one.noticed and one not in equal]
    noticed = [one for one in tried if one.noticed]
    width = max(map(len, modules))
    print(f"\n{'module':{width}}  noticed  survived  equal")
    for module in [*modules, "all"]:
        counts = [sum(module in (one.module, "all") for one in kind) for kind in (noticed, survived, equal)]
        print(f"{module:{width}}  {counts[0]:7}  {counts[1]:8}  {counts[2]:5}")
    wrong = [f"its line is gone: {one.module}: {one.before}" for one in lines_gone(listed, REPOSITORY)]
    wrong += [f"the tests notice it: {one.module}: {one.after}" for one in noticed if one.change in known]
    for sentence in wrong:
        print(f"\ntests/mutants/equal.toml lists what is not equal: {sentence}")
    total = len(noticed) + len(survived)
    share = len(noticed) / total if total else 1.0
    print(f"\n{len(noticed)} of {total} noticed: {share:.1%}; {len(equal)} more change nothing that can be seen")
    return 0 if share >= ENOUGH and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
