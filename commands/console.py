"""What the commands share: messages, progress, errors as exit statuses, stopping by signals.

Modules that take long to import are imported where they are used, as every command imports this
file.
"""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import click

from ..pipeline.errors import CannotWrite, GanimError, NothingUsable

REPORT = "report.html"
_LINE_EVERY_SECONDS = 15.0


class Failure(click.ClickException):
    """An error of the package: click prints its sentence, and exits with its status."""

    def __init__(self, error: GanimError) -> None:
        super().__init__(_printable(str(error)))
        self.exit_code = error.exit_status  # type: ignore[misc]


def say(text: str, err: bool = False) -> None:
    """Print a line to stdout, or to stderr."""
    click.echo(_printable(text), err=err)


def _printable(text: str) -> str:
    """Text that can be encoded as UTF-8: bytes of a path that are not UTF-8 are escaped."""
    return text.encode(errors="backslashreplace").decode()


def failures(statuses: Counter[str]) -> str:
    """How many rows have each status but `ok`: `2 no_face, 1 unreadable`."""
    counts = sorted(statuses.items())
    return ", ".join(f"{count} {status}" for status, count in counts if status != "ok")


@contextmanager
def report_after(shards: Path) -> Iterator[None]:
    """Write report.html of the shards when the work on them has ended, also if no face was
    usable."""
    from ..pipeline.report.html import write_report
    from ..pipeline.report.statistics import read_statistics

    try:
        yield
    except CannotWrite:  # nor could the report be written
        raise
    except NothingUsable:
        write_report(read_statistics(shards))
        raise
    write_report(read_statistics(shards))


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Tracker:
    """Progress of long work: a bar on a terminal, otherwise a line every 15 seconds.

    It shows a count, the rate, the remaining time and a note. Use it as a context; call `start`
    if and when the amount of work is known, and `advance` for finished items.
    """

    def __init__(self, what: str, unit: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

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
        """Set the number of items, and how many of them an earlier command has finished."""
        self._total, self._done, self._before = total, done, done
        self._started = self._last_line = time.monotonic()
        # Not `update`: what was done before would count as done in no time.
        self._bar.reset(self._task, total=total, completed=done)
        if done:
            self._console.print(f"{self._what}: {done} of {total} {self._unit} were done before")

    def advance(self, count: int = 1, note: str | None = None) -> None:
        """Count further finished items. note: replaces the earlier one."""
        self.reach(self._done + count, note)

    def reach(self, done: int, note: str | None = None) -> None:
        """Set the number of finished items, earlier commands' included. note: as in `advance`."""
        self._done = done
        self._note = self._note if note is None else note
        now = time.monotonic()
        rate = (self._done - self._before) / max(now - self._started, 1e-6)
        speed = f"{rate:.1f} {self._unit}/s"
        self._bar.update(self._task, completed=self._done, rate=speed, note=self._note)
        if not self._console.is_terminal and now - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = now
            progress = f"{self._done} {self._unit}"
            if self._total:
                left = (self._total - self._done) / rate if rate else 0.0
                progress = f"{self._done}/{self._total}"
                speed += f", {left / 60:.1f} min left"
            line = f"{self._what}: {progress}, {speed}"
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
