"""Labels of the frames that prepare cut from clips."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from label_files import LANDMARKS, Box, aus_like, first_aus, landmarks_at, write_rows
from openface_helpers import SAMPLES, SHARED, needs_samples

from ganim.cli import main
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS
from ganim.pipeline.images import video
from ganim.pipeline.labels.annotator import Labels
from ganim.pipeline.labels.photographs import Photographs
from ganim.pipeline.prepare.names import file_of, frame_name, seconds_of
from ganim.pipeline.prepare.sources import is_clip

HEADER = ["frame", "face_id", "timestamp", "confidence", "success", *COLUMNS]
BOX, OTHER = (0, 0, 100, 100), (300, 0, 400, 100)


def csv_of(path: Path, times: list[float], lost: tuple[int, ...] = ()) -> Path:
    """What FeatureExtraction writes: AU01 is the hundredth part of the frame's number."""
    rows = [
        [n, 0, f"{time:.3f}", 0.98, int(n not in lost), *[n / 100] * 17]
        for n, time in enumerate(times, 1)
    ]
    return write_rows(path, HEADER, *rows, by=", ")


def frames_of(name: str, times: list[float], every: int = 1, numbered: bool = True) -> Photographs:
    """A set with some frames of a clip, with the numbers that prepare gives them, or as the sets of
    earlier versions: without, and with times to 0.01 s."""
    frames: dict[str, int | None] = {}
    for number, time in list(enumerate(times, 1))[::every]:
        source = frame_name(name, time) if numbered else f"{name}@{time:.2f}s"
        frames[source] = number if numbered else None
    return Photographs(list(frames), frames=frames, boxes={one: [BOX] for one in frames})


def looked_up(path: Path, known: Photographs) -> list[float | str]:
    """For each frame of the set the number of the frame that labels it, or the reason."""
    labels = Labels.load(path, known, scale="0-5")
    found = first_aus(labels, *((source, BOX) for source in known.sources))
    return [round(one * 100) if isinstance(one, float) else one for one in found]


@pytest.mark.parametrize("rate", [10.0, 23.976, 25.0, 29.97, 59.94, 240.0])
@pytest.mark.parametrize("place", ["csv/x/clip.csv", "clip.csv"])
def test_frames_at_any_rate(tmp_path: Path, rate: float, place: str) -> None:
    times = [n / rate for n in range(60)]
    csv_of(tmp_path / place, times)
    path = tmp_path / place.split("/")[0]
    assert looked_up(path, frames_of("x/clip.MTS", times, 7)) == list(range(1, 61, 7))


def test_frames_at_a_variable_rate(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.9, 1.4, 1.5, 4.2, 4.3, 5.0]
    known = frames_of("clip.mp4", times)
    assert looked_up(csv_of(tmp_path / "clip.csv", times), known) == list(range(1, 10))
    # OpenFace counts times from the mean rate: they are wrong, and its numbers are right.
    counted = [n * 5.0 / 9 for n in range(9)]
    assert looked_up(csv_of(tmp_path / "clip.csv", counted), known) == list(range(1, 10))


def test_sets_of_earlier_versions_go_by_time(tmp_path: Path) -> None:
    times = [n / 29.97 for n in range(40)]
    path = csv_of(tmp_path / "clip.csv", times)
    assert looked_up(path, frames_of("clip.mp4", times, 9, numbered=False)) == [1, 10, 19, 28, 37]
    fast = [n / 240 for n in range(40)]
    path = csv_of(tmp_path / "clip.csv", fast)
    found = looked_up(path, frames_of("clip.mp4", fast, 20, numbered=False))
    assert all("several frames" in str(one) for one in found)


def test_labels_at_another_rate_go_by_time_and_only_where_it_is_the_same(tmp_path: Path) -> None:
    clip = [n / 25 for n in range(51)]
    path = csv_of(tmp_path / "clip.csv", [n / 30 for n in range(61)])
    found = looked_up(path, frames_of("clip.mp4", clip, 5))
    assert found == [1, 7, 13, 19, 25, 31, 37, 43, 49, 55, 61]
    found = looked_up(path, frames_of("clip.mp4", clip, 6))
    assert found[0] == 1 and "no face at 0.24 s" in str(found[1])


