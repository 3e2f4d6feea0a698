"""What a shard set holds, in figures: read once, without the images, for `inspect` and the report.

Of a face some thirty numbers stay in memory, of a photograph without one its size: about 40 MB
for 100,000 rows.
"""

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import shards
from ..action_units import COLUMNS, NAMES, NUMBERS

_PHOTOGRAPH = ["key", "source", "source_width", "source_height", "face_index", "status", "error"]
_FACE = ["box", "crop", "detection_score", *COLUMNS, "au_confidence", "annotator"]
# Names as small numbers, the same in every shard.
_STATUS = pd.CategoricalDtype([shards.OK, shards.NO_AUS])
_SPLIT = pd.CategoricalDtype(list(shards.SPLITS))
_MOST_REASONS = 1000


@dataclass(frozen=True)
class Reason:
    """Why photographs or faces could not be used; reasons that differ in numbers are one."""

    status: str
    count: int
    text: str
    """The reason as it stands in the first of these rows."""
    source: str
    """The photograph of that row."""


@dataclass(frozen=True)
class ActionUnit:
    """One AU over all faces that have it, 0-5."""

    column: str
    name: str
    mean: float
    sd: float
    above_1: float
    """Share of the faces, 0-1; likewise `zero`, those at exactly 0."""
    zero: float
    least: float
    most: float


@dataclass(frozen=True)
class Figures:
    """A shard set in figures."""

    folder: Path
    settings: dict[str, Any]
    """What it was prepared with, from the manifest."""
    statuses: dict[str, dict[str, int]]
    """Status to split to rows, the most frequent status first."""
    reasons: list[Reason]
    """The most frequent first."""
    sizes: np.ndarray
    """(photographs that could be opened, 2) float32: width and height."""
    photographs: int
    faces: pd.DataFrame
    """A row for each crop: `shard` and `row` where it stands, `draw` (a hash of its key, for a
    choice that looks random and is the same each time), `split`, `status`, `face_px` (width of
    the HOG box) and `crop_px` in the photograph, `detection_score`, the 17 AUs, `au_confidence`,
    `annotator`."""
    paths: list[Path]
    """The shards, by number."""

    @cached_property
    def annotated(self) -> pd.DataFrame:
        """The faces that have AUs, which is what training takes."""
        known = self.faces[list(COLUMNS)].notna().all(axis=1)
        return self.faces[known & (self.faces["status"] == shards.OK)]

    @property
    def annotators(self) -> list[str]:
        """Who read the AUs: one name, if all is well."""
        return sorted(self.annotated["annotator"].dropna().unique())

    def count(self, status: str) -> int:
        """Rows of a status."""
        return sum(self.statuses.get(status, {}).values())

    def share(self, status: str) -> float:
        """The share of all rows that are of a status, 0-1."""
        return self.count(status) / sum(self.count(name) for name in self.statuses)

    def action_units(self) -> list[ActionUnit]:
        """The 17 AUs in order; none before annotation."""
        aus = self.annotated
        return [
            ActionUnit(
                column=column[:4],
                name=NAMES[number],
                mean=float(values.mean()),
                sd=float(values.std(ddof=0)),
                above_1=float((values > 1).mean()),
                zero=float((values == 0).mean()),
                least=float(values.min()),
                most=float(values.max()),
            )
            for number, column in zip(NUMBERS, COLUMNS, strict=True)
            if len(values := aus[column])
        ]

    def correlations(self) -> np.ndarray:
        """(17, 17) Pearson's r between the AUs; not a number where one is constant."""
        return self.annotated[list(COLUMNS)].corr().to_numpy()

    def strongest_correlations(self, count: int = 8) -> list[tuple[str, str, float]]:
        """Pairs of AUs and their r, the largest |r| first."""
        r = self.correlations()
        pairs = [
            (COLUMNS[one][:4], COLUMNS[other][:4], float(r[one, other]))
            for one, other in zip(*np.triu_indices(len(COLUMNS), 1), strict=True)
            if np.isfinite(r[one, other])
        ]
        return sorted(pairs, key=lambda pair: -abs(pair[2]))[:count]


