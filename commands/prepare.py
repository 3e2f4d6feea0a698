"""ganim prepare: photographs and clips to shards."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..pipeline.files import address
from ..pipeline.prepare.settings import PrepareSettings
from .console import REPORT, Tracker, failures, report_after, say
from .options import given, setting_options

_SHOWN_LINKS = 5


@click.command()
@click.option(
    "--src",
    type=address,
    required=True,
    metavar="FOLDER",
    help="Photographs and clips, also in subfolders; a folder, or an address such as "
    "s3://bucket/raw.",
)
@click.option(
    "--out",
    type=address,
    default="shards",
    metavar="FOLDER",
    help="Where the shards are written; a folder or an address.",
)
@setting_options(PrepareSettings)
@click.option("--follow-links", is_flag=True, help="Read what links lead to outside --src, too.")
@click.option("--update", is_flag=True, help="Add files that are new since the set was complete.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Make the set again; the old one stays until the new one is complete.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), show_default="all cores", help="Number of processes."
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Address of a Dask scheduler, such as tcp://host:8786."
)
@click.pass_context
def prepare(
    context: click.Context,
    src: Path,
    out: Path,
    follow_links: bool,
    update: bool,
    overwrite: bool,
    workers: int | None,
    scheduler: str | None,
    **settings: Any,
) -> None:
    """Photographs and clips to face crops in Parquet shards.

    Faces are found by a HOG detector and cropped. A photograph without a usable face becomes a
    row with the reason. Run the same command again to continue after a stop.
    """
    from ..pipeline.prepare import prepare as work

    statuses: Counter[str] = Counter()
    with Tracker("prepare", "files") as tracker:

        def on_file(rows: Sequence[str]) -> None:
            statuses.update(rows)
            tracker.advance(note=failures(statuses))

        with report_after(out):
            summary = work.prepare(
                src,
                out,
                PrepareSettings().updated(given(context)),
                workers,
                scheduler,
                overwrite,
                update,
                follow_links,
                tracker.start,
                on_file,
            )
    say(f"{summary.found} photographs and clips in {src}, {summary.skipped} of them done before")
    for status, count in summary.counts.items():
        say(f"  {status:<12} {count}")
    if summary.other_files:
        say(f"  {summary.other_files} other files: their names are not of pictures or clips")
    if summary.closed_folders:
        say(f"  {summary.closed_folders} folders not read: they may not be listed")
    for link in summary.links[:_SHOWN_LINKS]:
        say(f"  a link that leads out of the folder, not followed: {link}")
    if summary.links:
        say(f"  {len(summary.links)} linked folders not read. Read them with --follow-links.")
    if summary.new:
        say(f"{summary.new} of them are new since the set was complete. Add them with --update.")
    say(f"Shards are in {out}; look at {out / REPORT}. Next: ganim annotate {out}")
