"""Work on a Dask cluster, through its concurrent.futures interface. The extra `cluster`.

Every worker needs this ganim, and one thread (`dask worker --nthreads 1`), as the detector is not
made for several. A worker that dies is replaced by its nanny, and Dask gives its tasks to others.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Self

from ..errors import NothingUsable, WrongUse

_CONNECT_SECONDS = 20
_COUNT_EVERY_SECONDS = 5.0
_GIVE_UP_SECONDS = 120.0


class Cluster:
    """The workers of the scheduler at an address: an engine.Place."""

    def __init__(self, scheduler: str) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise WrongUse("--scheduler needs Dask: pip install 'ganim[cluster]'.") from error
        try:
            self._client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise WrongUse(
                f"No Dask scheduler answers at {scheduler}: {error}. Start one with "
                "`dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`."
            ) from error
        self.crash: type[Exception] = KilledWorker
        self._scheduler = scheduler
        self._executor = self._client.get_executor(pure=False)
        self._counted = self._seen = -_COUNT_EVERY_SECONDS
        self._workers = 1

    def __enter__(self) -> Self:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
            self.submit(_know_ganim, None).result()
        except TimeoutError as error:
            self.__exit__()
            raise WrongUse(
                f"The scheduler at {self._scheduler} has no workers. Start some with "
                f"`dask worker {self._scheduler} --nthreads 1`."
            ) from error
        except ImportError as error:
            self.__exit__()
            raise WrongUse(
                f"The workers of {self._scheduler} lack {error.name}. Install the same "
                "'ganim[cluster]' where they run."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        logger = logging.getLogger("distributed.client")
        level = logger.level
        logger.setLevel(logging.CRITICAL)  # it shows tracebacks of what we say in a sentence
        self._executor.shutdown(wait=False)
        self._client.close()
        logger.setLevel(level)

    def workers(self) -> int:
        now = time.monotonic()
        if now - self._counted >= _COUNT_EVERY_SECONDS:
            self._counted, count = now, sum(self._client.nthreads().values())
            if count:
                self._workers, self._seen = count, now
            elif now - self._seen > _GIVE_UP_SECONDS:
                raise NothingUsable(
                    f"The cluster at {self._scheduler} has no workers left. Start some; the same "
                    "command then goes on from here."
                )
        return self._workers

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        return self._executor.submit(function, task)

    def one_by_one(
        self, function: Callable[[Any], Any], tasks: Iterable[Any]
    ) -> Iterator[Future[Any]]:
        for task in tasks:
            future = self.submit(function, task)
            self.wait([future])
            yield future

    def wait(self, futures: Collection[Future[Any]], first: bool = False) -> set[Future[Any]]:
        until = FIRST_COMPLETED if first else ALL_COMPLETED
        while True:
            done, missing = wait(futures, _COUNT_EVERY_SECONDS, until)
            if any(future.cancelled() for future in done):
                raise NothingUsable(
                    f"The scheduler at {self._scheduler} is gone. Start it again; the same "
                    "command then goes on from here."
                )
            if not missing or (first and done):
                return done
            self.workers()  # raises when there is nobody left to wait for


def _know_ganim(_: None) -> int:
    """Runs on a worker only where ganim can be imported."""
    return os.getpid()
