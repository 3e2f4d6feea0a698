"""Whose AUs a label is: the right face of a photograph, or none."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from label_files import LANDMARKS, Box, aus_like, first_aus, landmarks_at, write_rows
from openface_helpers import SHARED, needs_samples
from PIL import Image

from ganim.cli import main
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.labels.annotator import Labels
from ganim.pipeline.labels.faces import assign
from ganim.pipeline.labels.photographs import Photographs
from ganim.pipeline.openface.output import FaceRecord, read_csv

LEFT, RIGHT = (0, 0, 100, 100), (300, 0, 400, 100)


def load(path: Path, boxes: dict[str, list[Box]]) -> Labels:
    return Labels.load(path, Photographs(list(boxes), boxes=boxes))


def at(x: float, y: float = 50, value: float = 1, confidence: float = 0.98, width: float = 80):
    points = np.array(landmarks_at(x, y, width), np.float32).reshape(2, 68).T
    return FaceRecord(confidence, np.array(aus_like(value), np.float32), points)


def plain(value: float = 1, confidence: float = 0.98) -> FaceRecord:
    return FaceRecord(confidence, np.array(aus_like(value), np.float32))


def whose(faces: list[FaceRecord], *boxes: Box) -> list[float | None]:
    """The first AU of the label of each box; None if it has none."""
    answers = assign(faces, boxes, 0.7)
    return [None if isinstance(one, str) else round(float(one.aus[0]), 2) for one in answers]


def test_landmarks_say_whose_label_it_is() -> None:
    assert whose([at(350, value=1), at(50, value=2)], LEFT, RIGHT) == [2, 1]
    assert whose([at(350, value=1)], LEFT, RIGHT) == [None, 1]
    assert whose([at(350, value=1)], LEFT) == [None], "one row, and it lies on another person"
    assert whose([], LEFT) == [None]


def test_labels_without_a_position_are_used_only_if_they_can_be_of_one_face() -> None:
    assert whose([plain()], LEFT) == [1]
    assert whose([plain()], LEFT, RIGHT) == [None, None]
    assert whose([plain(1), plain(2)], LEFT) == [None]
    assert whose([plain(1), plain(2)], LEFT, RIGHT) == [None, None]
    # The weaker of two faces may be the one that was cropped.
    assert whose([plain(1, 0.2), plain(2)], LEFT) == [None]
    assert whose([plain(1), plain(1)], LEFT) == [1], "the same row twice"


def test_one_face_of_a_crowd_was_kept() -> None:
    """The only row may be that of another face, unless it says where it is."""

    def reading(faces: list[FaceRecord], seen: int) -> float | str:
        [answer] = assign(faces, [LEFT], 0.7, seen)
        return answer if isinstance(answer, str) else round(float(answer.aus[0]), 2)

    assert reading([plain()], 1) == reading([plain()], 0) == 1, "an older set does not say"
    refused = reading([plain()], 3)
    assert refused == "its label does not say which of the photograph's 3 faces it is of"
    assert reading([at(50, value=2)], 3) == 2 and reading([plain(1), at(50, value=2)], 3) == 2


@pytest.mark.parametrize("words", ["--faces largest", "--faces all --min-face 80"])
def test_prepare_says_that_it_saw_more_faces_than_it_kept(
    words: str, tmp_path: Path, astronaut: np.ndarray
) -> None:
    (tmp_path / "raw").mkdir()
    small = cv2.resize(astronaut, (410, 410))
    beside = np.hstack([astronaut, np.vstack([small, np.full((102, 410, 3), 128, np.uint8)])])
    Image.fromarray(astronaut).save(tmp_path / "raw" / "alone.png")
    Image.fromarray(beside).save(tmp_path / "raw" / "two.png")
    command = f"prepare --src {tmp_path}/raw --out {tmp_path}/s --workers 1 {words}"
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 0, done.output
    known = Photographs.of_shards(tmp_path / "s")
    assert all(len(boxes) == 1 for boxes in known.boxes.values())
    assert known.seen == {"alone.png": 1, "two.png": 2}
    pd.to_pickle({"alone": aus_like(1), "two": aus_like(2)}, tmp_path / "aus.pkl")
    labels = Labels.load(tmp_path / "aus.pkl", known)
    crops = [(name, known.boxes[name][0]) for name in ("alone.png", "two.png")]
    alone, two = first_aus(labels, *crops)
    assert alone == 1 and "which of the photograph's 2 faces" in str(two)


def test_a_row_without_a_position_beside_one_with_a_position_is_not_used() -> None:
    assert whose([plain(1), at(50, value=2)], LEFT, RIGHT) == [2, None]
    assert whose([plain(1), at(350, value=2)], LEFT) == [None]


def test_a_face_inside_another_is_told_by_its_size() -> None:
    """A printed face, or a child in front of its parent."""
    assert whose([at(50, value=1, width=20)], LEFT) == [None]
    assert whose([at(50, value=1, width=20), at(52, value=2)], LEFT) == [2]
    assert whose([at(50, value=1, width=400)], LEFT) == [None], "read at another size"


def test_cheek_to_cheek_each_gets_the_nearest() -> None:
    boxes = (0, 0, 100, 100), (60, 0, 160, 100)
    assert whose([at(80, value=1), at(70, value=2)], *boxes) == [2, 1]
    assert whose([at(80, value=1)], *boxes) == [1, None] or whose([at(81)], *boxes) == [None, 1]


def test_a_label_is_used_once_and_the_confident_goes_first() -> None:
    assert whose([at(50, value=1, confidence=0.1), at(60, value=2)], LEFT) == [2]
    assert whose([at(50, value=1, confidence=0.1)], LEFT) == [1], "its confidence is the reason"


def test_two_different_labels_of_one_face_are_none() -> None:
    assert whose([at(50, value=1), at(52, value=2)], LEFT) == [None]
    assert whose([at(50, value=1), at(50, value=1, y=51)], LEFT) == [1], "they agree"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".tsv"])
def test_a_table_with_boxes_of_our_own_shards(tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame([aus_like(1), aus_like(2)], columns=list(COLUMNS))
    table["source"] = "a.jpg"
    corners = np.array([[310, 5, 390, 95], [10, 0, 90, 90]])
    path = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        table["image"] = [{"bytes": b"", "path": None}] * 2
        table.assign(box=corners.tolist()).to_parquet(path)
    else:
        table[["left", "top", "right", "bottom"]] = corners
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    labels = load(path, {"a.jpg": [LEFT, RIGHT]})
    assert first_aus(labels, ("a.jpg", LEFT), ("a.jpg", RIGHT)) == [2, 1]


def test_a_table_with_landmarks_and_a_photograph_without_any(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "t.csv",
        ["file", *LANDMARKS, *COLUMNS],
        ["two.jpg", *landmarks_at(350, 50), *aus_like(1)],
        ["two.jpg", *landmarks_at(50, 50), *aus_like(2)],
        ["one.jpg", *[""] * 136, *aus_like(3)],
        ["lost.jpg", *[0] * 136, *aus_like(1)],
        ["lost.jpg", *[0] * 136, *aus_like(2)],
    )
    labels = load(path, {"two.jpg": [LEFT, RIGHT], "one.jpg": [LEFT], "lost.jpg": [LEFT]})
    crops = [("two.jpg", LEFT), ("two.jpg", RIGHT), ("one.jpg", LEFT)]
    assert first_aus(labels, *crops) == [2, 1, 3]
    assert "does not say where" in str(first_aus(labels, ("lost.jpg", LEFT)))


def test_rows_that_were_not_tracked_are_no_labels(tmp_path: Path) -> None:
    header = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS]
    write_rows(tmp_path / "c" / "a.csv", header, [1, 0, 0, 0.9, 0, *aus_like(1)])
    write_rows(tmp_path / "c" / "b.csv", header, [1, 0, 0, 0.9, 1, *aus_like(2)])
    labels = load(tmp_path / "c", {"a.jpg": [LEFT], "b.jpg": [LEFT]})
    found = first_aus(labels, ("a.jpg", LEFT), ("b.jpg", LEFT))
    assert found == ["its label has no face", 2]


def test_a_pickle_of_two_faces_gives_none(tmp_path: Path) -> None:
    pd.to_pickle({"a": aus_like(1), "b": aus_like(2)}, tmp_path / "aus.pkl")
    labels = load(tmp_path / "aus.pkl", {"a.jpg": [LEFT, RIGHT], "b.jpg": [RIGHT]})
    right, left, alone = first_aus(labels, ("a.jpg", RIGHT), ("a.jpg", LEFT), ("b.jpg", RIGHT))
    assert "which of the photograph's 2 faces" in str(right) and right == left and alone == 2


@needs_samples
def test_five_people_each_get_their_own_aus(tmp_path: Path) -> None:
    """The boxes are those of the HOG detector, in its order."""
    from ganim.pipeline.faces.extract import extract_faces

    content = (SHARED / "faces" / "wild" / "five_people.jpg").read_bytes()
    boxes = [tuple(face.box.as_list()) for face in extract_faces(content, 128, 0.15, None).faces]
    boxes.append((212, 83, 312, 183))  # whom the detector misses, as he turns away
    assert len(boxes) == 5
    recorded = read_csv(SHARED / "openface" / "samples" / "landmarks" / "five_people.csv")
    answers = assign(recorded, boxes, 0.7)
    for box, face in zip(boxes, answers, strict=True):
        assert not isinstance(face, str) and face.landmarks is not None
        x, y = face.landmarks.mean(axis=0)
        assert box[0] < x < box[2] and box[1] < y < box[3]
    assert len({id(face) for face in answers}) == 5
    # Without landmarks nobody can tell, and with one face of five as little.
    alone = [FaceRecord(face.confidence, face.aus) for face in recorded]
    assert whose(alone, *boxes) == [None] * 5 == whose(alone[:1], *boxes)
