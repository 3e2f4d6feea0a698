"""ganim inspect: figures of a shard set."""

from pathlib import Path

import click

from ..pipeline.files import address
from .console import say


@click.command()
@click.argument("shards", type=address, default="shards")
def inspect(shards: Path) -> None:
    """Print statistics of SHARDS, and write a report.

    The report, SHARDS/report.html, also shows faces: open it in a browser to see whether they and
    their action units are good. prepare and annotate write it, too.
    """
    from ..pipeline.report.html import write_report
    from ..pipeline.report.statistics import read_statistics
    from ..pipeline.report.tables import print_statistics

    statistics = read_statistics(shards)
    print_statistics(statistics)
    say(f"Look at {write_report(statistics)}")
