"""Read shards."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .. import parquet
from ..action_units import COLUMNS, NUMBERS
from ..errors import WrongUse
from .paths import shard_paths, split_paths
from .schema import ADDED_COLUMNS, OK, SCHEMA, SPLITS

if TYPE_CHECKING:
    import pandas as pd


def read_shard(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return a shard, or some of its columns, as an Arrow table.

    Raises WrongUse if the file is damaged or is not a shard.
    """
    try:
        with parquet.opened(path) as shard:
            requested = columns or SCHEMA.names
            missing = set(requested) - set(shard.schema_arrow.names)
            if missing - ADDED_COLUMNS:
                raise WrongUse(
                    f"{path} is not a shard of ganim: it lacks the columns "
                    f"{', '.join(sorted(missing - ADDED_COLUMNS))}."
                )
            table = parquet.read_columns(shard, columns)
            for name in missing:
                field = SCHEMA.field(name)
                table = table.append_column(field, pa.nulls(len(table), field.type))
            return table.select(requested) if missing else table
    except (pa.ArrowException, OSError) as error:
        raise WrongUse(f"{path} cannot be read as a shard: {error}") from error


def read_column(folder: Path, column: str) -> Iterator[Any]:
    """Yield the values of a column over all shards of a folder; none if there are no shards."""
    for split in SPLITS:
        for path in split_paths(folder, split):
            yield from read_shard(path, [column]).column(column).to_pylist()


def count_statuses(folder: Path) -> dict[str, int]:
    """Return the number of rows by status, over all shards of a folder."""
    return dict(sorted(Counter(read_column(folder, "status")).items()))


def annotated_faces(folder: Path, split: str) -> "pd.DataFrame":
    """Return the annotated faces of a split: key, source, image (JPEG bytes), series (None if there
    is none), landmarks (float32 array as in the shards, or None), 17 AUs (0-5).

    The AUs that no face of the set has (`known_aus`) are NaN; a face without one of the others is
    left out. Raises WrongUse if there are no shards, if no face of the training split has AUs, or
    if the AUs are from several annotators.
    """
    import pandas as pd  # here, as it is slow to import and the workers of prepare do not need it

    shard_paths(folder)
    columns = ["key", "source", "image", "series", "landmarks", "status", "annotator", *COLUMNS]
    frames = []
    for path in split_paths(folder, split):
        table = read_shard(path, columns)
        bytes_ = table.column("image").combine_chunks().field("bytes")
        table = table.set_column(table.schema.get_field_index("image"), "image", bytes_)
        frames.append(table.to_pandas(use_threads=False))
    faces = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    known = [f"AU{number:02d}_r" for number in known_aus(folder)]
    has_aus = faces[known].notna().all(axis=1) & bool(known)
    usable = (faces["status"] == OK) & faces["image"].notna() & has_aus
    faces = faces[usable]
    for name in ("series", "landmarks"):  # pandas reads a column of nulls as NaN
        faces = faces.assign(**{name: faces[name].astype(object).where(faces[name].notna(), None)})
    if faces.empty and split == "train":
        raise WrongUse(
            f"No face in {folder} has action units yet. Fill them in first: ganim annotate {folder}"
        )
    annotators = sorted(faces["annotator"].dropna().unique())
    if len(annotators) > 1:
        raise WrongUse(
            f"{folder} holds AUs by {' and by '.join(annotators)}. AUs of several annotators are "
            f"not comparable. Annotate all faces by one: ganim annotate {folder} --overwrite"
        )
    return faces.drop(columns=["status", "annotator"]).reset_index(drop=True)


def known_aus(folder: Path) -> tuple[int, ...]:
    """Return the numbers of the AUs that some face of a set has, ascending: labels of other tools
    may have few of the 17. Raises WrongUse if there are no shards."""
    known: set[str] = set()
    for path in shard_paths(folder):
        table = read_shard(path, list(COLUMNS))
        known |= {name for name in COLUMNS if table.column(name).null_count < len(table)}
    return tuple(number for number, name in zip(NUMBERS, COLUMNS, strict=True) if name in known)
