"""`report.html`: a shard set on one page that needs nothing else, so that mistakes are seen."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from .. import shards
from ..action_units import COLUMNS, MAX_INTENSITY
from ..errors import WrongUse
from . import pages
from .hints import hints
from .statistics import Figures, number, percent, printable, quartiles

NAME = "report.html"
_TEMPLATE = Path(__file__).with_name("report.html.j2")
_THUMBNAIL = 112
_RANDOM, _WORST, _STRONGEST = 60, 24, 6
_MOST_REASONS = 12


@dataclass(frozen=True)
class Histogram:
    """Counts in bins of equal width, the lowest bin from `left` on."""

    left: float
    width: float
    counts: list[int]
    open_ended: bool = False
    """The last bin also holds everything above it."""

    @property
    def right(self) -> float:
        """Where the last bin ends."""
        return self.left + self.width * len(self.counts)


@dataclass(frozen=True)
class Tile:
    """A face on the page."""

    picture: str
    """A data URI; empty where the image cannot be read."""
    source: str
    label: str


def write_report(figures: Figures) -> Path:
    """Write the report of a shard set into its folder, whole or not at all; return its path.

    Raises WrongUse where the folder cannot be written to.
    """
    path = figures.folder / NAME
    page = render(figures)
    try:
        pages.write(path, page)
    except OSError as error:
        raise WrongUse(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def render(figures: Figures) -> str:
    """The page. Reads the images it shows, one shard at a time."""
    faces, annotated = figures.faces, figures.annotated
    confidence = annotated["au_confidence"]
    doubtful = annotated[confidence < confidence.max()]
    refused = faces[faces["status"] == shards.NO_AUS]
    units = figures.action_units()
    # What to show: the rows of the faces, and the column whose value stands on each.
    galleries: dict[str, tuple[pd.DataFrame, str]] = {
        "random": (faces.nsmallest(_RANDOM, "draw"), ""),
        "lowest_score": (faces.nsmallest(_WORST, "detection_score"), "detection_score"),
        "without_aus": (refused.nsmallest(_WORST, "draw"), ""),
        "lowest_confidence": (doubtful.nsmallest(_WORST, "au_confidence"), "au_confidence"),
    } | {column: (annotated.nlargest(_STRONGEST, column), column) for column in COLUMNS if units}
    return pages.render(
        _TEMPLATE,
        figures=figures,
        folder=printable(str(figures.folder)),
        hints=hints(figures),
        ok=shards.OK,
        no_aus=shards.NO_AUS,
        reasons=figures.reasons[:_MOST_REASONS],
        other_reasons=sum(reason.count for reason in figures.reasons[_MOST_REASONS:]),
        histograms=_histograms(figures),
        tiles=_tiles(figures, galleries),
        units=units,
        unit_histograms=[_unit_histogram(annotated[column]) for column in COLUMNS if units],
        correlations=figures.correlations().tolist() if units else [],
        strongest=figures.strongest_correlations() if units else [],
        number=number,
        percent=percent,
    )


def histogram(values: pd.Series | np.ndarray, finest: float = 0.0) -> Histogram:
    """A histogram of about 12 to 30 round bins, none narrower than `finest`.

    The few largest values (0.5%) go into the last bin, so that they do not squeeze the others.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    low, high = float(known.min()), float(np.quantile(known, 0.995))
    rough = max((high - low) / 30, abs(high) / 100, finest, 1e-6)
    decade = 10.0 ** math.floor(math.log10(rough))
    width = next(decade * step for step in (1, 2, 5, 10) if decade * step >= rough)
    first, last = math.floor(low / width), math.floor(high / width)
    if first == last:  # a bar by itself says more with room beside it
        first, last = first - 5, last + 5
    bins = np.clip(np.floor(known / width).astype(int), first, last) - first
    open_ended = bool(known.max() >= (last + 1) * width)
    counts = np.bincount(bins, minlength=last - first + 1).tolist()
    return Histogram(first * width, width, counts, open_ended)


def _histograms(figures: Figures) -> list[tuple[str, str, Histogram, list[float]]]:
    """Heading, unit, histogram and quartiles of what there is a number of."""
    columns: list[tuple[str, str, Any]] = [
        ("Width of the face", "px", figures.faces["face_px"]),
        ("Detection score", "", figures.faces["detection_score"]),
        ("Photograph, shorter side", "px", figures.sizes.min(axis=1)),
        ("Confidence in the AUs", "", figures.annotated["au_confidence"]),
    ]
    return [
        (heading, unit, histogram(values, 1.0 if unit == "px" else 0.0), quartiles(values))
        for heading, unit, values in columns
        if np.isfinite(np.asarray(values, np.float64)).any()
    ]


def _unit_histogram(values: pd.Series) -> Histogram:
    """An AU over 0-5, without its zeros: they would dwarf all else, and are told in words."""
    counts, _ = np.histogram(values[values > 0], bins=25, range=(0, MAX_INTENSITY))
    return Histogram(0.0, MAX_INTENSITY / 25, counts.tolist())


def _tiles(
    figures: Figures, galleries: dict[str, tuple[pd.DataFrame, str]]
) -> dict[str, list[Tile]]:
    """The galleries with pictures; every shard that is shown from is read once."""
    shown = pd.concat([rows[["shard", "row"]] for rows, _ in galleries.values()])
    pictures: dict[tuple[int, int], tuple[str, str]] = {}
    for shard, path in enumerate(figures.paths):
        wanted = shown.loc[shown["shard"] == shard, "row"].unique().tolist()
        if wanted:
            table = shards.read_shard(path, ["source", "image"]).take(wanted)
            for row, face in zip(wanted, table.to_pylist(), strict=True):
                jpeg = (face["image"] or {}).get("bytes")
                pictures[shard, row] = _thumbnail(jpeg), printable(face["source"])
    return {
        name: [
            Tile(*pictures[face["shard"], face["row"]], f"{face[column]:.2f}" if column else "")
            for _, face in rows.iterrows()
        ]
        for name, (rows, column) in galleries.items()
    }


def _thumbnail(jpeg: bytes | None) -> str:
    """A small copy of a crop as a data URI, or nothing if it cannot be read."""
    try:
        with Image.open(io.BytesIO(jpeg or b"")) as picture:
            picture.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    return pages.data_uri(small)
