"""Where work runs: this machine's processes. The steps hand over tasks and do not know."""

import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Crashed(Exception):
    """A task killed its worker process (a crash in native code, or out of memory)."""


def run(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Iterator[tuple[Task, Result | Crashed]]:
    """Apply `function` to every task over `workers` processes; yield as results come.

    At most a few tasks a worker are in flight, so memory stays flat over any number of them. A
    task that kills its worker is yielded with a Crashed, and costs no other task its result.
    """
    remaining = iter(tasks)
    suspects: list[Task] = []
    while True:
        # A broken pool does not say which task broke it: all that were in flight are suspects
        # and get a process of their own, the rest go on in a new pool.
        broken = yield from _run_pool(function, remaining, workers, suspects)
        for task in suspects:
            yield task, _run_alone(function, task)
        suspects.clear()
        if not broken:
            return


def _run_pool(
    function: Callable[[Task], Result],
    remaining: Iterator[Task],
    workers: int,
    suspects: list[Task],
) -> Generator[tuple[Task, Result | Crashed], None, bool]:
    """Whether the pool broke is what the generator returns."""
    in_flight: dict[Future[Result], Task] = {}
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            while True:
                while len(in_flight) < workers * 4:
                    try:
                        task = next(remaining)
                    except StopIteration:
                        break
                    try:
                        in_flight[pool.submit(function, task)] = task
                    except BrokenProcessPool:
                        suspects.append(task)
                        raise
                if not in_flight:
                    return False
                done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield in_flight.pop(future), result
        except BrokenProcessPool:
            suspects.extend(in_flight.values())
            return True
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _run_alone(function: Callable[[Task], Result], task: Task) -> Result | Crashed:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(function, task).result()
        except BrokenProcessPool:
            return Crashed("it crashed the process that read it, or ran out of memory")
