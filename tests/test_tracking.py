"""Persons keep their numbers through a clip, and are never taken for each other."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import write_clip
from PIL import Image

from ganim.pipeline import shards
from ganim.pipeline.annotate.clip import annotate_clip
from ganim.pipeline.annotator import Annotator, Crop, Reading
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.crop import Box, encode_jpeg
from ganim.pipeline.faces.extract import FaceCrop, extract_faces_from_image
from ganim.pipeline.faces.tracking import FaceTracker
from ganim.pipeline.labels.tables import read_table
from ganim.pipeline.prepare.rows import Task, file_rows
from ganim.pipeline.prepare.settings import FaceSettings

ROOT = Path(__file__).parents[1]
Where = dict[str, tuple[int, int]]
"""Left and top of each person in a frame."""


@pytest.fixture(scope="module")
def heads() -> dict[str, np.ndarray]:
    """160x160 pixels of two persons, their faces about 80 px wide."""
    heads = {}
    for name, file, box in (
        ("ann", "astronaut.png", (143, 47, 303, 207)),
        ("grace", "grace_hopper.jpg", (108, 10, 428, 330)),
    ):
        with Image.open(ROOT / "examples" / file) as picture:
            heads[name] = np.asarray(picture.convert("RGB").crop(box).resize((160, 160)))
    return heads


def picture(heads: dict[str, np.ndarray], where: Where) -> np.ndarray:
    frame = np.full((200, 400, 3), 128, np.uint8)
    for name, (left, top) in where.items():
        frame[top : top + 160, left : left + 160] = heads[name]
    return frame


def follow(heads: dict[str, np.ndarray], *frames: Where) -> list[dict[int, int]]:
    """For each frame, the number of the person of the face at each left edge, in hundreds of px."""
    tracker = FaceTracker()
    found = []
    for where in frames:
        faces = extract_faces_from_image(picture(heads, where), most=None).faces
        assert len(faces) == len(where)
        numbers = tracker.follow(faces)
        found.append({one.box.left // 200: n for one, n in zip(faces, numbers, strict=True)})
    return found


LEFT, RIGHT = (10, 20), (230, 20)


def test_two_persons_keep_their_numbers_while_they_move(heads) -> None:
    frames = [{"ann": (10 + 4 * n, 20), "grace": (230, 20 + 3 * n)} for n in range(5)]
    first, *others = follow(heads, *frames)
    assert set(first.values()) == {0, 1} and all(one == first for one in others)


def test_after_a_cut_looks_decide(heads) -> None:
    """They have changed places; one at the place of the other alone is not the other either."""
    both, swapped, alone, back = follow(
        heads,
        {"ann": LEFT, "grace": RIGHT},
        {"ann": RIGHT, "grace": LEFT},
        {"ann": LEFT},
        {"grace": LEFT, "ann": RIGHT},
    )
    ann, grace = both[0], both[1]
    assert swapped == {0: grace, 1: ann}
    assert alone == {0: ann}
    assert back == {0: grace, 1: ann}


def test_shot_and_reverse_shot_at_one_place(heads) -> None:
    frames = follow(heads, {"ann": LEFT}, {"grace": LEFT}, {"ann": LEFT}, {"grace": LEFT})
    assert frames == [{0: 0}, {0: 1}, {0: 0}, {0: 1}]


def test_who_comes_back_after_an_absence_is_known(heads) -> None:
    frames = [{"ann": LEFT}, *[{}] * 9, {"ann": RIGHT}, {"ann": RIGHT, "grace": LEFT}]
    found = follow(heads, *frames)
    assert found[10] == {1: 0} and found[11] == {1: 0, 0: 1}


def test_in_doubt_it_is_a_new_person(heads) -> None:
    """Descriptors that say nothing never join two faces."""
    tracker = FaceTracker(describe=lambda crop, box: np.full(128, 0.1, np.float32))
    numbers = []
    for where in ({"ann": LEFT, "grace": RIGHT}, {"ann": RIGHT, "grace": LEFT}):
        numbers += tracker.follow(extract_faces_from_image(picture(heads, where), most=None).faces)
    assert len(set(numbers)) == 4


class Brightness(Annotator):
    """Tells the two persons apart: AUs of 1 for the astronaut, of 3 for the admiral."""

    name, batch = "brightness", 4

    def read(self, crops):
        values = [3.0 if self.is_grace(crop) else 1.0 for crop in crops]
        return [Reading(np.full(17, value, np.float32), 0.9) for value in values]

    def is_grace(self, crop: Crop) -> bool:
        with Image.open(io.BytesIO(crop.image)) as image:
            middle = np.asarray(image.convert("L").crop((32, 32, 96, 96)), float)
        return middle.mean() < 145


@pytest.fixture
def clip(tmp_path: Path, heads) -> Path:
    """Eight frames: she is alone, he comes, they change places, he goes."""
    frames: list[Where] = [{"ann": LEFT}, {"ann": LEFT}]
    frames += [{"ann": LEFT, "grace": RIGHT}] * 2 + [{"ann": RIGHT, "grace": LEFT}] * 2
    frames += [{}, {"ann": LEFT}]
    write_clip(tmp_path / "clip.mp4", [picture(heads, where) for where in frames], 30)
    return tmp_path / "clip.mp4"


def rows(path: Path) -> list[tuple[int | None, int | None, float]]:
    return [(face.frame, face.face_id, float(face.aus[0])) for _, face in read_table(path).faces]


def test_the_csv_of_a_clip_with_two_persons(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    summary = annotate_clip(clip, out, Brightness())
    assert (summary.frames, summary.with_aus, summary.people) == (8, 7, 2)
    ann = [(frame, 0, 1.0) for frame in (1, 2, 3, 4, 5, 6, 8)]
    assert rows(out) == ann and out.read_text().count("\n") == 9
    times = [line.split(", ")[2] for line in out.read_text().splitlines()[1:]]
    assert times[:4] == ["0.000", "0.033333", "0.066667", "0.100"]
    annotate_clip(clip, out, Brightness(), face=2)
    grace = [(frame, 1, 3.0) for frame in (3, 4, 5, 6)]
    assert rows(out) == grace and out.read_text().count("\n") == 9
    annotate_clip(clip, out, Brightness(), face=None)
    assert sorted(rows(out)) == sorted(ann + grace)
    assert all(face.box is not None for _, face in read_table(out).faces)
    with pytest.raises(WrongUse, match="shows 2 persons, so there is no --face 3"):
        annotate_clip(clip, out, Brightness(), face=3)


class Program(Brightness):
    reads_clips = True


def test_who_chooses_the_face_itself_is_not_asked_for_another(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="chooses the face of a clip itself"):  # and does not read
        annotate_clip(clip, tmp_path / "out.csv", Program(), face=2)


def series_of(clip: Path, **settings: Any) -> dict[str, set[bool]]:
    """For each series of the rows of a clip, whether its faces are hers (False) or his (True)."""
    task = Task(clip.parent, clip.name, clip.name, FaceSettings(**settings), clip.name)
    found: dict[str, set[bool]] = {}
    for row in file_rows(task):
        if row["status"] == shards.OK:
            crop = Crop(row["key"], row["source"], row["image"]["bytes"], tuple(row["box"]))
            found.setdefault(row["series"], set()).add(Brightness().is_grace(crop))
    return found


@pytest.mark.parametrize("settings", [{}, {"faces": "all"}, {"faces": "all", "size": 96}])
def test_each_person_of_a_clip_is_a_series(clip: Path, settings: dict[str, Any]) -> None:
    """Whichever of them is the largest in a frame, and wherever they are."""
    found = series_of(clip, every=0.01, **settings)
    assert sorted(found) == ["clip.mp4#1", "clip.mp4#2"]
    assert all(len(people) == 1 for people in found.values())


def test_shot_and_reverse_shot_are_two_series(tmp_path: Path, heads) -> None:
    frames = [{"ann": LEFT}, {"grace": LEFT}] * 3
    write_clip(tmp_path / "talk.mkv", [picture(heads, where) for where in frames], 2)
    found = series_of(tmp_path / "talk.mkv", every=0.5)
    assert sorted(found) == ["talk.mkv#1", "talk.mkv#2"]
    assert all(len(people) == 1 for people in found.values())


def test_one_person_of_a_clip_is_a_series_of_its_name(tmp_path: Path, heads) -> None:
    frames: list[Where] = [{"ann": LEFT}, {}, {"ann": RIGHT}, {"ann": (100, 30)}]
    write_clip(tmp_path / "her.mp4", [picture(heads, where) for where in frames], 1)
    assert series_of(tmp_path / "her.mp4") == {"her.mp4": {False}}


def faces_with(tracker_boxes: list[tuple[int, int]]) -> list[FaceCrop]:
    """Faces of noise, each at a place, so that descriptors alone say who they are."""
    draw = np.random.default_rng(len(tracker_boxes) + tracker_boxes[0][0])
    jpeg = [encode_jpeg(draw.integers(0, 255, (128, 128, 3), np.uint8)) for _ in tracker_boxes]
    boxes = [Box(left, top, left + 80, top + 80) for left, top in tracker_boxes]
    return [FaceCrop(box, box, 1.0, one) for box, one in zip(boxes, jpeg, strict=True)]


@pytest.mark.parametrize(
    ("frames", "people"),
    [
        # Somebody who was taken for a new person: 0.5 away, then 0.3 from both.
        ([[0.0], [0.5], [0.25]], [0, 0, 0]),
        # In doubt between two that meet, nobody is joined.
        ([[0.0, 0.8], [0.4]], [0, 1, 2]),
        # Two who meet are two, however alike.
        ([[0.0, 0.3]], [0, 1]),
        # A chain of likeness does not join those who meet.
        ([[0.0, 0.7], [0.35]], [0, 1, 2]),
    ],
)
def test_numbers_of_one_person_are_joined_at_the_end(
    frames: list[list[float]], people: list[int]
) -> None:
    looks = iter([look for frame in frames for look in frame])
    describe = lambda crop, box: np.array([next(looks), 0.0], np.float32)  # noqa: E731
    tracker = FaceTracker(describe=describe)
    numbers = []
    for frame, shown in enumerate(frames):
        places = [(200 * place + 1000 * frame, 0) for place in range(len(shown))]
        numbers += tracker.follow(faces_with(places))
    assert numbers == list(range(len(numbers)))
    assert tracker.joined() == people
