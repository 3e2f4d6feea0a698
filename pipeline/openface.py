"""AUs by OpenFace 2.0: the annotator that runs it over batches of crops.

OpenFace needs a large face: a crop is padded by a quarter of its side all round and enlarged
twice (measured on 128 px crops: mean Pearson r 0.969 against the full photograph, 0.910 without).
It runs once a batch, in a container without network or as a local program. One picture can end
or hang a whole run, so what a run left unanswered is divided and run again, until each crop has
an answer or has failed alone.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .annotate import Crop, Reading
from .errors import WrongUse
from .openface_csv import MIN_CONFIDENCE, BadCsv, FoundFace, pick_face, read_csv, to_reading

IMAGE = "algebr/openface:latest"
IMAGE_PROGRAM = "/home/openface-build/build/bin/FaceLandmarkImg"
RUNTIMES = ("docker", "podman")

_PADDING = 0.25
_ENLARGEMENT = 2
_FLAGS = ("-aus", "-2Dfp")
# Three crops that fail one by one, and not one answered: it is not the crops.
_LONE_FAILURES = 3


@dataclass(frozen=True)
class Program:
    """FaceLandmarkImg, on this machine or in a container's image."""

    label: str
    """What it is, for the rows and for messages."""
    path: str
    runtime: str | None = None
    """docker or podman; None for a program on this machine."""
    image: str = ""
    options: tuple[str, ...] = ()
    """Whose files the container writes."""
    mount: str = ""
    """How folders are mounted, beyond ro and rw."""

    def command(self, inputs: Path, outputs: Path, run: str) -> list[str]:
        """The command line over a folder; `run` names the container."""
        if self.runtime is None:
            return [self.path, "-fdir", str(inputs), *_FLAGS, "-out_dir", str(outputs)]
        return [
            *(self.runtime, "run", "--rm", "--name", run, *self.options),
            *("--network", "none", "--read-only", "--tmpfs", "/tmp"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--pids-limit", "256", "--memory", "4g"),
            *("-v", f"{inputs}:/input:ro{self.mount}", "-v", f"{outputs}:/output:rw{self.mount}"),
            *("--entrypoint", self.path, self.image),
            *("-fdir", "/input", *_FLAGS, "-out_dir", "/output"),
        ]

    def execute(self, inputs: Path, outputs: Path, seconds: float) -> str | None:
        """Run over a folder, stopped after `seconds`; the reason if it did not reach its end.

        Raises WrongUse where the container or the program cannot be started at all.
        """
        run = f"ganim-openface-{uuid.uuid4().hex[:12]}"
        with tempfile.TemporaryFile() as log:
            try:
                process = subprocess.Popen(
                    self.command(inputs, outputs, run),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C reaches us alone, and we stop it
                )
            except OSError as error:
                raise self.broken("to start", str(error.strerror)) from error
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                return f"it did not end within {seconds:g} s"
            finally:
                if process.poll() is None:
                    if self.runtime is not None:
                        _ask([self.runtime, "rm", "--force", run])
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            log.seek(0)
            said = _telling_line(log.read().decode(errors="replace"))
        if status in (125, 126, 127):  # so say docker, podman and the shell
            raise self.broken("to start", said)
        if status != 0:
            return f"exit status {status}, {said}"
        return None if any(outputs.iterdir()) else f"it wrote nothing, {said}"

    def broken(self, where: str, failure: str) -> WrongUse:
        """The error for an OpenFace that does not work."""
        return WrongUse(
            f"OpenFace ({self.label}) fails {where}: {failure}. Mend this installation of "
            "OpenFace, or name another image or program."
        )


@dataclass(frozen=True)
class OpenFace:
    """The annotator that runs OpenFace. `find_openface` makes one."""

    program: Program
    min_confidence: float = MIN_CONFIDENCE
    """Faces read with less (0-1) get an error in place of AUs."""
    patience: float = 60.0
    """Seconds a run may take to start."""
    patience_per_crop: float = 2.0
    """Seconds it may take more for each crop: eighty times what one takes."""
    batch: int = 256

    @property
    def name(self) -> str:
        return f"openface {self.program.label}"

    def read(self, crops: Sequence[Crop]) -> list[Reading]:
        """One reading a crop, in order.

        A crop that OpenFace finds no face in, is unsure of or fails on is a reading with an
        error. Raises WrongUse where OpenFace itself does not work.
        """
        enlarged = {index: _enlarge(crop.image) for index, crop in enumerate(crops)}
        pictures = {index: picture for index, picture in enlarged.items() if picture is not None}
        unreadable = Reading(None, error="the crop is no readable picture")
        readings = self._read_pictures(pictures)
        return [readings.get(index, unreadable) for index in enlarged]

    def _read_pictures(self, pictures: Mapping[int, np.ndarray]) -> dict[int, Reading]:
        answers: dict[int, Reading] = {}
        failed: dict[int, Reading] = {}
        program_works = False
        queue = [list(pictures)] if pictures else []
        while queue:
            indices = queue.pop()
            readings, begun, failure = self._run({index: pictures[index] for index in indices})
            answers |= readings
            if failure is None:
                continue
            if not answers and not program_works:
                self._check_program()
                program_works = True
            left = [index for index in indices if index not in readings]
            if left != indices or len(left) > 1:
                queue += _divide(left, begun)
                continue
            failed[left[0]] = Reading(None, error=f"OpenFace fails on this crop: {failure}")
            if len(failed) == _LONE_FAILURES and not answers:
                raise self.program.broken("on one crop after the other", failure)
        return answers | failed

    def _check_program(self) -> None:
        """Raise WrongUse unless OpenFace can deal with a black picture."""
        _, _, failure = self._run({0: np.zeros((192, 192, 3), np.uint8)})
        if failure is not None:
            raise self.program.broken("even on an empty picture", failure)

    def _run(
        self, pictures: Mapping[int, np.ndarray]
    ) -> tuple[dict[int, Reading], set[int], str | None]:
        """OpenFace once over some pictures, as files named by their index.

        Returns the readings, the pictures it wrote anything about, and the reason if it did not
        reach its end. If it did, every picture has a reading. If not, only those with a CSV:
        OpenFace opens `_of_details.txt` before it looks at a picture.
        """
        with tempfile.TemporaryDirectory(
            prefix="ganim-openface-", ignore_cleanup_errors=True
        ) as folder:
            inputs, outputs = Path(folder, "in"), Path(folder, "out")
            try:
                inputs.mkdir()
                outputs.mkdir()
                for index, picture in pictures.items():
                    encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
                    (inputs / f"{index:05d}.png").write_bytes(encoded.tobytes())
            except OSError as error:
                raise WrongUse(
                    f"The crops cannot be written to {folder}: {error.strerror}. Make room there, "
                    "or set TMPDIR to another folder."
                ) from error
            seconds = self.patience + self.patience_per_crop * len(pictures)
            failure = self.program.execute(inputs, outputs, seconds)
            written = {path.name[:5] for path in outputs.iterdir()}
            begun = {index for index in pictures if f"{index:05d}" in written}
            readings = {}
            for index, picture in pictures.items():
                path = outputs / f"{index:05d}.csv"
                try:
                    if path.exists():
                        readings[index] = self._reading(read_csv(path), picture)
                    elif failure is None:
                        found = "found no face in the crop" if index in begun else "left it out"
                        readings[index] = Reading(None, error=f"OpenFace {found}")
                except BadCsv as reason:
                    if failure is None:
                        readings[index] = Reading(None, error=str(reason))
            return readings, begun, failure

    def _reading(self, faces: list[FoundFace], picture: np.ndarray) -> Reading:
        # The crop was cut around its face, so that face's centre is in the crop's middle half.
        height, width = picture.shape[:2]
        near, far = (0.5 + sign * 0.25 / (1 + 2 * _PADDING) for sign in (-1, 1))
        box = (near * width, near * height, far * width, far * height)
        face = pick_face(faces, box, self.min_confidence)
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


def _find_program(program: Path) -> Program:
    found = shutil.which(program.absolute() if program.exists() else program)
    if found is None:
        raise WrongUse(
            f"{program} is not a program that can be run. Name the file FaceLandmarkImg of an "
            "OpenFace 2.0 installation."
        )
    return Program(f"local:{found}", found)


def _find_container(runtime: str, image: str, program: str) -> Program:
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

    # In rootless docker and podman, user numbers mean others inside the container than outside.
    rootless = re.search(r"^\s*rootless(: true)?\s*$", info, re.MULTILINE) is not None
    is_podman = "podman" in Path(runtime).name or "rootless: " in info  # `docker` may be podman
    options: tuple[str, ...] = ("--user", f"{os.getuid()}:{os.getgid()}")
    if rootless:
        options = ("--userns", "keep-id", *options) if is_podman else ("--user", "0:0")
    # Relabelled for SELinux, which hides other folders from podman's containers.
    mount = ",Z" if is_podman else ""
    return Program(label, program, runtime, description["Id"], options, mount)


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


def _enlarge(image: bytes) -> np.ndarray | None:
    """A crop's JPEG as the picture OpenFace is given (uint8, BGR); None if it is damaged."""
    crop = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR) if image else None
    if crop is None:
        return None
    down, across = (round(side * _PADDING) for side in crop.shape[:2])
    padded = cv2.copyMakeBorder(crop, down, down, across, across, cv2.BORDER_REPLICATE)
    size = padded.shape[1] * _ENLARGEMENT, padded.shape[0] * _ENLARGEMENT
    return cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC)
