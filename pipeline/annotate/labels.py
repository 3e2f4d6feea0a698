"""The annotator that looks up AUs which exist already, in a file or a folder of CSVs.

`matching` says which photograph a label belongs to.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..annotator import Annotator, Crop, Reading
from ..errors import WrongUse
from ..matching import Ambiguous, PhotographMatcher, entry_path
from ..openface.output import MIN_CONFIDENCE, BadCsv, FaceRecord, pick_face, read_csv, to_reading
from .label_pickle import read_pickle
from .label_tables import read_table


class _NoLabel(Exception):
    """A crop has no usable label. The message is the reason, as written into the shards."""


class Labels(Annotator):
    """The annotator that looks up AUs. `Labels.load` makes one."""

    batch = 4096

    def __init__(
        self,
        name: str,
        faces: Mapping[str, Path | list[FaceRecord]],
        sources: Iterable[str] = (),
        min_confidence: float = MIN_CONFIDENCE,
    ) -> None:
        """faces: the faces of each photograph, by its path or name, or the CSV that has them.
        sources, min_confidence: as for `load`.
        """
        self.name = name
        self.min_confidence = min_confidence
        self._faces = faces
        self._matcher = PhotographMatcher(sources)

    @classmethod
    def load(
        cls, path: Path, sources: Iterable[str] = (), min_confidence: float = MIN_CONFIDENCE
    ) -> "Labels":
        """Load labels from a file or folder. Nothing in it is executed.

        path: a folder of OpenFace CSVs; or a table (.parquet or .csv) with 17 columns `AU01_r`
        … `AU45_r` (0-5), optionally `confidence` (0-1), and the photograph in a column `photo`,
        `source`, `file`, `path` or `name`; or the original GANimation's .pkl, a dictionary of
        image name to 17 intensities (0-5). Labels without a confidence get 1.
        sources: every photograph of the shard set (its column `source`). Without them, labels
        match by the whole path only.
        min_confidence: labels with a lower confidence (0-1) are read with an error.
        Raises WrongUse if the path does not exist or has another format.
        """
        if not path.exists():
            raise WrongUse(
                f"{path} does not exist. Name a folder of OpenFace CSVs or a label file."
            )
        faces: Mapping[str, Path | list[FaceRecord]]
        if path.is_dir():
            files = sorted(path.rglob("*.csv"))
            faces = _find_csvs(path, files)
        else:
            files = [path]
            faces = _read_file(path)
        name = f"labels {path.resolve().name} {_content_hash(path, files)}"
        return cls(name, faces, sources, min_confidence)

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """Look up the AUs of crops: one reading per crop, in order, with an error if there is no
        label or its confidence is too low."""
        return [self._read(crop) for crop in crops]

    def _read(self, crop: Crop) -> Reading:
        try:
            label = self._faces[self._key(crop.source)]
            faces = read_csv(label) if isinstance(label, Path) else label
            return to_reading(_face_of(crop, faces), self.min_confidence)
        except (_NoLabel, BadCsv) as reason:
            return Reading(None, error=str(reason))

    def _key(self, source: str) -> str:
        """The key of a photograph's label."""
        try:
            key = self._matcher.find(source, self._faces)
        except Ambiguous as reason:
            raise _NoLabel(f"the label {reason}") from reason
        if key is None:
            raise _NoLabel("no label for this photograph")
        return key


def _face_of(crop: Crop, faces: list[FaceRecord]) -> FaceRecord:
    """The crop's face among those of its photograph."""
    if not faces:
        raise _NoLabel("its label has no face")
    if len({face.frame for face in faces}) > 1:
        raise _NoLabel("its CSV is of a clip, not of a photograph")
    face = faces[0] if len(faces) == 1 else pick_face(faces, crop.box)
    if face is None:
        raise _NoLabel("its CSV has several faces, and none is inside the crop's box")
    return face


def _read_file(path: Path) -> dict[str, list[FaceRecord]]:
    """The faces of each photograph in a label file, by path."""
    readers = {
        ".parquet": read_table,
        ".csv": read_table,
        ".pkl": read_pickle,
        ".pickle": read_pickle,
    }
    if path.suffix.lower() not in readers:
        raise WrongUse(
            f"{path} is not a label file. Name a folder of OpenFace CSVs, a .parquet or .csv "
            "table, or the .pkl of GANimation."
        )
    labels = readers[path.suffix.lower()](path)
    faces: dict[str, list[FaceRecord]] = {}
    for name, records in labels:
        faces.setdefault(entry_path(name), []).extend(records)
    return faces


def _find_csvs(folder: Path, files: list[Path]) -> dict[str, Path]:
    """The CSV of each photograph, by path without suffix. Raises WrongUse unless one is usable."""
    reason = "it has no .csv"
    for file in files:
        try:
            read_csv(file)
        except BadCsv as error:
            reason = str(error)
        else:
            return {_csv_key(file.relative_to(folder)): file for file in files}
    raise WrongUse(
        f"{folder} is not a folder of OpenFace CSVs: {reason}. Name the -out_dir of a "
        "FaceLandmarkImg that was run with -aus."
    )


def _csv_key(file: Path) -> str:
    """The path of a CSV's photograph without suffix, written as `source` in the shards: bytes that
    are not UTF-8 become `\\x…`."""
    return os.fsencode(file.with_suffix("").as_posix()).decode("utf-8", "backslashreplace")


def _content_hash(path: Path, files: list[Path]) -> str:
    """Eight hexadecimal digits of a hash of all files and their names below `path`."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.relative_to(path)) + b"\0")
        with contextlib.suppress(OSError), file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:8]
