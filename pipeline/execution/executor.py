"""What `pool.run` needs of an executor."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, Protocol, Self


class Executor(Protocol):
    """Runs tasks in worker processes. A context manager: leaving it ends the workers' tasks."""

    worker_died: type[Exception]
    """What the future of a task raises if a worker died before the task had finished. The task is
    not always the cause: other tasks of the same worker or pool may raise it as well."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...

    def worker_count(self) -> int:
        """Return how many tasks can run at once. On a cluster this changes with its machines."""

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Schedule `function(task)` and return its future."""

    def wait(self, futures: Collection[Future[Any]], first: bool = False) -> set[Future[Any]]:
        """Wait until all futures (`first`: at least one) are done; return those that are done."""
