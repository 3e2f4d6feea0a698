"""Statistics of a shard set, for `ganim inspect` and the report.

The shards are read once, without the images. About thirty numbers per face are kept in memory, and
the size of each photograph: about 40 MB for 100,000 rows.
"""

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from .. import shards
from ..action_units import COLUMNS, NAMES, NUMBERS
from .checked import Checked, read_checked
from .formatting import printable

_PHOTOGRAPH = ["key", "source", "source_width", "source_height", "face_index", "status", "error"]
_FACE = ["box", "crop", "detection_score", *COLUMNS, "au_confidence", "annotator", "series"]
# Categorical columns take a byte per row. The categories must be the same for every shard.
_STATUS = pd.CategoricalDtype([shards.OK, shards.NO_AUS])
_SPLIT = pd.CategoricalDtype(list(shards.SPLITS))
_MAX_REASONS = 1000


@dataclass(frozen=True)
class Reason:
    """Why photographs or faces were not usable. Texts that differ in numbers count as the same."""

    status: str
    count: int
    text: str
    """The text of the first of these rows."""
    source: str
    """The source of that row."""


@dataclass(frozen=True)
class AuStatistics:
    """Statistics of one AU (0-5) over all annotated faces."""

    column: str
    """The AU as `AU12`."""
    name: str
    mean: float
    std: float
    above_1: float
    """Share of the faces (0-1) with a value above 1; `zero`: with the value 0."""
    zero: float
    min: float
    max: float


@dataclass(frozen=True)
class Statistics:
    """Statistics of a shard set."""

    folder: Path
    settings: dict[str, Any]
    """The settings of prepare, from the manifest."""
    statuses: dict[str, dict[str, int]]
    """Number of rows by status and split, the most frequent status first."""
    reasons: list[Reason]
    """The most frequent first."""
    sizes: np.ndarray
    """(n, 2) float32: width and height of the photographs that could be decoded, in pixels."""
    photographs: int
    faces: pd.DataFrame
    """A row for each crop: its position (`shard`, `row`), `random` (a hash of its key, to sample
    faces in the same way each time), `split`, `status`, `face_px` and `crop_px` (widths of the HOG
    box and of the crop in the photograph), `detection_score`, the 17 AUs, `au_confidence`,
    `annotator`, `series`, and `points` (the number of landmarks)."""
    paths: list[Path]
    """The shards; `shard` is an index into this list."""
    checked: list[Checked]
    """The faces that a second reading doubts most, those first, if there was one."""

    @cached_property
    def annotated(self) -> pd.DataFrame:
        """The rows of `faces` that have all AUs of the set, which training uses."""
        has_aus = self.faces[self.columns].notna().all(axis=1) & bool(self.columns)
        return self.faces[has_aus & (self.faces["status"] == shards.OK)]

    @cached_property
    def columns(self) -> list[str]:
        """The columns of the AUs that some face of the set has."""
        return [column for column in COLUMNS if self.faces[column].notna().any()]

    @property
    def annotators(self) -> list[str]:
        """The names of the annotators, sorted. Training needs a single one."""
        return sorted(self.annotated["annotator"].dropna().unique())

    def count(self, status: str) -> int:
        """Return the number of rows with a status."""
        return sum(self.statuses.get(status, {}).values())

    def share(self, status: str) -> float:
        """Return the share of the rows with a status, 0-1."""
        return self.count(status) / sum(self.count(name) for name in self.statuses)

    @cached_property
    def series(self) -> pd.DataFrame:
        """A row for each series, by its name in order: `split` and `faces` (how many it has)."""
        groups = self.faces.groupby("series", sort=True)
        return pd.DataFrame({"split": groups["split"].first(), "faces": groups.size()})

    def au_statistics(self) -> list[AuStatistics]:
        """Return the statistics of the AUs that the set has, in order; empty before annotation."""
        aus = self.annotated
        return [
            AuStatistics(
                column=column[:4],
                name=NAMES[number],
                mean=float(values.mean()),
                std=float(values.std(ddof=0)),
                above_1=float((values > 1).mean()),
                zero=float((values == 0).mean()),
                min=float(values.min()),
                max=float(values.max()),
            )
            for number, column in zip(NUMBERS, COLUMNS, strict=True)
            if column in self.columns and len(values := aus[column])
        ]

    def correlations(self) -> np.ndarray:
        """Return Pearson's r between the AUs that the set has; NaN where an AU is constant."""
        return self.annotated[self.columns].corr().to_numpy()

    def strongest_correlations(self, count: int = 8) -> list[tuple[str, str, float]]:
        """Return pairs of AUs with their r, the largest |r| first."""
        r = self.correlations()
        pairs = [
            (self.columns[one][:4], self.columns[other][:4], float(r[one, other]))
            for one, other in zip(*np.triu_indices(len(self.columns), 1), strict=True)
            if np.isfinite(r[one, other])
        ]
        return sorted(pairs, key=lambda pair: -abs(pair[2]))[:count]


