"""Compute the items of an iterator in a thread, ahead of their use."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], most: int = 4) -> Generator[Item, None, None]:
    """Yield the items of an iterable, which a thread computes up to `most` ahead.

    What the iterable raises is raised here, after the items before it. Closing the generator stops
    the thread after the item that it computes.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(most)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stopped.is_set():
            try:
                return waiting.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        thread.join()
