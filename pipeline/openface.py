"""AUs by OpenFace 2.0: the CSVs it writes, and the annotator that runs it over batches of crops.

OpenFace needs a large face: a crop is padded by a quarter of its side all round and enlarged
twice (measured on 128 px crops: mean Pearson r 0.969 against the full photograph, 0.910 without).
It runs once a batch, in a container without network or as a local program. One picture can end
or hang a whole run, so what a run left unanswered is divided and run again, until each crop has
an answer or has failed alone.
"""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .action_units import COLUMNS, MAX_INTENSITY
from .annotate import Crop, Reading
from .errors import WrongUse

IMAGE = "algebr/openface:latest"
IMAGE_PROGRAM = "/home/openface-build/build/bin/FaceLandmarkImg"
RUNTIMES = ("docker", "podman")
MIN_CONFIDENCE = 0.7
"""OpenFace's own clips call 0.62 a failure and 0.78 a success; below this AUs are no labels."""

_PADDING = 0.25
_ENLARGEMENT = 2
_FLAGS = ("-aus", "-2Dfp")
_LANDMARKS = [f"{axis}_{point}" for axis in "xy" for point in range(68)]
# Three crops that fail one by one, and not one answered: it is not the crops.
_LONE_FAILURES = 3


class BadCsv(Exception):
    """The CSV cannot be used; the message is the reason, fit for a row of the shards."""


@dataclass(frozen=True)
class FoundFace:
    """One row of an OpenFace CSV: a face of a photograph, or a frame of a clip."""

    confidence: float
    """0-1."""
    aus: np.ndarray
    """(17,) float32, 0-5, in the order of action_units.NUMBERS."""
    landmarks: np.ndarray | None = None
    """(68, 2) float32, x and y in pixels of the picture; None if the CSV has none."""
    frame: int | None = None
    """The frame's number, in the CSV of a clip only."""


