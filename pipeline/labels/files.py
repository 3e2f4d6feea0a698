"""Label files of all kinds: the faces that they have, by the names of photographs."""

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..action_units import COUNT, NUMBERS, in_words
from ..errors import WrongUse
from ..matching import entry_path
from ..openface.output import FaceRecord
from .columns import BadLabels
from .lists import is_list, read_list
from .pickles import read_pickle
from .scales import Scale, check_not_unit, to_intensity
from .tables import decode_text, read_table

_KINDS = "a folder of OpenFace CSVs, a table (.csv, .tsv, .parquet), a list (.txt) or a .pkl"
_TEXTS = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class LabelFile:
    """The labels of a file or folder."""

    name: str
    """`labels`, the name of the file, a hash of its content, what wrote it, and its scale."""
    entries: Mapping[str, Path | list[FaceRecord]]
    """The faces of each photograph or clip, by its name in the file, or the CSV that has them."""
    scale: Scale | None = None
    has_names: bool = True
    """Whether the file names the photographs. Otherwise the names of the CSVs do."""
    absent: tuple[int, ...] = ()
    """The positions of the AUs that it does not have."""

    @classmethod
    def load(cls, path: Path, scale: Scale | None = None) -> "LabelFile":
        """Load labels. Nothing in them is executed.

        path: a folder of OpenFace CSVs; or a table (.parquet, .csv, .tsv) with columns of AUs and
        one with the photograph (`columns`); or the CSV of a clip; or a list (.txt) of a name
        and 17 numbers a line; or the original GANimation's .pkl, a dictionary of image name to 17
        numbers. Labels without a confidence get 1.
        scale: of the AUs; None: that of the tool that wrote them, or 0-5.
        Raises WrongUse if the path does not exist or has another format, or if its scale is not
        clear.
        """
        if not path.exists():
            raise WrongUse(f"{path} does not exist. Name {_KINDS}.")
        files = _csvs_below(path) if path.is_dir() else [path]
        content = f"labels {path.resolve().name} {_content_hash(path, files)}"
        try:
            if path.is_dir():
                return _load_folder(path, files, content, scale)
            return _load_file(path, content, scale)
        except BadLabels as error:
            raise WrongUse(f"{path} {error}.") from error

    def faces_of(self, entry: str) -> list[FaceRecord]:
        """The faces of a photograph, or of all frames of a clip. Raises BadLabels if its CSV cannot
        be used."""
        faces = self.entries[entry]
        if isinstance(faces, list):
            return faces
        try:
            return [face for _, face in read_table(faces, self.scale).faces]
        except BadLabels as error:
            raise BadLabels(f"its CSV {error}") from error

    def absent_in_words(self) -> str:
        """The AUs that the labels do not have, as `AU4 and AU12`."""
        return in_words([NUMBERS[index] for index in self.absent])


def _load_file(path: Path, content: str, scale: Scale | None) -> LabelFile:
    suffix = path.suffix.lower()
    if suffix in (".pkl", ".pickle"):
        return _of_lists(content, read_pickle(path), scale)
    if suffix in _TEXTS:
        try:
            text = decode_text(path)
        except OSError as error:
            raise BadLabels(f"cannot be read: {error.strerror}") from error
        if is_list(text, with_header=suffix == ".txt"):
            return _of_lists(content, read_list(text), scale)
    elif suffix != ".parquet":
        raise BadLabels(f"is not a label file. Name {_KINDS}")
    return _of_tables(content, [path], scale)


def _of_lists(
    content: str, values: Sequence[tuple[str, np.ndarray | None]], scale: Scale | None
) -> LabelFile:
    """Labels of 17 numbers by name; None if there are no 17."""
    entries: dict[str, list[FaceRecord]] = {}
    for name, numbers in values:
        faces = entries.setdefault(entry_path(name), [])
        if numbers is not None:
            faces.append(FaceRecord(1.0, to_intensity(pd.Series(numbers), scale or "0-5")))
    _check_scale(entries, scale)
    return LabelFile(f"{content}, {scale or '0-5'}", entries)


def _of_tables(content: str, files: list[Path], scale: Scale | None) -> LabelFile:
    """Labels of one or several tables with names, or of the CSV of one clip."""
    entries: dict[str, list[FaceRecord]] = {}
    tools: set[str] = set()
    scales: set[str] = set()
    present: set[int] = set()
    has_names = False
    for file in files:
        table = read_table(file, scale)
        tools.add(table.tool)
        scales.add(table.scale)
        present.update(index for index in range(COUNT) if index not in table.absent)
        for name, face in table.faces:
            if name is None and face.frame is None:
                raise BadLabels(
                    "does not name the photograph of each row. Add a column photo, or another of "
                    "source, file_name, file, image_path, image, path, input and name"
                )
            has_names = has_names or name is not None
            entries.setdefault(entry_path(file.name if name is None else name), []).append(face)
    if tools != {"py-feat"}:
        _check_scale(entries, scale)
    tool = " and ".join(sorted(tools - {""}))
    described = ", ".join(filter(None, (content, tool, " and ".join(sorted(scales)))))
    absent = tuple(index for index in range(COUNT) if index not in present)
    return LabelFile(described, entries, scale, has_names, absent)


def _check_scale(entries: Mapping[str, list[FaceRecord]], scale: Scale | None) -> None:
    aus = [face.aus for faces in entries.values() for face in faces]
    if aus:
        check_not_unit(np.stack(aus), scale)


def _load_folder(folder: Path, files: list[Path], content: str, scale: Scale | None) -> LabelFile:
    """Labels of a folder: of OpenFace CSVs that are named as photographs and clips are, or of
    tables. Raises BadLabels unless one is usable."""
    reason = "it has no .csv"
    for file in files:
        try:
            table = read_table(file, scale)
        except BadLabels as error:
            reason = f"{file.name} {error}"
            continue
        if any(name is not None for name, _ in table.faces):
            return _of_tables(content, files, scale)
        entries = {_csv_key(file.relative_to(folder)): file for file in files}
        described = ", ".join(filter(None, (content, table.tool, table.scale)))
        return LabelFile(described, entries, scale, has_names=False, absent=table.absent)
    raise BadLabels(
        f"is not a folder of OpenFace CSVs: {reason}. Name the -out_dir of a FaceLandmarkImg or "
        "FeatureExtraction that was run with -aus"
    )


def _csvs_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".csv")


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