def read_figures(folder: Path) -> Figures:
    """Read every shard of a folder, but no image. Raises WrongUse if it holds no shard set."""
    manifest = shards.read_manifest(folder)
    if manifest is None:
        shards.shard_paths(folder)
    statuses: Counter[tuple[str, str]] = Counter()
    reasons: dict[tuple[str, str], Reason] = {}
    sizes: list[np.ndarray] = []
    faces: list[pd.DataFrame] = []
    paths: list[Path] = []
    photographs = 0
    for split in shards.SPLITS:
        for path in shards.split_paths(folder, split):
            rows = shards.read_shard(path, _PHOTOGRAPH + _FACE).to_pandas()
            statuses.update((status, split) for status in rows["status"])
            _add_reasons(reasons, rows[rows["error"].notna()])
            # Of a photograph with several faces, the first stands for it.
            firsts = rows[rows["face_index"].fillna(0) == 0]
            photographs += len(firsts)
            sizes.append(firsts[["source_width", "source_height"]].dropna().to_numpy(np.float32))
            faces.append(_faces(rows, split, len(paths)))
            paths.append(path)
    totals: Counter[str] = Counter()
    for (status, _), count in statuses.items():
        totals[status] += count
    return Figures(
        folder=folder,
        settings=(manifest or {}).get("settings", {}),
        statuses={
            status: {split: statuses[status, split] for split in shards.SPLITS}
            for status, _ in totals.most_common()
        },
        reasons=sorted(reasons.values(), key=lambda reason: -reason.count),
        sizes=np.concatenate(sizes) if sizes else np.empty((0, 2), np.float32),
        photographs=photographs,
        faces=pd.concat(faces, ignore_index=True)
        if faces
        else _faces(shards.rows_to_table([]).to_pandas(), "train", 0),
        paths=paths,
    )


def quartiles(values: np.ndarray | pd.Series) -> list[float]:
    """Least, first quartile, median, third quartile, most; of numbers that are there."""
    known = np.asarray(values, np.float64)
    return [float(q) for q in np.nanquantile(known, [0, 0.25, 0.5, 0.75, 1])]


def percent(share: float) -> str:
    """A share of 0-1 in percent, telling none and all from nearly so."""
    if 0 < share < 0.01:
        return f"{share:.1%}" if share >= 0.001 else "<0.1%"
    return f"{math.floor(share * 100) if share > 0.99 else round(share * 100)}%"


def number(value: float) -> str:
    """A number of pixels, or a score, with the digits that one wants to see."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"


def printable(text: str) -> str:
    """Text in which nothing hides: no newline, control or direction mark of a file's name."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _faces(rows: pd.DataFrame, split: str, shard: int) -> pd.DataFrame:
    """The numbers of the rows that have a crop."""
    known = rows[rows["status"].isin(_STATUS.categories) & rows["crop"].notna()]
    return known[["detection_score", *COLUMNS, "au_confidence", "annotator"]].assign(
        split=pd.Categorical([split] * len(known), dtype=_SPLIT),
        shard=np.int32(shard),
        row=known.index.astype(np.int32),
        status=known["status"].astype(_STATUS),
        draw=np.array([zlib.crc32(key.encode()) for key in known["key"]], np.uint32),
        face_px=np.array([box[2] - box[0] for box in known["box"]], np.float32),
        crop_px=np.array([crop[2] - crop[0] for crop in known["crop"]], np.float32),
    )


def _add_reasons(reasons: dict[tuple[str, str], Reason], failed: pd.DataFrame) -> None:
    for status, text, source in zip(
        failed["status"], failed["error"], failed["source"], strict=True
    ):
        # The reason of a duplicate names its twin, so that no two are the same.
        kind = (
            status if status == shards.DUPLICATE else re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "0", text)
        )
        if len(reasons) >= _MOST_REASONS and (status, kind) not in reasons:
            kind, text = "", "other reasons"
        earlier = reasons.get((status, kind))
        if earlier is None:
            reasons[status, kind] = Reason(status, 1, printable(text), printable(source))
        else:
            reasons[status, kind] = Reason(status, earlier.count + 1, earlier.text, earlier.source)
