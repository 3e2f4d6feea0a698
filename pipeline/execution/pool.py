"""Where work runs: this machine's processes, or a Dask cluster. The steps hand over tasks and do
not know.

    for task, result in engine.run(function, tasks, workers=8):                     # here
    for task, result in engine.run(function, tasks, scheduler="tcp://host:8786"):   # there

Function, tasks and results must pickle, and the function must be importable by its name where it
runs. The order of the results is that of the tasks, so what is written does not depend on where
or how fast the work ran.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from ..errors import WrongUse

Task = TypeVar("Task")
Result = TypeVar("Result")

_RUNNING = 4
"""Tasks handed over to each worker at a time: enough that it never waits for the next."""
_REASON = "it crashed the process that read it, or ran out of memory"
AHEAD = 32
"""Tasks a worker may be ahead of the oldest unfinished one; their results wait in memory."""


class Crashed(Exception):
    """A task killed its worker process (a crash in native code, or out of memory)."""


class Place(Protocol):
    """Where work can run. A context: leaving it ends what still runs."""

    crash: type[Exception]
    """What the future of a task raises whose worker died, be it by this task or another."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...

    def workers(self) -> int:
        """How many tasks can run at once; may change as machines join and leave."""

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Have a task run beside the others."""

    def wait(self, futures: Collection[Future[Any]], first: bool = False) -> set[Future[Any]]:
        """Wait for all futures, or for the first; return those that are done."""

    def one_by_one(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Iterator[Future[Any]]:
        """Have tasks run with no other beside them, so that a crash has one culprit. The futures
        are done; nothing else is in flight meanwhile."""


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int | None = None,
    scheduler: str | None = None,
    ahead: int = AHEAD,
) -> Iterator[tuple[Task, Result | Crashed]]:
    """Apply `function` to every task; yield the results in the order of the tasks.

    By `workers` processes of this machine (None: one a core), or by the Dask cluster whose
    scheduler is named. At most `ahead` tasks a worker are begun and not yielded, so memory stays
    flat over any number of them; give less where results are large. A task that kills its worker
    is yielded with a Crashed, and costs no other task its result. What the function raises
    reaches the caller. Raises WrongUse where the workers cannot be had.
    """
    with _place(workers, scheduler) as place:
        yield from _in_order(place, function, iter(tasks), ahead)


def _place(workers: int | None, scheduler: str | None) -> Place:
    if scheduler is None:
        return _Processes(workers or os.cpu_count() or 1)
    if workers is not None:
        raise WrongUse("--workers counts processes here, --scheduler has its own: give one.")
    from .dask import Cluster

    return Cluster(scheduler)


@dataclass
class _Slot(Generic[Task, Result]):
    """A task that was begun and not yielded yet."""

    task: Task
    result: Result | Crashed | None = None
    done: bool = False


def _in_order(
    place: Place, function: Callable[[Task], Result], remaining: Iterator[Task], ahead: int
) -> Iterator[tuple[Task, Result | Crashed]]:
    slots: deque[_Slot[Task, Result]] = deque()
    running: dict[Future[Result], _Slot[Task, Result]] = {}
    more = True
    while True:
        workers = place.workers()
        while more and len(running) < _RUNNING * workers and len(slots) < ahead * workers:
            try:
                slot = _Slot[Task, Result](next(remaining))
            except StopIteration:
                more = False
                break
            running[place.submit(function, slot.task)] = slot
            slots.append(slot)
        if not slots:
            return
        done = place.wait(running, first=True)
        if any(isinstance(future.exception(), place.crash) for future in done):
            _clear_suspects(place, function, running)
        else:
            for future in done:
                _fill(running.pop(future), future)
        del done  # a future on a cluster keeps its result there for as long as it lives
        while slots and slots[0].done:
            slot = slots.popleft()
            yield slot.task, cast(Result | Crashed, slot.result)


def _fill(slot: _Slot[Task, Result], future: Future[Result]) -> None:
    slot.result = future.result()
    slot.done = True


def _clear_suspects(
    place: Place,
    function: Callable[[Task], Result],
    running: dict[Future[Result], _Slot[Task, Result]],
) -> None:
    """A worker died, and with it the tasks it had: which one was to blame is not said. So those
    that were lost run again one at a time; who crashes alone is guilty."""
    place.wait(running)
    suspects: list[_Slot[Task, Result]] = []
    while running:
        future, slot = running.popitem()
        if isinstance(future.exception(), place.crash):
            suspects.insert(0, slot)
        else:
            _fill(slot, future)
    futures = place.one_by_one(function, [slot.task for slot in suspects])
    for slot, future in zip(suspects, futures, strict=True):
        if isinstance(future.exception(), place.crash):
            slot.result, slot.done = Crashed(_REASON), True
        else:
            _fill(slot, future)


class _Processes:
    """Processes of this machine. One that dies breaks the pool: all that was in flight is lost."""

    crash: type[Exception] = BrokenProcessPool

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def workers(self) -> int:
        return self._workers

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        self._pool = self._pool or _pool(self._workers)
        try:
            return self._pool.submit(function, task)
        except BrokenProcessPool as error:
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost

    def wait(self, futures: Collection[Future[Any]], first: bool = False) -> set[Future[Any]]:
        return wait(futures, None, FIRST_COMPLETED if first else ALL_COMPLETED).done

    def one_by_one(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Iterator[Future[Any]]:
        self.__exit__()
        for task in tasks:
            if self._pool is None:
                self._pool = _checked_pool()
            future = self._pool.submit(function, task)
            wait([future])
            if isinstance(future.exception(), BrokenProcessPool):
                self.__exit__()
            yield future
        self.__exit__()


def _checked_pool() -> ProcessPoolExecutor:
    """A pool of one process that is known to start."""
    pool = _pool(1)
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        pool.shutdown()
        raise WrongUse(
            "Worker processes end as soon as they start. A script of your own must call ganim "
            "below `if __name__ == '__main__':`; otherwise look at the machine's memory."
        ) from error
    return pool


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