def test_frames_in_which_the_face_was_lost(tmp_path: Path) -> None:
    times = [n / 25 for n in range(10)]
    path = csv_of(tmp_path / "clip.csv", times, lost=(3, 4))
    found = looked_up(path, frames_of("clip.mp4", times))
    assert [one for one in found if not isinstance(one, str)] == [1, 2, 5, 6, 7, 8, 9, 10]
    assert "no face at 0.08 s" in str(found[2])


def test_a_table_names_clip_and_frame(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08]
    rows = [[r"C:\clips\clip.mp4", n, *[n / 100] * 17] for n in (1, 2, 3)]
    path = write_rows(tmp_path / "t.csv", ["path", "frame", *COLUMNS], *rows)
    assert looked_up(path, frames_of("clip.mp4", times)) == [1, 2, 3]
    named = [["clip.mp4@0.04s", *[0.07] * 17]]
    path = write_rows(tmp_path / "t.csv", ["source", *COLUMNS], *named)
    nothing = "no label for this photograph"
    assert looked_up(path, frames_of("clip.mp4", times)) == [nothing, 7, nothing]


def test_labels_of_a_photograph_are_not_of_a_clip_and_the_other_way_round(tmp_path: Path) -> None:
    header = ["face", "confidence", *COLUMNS]
    write_rows(tmp_path / "c" / "clip.csv", header, [0, 0.98, *aus_like(1)])
    found = looked_up(tmp_path / "c", frames_of("clip.mp4", [0.0]))
    assert found == ["its label is of a photograph, not of a clip"]
    csv_of(tmp_path / "d" / "photo.csv", [0.0, 0.04])
    labels = Labels.load(tmp_path / "d", Photographs(["photo.jpg"]))
    assert first_aus(labels, ("photo.jpg", BOX)) == ["its CSV is of a clip, not of a photograph"]


def two(path: Path, *where: list[Box | None]) -> Path:
    """A CSV of two persons, the second with AUs of 2, with landmarks in the boxes."""
    rows = []
    for number, boxes in enumerate(where, 1):
        for person, box in enumerate(boxes):
            if box is not None:
                points = landmarks_at(box[0] + 50, 50)
                aus = aus_like(person + 1)
                rows.append([number, person, (number - 1) / 25, 0.98, 1, *points, *aus])
    return write_rows(path, [*HEADER[:5], *LANDMARKS, *COLUMNS], *rows)


def test_of_several_persons_each_gets_their_own(tmp_path: Path) -> None:
    path = two(tmp_path / "clip.csv", [BOX, OTHER], [OTHER, BOX], [None, OTHER])
    sources = [frame_name("clip.mp4", n / 25) for n in range(3)]
    frames: dict[str, int | None] = {source: n + 1 for n, source in enumerate(sources)}
    boxes: dict[str, list[Box]] = {sources[0]: [BOX], sources[1]: [BOX, OTHER], sources[2]: [BOX]}
    labels = Labels.load(path, Photographs(sources, None, boxes, frames))
    crops = [(sources[0], BOX), (sources[1], BOX), (sources[1], OTHER), (sources[2], BOX)]
    found = first_aus(labels, *crops)
    assert found[:3] == [1, 2, 1] and "not inside the crop's box" in str(found[3])


def test_without_a_place_nothing_jumps_between_persons(tmp_path: Path) -> None:
    """One row a frame, but the clip shows two: nobody knows whose each is, in any frame."""
    times = [n / 25 for n in range(3)]
    path = csv_of(tmp_path / "clip.csv", times)
    known = frames_of("clip.mp4", times)
    crowded = {**known.boxes, known.sources[1]: [BOX, OTHER]}
    found = looked_up(path, Photographs(known.sources, None, crowded, known.frames))
    assert all("its clip has several faces" in str(one) for one in found)
    rows = [[1, 0, 0, 0.9, 1, *aus_like(1)], [2, 1, 0.04, 0.9, 1, *aus_like(2)]]
    path = write_rows(tmp_path / "clip.csv", HEADER, *rows)
    assert all("its clip has several faces" in str(one) for one in looked_up(path, known))


