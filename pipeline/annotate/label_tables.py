"""Labels from a table: one row per face, in Parquet or CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ..action_units import COLUMNS
from ..errors import WrongUse
from ..openface.output import FaceRecord

_PATH_COLUMNS = ("photo", "source", "file", "path", "name")


def read_table(path: Path) -> list[tuple[str, list[FaceRecord]]]:
    """Read a table (.parquet or .csv): each row's photograph and face. See `Labels.load`.

    Rows without a photograph are skipped; a value that is not a number becomes nan. Raises
    WrongUse if the file cannot be read or lacks a column.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            # As text, because pandas would read the name 00012 as the number 12.
            table = pd.read_csv(path, skipinitialspace=True, dtype=str)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise WrongUse(f"{path} cannot be read as a table: {error}") from error
    table.columns = pd.Index([str(name).strip() for name in table.columns])
    photo = next((name for name in _PATH_COLUMNS if name in table.columns), None)
    if photo is None:
        raise WrongUse(
            f"{path} does not name the photograph of each row. Add one of the columns "
            f"{', '.join(_PATH_COLUMNS)}."
        )
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise WrongUse(
            f"{path} has no column {', '.join(missing)}. A table of labels needs the intensities "
            "of all 17 AUs."
        )
    table = table[table[photo].notna()]
    if "confidence" not in table.columns:
        table = table.assign(confidence=1.0)
    numbers = table[["confidence", *COLUMNS]].apply(pd.to_numeric, errors="coerce")
    return [
        (name, [FaceRecord(float(row[0]), row[1:])])
        for name, row in zip(table[photo].astype(str), numbers.to_numpy(np.float32), strict=True)
    ]
