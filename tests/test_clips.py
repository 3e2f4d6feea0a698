"""The frames of clips: real video files, turned, mirrored, cut off, damaged, or of sound alone."""

import io
import math
import struct
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ganim.pipeline.images import video
from ganim.pipeline.images.decode import UnreadableImage

ONE = 1 << 16
WIDTH, HEIGHT = 160, 96


def clip(times: Sequence[float], kind: str = "mp4", codec: str = "mpeg4") -> bytes:
    """A clip whose frames are shown at `times` (s), white in the upper left quarter, else grey,
    the darker the later."""
    with tempfile.NamedTemporaryFile(suffix=f".{kind}") as file:
        write_clip(file.name, times, codec)
        return Path(file.name).read_bytes()


def write_clip(path: str, times: Sequence[float], codec: str) -> None:
    options = {"movflags": "faststart"} if path.endswith(".mp4") else {}
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, 1000)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time in enumerate(times):
            picture = np.full((HEIGHT, WIDTH, 3), 100 - 100 * index // len(times), np.uint8)
            picture[: HEIGHT // 2, : WIDTH // 2] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def seconds(content: bytes, every: float) -> list[float]:
    return [frame.seconds for frame in video.frames(io.BytesIO(content), every)]


def steady(count: int, rate: float) -> list[float]:
    return [index / rate for index in range(count)]


# ---- which frames


def test_without_an_interval_all_frames_come() -> None:
    frames = list(video.frames(io.BytesIO(clip(steady(20, 10)))))
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.seconds for frame in frames] == steady(20, 10)
    assert all(frame.pixels.shape == (HEIGHT, WIDTH, 3) for frame in frames)


@pytest.mark.parametrize("every", [0.1, 0.3, 0.5, 1.0])
def test_nothing_drifts(every: float) -> None:
    """At 30 frames a second no frame stands on a multiple of 0.1 s but every third."""
    shown = seconds(clip(steady(200, 29.97)), every)
    assert len(shown) == int(200 / 29.97 / every - 1e-9) + 1
    assert all(-1e-6 < time - index * every < 0.04 for index, time in enumerate(shown))


def test_a_variable_frame_rate_gives_the_first_frame_of_each_interval() -> None:
    times = [0.0, 0.1, 0.9, 1.4, 1.5, 4.2, 4.3, 5.0, 5.1, 5.9]
    assert seconds(clip(times), 1.0) == [0.0, 1.4, 4.2, 5.0]


def test_time_begins_with_the_first_frame() -> None:
    assert seconds(clip([7.5, 8.0, 8.5, 9.0], "mkv"), 1.0) == [0.0, 1.0]


# ---- upright

MATRICES = {  # of the display matrix, and the corner to which it takes the upper left quarter
    "as it is": ((ONE, 0, 0, ONE), (0, 0)),
    "a quarter clockwise": ((0, ONE, -ONE, 0), (0, -1)),
    "half": ((-ONE, 0, 0, -ONE), (-1, -1)),
    "a quarter anticlockwise": ((0, -ONE, ONE, 0), (-1, 0)),
    "mirrored": ((-ONE, 0, 0, ONE), (0, -1)),
    "mirrored, upside down": ((ONE, 0, 0, -ONE), (-1, 0)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_frames_are_turned_as_players_turn_them(name: str) -> None:
    (a, b, c, d), corner = MATRICES[name]
    content = bytearray(clip(steady(2, 10)))
    # The matrix stands in the track's header; phones write it so.
    at = content.index(b"tkhd") + 44
    assert struct.unpack(">9i", content[at : at + 36]) == (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    frame = next(video.frames(io.BytesIO(bytes(content))))
    turned = a == 0
    assert frame.pixels.shape == ((WIDTH, HEIGHT, 3) if turned else (HEIGHT, WIDTH, 3))
    white = {(y, x) for y in (0, -1) for x in (0, -1) if frame.pixels[y, x, 0] > 200}
    assert white == {corner}


# ---- what cannot be read


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_of_a_clip_that_was_cut_off_the_frames_before_are_kept(kind: str, share: float) -> None:
    whole = clip(steady(100, 10), kind)
    shown = []
    with pytest.raises(UnreadableImage, match=r"cut off at \d\.\d\d of (9\.9|10\.0)|from \d\.\d"):
        for frame in video.frames(io.BytesIO(whole[: int(len(whole) * share)]), 1.0):
            shown.append(frame.seconds)
    assert shown == [float(n) for n in range(len(shown))] and 2 <= len(shown) < 10


def test_of_a_damaged_clip_the_frames_before_are_kept() -> None:
    damaged = bytearray(clip(steady(100, 10), codec="libx264"))
    middle = damaged.index(b"mdat") + 4 + (len(damaged) - damaged.index(b"mdat")) // 2
    damaged[middle : middle + 300] = bytes(300)
    shown = []
    with pytest.raises(UnreadableImage):
        for frame in video.frames(io.BytesIO(bytes(damaged)), 1.0):
            shown.append(frame.seconds)
    assert shown[:3] == [0.0, 1.0, 2.0] and len(shown) < 8


def test_sound_alone_is_no_clip() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", 8000)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(UnreadableImage, match="sound, but no pictures"):
        next(video.frames(io.BytesIO(file.getvalue())))


@pytest.mark.parametrize("content", [b"", b"no clip", bytes(5000), b"\0\0\0\x20ftypisom" * 9])
def test_what_is_no_clip_says_so(content: bytes) -> None:
    with pytest.raises(UnreadableImage, match="not a clip that can be read"):
        next(video.frames(io.BytesIO(content)))


def test_a_playlist_that_calls_itself_a_clip_opens_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(clip(steady(5, 10)))
    for name, text in {
        "list.mp4": f"ffconcat version 1.0\nfile {tmp_path}/secret.mp4\n",
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/secret.mp4\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UnreadableImage):
            next(video.frames(tmp_path / name))


# ---- real clips


def test_every_clip_beside_the_repository_is_whole() -> None:
    folder = Path(__file__).parents[2] / "shared" / "videos"
    if not folder.is_dir():
        pytest.skip(f"needs the clips in {folder}")
    paths = sorted(folder.iterdir())
    assert paths
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.duration and stream.time_base
            length = float(stream.duration * stream.time_base)
        shown = seconds(path.read_bytes(), 1.0)
        assert [int(time) for time in shown] == list(range(math.ceil(length - 0.05))), path.name