def read_csv(path: Path) -> list[FoundFace]:
    """The faces in a CSV of FaceLandmarkImg, or the frames in one of FeatureExtraction.

    Columns are found by name, in any order, whether `, ` or `,` stands between them. Raises
    BadCsv for a file that cannot be read, lacks the confidence or one of the 17 AU intensities,
    or breaks off within a row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, csv.Error) as error:
        raise BadCsv(f"its CSV cannot be read: {error}") from error
    place = {name.strip(): index for index, name in enumerate(header)}
    missing = [name for name in ("confidence", *COLUMNS) if name not in place]
    if missing:
        raise BadCsv(f"its CSV has no column {', '.join(missing)}; run OpenFace with -aus")
    has_landmarks = all(name in place for name in _LANDMARKS)

    def numbers(row: list[str], names: Sequence[str]) -> np.ndarray:
        return np.array([float(row[place[name]]) for name in names], np.float32)

    try:
        return [
            FoundFace(
                confidence=float(row[place["confidence"]]),
                aus=numbers(row, COLUMNS),
                landmarks=numbers(row, _LANDMARKS).reshape(2, 68).T if has_landmarks else None,
                frame=int(row[place["frame"]]) if "frame" in place else None,
            )
            for row in rows
        ]
    except (ValueError, IndexError) as error:
        raise BadCsv(f"its CSV is damaged: {error}") from error


def pick_face(
    faces: Sequence[FoundFace], box: Sequence[float], min_confidence: float = MIN_CONFIDENCE
) -> FoundFace | None:
    """The face meant by a box (left, top, right, bottom) of the same picture, if one is there.

    That is the face whose landmarks' centre is nearest to the box's centre, and inside the box;
    one below `min_confidence` only if no other is inside. Without landmarks it is the most
    confident one.
    """
    if all(face.landmarks is None for face in faces):
        return max(faces, key=lambda face: face.confidence, default=None)
    left, top, right, bottom = box
    inside = []
    for face in faces:
        x, y = np.mean(face.landmarks, axis=0)
        if left <= x <= right and top <= y <= bottom:
            distance = math.hypot(x - (left + right) / 2, y - (top + bottom) / 2)
            inside.append((face.confidence < min_confidence, distance, face))
    return min(inside, key=lambda item: item[:2])[2] if inside else None


def to_reading(face: FoundFace, min_confidence: float = MIN_CONFIDENCE) -> Reading:
    """A face as a reading: with an error if its confidence is too low or an AU is not in 0-5."""
    if not face.confidence >= min_confidence:
        error = f"the confidence of {face.confidence:.2f} is below {min_confidence:g}"
        return Reading(None, face.confidence, error)
    for column, value in zip(COLUMNS, face.aus, strict=True):
        if not 0 <= value <= MAX_INTENSITY:
            return Reading(None, face.confidence, f"{column} is {value:g}, not a number in 0-5")
    return Reading(face.aus, face.confidence)


class _Launcher(Protocol):
    """How to start FaceLandmarkImg on a folder of pictures, and how to stop it."""

    @property
    def label(self) -> str:
        """What runs, for the rows and for messages."""

    def command(self, inputs: Path, outputs: Path, run: str) -> list[str]:
        """The command line; `run` is a name of this run, unique on the machine."""

    def stop(self, run: str) -> None:
        """End whatever of the run is not ended by killing the command itself."""


@dataclass(frozen=True)
class _Local:
    program: Path

    @property
    def label(self) -> str:
        return f"local:{self.program}"

    def command(self, inputs: Path, outputs: Path, run: str) -> list[str]:
        return [str(self.program), "-fdir", str(inputs), *_FLAGS, "-out_dir", str(outputs)]

    def stop(self, run: str) -> None:
        pass


@dataclass(frozen=True)
class _Container:
    runtime: str
    image_id: str
    label: str
    program: str
    user: tuple[str, ...]
    """Options by which the files it writes belong to us."""
    mount: str
    """Ending of the mount options."""

    def command(self, inputs: Path, outputs: Path, run: str) -> list[str]:
        return [
            *(self.runtime, "run", "--rm", "--name", run, *self.user),
            *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--pids-limit", "256", "--memory", "4g"),
            *("-v", f"{inputs}:/input:ro{self.mount}", "-v", f"{outputs}:/output:rw{self.mount}"),
            *("--entrypoint", self.program, self.image_id),
            *("-fdir", "/input", *_FLAGS, "-out_dir", "/output"),
        ]

    def stop(self, run: str) -> None:
        _ask([self.runtime, "rm", "--force", run])


@dataclass(frozen=True)
class _Outcome:
    """What one run of OpenFace left behind."""

    readings: dict[int, Reading]
    begun: set[int] = field(default_factory=set)
    """The pictures it wrote any file about."""
    failure: str | None = None
    """Why the run did not reach its end; None if it did, and then every picture has a reading."""


@dataclass(frozen=True)
class OpenFace:
    """The annotator that runs OpenFace. `find_openface` makes one."""

    launcher: _Launcher
    min_confidence: float = MIN_CONFIDENCE
    """Faces read with less (0-1) get an error in place of AUs."""
    patience: float = 60.0
    """Seconds a run may take to start."""
    patience_per_crop: float = 2.0
    """Seconds it may take for each crop more; about eighty times what one takes."""
    batch: int = 256

    @property
    def name(self) -> str:
        return f"openface {self.launcher.label}"

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop, in order.

        A crop that OpenFace finds no face in, is unsure of or fails on is a reading with an
        error. Raises WrongUse where OpenFace itself does not work.
        """
        pictures, readings = {}, {}
        for index, crop in enumerate(crops):
            try:
                pictures[index] = _enlarge(crop.image)
            except cv2.error:
                readings[index] = Reading(None, error="the crop is no readable picture")
        readings |= self._read_pictures(pictures)
        return [readings[index] for index in range(len(crops))]

    def _read_pictures(self, pictures: Mapping[int, np.ndarray]) -> dict[int, Reading]:
        answers: dict[int, Reading] = {}
        failed: dict[int, Reading] = {}
        program_works = False
        queue = [list(pictures)] if pictures else []
        while queue:
            indices = queue.pop()
            outcome = self._run({index: pictures[index] for index in indices})
            answers |= outcome.readings
            left = [index for index in indices if index not in outcome.readings]
            if outcome.failure and not answers and not program_works:
                self._check_program()
                program_works = True
            if left == indices and len(left) == 1:
                error = f"OpenFace fails on this crop: {outcome.failure}"
                failed[left[0]] = Reading(None, error=error)
                if len(failed) == _LONE_FAILURES and not answers:
                    raise WrongUse(self._broken("on one crop after the other", outcome.failure))
            else:
                queue += _divide(left, outcome.begun)
        return answers | failed

    def _check_program(self) -> None:
        """Raise WrongUse unless OpenFace can deal with a black picture."""
        failure = self._run({0: np.zeros((192, 192, 3), np.uint8)}).failure
        if failure:
            raise WrongUse(self._broken("even on an empty picture", failure))

    def _broken(self, where: str, failure: str | None) -> str:
        return (
            f"OpenFace ({self.launcher.label}) fails {where}: {failure}. Mend this installation "
            "of OpenFace, or name another image or program."
        )

    def _run(self, pictures: Mapping[int, np.ndarray]) -> _Outcome:
        """OpenFace once over some pictures (RGB, named by their index)."""
        with tempfile.TemporaryDirectory(
            prefix="ganim-openface-", ignore_cleanup_errors=True
        ) as folder:
            inputs, outputs = Path(folder, "in"), Path(folder, "out")
            try:
                inputs.mkdir()
                outputs.mkdir()
                for index, picture in pictures.items():
                    (inputs / f"{index:05d}.png").write_bytes(_png(picture))
            except OSError as error:
                raise WrongUse(
                    f"The crops cannot be written to {folder}: {error.strerror}. Make room there, "
                    "or set TMPDIR to another folder."
                ) from error
            failure = self._execute(inputs, outputs, Path(folder, "log.txt"), len(pictures))
            begun = {int(path.name[:5]) for path in outputs.glob("[0-9]*")}
            readings = self._readings(pictures, outputs, finished=failure is None)
            return _Outcome(readings, begun, failure)

    def _execute(self, inputs: Path, outputs: Path, log: Path, count: int) -> str | None:
        """Run the program to its end, or stop it; the reason if it failed."""
        run = f"ganim-openface-{uuid.uuid4().hex[:12]}"
        seconds = self.patience + self.patience_per_crop * count
        with log.open("wb") as file:
            try:
                process = subprocess.Popen(
                    self.launcher.command(inputs, outputs, run),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches us alone, and we stop it
                )
            except OSError as error:
                raise WrongUse(self._broken("to start", error.strerror)) from error
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"it did not end within {seconds:g} s"
        finally:
            if process.poll() is None:
                self.launcher.stop(run)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said = _telling_line(log.read_text(errors="replace"))
        if status in (125, 126, 127):  # the container or its program could not be started
            raise WrongUse(self._broken("to start", said))
        if status != 0:
            return f"exit status {status}, {said}"
        return None if any(outputs.iterdir()) else f"it wrote nothing, {said}"

    def _readings(
        self, pictures: Mapping[int, np.ndarray], outputs: Path, finished: bool
    ) -> dict[int, Reading]:
        """What stands in the output folder; for a finished run, something for every picture.

        OpenFace opens `_of_details.txt` before it looks at a picture, so that after a run that
        broke off only a CSV is an answer.
        """
        readings = {}
        for index, picture in pictures.items():
            path = outputs / f"{index:05d}.csv"
            try:
                if path.exists():
                    readings[index] = self._reading(read_csv(path), picture)
                elif finished:
                    seen = (outputs / f"{index:05d}_of_details.txt").exists()
                    error = "OpenFace found no face in the crop" if seen else "OpenFace left it out"
                    readings[index] = Reading(None, error=error)
            except BadCsv as reason:
                if finished:
                    readings[index] = Reading(None, error=str(reason))
        return readings

    def _reading(self, faces: list[FoundFace], picture: np.ndarray) -> Reading:
        # The crop was cut around its face, so that face's centre is in the crop's middle half.
        height, width = picture.shape[:2]
        reach = 0.25 / (1 + 2 * _PADDING)
        box = [width * (0.5 - reach), height * (0.5 - reach)]
        face = pick_face(faces, [*box, width - box[0], height - box[1]], self.min_confidence)
        if face is None:
            return Reading(None, error="OpenFace found no face in the middle of the crop")
        return to_reading(face, self.min_confidence)


