"""Read Parquet files by the calling thread alone.

Arrow reads a Python file by threads of its own, some of which let go of what they have read a
moment after the caller has it. Where Python ends in that moment, the process is aborted (SIGABRT;
pyarrow 26). So nothing is read ahead, and columns are decoded one after the other. `to_pandas`
needs `use_threads=False`, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file for `read_columns`. Raises OSError, or pa.ArrowException if it is damaged."""
    # Opened here because Arrow takes no path that is not UTF-8.
    with path.open("rb") as file:
        yield pq.ParquetFile(file, pre_buffer=False)


def read_columns(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of an open file, or all."""
    return file.read(None if columns is None else list(columns), use_threads=False)
