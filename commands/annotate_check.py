"""ganim annotate --check: which AUs of a shard set disagree most with the estimator."""

from pathlib import Path
from typing import TYPE_CHECKING

from .console import REPORT, Tracker, report_after, say

if TYPE_CHECKING:
    from ..pipeline.annotator import Annotator

_SHOWN = 10


def check_shards(shards: Path, annotator: "Annotator") -> None:
    """Read the faces of a set again, and say which disagree most. The shards are not changed."""
    from ..pipeline.annotate.check import check
    from ..pipeline.report.check import write_check
    from ..pipeline.report.checked import PAGE, TABLE

    with report_after(shards):
        with Tracker("check", "faces") as tracker:
            found = check(shards, annotator, tracker.start, tracker.advance)
        write_check(shards, found, annotator.name)
    say(f"{len(found)} faces were read again. The most different:")
    for one in found[:_SHOWN]:
        say(f"  {one.source}: AU{one.number} is {one.label:.1f}, read {one.reading:.1f}")
    say(f"Look at {shards / PAGE} or {shards / REPORT}; {shards / TABLE} lists all faces.")