@pytest.mark.parametrize(("several", "labelled"), [(0, 60), (2, 58), (4, 0)])
def test_frames_in_which_more_faces_were_seen_than_kept(
    several: int, labelled: int, tmp_path: Path
) -> None:
    """A few may be the detector's mistakes; with more of them, the clip shows two persons."""
    times = [n / 25 for n in range(60)]
    path = csv_of(tmp_path / "clip.csv", times)
    one = frames_of("clip.mp4", times)
    seen = {source: 2 if n < several else 1 for n, source in enumerate(one.sources)}
    found = looked_up(path, Photographs(one.sources, None, one.boxes, one.frames, seen))
    assert [n for n in found if isinstance(n, int)] == list(range(61 - labelled, 61))


@needs_samples
@pytest.mark.parametrize("name", ["expressive.mp4", "face_leaves.mov", "talking_a.mp4"])
def test_what_openface_wrote_of_real_clips(name: str) -> None:
    """Its frames and times are those of the clip."""
    recorded = SAMPLES / "videos" / f"{Path(name).stem}.csv"
    times = [frame.seconds for frame in video.frames(SHARED / "videos" / name)]
    known = frames_of(name, times, every=5)
    labels = Labels.load(recorded, known)
    found = first_aus(labels, *((source, BOX) for source in known.sources))
    lines = [line.split(",") for line in recorded.read_text().splitlines()]
    column = [cell.strip() for cell in lines[0]].index("AU01_r")
    assert len(lines) - 1 == len(times)
    for line, answer in zip(lines[1::5], found, strict=True):
        tracked = float(line[4]) and float(line[3]) >= 0.7
        assert answer == (float(line[column]) if tracked else answer)
        assert tracked == isinstance(answer, float)


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12.40"), (1 / 30, "0.033333"), (0, "0.00"), (1.001, "1.001")]
)
def test_names_of_frames_are_exact_to_the_microsecond(seconds: float, text: str) -> None:
    name = frame_name("a.m2ts", seconds)
    assert name == f"a.m2ts@{text}s" and file_of(name) == "a.m2ts"
    assert seconds_of(name) == pytest.approx(seconds, abs=5e-7) and seconds_of("a.m2ts") is None


def write_clip(path: Path, picture: np.ndarray) -> list[float]:
    """Write eight frames of a picture (256, 256, 3) that moves, at a variable rate where the kind
    of clip allows; return their times."""
    kind = path.suffix[1:]
    path.parent.mkdir(exist_ok=True)
    shown = [n if kind == "mpg" else n + (n > 4) * 3 for n in range(8)]
    with av.open(str(path), "w", format="mpegts" if kind in ("mts", "m2ts") else None) as file:
        codec = {"3gp": "mpeg4", "mpg": "mpeg1video"}.get(kind, "libx264")
        stream = file.add_stream(codec, 25)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for n, time in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(picture, n, 1)))
            frame.pts, frame.time_base = time, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return [time / 25 for time in shown]


@pytest.mark.parametrize("kind", ["mp4", "mts", "m2ts", "ts", "3gp", "mpg"])
def test_clips_of_all_kinds(tmp_path: Path, kind: str) -> None:
    times = write_clip(tmp_path / f"clip.{kind}", np.zeros((256, 256, 3), np.uint8))
    assert is_clip(f"CLIP.{kind.upper()}")
    found = [frame.seconds for frame in video.frames(tmp_path / f"clip.{kind}")]
    assert found == pytest.approx(times, abs=1e-6)


@pytest.mark.slow
def test_prepare_annotate_and_back(tmp_path: Path, astronaut: np.ndarray) -> None:
    """A clip of variable rate, prepared and annotated, labels itself."""
    clip = tmp_path / "raw" / "clip.mts"
    write_clip(clip, astronaut[:256, 96:352])

    def ganim(*words: object) -> str:
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    ganim("prepare", "--src", clip.parent, "--out", tmp_path / "s", "--every", "0.1")
    ganim("annotate", clip, "--annotator", "estimator", "--out", tmp_path / "csv" / "clip.csv")
    said = ganim("annotate", tmp_path / "s", "--annotator", "labels", "--labels", tmp_path / "csv")
    rows = [
        row
        for path in shards.shard_paths(tmp_path / "s")
        for row in shards.read_shard(path).to_pylist()
    ]
    assert [row["frame"] for row in rows] == [1, 4, 6, 8]
    assert "4 faces have AUs, 0 have a reason" in said
