"""Write `report.html`: the statistics and example faces of a shard set on one page."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .. import shards
from . import pages
from .checked import PAGE as CHECK_PAGE
from .findings import list_findings
from .formatting import number, percent, printable
from .histogram import Histogram, au_histogram, histogram
from .statistics import Statistics, quartiles

NAME = "report.html"
_TEMPLATE = Path(__file__).with_name("report.html.j2")
_THUMBNAIL = 112
"""Side of a thumbnail in pixels."""
_RANDOM_FACES, _LOWEST_FACES, _HIGHEST_FACES = 60, 24, 6
"""Faces in the gallery of random faces, of those with the lowest values, and of those with the
highest intensity of an AU."""
_CHECKED_FACES = 24
"""Faces that a second reading doubts most."""
_SHOWN_REASONS = 12
_SHOWN_SERIES, _SERIES_FACES = 6, 10
"""Series that are shown, and faces of each."""


@dataclass(frozen=True)
class SeriesRow:
    """A series on the page."""

    name: str
    split: str
    faces: int
    gallery: list["Thumbnail"]
    """Some of its faces."""


@dataclass(frozen=True)
class Thumbnail:
    """A face in a gallery of the page."""

    image: str
    """A data URI; empty if the image cannot be decoded."""
    source: str
    value: str
    """The number that is shown on the face; may be empty."""


def write_report(statistics: Statistics) -> Path:
    """Write the report of a shard set into its folder, entirely or not at all; return its path.

    Raises CannotWrite.
    """
    path = statistics.folder / NAME
    pages.write(path, render(statistics))
    return path


def render(statistics: Statistics) -> str:
    """Return the page. The same shard set gives the same page, to the byte.

    Only the images that are shown are read, one shard at a time.
    """
    faces, annotated = statistics.faces, statistics.annotated
    confidence = annotated["au_confidence"]
    not_highest = annotated[confidence < confidence.max()]
    no_aus = faces[faces["status"] == shards.NO_AUS]
    aus = statistics.au_statistics()
    series = _shown_series(statistics)
    # For each gallery: rows of `faces`, and the column whose value is shown on each face.
    chosen: dict[str, tuple[pd.DataFrame, str]] = {
        "random": (faces.nsmallest(_RANDOM_FACES, "random"), ""),
        "lowest_score": (faces.nsmallest(_LOWEST_FACES, "detection_score"), "detection_score"),
        "no_aus": (no_aus.nsmallest(_LOWEST_FACES, "random"), ""),
        "lowest_confidence": (
            not_highest.nsmallest(_LOWEST_FACES, "au_confidence"),
            "au_confidence",
        ),
    }
    columns = statistics.columns if aus else []
    chosen |= {c: (annotated.nlargest(_HIGHEST_FACES, c), c) for c in columns}
    shard_of = {path.name: number for number, path in enumerate(statistics.paths)}
    checked = statistics.checked[:_CHECKED_FACES]
    positions = [(shard_of[one.shard], one.row) for one in checked]
    chosen["checked"] = (pd.DataFrame(positions, columns=["shard", "row"], dtype=np.int32), "")
    chosen |= {f"series {name}": (_faces_of_series(faces, name), "") for name in series.index}
    galleries = _galleries(statistics, chosen)
    return pages.render(
        _TEMPLATE,
        statistics=statistics,
        folder=printable(str(statistics.folder)),
        findings=list_findings(statistics),
        ok=shards.OK,
        no_aus=shards.NO_AUS,
        checked=list(zip(galleries["checked"], checked, strict=True)),
        check_page=CHECK_PAGE,
        reasons=statistics.reasons[:_SHOWN_REASONS],
        other_reasons=sum(reason.count for reason in statistics.reasons[_SHOWN_REASONS:]),
        histograms=_histograms(statistics),
        galleries=galleries,
        series=[
            SeriesRow(printable(name), split, count, galleries[f"series {name}"])
            for name, split, count in series.itertuples()
        ],
        points=sorted(set(faces["points"]) - {0}),
        aus=aus,
        au_histograms=[au_histogram(annotated[column]) for column in columns],
        correlations=statistics.correlations().tolist() if aus else [],
        strongest=statistics.strongest_correlations() if aus else [],
        number=number,
        percent=percent,
    )


def _shown_series(statistics: Statistics) -> pd.DataFrame:
    """The rows of `Statistics.series` that the page shows: some with two faces or more."""
    series = statistics.series
    series = series[series["faces"] > 1]
    by_hash = sorted(series.index, key=lambda name: (zlib.crc32(name.encode()), name))
    return series.loc[sorted(by_hash[:_SHOWN_SERIES])]


def _faces_of_series(faces: pd.DataFrame, name: str) -> pd.DataFrame:
    """Some faces of a series, in the order of the shards."""
    return faces[faces["series"] == name].nsmallest(_SERIES_FACES, "random").sort_index()


def _histograms(statistics: Statistics) -> list[tuple[str, str, Histogram, list[float]]]:
    """Return heading, unit, histogram and quartiles of each quantity that has values."""
    columns: list[tuple[str, str, Any]] = [
        ("Width of the face", "px", statistics.faces["face_px"]),
        ("Detection score", "", statistics.faces["detection_score"]),
        ("Photograph, shorter side", "px", statistics.sizes.min(axis=1)),
        ("Confidence in the AUs", "", statistics.annotated["au_confidence"]),
    ]
    return [
        (heading, unit, histogram(values, 1.0 if unit == "px" else 0.0), quartiles(values))
        for heading, unit, values in columns
        if np.isfinite(np.asarray(values, np.float64)).any()
    ]


def _galleries(
    statistics: Statistics, chosen: dict[str, tuple[pd.DataFrame, str]]
) -> dict[str, list[Thumbnail]]:
    """Read the images of the chosen faces; each shard is read once."""
    positions = pd.concat([rows[["shard", "row"]] for rows, _ in chosen.values()])
    images: dict[tuple[int, int], tuple[str, str]] = {}
    for shard, path in enumerate(statistics.paths):
        rows = positions.loc[positions["shard"] == shard, "row"].unique().tolist()
        if rows:
            table = shards.read_shard(path, ["source", "image"]).take(rows)
            for row, face in zip(rows, table.to_pylist(), strict=True):
                jpeg = (face["image"] or {}).get("bytes")
                images[shard, row] = thumbnail_uri(jpeg), printable(face["source"])
    return {
        name: [
            Thumbnail(*images[face["shard"], face["row"]], f"{face[column]:.2f}" if column else "")
            for _, face in rows.iterrows()
        ]
        for name, (rows, column) in chosen.items()
    }


def thumbnail_uri(jpeg: bytes | None) -> str:
    """Return a small copy of a crop as a data URI; empty if it cannot be decoded."""
    try:
        with Image.open(io.BytesIO(jpeg or b"")) as image:
            image.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    return pages.data_uri(small)