def find_openface(
    runtime: str | None = None,
    image: str = IMAGE,
    program: Path | None = None,
    image_program: str = IMAGE_PROGRAM,
    min_confidence: float = MIN_CONFIDENCE,
) -> OpenFace:
    """The OpenFace annotator, checked to be there.

    `program` is a local FaceLandmarkImg. Without it, `image` runs in `runtime`, or in whichever
    of docker and podman has it; `image_program` is FaceLandmarkImg's path inside. Nothing is
    downloaded. Raises WrongUse with the reason and what to do, which is also how `auto` learns
    that there is no OpenFace here.
    """
    if program is not None:
        return OpenFace(_find_program(program), min_confidence)
    runtimes = [runtime] if runtime else [name for name in RUNTIMES if shutil.which(name)]
    if not runtimes:
        raise WrongUse(
            "OpenFace needs docker or podman, and neither is on the PATH. Install one of them, or "
            "name a local FaceLandmarkImg."
        )
    reasons = []
    for name in runtimes:
        try:
            return OpenFace(_find_container(name, image, image_program), min_confidence)
        except WrongUse as reason:
            reasons.append(reason)
    raise reasons[0]


def _find_program(program: Path) -> _Local:
    found = shutil.which(program)
    if found is None:
        raise WrongUse(
            f"{program} is not a program that can be run. Name the file FaceLandmarkImg of an "
            "OpenFace 2.0 installation."
        )
    return _Local(Path(found).absolute())


