"""An executor of worker processes on this machine, on `concurrent.futures`.

A worker that dies breaks its ProcessPoolExecutor, and every task in flight raises
BrokenProcessPool. The next `submit` then starts a new pool.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Self

from ..errors import WrongUse


def usable_cores() -> int:
    """How many cores this process may use; all of the machine, where the system does not say."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ProcessExecutor:
    """Worker processes of this machine (an `executor.Executor`). All start at the first task."""

    worker_died: type[Exception] = BrokenProcessPool

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def worker_count(self) -> int:
        return self._workers

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Schedule a task. Raises WrongUse if worker processes cannot start."""
        if self._pool is None:
            self._pool = _start_pool(self._workers)
        try:
            return self._pool.submit(function, task)
        except BrokenProcessPool:
            self._pool.shutdown()
            self._pool = _start_pool(self._workers)
            _check_workers_start(self._pool)
            return self._pool.submit(function, task)

    def wait(self, futures: Collection[Future[Any]], first: bool = False) -> set[Future[Any]]:
        return wait(futures, return_when=FIRST_COMPLETED if first else ALL_COMPLETED).done


def _start_pool(workers: int) -> ProcessPoolExecutor:
    # Forked workers would inherit the threads of OpenCV, Arrow or torch in an undefined state.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    # `submit` would start one worker after another while the first ones work already. In Python
    # before 3.12.1 a worker that starts while another dies may be left running, or be waited for
    # without end, or make `submit` raise OSError (github.com/python/cpython/pull/110126). So all
    # workers start before the first task, as they do where Python forks them.
    pool._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]
    return pool


def _check_workers_start(pool: ProcessPoolExecutor) -> None:
    """Raise WrongUse if a worker dies even on a task that does nothing."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise WrongUse(
            "Worker processes end as soon as they start. If a script of your own calls ganim, put "
            "the call below `if __name__ == '__main__':`. Otherwise check that the machine has "
            "enough memory."
        ) from error


def _end_with_parent() -> None:
    """Make this worker end when its parent process ends, and ignore Ctrl-C.

    A terminal sends SIGINT to the workers as well; the parent ends them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def exit_after_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=exit_after_parent, daemon=True).start()
