"""Apply a function to many tasks in parallel; get the results in the order of the tasks.

    for task, result in pool.run(function, tasks, workers=8):                     # this machine
    for task, result in pool.run(function, tasks, scheduler="tcp://host:8786"):   # a Dask cluster

The function, the tasks and the results must be picklable, and the function must be importable
where it runs. The order of the results does not depend on where or how fast the tasks ran.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, TypeVar, cast

from ..errors import WrongUse
from .executor import Executor
from .processes import ProcessExecutor, usable_cores

Task = TypeVar("Task")
Result = TypeVar("Result")

QUEUE_PER_WORKER = 4
"""Tasks submitted for each worker at a time, so that none waits for its next task."""
AHEAD = 32
"""Tasks for each worker that may be submitted or finished before the oldest one has finished.
Their results are held in memory."""
_REASON = "it crashed the process that read it, or ran out of memory"


class Crashed(Exception):
    """A task killed its worker process (a crash in native code, or out of memory)."""


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int | None = None,
    scheduler: str | None = None,
    ahead: int = AHEAD,
) -> Iterator[tuple[Task, Result | Crashed]]:
    """Apply `function` to every task; yield (task, result) in the order of the tasks.

    workers: the number of processes of this machine; None for one per core.
    scheduler: the address of a Dask scheduler whose workers are used instead.
    ahead: see `AHEAD`; choose fewer if results are large. Tasks are taken from their
        iterator only when they are submitted, so memory does not grow with their number.

    A task that kills its worker is run once more, alone; if it kills that worker too, its result
    is a `Crashed`. No other task loses its result. An exception of the function is raised here.
    Raises WrongUse if no workers can be started or reached.
    """
    tasks = iter(tasks)
    first: list[Task] = []
    if scheduler is None:
        first = list(islice(tasks, workers or usable_cores()))
        chosen: Executor = ProcessExecutor(len(first))  # more workers would start for nothing
    else:
        chosen = _cluster(scheduler, workers)
    with chosen as executor:
        yield from _run_in_order(executor, function, chain(first, tasks), ahead)


def _cluster(scheduler: str, workers: int | None) -> Executor:
    if workers is not None:
        raise WrongUse(
            "--workers sets the number of local processes, but --scheduler uses the workers of "
            "its cluster: give one of the two."
        )
    from .dask import DaskExecutor

    return DaskExecutor(scheduler)


@dataclass
class _Pending(Generic[Task, Result]):
    """A task that was submitted and not yielded yet."""

    task: Task
    result: Result | Crashed | None = None
    done: bool = False

    def finish(self, result: Result | Crashed) -> None:
        self.result, self.done = result, True


def _run_in_order(
    executor: Executor,
    function: Callable[[Task], Result],
    tasks: Iterator[Task],
    ahead: int,
) -> Iterator[tuple[Task, Result | Crashed]]:
    pending: deque[_Pending[Task, Result]] = deque()
    running: dict[Future[Result], _Pending[Task, Result]] = {}
    exhausted = False
    while True:
        workers = executor.worker_count()
        while (
            not exhausted
            and len(running) < QUEUE_PER_WORKER * workers
            and len(pending) < ahead * workers
        ):
            try:
                item = _Pending[Task, Result](next(tasks))
            except StopIteration:
                exhausted = True
                break
            running[executor.submit(function, item.task)] = item
            pending.append(item)
        if not pending:
            return
        done = executor.wait(running, first=True)
        if any(isinstance(future.exception(), executor.worker_died) for future in done):
            _recover(executor, function, running)
        else:
            for future in done:
                running.pop(future).finish(future.result())
        del done  # Dask keeps a result on its worker as long as a reference to its future exists
        while pending and pending[0].done:
            item = pending.popleft()
            yield item.task, cast(Result | Crashed, item.result)


def _recover(
    executor: Executor,
    function: Callable[[Task], Result],
    running: dict[Future[Result], _Pending[Task, Result]],
) -> None:
    """Finish all running tasks after a worker died.

    The executor does not say which task killed the worker. Therefore all tasks that were lost run
    again, one at a time: a task that kills its worker while no other task runs is the cause.
    """
    executor.wait(running)
    lost: list[_Pending[Task, Result]] = []
    for future, item in running.items():
        if isinstance(future.exception(), executor.worker_died):
            lost.append(item)
        else:
            item.finish(future.result())
    running.clear()
    for item in lost:
        future = executor.submit(function, item.task)
        executor.wait([future])
        if isinstance(future.exception(), executor.worker_died):
            item.finish(Crashed(_REASON))
        else:
            item.finish(future.result())