def _find_container(runtime: str, image: str, program: str) -> _Container:
    if shutil.which(runtime) is None:
        raise WrongUse(f"{runtime} is not on the PATH. Install it, or name another runtime.")
    answers, info = _ask([runtime, "info"])
    if not answers:
        raise WrongUse(
            f"{runtime} does not answer: {_telling_line(info)} Start it and see that you may use "
            "it, or name a local FaceLandmarkImg."
        )
    present, inspection = _ask([runtime, "image", "inspect", image])
    if not present:
        raise WrongUse(f"The image {image} is not here. Fetch it first: {runtime} pull {image}")
    [description] = json.loads(inspection)
    digests = description.get("RepoDigests") or []
    own = [digest for digest in digests if digest.startswith(re.split("[:@]", image)[0] + "@")]
    label = [*own, *sorted(digests), description["Id"]][0]

    podman = "podman" in runtime or "podman" in info.lower()
    rootless = re.search(r"^\s*rootless(: true)?\s*$", info, re.MULTILINE) is not None
    if podman:
        user, mount = (("--userns", "keep-id") if rootless else ()), ",Z"
    else:
        user, mount = (), ""
    # Root inside a rootless docker is the user outside.
    owner = "0:0" if rootless and not podman else f"{os.getuid()}:{os.getgid()}"
    return _Container(runtime, description["Id"], label, program, (*user, "--user", owner), mount)


def _ask(command: list[str]) -> tuple[bool, str]:
    """Whether a quick command succeeded, and what it said."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr


def _telling_line(text: str) -> str:
    """The last line that tells of a failure, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [
        line for line in lines if re.search("error|could not|cannot|can't|denied", line, re.I)
    ]
    return (telling or lines or ["it said nothing"])[-1]


def _divide(indices: list[int], begun: set[int]) -> list[list[int]]:
    """Two smaller lots: the pictures a broken run had begun and the others, or else halves.

    A picture that crashes or hangs OpenFace is one it had begun, so it is soon cornered.
    """
    first = [index for index in indices if index in begun]
    rest = [index for index in indices if index not in begun]
    if not first or not rest:
        middle = len(indices) // 2
        first, rest = indices[:middle], indices[middle:]
    return [lot for lot in (rest, first) if lot]


def _enlarge(image: bytes) -> np.ndarray:
    """A crop's JPEG as the RGB picture OpenFace is given."""
    crop = cv2.cvtColor(
        cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )
    down, across = (round(side * _PADDING) for side in crop.shape[:2])
    padded = cv2.copyMakeBorder(crop, down, down, across, across, cv2.BORDER_REPLICATE)
    return cv2.resize(padded, None, fx=_ENLARGEMENT, fy=_ENLARGEMENT, interpolation=cv2.INTER_CUBIC)


def _png(picture: np.ndarray) -> bytes:
    done, encoded = cv2.imencode(
        ".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    assert done, "OpenCV could not encode a picture it was given"
    return encoded.tobytes()