def read_statistics(folder: Path) -> Statistics:
    """Read all shards of a folder, without the images. Raises WrongUse if there is no shard set."""
    manifest = shards.read_manifest(folder)
    if manifest is None:
        shards.shard_paths(folder)
    statuses: Counter[tuple[str, str]] = Counter()
    reasons: dict[tuple[str, str], Reason] = {}
    sizes: list[np.ndarray] = []
    faces: list[pd.DataFrame] = []
    paths: list[Path] = []
    photographs = 0
    read_again = read_checked(folder)
    checked: list[Checked] = []
    for split in shards.SPLITS:
        for path in shards.split_paths(folder, split):
            table = shards.read_shard(path, [*_PHOTOGRAPH, *_FACE, "landmarks"])
            points = pc.divide(pc.fill_null(pc.list_value_length(table["landmarks"]), 0), 2)
            rows = (
                table.drop_columns("landmarks")
                .append_column("points", points)
                .to_pandas(use_threads=False)
            )
            statuses.update((status, split) for status in rows["status"])
            _count_reasons(reasons, rows[rows["error"].notna()])
            # A photograph with several faces is counted at its first one.
            firsts = rows[rows["face_index"].fillna(0) == 0]
            photographs += len(firsts)
            sizes.append(firsts[["source_width", "source_height"]].dropna().to_numpy(np.float32))
            faces.append(_faces(rows, split, len(paths)))
            checked += [one for one in read_again if one.shard == path.name and one.holds(rows)]
            paths.append(path)
    totals: Counter[str] = Counter()
    for (status, _), count in statuses.items():
        totals[status] += count
    return Statistics(
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
        else _faces(shards.rows_to_table([]).to_pandas().assign(points=0), "train", 0),
        paths=paths,
        checked=[one for one in read_again if one in checked],
    )


def quartiles(values: np.ndarray | pd.Series) -> list[float]:
    """Return minimum, first quartile, median, third quartile and maximum, ignoring NaN."""
    array = np.asarray(values, np.float64)
    return [float(q) for q in np.nanquantile(array, [0, 0.25, 0.5, 0.75, 1])]


def _faces(rows: pd.DataFrame, split: str, shard: int) -> pd.DataFrame:
    """Return the rows of `Statistics.faces` for one shard."""
    crops = rows[rows["status"].isin(_STATUS.categories) & rows["crop"].notna()]
    return crops[
        ["detection_score", *COLUMNS, "au_confidence", "annotator", "series", "points"]
    ].assign(
        split=pd.Categorical([split] * len(crops), dtype=_SPLIT),
        shard=np.int32(shard),
        row=crops.index.astype(np.int32),
        status=crops["status"].astype(_STATUS),
        random=np.array([zlib.crc32(key.encode()) for key in crops["key"]], np.uint32),
        face_px=np.array([box[2] - box[0] for box in crops["box"]], np.float32),
        crop_px=np.array([crop[2] - crop[0] for crop in crops["crop"]], np.float32),
    )


def _count_reasons(reasons: dict[tuple[str, str], Reason], failed: pd.DataFrame) -> None:
    for status, text, source in zip(
        failed["status"], failed["error"], failed["source"], strict=True
    ):
        # The error of a duplicate names another file, so all duplicates count as one reason.
        kind = (
            status if status == shards.DUPLICATE else re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "0", text)
        )
        if len(reasons) >= _MAX_REASONS and (status, kind) not in reasons:
            kind, text = "", "other reasons"
        earlier = reasons.get((status, kind))
        if earlier is None:
            reasons[status, kind] = Reason(status, 1, printable(text), printable(source))
        else:
            reasons[status, kind] = Reason(status, earlier.count + 1, earlier.text, earlier.source)
