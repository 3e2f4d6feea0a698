"""Write what a second reading found: `check.csv` with all faces, `check.html` with pictures."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import shards
from ..files import write_whole
from . import pages
from .checked import HEADER, PAGE, TABLE
from .formatting import printable
from .html import thumbnail_uri

if TYPE_CHECKING:
    from ..annotate.check import Disagreement

_TEMPLATE = Path(__file__).with_name("check.html.j2")
_SHOWN = 100


def write_check(folder: Path, found: Sequence["Disagreement"], annotator: str) -> None:
    """Write both files into the folder of the shards.

    found: all faces, those that disagree most first. annotator: who read them again.
    """
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(HEADER)
    for one in found:
        numbers = (
            f"{one.score:.2f}",
            f"AU{one.number:02d}",
            f"{one.label:.2f}",
            f"{one.reading:.2f}",
        )
        table.writerow([one.source, *numbers, one.annotator, one.shard.name, one.row])
    content = text.getvalue().encode(errors="backslashreplace")
    write_whole(folder / TABLE, lambda beside: beside.write_bytes(content))
    shown = found[:_SHOWN]
    images = _images(shown)
    faces = [(images[one.shard, one.row], printable(one.source), one) for one in shown]
    page = pages.render(
        _TEMPLATE, folder=printable(str(folder)), annotator=annotator, faces=faces, count=len(found)
    )
    pages.write(folder / PAGE, page)


def _images(found: Sequence["Disagreement"]) -> dict[tuple[Path, int], str]:
    """Small pictures of faces as data URIs. Each shard is read once."""
    images = {}
    for path in {one.shard for one in found}:
        rows = [one.row for one in found if one.shard == path]
        table = shards.read_shard(path, ["image"]).take(rows)
        for row, face in zip(rows, table.to_pylist(), strict=True):
            images[path, row] = thumbnail_uri(face["image"]["bytes"])
    return images
