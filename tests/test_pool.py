"""The pool of worker processes: real processes, some of which are killed.

Tasks are Python expressions and the function is `eval`, which worker processes can import.
"""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from ganim.pipeline.execution import pool

KILL = "__import__('os').kill(__import__('os').getpid(), 9)"
EXIT = "__import__('os')._exit(0)"


def is_running(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def soon(holds: Callable[[], bool]) -> bool:
    """Whether a condition becomes true within half a minute."""
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_every_task_gets_its_result_once() -> None:
    tasks = [f"{index} ** 2" for index in range(50)]
    results = list(pool.run(eval, tasks, workers=2))
    assert sorted(task for task, _ in results) == sorted(tasks)
    assert all(result == eval(task) for task, result in results)
    assert multiprocessing.active_children() == []


def test_results_come_in_the_order_of_the_tasks() -> None:
    tasks = [f"__import__('time').sleep({n % 7} / 500) or {n}" for n in range(40)]
    tasks.insert(9, KILL)
    assert [task for task, _ in pool.run(eval, tasks, workers=2)] == tasks


def test_no_worker_runs_far_ahead_of_the_oldest_task() -> None:
    taken = 0

    def tasks() -> Iterator[str]:
        nonlocal taken
        yield "__import__('time').sleep(2) or 'slow'"
        for number in range(1000):
            taken += 1
            yield f"{number}"

    results = pool.run(eval, tasks(), workers=2, ahead=8)
    assert next(results)[1] == "slow"
    assert taken == 2 * 8 - 1
    results.close()


def test_no_tasks_need_no_processes() -> None:
    assert list(pool.run(eval, [], workers=2)) == []


def test_a_task_that_kills_its_process_costs_no_other_its_result() -> None:
    harmless = [f"{index}" for index in range(24)]
    tasks = [*harmless[:5], KILL, *harmless[5:7], EXIT, *harmless[7:20], "1 and " + KILL]
    tasks += harmless[20:]
    results = dict(pool.run(eval, tasks, workers=2))

    crashed = {task for task, result in results.items() if isinstance(result, pool.Crashed)}
    assert crashed == {KILL, EXIT, "1 and " + KILL}
    assert {task: results[task] for task in harmless} == {task: eval(task) for task in harmless}
    assert multiprocessing.active_children() == []


def test_a_worker_killed_from_outside_costs_no_task_its_result(tmp_path: Path) -> None:
    """As the kernel does when memory is short. The task is not the cause and is run again."""
    mark = tmp_path / "mark"
    once = f"__import__('pathlib').Path({str(mark)!r}).touch(exist_ok=False) or {KILL}"
    task = f"__import__('pathlib').Path({str(mark)!r}).exists() or {once}"
    results = dict(pool.run(eval, ["1", task, "2"], workers=1))
    assert results == {"1": 1, task: True, "2": 2}


def test_a_worker_may_die_while_others_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11 may leave the other running, wait for it without end, or raise OSError."""
    started: list[SpawnProcess] = []
    start = SpawnProcess.start

    def start_late(process: SpawnProcess) -> None:
        if len(started) % 2:  # for the first of the two to die, if it has a task already
            connection.wait([started[-1].sentinel], timeout=1)
        start(process)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start_late)
    mark = str(tmp_path / "mark")
    first = f"not __import__('pathlib').Path({mark!r}).exists()"
    once = f"{first} and (__import__('pathlib').Path({mark!r}).touch() or {KILL})"
    assert list(pool.run(eval, [once, "1", "2"], workers=2)) == [(once, False), ("1", 1), ("2", 2)]
    assert len(started) == 4, "two, and two in their place"
    assert multiprocessing.active_children() == []


def test_no_more_workers_start_than_there_are_tasks() -> None:
    results = pool.run(eval, ["1", "2"], workers=9)
    next(results)
    assert len(multiprocessing.active_children()) == 2
    results.close()


def test_an_exception_of_the_function_reaches_the_caller() -> None:
    tasks = itertools.chain(["1", "2"], ["1 / 0"], map(str, range(1000)))
    with pytest.raises(ZeroDivisionError):
        list(pool.run(eval, tasks, workers=2))
    assert multiprocessing.active_children() == []


def test_closing_early_leaves_no_processes_and_takes_few_tasks() -> None:
    taken = 0

    def endless() -> itertools.count:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield f"{number} or __import__('os').getpid()"

    results = pool.run(eval, endless(), workers=2)
    for _ in range(20):
        next(results)
    results.close()
    assert multiprocessing.active_children() == []
    assert taken <= 20 + pool.AHEAD * 2, "tasks are taken as workers come free, not all at once"


SCRIPT = """
import os, sys, time
from ganim.pipeline.execution import pool
SHORT = "__import__('time').sleep(0.01) or __import__('os').getpid()"
LONG = "__import__('time').sleep(4) or __import__('os').getpid()"
pids = set()
def tasks():
    while len(pids) < 2:
        yield SHORT
    yield LONG  # one worker is busy with it, the other has nothing to do
def main():
    for _, pid in pool.run(eval, tasks(), workers=2):
        pids.add(pid)
        print(pid, flush=True)
"""
GUARDED = """
if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
"""


def start(tmp_path: Path, ending: str) -> subprocess.Popen[bytes]:
    (tmp_path / "script.py").write_text(SCRIPT + ending)
    return subprocess.Popen(
        [sys.executable, tmp_path / "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def both_workers(process: subprocess.Popen[bytes]) -> set[int]:
    """Read results until both workers have given one."""
    pids: set[int] = set()
    assert process.stdout is not None
    while len(pids) < 2:
        line = process.stdout.readline()
        assert line, "the script ended"
        pids.add(int(line))
    return pids


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, GUARDED) as process:
        workers = both_workers(process)
        process.kill()
        assert soon(lambda: not any(is_running(pid) for pid in workers))


def test_ctrl_c_ends_all_without_the_workers_noise(tmp_path: Path) -> None:
    with start(tmp_path, GUARDED) as process:
        workers = both_workers(process)
        time.sleep(0.3)  # for the short tasks to end
        os.killpg(process.pid, signal.SIGINT)  # what a terminal sends: to all of them
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == b""
    assert not any(is_running(pid) for pid in workers)


def test_workers_that_cannot_start_are_not_blamed_on_the_tasks(tmp_path: Path) -> None:
    """A script without a main guard starts itself again in every worker."""
    with start(tmp_path, "main()") as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert b"__name__ == '__main__'" in errors  # Python's resource tracker may warn after it
