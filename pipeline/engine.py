"""Where work runs: this machine's processes. The steps hand over tasks and do not know."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from .errors import WrongUse

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
        # and run one at a time, the rest go on in a new pool.
        broken = yield from _run_pool(function, remaining, workers, suspects)
        while suspects:
            yield from _run_suspects(function, suspects)
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
    with _pool(workers) as pool:
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
            pool.shutdown(cancel_futures=True)


def _run_suspects(
    function: Callable[[Task], Result], suspects: list[Task]
) -> Iterator[tuple[Task, Result | Crashed]]:
    """Run suspects in one process, one at a time, up to the first that crashes it."""
    with _pool(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise WrongUse(
                "Worker processes end as soon as they start. A script of your own must call ganim "
                "below `if __name__ == '__main__':`; otherwise look at the machine's memory."
            ) from error
        while suspects:
            task = suspects.pop(0)
            try:
                result = pool.submit(function, task).result()
            except BrokenProcessPool:
                yield task, Crashed("it crashed the process that read it, or ran out of memory")
                return
            yield task, result


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_depend_on_parent)


def _depend_on_parent() -> None:
    """Let a worker end by its parent alone: with it when it is killed, and not by Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
