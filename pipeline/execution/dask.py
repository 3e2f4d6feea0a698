"""An executor on a Dask cluster, through Dask's `concurrent.futures` interface (extra `cluster`).

Every worker needs the same ganim, and a single thread (`dask worker --nthreads 1`), because the
face detector is not thread-safe. If a worker dies, its nanny starts a new one, and Dask runs the
worker's tasks elsewhere; a task that was on several workers that died raises KilledWorker.
"""

import logging
import os
import time
from collections.abc import Callable, Collection
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, wait
from typing import Any, Self

from ..errors import NothingUsable, WrongUse

_CONNECT_SECONDS = 20
_POLL_SECONDS = 5.0
"""How often the workers are counted."""
_NO_WORKER_SECONDS = 120.0
"""How long the cluster may be without a worker before the run ends."""


class DaskExecutor:
    """The workers of the Dask scheduler at an address (an `executor.Executor`).

    Raises WrongUse if Dask is not installed, if no scheduler answers, if it has no workers, or if
    ganim is not installed where they run; NothingUsable if scheduler or workers are lost later.
    """

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
        self.worker_died: type[Exception] = KilledWorker
        self._scheduler = scheduler
        self._executor = self._client.get_executor(pure=False)
        self._worker_count = 1
        self._counted = self._last_worker_seen = -_POLL_SECONDS

    def __enter__(self) -> Self:
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
            self.submit(_import_ganim, None).result()
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

    def __exit__(self, *error: Any) -> None:
        # While it closes, the client logs tracebacks of errors that are raised here in a sentence.
        logger = logging.getLogger("distributed.client")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        self._executor.shutdown(wait=False)
        self._client.close()
        logger.setLevel(level)

    def worker_count(self) -> int:
        """Return the number of worker threads, counted every few seconds."""
        now = time.monotonic()
        if now - self._counted >= _POLL_SECONDS:
            self._counted, count = now, sum(self._client.nthreads().values())
            if count:
                self._worker_count, self._last_worker_seen = count, now
            elif now - self._last_worker_seen > _NO_WORKER_SECONDS:
                raise NothingUsable(
                    f"The cluster at {self._scheduler} has no workers left. Start some, then run "
                    "the same command again: it continues from here."
                )
        return self._worker_count

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        return self._executor.submit(function, task)

    def wait(self, futures: Collection[Future[Any]], first: bool = False) -> set[Future[Any]]:
        return_when = FIRST_COMPLETED if first else ALL_COMPLETED
        while True:
            done, not_done = wait(futures, _POLL_SECONDS, return_when)
            if any(future.cancelled() for future in done):
                raise NothingUsable(
                    f"The scheduler at {self._scheduler} is gone. Start it again, then run the "
                    "same command again: it continues from here."
                )
            if not not_done or (first and done):
                return done
            self.worker_count()  # raises if there have been no workers for too long


def _import_ganim(_: None) -> int:
    """Runs on a worker; to unpickle this function the worker has to import ganim."""
    return os.getpid()
