"""AUs that exist already, as an annotator: OpenFace CSVs, a table, or GANimation's pickle.

A label belongs to the photograph with the same path below the folder that was prepared, with
the suffix or without. A label by bare name, such as `photo.csv` at the top of a folder of CSVs,
also serves a photograph in a subfolder, but only if no other photograph bears that name.
"""

import contextlib
import hashlib
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..action_units import COLUMNS, COUNT
from ..annotator import Annotator, Crop, Reading
from ..errors import WrongUse
from ..openface.output import MIN_CONFIDENCE, BadCsv, FoundFace, pick_face, read_csv, to_reading

_PATH_COLUMNS = ("photo", "source", "file", "path", "name")


class _NoLabel(Exception):
    """There is no label to use; the message is the reason, fit for a row of the shards."""


class Labels(Annotator):
    """The annotator that looks AUs up. `Labels.load` makes one."""

    batch = 4096

    def __init__(
        self,
        name: str,
        faces: Mapping[str, Path | list[FoundFace]],
        sources: Iterable[str] = (),
        min_confidence: float = MIN_CONFIDENCE,
    ) -> None:
        """faces: a photograph's path or name to its label, or to the CSV that holds it."""
        self.name = name
        self.min_confidence = min_confidence
        self._faces = faces
        # How many photographs a path without suffix, and a bare name, may mean.
        photographs = [PurePosixPath(source) for source in set(sources)]
        self._paths = Counter(str(path.with_suffix("")) for path in photographs)
        self._names = Counter(path.stem for path in photographs)

    @classmethod
    def load(
        cls, path: Path, sources: Iterable[str] = (), min_confidence: float = MIN_CONFIDENCE
    ) -> "Labels":
        """Labels from a file or folder; nothing in it is executed.

        path: a folder of OpenFace CSVs; or a table (.parquet or .csv) with 17 columns `AU01_r`
        … `AU45_r` (0-5), perhaps `confidence` (0-1), and the photograph in a column `photo`,
        `source`, `file`, `path` or `name`; or the original GANimation's .pkl, a dictionary of
        image name to 17 intensities (0-5). Labels without a confidence count as 1.
        sources: every photograph of the shard set (its column `source`). Without them labels
        match by whole path only. Raises WrongUse for anything else.
        """
        if not path.exists():
            raise WrongUse(f"{path} is not there. Name a folder of OpenFace CSVs or a label file.")
        faces: Mapping[str, Path | list[FoundFace]]
        if path.is_dir():
            files = sorted(path.rglob("*.csv"))
            faces = _find_csvs(path, files)
        else:
            files = [path]
            faces = _reader(path)(path)
        name = f"labels {path.resolve().name} {_content_hash(path, files)}"
        return cls(name, faces, sources, min_confidence)

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop, in order; an error where there is no label, or none to trust."""
        return [self._read(crop) for crop in crops]

    def _read(self, crop: Crop) -> Reading:
        try:
            label = self._faces[self._key(crop.source)]
            faces = read_csv(label) if isinstance(label, Path) else label
            return to_reading(_face_of(crop, faces), self.min_confidence)
        except (_NoLabel, BadCsv) as reason:
            return Reading(None, error=str(reason))

    def _key(self, source: str) -> str:
        """The label of a photograph: by its path, else by its name if that is its own."""
        path = PurePosixPath(source)
        if source in self._faces:
            return source
        whole = str(path.with_suffix(""))
        if whole in self._faces:
            if self._paths[whole] > 1:
                raise _NoLabel(f"the label {whole} may mean another photograph of that name")
            return whole
        for name in (path.name, path.stem):
            if name in self._faces and self._names[path.stem] == 1:
                return name
            if name in self._faces:
                raise _NoLabel(f"the label {name} may mean another photograph of that name")
        raise _NoLabel("no label for this photograph")


def _face_of(crop: Crop, faces: list[FoundFace]) -> FoundFace:
    """The face of a label that a crop shows."""
    if not faces:
        raise _NoLabel("its label holds no face")
    if len({face.frame for face in faces}) > 1:
        raise _NoLabel("its CSV is of a clip, not of a photograph")
    face = faces[0] if len(faces) == 1 else pick_face(faces, crop.box)
    if face is None:
        raise _NoLabel("its CSV has several faces, and none is where the crop was cut")
    return face


def _find_csvs(folder: Path, files: list[Path]) -> dict[str, Path]:
    """Where the CSV of each photograph is. Raises WrongUse unless one of them holds AUs."""
    reason = "there is no .csv in it"
    for file in files:
        try:
            read_csv(file)
        except BadCsv as error:
            reason = str(error)
        else:
            return {_csv_key(file.relative_to(folder)): file for file in files}
    raise WrongUse(
        f"{folder} is no folder of OpenFace CSVs: {reason}. Name the -out_dir of a FaceLandmarkImg "
        "that was run with -aus."
    )


def _reader(path: Path) -> Callable[[Path], dict[str, list[FoundFace]]]:
    readers = {
        ".parquet": _read_table,
        ".csv": _read_table,
        ".pkl": _read_pickle,
        ".pickle": _read_pickle,
    }
    if path.suffix.lower() not in readers:
        raise WrongUse(
            f"{path} is no kind of label file. Name a folder of OpenFace CSVs, a .parquet or .csv "
            "table, or the .pkl of GANimation."
        )
    return readers[path.suffix.lower()]


def _read_table(path: Path) -> dict[str, list[FoundFace]]:
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            # As text, or the name 00012 would become a number.
            table = pd.read_csv(path, skipinitialspace=True, dtype=str)
    except (ValueError, OSError, pa.ArrowException) as error:
        raise WrongUse(f"{path} cannot be read as a table: {error}") from error
    table.columns = pd.Index([str(name).strip() for name in table.columns])
    photo = next((name for name in _PATH_COLUMNS if name in table.columns), None)
    if photo is None:
        raise WrongUse(
            f"{path} does not say which photograph a row belongs to. Give it one of the columns "
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
    faces: dict[str, list[FoundFace]] = {}
    for name, row in zip(table[photo].astype(str), numbers.to_numpy(np.float32), strict=True):
        faces.setdefault(_key(name), []).append(FoundFace(float(row[0]), row[1:]))
    return faces


def _read_pickle(path: Path) -> dict[str, list[FoundFace]]:
    try:
        with path.open("rb") as file:
            labels = _NumbersOnly(file, encoding="latin1").load()
    except WrongUse as error:
        raise WrongUse(f"{path} is refused: {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WrongUse(f"{path} cannot be read as a pickle: {error or repr(error)}") from error
    if not isinstance(labels, dict):
        raise WrongUse(f"{path} holds a {type(labels).__name__}, not a dictionary of image names.")
    faces = {_key(str(name)): _as_face(value) for name, value in labels.items()}
    if not any(faces.values()):
        raise WrongUse(f"{path} gives no image {COUNT} intensities. It is no aus_openface.pkl.")
    return faces


def _as_face(value: Any) -> list[FoundFace]:
    """17 numbers as a face; nothing for anything else."""
    try:
        aus = np.asarray(value, np.float32).ravel()
    except (TypeError, ValueError):
        return []
    return [FoundFace(1.0, aus)] if aus.shape == (COUNT,) else []


def _latin1(text: str, encoding: str) -> bytes:
    """What old pickles hold bytes by, instead of any codec."""
    if encoding != "latin1":
        raise WrongUse(f"it asks for the codec {encoding}.")
    return text.encode("latin1")


class _NumbersOnly(pickle.Unpickler):
    """Reads containers, text, numbers and numpy arrays of them. Anything else is refused."""

    # Taken from numpy's own answers, as their homes differ between numpy 1 and 2.
    _ALLOWED: Mapping[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0],
        ("numpy.core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
        ("numpy.core.numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
        ("collections", "OrderedDict"): dict,
        ("_codecs", "encode"): _latin1,
    }

    def find_class(self, module: str, name: str) -> Any:
        key = (module.replace("numpy._core", "numpy.core"), name)
        if key not in self._ALLOWED:
            raise WrongUse(
                f"it wants {module}.{name}, which is no number. A pickle can run any program; "
                "have its labels written as a table instead."
            )
        return self._ALLOWED[key]


def _key(path: str) -> str:
    """A path as the shards write sources, with slashes."""
    return str(PurePosixPath(path.replace("\\", "/")))


def _csv_key(file: Path) -> str:
    """The same of a CSV: what its photograph is called, as text whatever bytes that holds."""
    return os.fsencode(file.with_suffix("").as_posix()).decode("utf-8", "backslashreplace")


def _content_hash(path: Path, files: list[Path]) -> str:
    """Eight hexadecimal digits that change with any label."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.relative_to(path)) + b"\0")
        with contextlib.suppress(OSError), file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:8]
