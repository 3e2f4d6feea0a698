"""Progress of long work: a bar on a terminal, plain lines in a log."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_SECONDS = 15.0


class Tracker:
    """Counts finished items of work and shows count, rate, time left and a note.

    Use as a context; call `start` once the amount is known, then `advance` for each item.
    """

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit, self._note = what, unit, ""
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=None, rate="", note="")
        self._total = self._done = self._before = 0
        self._started = self._last_line = time.monotonic()

    def start(self, total: int, done: int = 0) -> None:
        """Say how much there is, and how much of it an earlier run has done."""
        self._total, self._done, self._before = total, done, done
        self._started = self._last_line = time.monotonic()
        # Not `update`: what was done before would count as done in no time.
        self._bar.reset(self._task, total=total, completed=done)
        if done:
            self._console.print(f"{self._what}: {done} of {total} {self._unit} were done before")

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Tell of finished items, and optionally a new note (failures, losses)."""
        self._done += count
        self._note = self._note if note is None else note
        now = time.monotonic()
        rate = (self._done - self._before) / max(now - self._started, 1e-6)
        shown = f"{rate:.1f} {self._unit}/s"
        self._bar.update(self._task, completed=self._done, rate=shown, note=self._note)
        if not self._console.is_terminal and now - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = now
            left = (self._total - self._done) / rate if rate else 0.0
            line = f"{self._what}: {self._done}/{self._total}, {shown}, {left / 60:.1f} min left"
            self._console.print(f"{line}  {self._note}".rstrip(), soft_wrap=True, highlight=False)

    def __enter__(self) -> "Tracker":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
