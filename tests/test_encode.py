"""Animations in files: pictures, times, repetitions, sound and labels, as others read them."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ganim.model.animation import encode
from ganim.model.animation.motion import Animation
from ganim.model.animation.save import save
from ganim.model.animation.timing import Timing
from ganim.pipeline.images.embed_xmp import embed_xmp
from ganim.pipeline.images.metadata import labelled_xmp

WIDTH, HEIGHT = 121, 75
PICTURE_FILES = [".gif", ".apng", ".webp"]
CLIPS = [".mp4", ".webm"]
VARYING = Timing((Fraction(0), Fraction(1, 12), Fraction(1, 6), Fraction(1, 2)), Fraction(5, 4))


def pictures(count: int) -> list[np.ndarray]:
    """A colourful picture of odd sides, in which a square in the middle brightens."""
    down, across = np.indices((HEIGHT, WIDTH))
    still = np.stack([across * 2, down * 3, (across * 7 + down * 5) % 256], 2).astype(np.uint8)
    result = []
    for index in range(count):
        picture = still.copy()
        picture[30:50, 40:70] = 20 + 200 * index // count
        result.append(picture)
    return result


def read_picture_file(path: Path) -> tuple[list[np.ndarray], list[float], int | None]:
    """Pictures, how long each is shown in seconds, and how often they are repeated."""
    shown, durations = [], []
    with Image.open(path) as image:
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            image.load()
            durations.append(image.info["duration"] / 1000)
            shown.append(np.asarray(image.convert("RGB")))
        return shown, durations, image.info.get("loop")


def read_clip(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.time for frame in frames]


@pytest.mark.parametrize("ending", PICTURE_FILES)
def test_animated_pictures_keep_times_and_still_pixels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "out"
    encode.write(path, ending, pictures(4), VARYING)
    shown, durations, _ = read_picture_file(path)
    assert np.allclose(durations, [1 / 12, 1 / 12, 1 / 3, 3 / 4], atol=0.0075)
    assert sum(durations) == pytest.approx(1.25, abs=0.002)
    for picture in shown:
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert np.array_equal(picture[:24], shown[0][:24]), "what is still stays still"
        assert np.array_equal(picture[56:], shown[0][56:])
    squares = [picture[32:48, 44:66].mean() for picture in shown]
    assert np.allclose(squares, [20, 70, 120, 170], atol=6)


@pytest.mark.parametrize(
    ("ending", "rate", "count"),
    [(".gif", 120, 60), (".gif", 240, 60), (".gif", 240, 1), (".webp", 2000, 60)],
)
def test_more_pictures_than_a_format_can_time_are_thinned_out(
    tmp_path: Path, ending: str, rate: int, count: int
) -> None:
    encode.write(tmp_path / "out", ending, pictures(count), Timing.steady(count, Fraction(rate)))
    shown, durations, _ = read_picture_file(tmp_path / "out")
    unit = 0.01 if ending == ".gif" else 0.001
    assert min(durations) == pytest.approx(unit)
    assert sum(durations) == pytest.approx(max(count / rate, unit), abs=1.01 * unit)
    lasts = [picture[32:48, 44:66].mean() for picture in (shown[-1], pictures(count)[-1])]
    assert lasts[0] == pytest.approx(lasts[1], abs=3)


def test_an_apng_is_exact(tmp_path: Path) -> None:
    encode.write(tmp_path / "out", ".apng", pictures(4), Timing.steady(4, Fraction(25)))
    shown, _, _ = read_picture_file(tmp_path / "out")
    assert all(np.array_equal(a, b) for a, b in zip(shown, pictures(4), strict=True))


@pytest.mark.parametrize("ending", PICTURE_FILES)
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_plays_are_counted_as_each_format_does(tmp_path: Path, ending: str, plays: int) -> None:
    encode.write(tmp_path / "out", ending, pictures(3), Timing.steady(3, Fraction(10)), plays)
    loop = read_picture_file(tmp_path / "out")[2]
    if ending == ".gif":  # which says how often it is repeated, and nothing if it is not
        assert loop == {0: 0, 1: None, 3: 2}[plays]
    else:
        assert loop == plays


def test_a_gif_has_one_palette(tmp_path: Path) -> None:
    encode.write(tmp_path / "out.gif", ".gif", pictures(5), Timing.steady(5, Fraction(10)))
    content = (tmp_path / "out.gif").read_bytes()
    at, local = 13 + 3 * 2 ** ((content[10] & 7) + 1), []
    while content[at] != 0x3B:
        if content[at] == 0x2C:
            local.append(content[at + 9] & 0x80)
            at += 11
        else:
            at += 2
        while content[at]:
            at += content[at] + 1
        at += 1
    assert content[10] & 0x80, "a palette for all"
    assert local == [0] * 5, "and none for one"


@pytest.mark.parametrize("ending", CLIPS)
@pytest.mark.parametrize("rate", ["25", "24000/1001", "12.5"])
def test_clips_have_the_exact_rate(tmp_path: Path, ending: str, rate: str) -> None:
    timing = Timing.steady(12, Fraction(rate))
    encode.write(tmp_path / "out", ending, pictures(12), timing)
    shown, times = read_clip(tmp_path / "out")
    assert len(shown) == 12
    assert np.allclose(times, timing.seconds, atol=0.0006 if ending == ".webm" else 1e-6)
    assert shown[0].shape == (HEIGHT + 1, WIDTH + 1, 3), "players need even sides"
    for picture, original in zip(shown, pictures(12), strict=True):
        assert np.abs(picture[:HEIGHT, :WIDTH].astype(int) - original)[30:50, 40:70].mean() < 6
    with av.open(str(tmp_path / "out")) as container:
        assert container.duration == pytest.approx(float(timing.end) * 1e6, abs=1500)
        if ending == ".mp4":
            assert container.streams.video[0].average_rate == Fraction(rate)


@pytest.mark.parametrize("ending", CLIPS)
def test_clips_of_a_varying_rate_keep_their_times(tmp_path: Path, ending: str) -> None:
    encode.write(tmp_path / "out", ending, pictures(4), VARYING)
    assert np.allclose(read_clip(tmp_path / "out")[1], VARYING.seconds, atol=0.0006)


def test_colours_are_those_of_players(tmp_path: Path) -> None:
    """A clip says by which standard its colours are coded, and they are coded so."""
    grey = np.full((64, 64, 3), (200, 30, 60), np.uint8)
    encode.write(tmp_path / "out", ".mp4", [grey] * 3, Timing.steady(3, Fraction(25)))
    with av.open(str(tmp_path / "out")) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == 1 and frame.color_range == 1, "BT.709, limited"
        rgb = frame.to_ndarray(format="rgb24", src_colorspace="ITU709", dst_color_range="JPEG")
    assert np.abs(rgb[20:40, 20:40].astype(int) - (200, 30, 60)).max() <= 3


# ---- sound


def write_spoken(path: Path, codec: str, sound_from: float, pictures_from: float) -> None:
    """A clip of 2 s, black with a white picture at 1 s, when there is a click, too."""
    rate = 48_000
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", 25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(codec, rate, layout="mono")
        for index in range(50):
            picture = np.full((64, 64, 3), 255 if index == 25 else 0, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index + round(pictures_from * 25), Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = np.zeros(rate * 2, np.float32)
        samples[rate : rate + 480] = 0.9
        for start in range(round(sound_from * rate), len(samples), 960):
            some = np.ascontiguousarray(samples[None, start : start + 960])
            sound = av.AudioFrame.from_ndarray(some, format="fltp", layout="mono")
            sound.sample_rate, sound.time_base = rate, Fraction(1, rate)
            sound.pts = start + round(pictures_from * rate)
            container.mux(audio.encode(sound))
        container.mux(audio.encode())


def click(path: Path) -> float:
    """The time of the loudest sample, in seconds from the first picture."""
    with av.open(str(path)) as container:
        start = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        loud = []
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(np.float64)).max(0)
            loud.append((samples.max(), frame.time + samples.argmax() / frame.sample_rate))
    assert start is not None
    return max(loud)[1] - start


@pytest.mark.parametrize("ending", CLIPS)
@pytest.mark.parametrize(
    ("codec", "kind"), [("aac", "mp4"), ("libopus", "mkv"), ("pcm_s16le", "mov")]
)
@pytest.mark.parametrize("sound_from", [0.0, 0.5])
@pytest.mark.parametrize("pictures_from", [0.0, 0.4])
def test_sound_is_in_step(
    tmp_path: Path, ending: str, codec: str, kind: str, sound_from: float, pictures_from: float
) -> None:
    source = tmp_path / f"spoken.{kind}"
    write_spoken(source, codec, sound_from, pictures_from)
    timing = Timing.steady(50, Fraction(25))
    assert encode.write(tmp_path / "out", ending, pictures(50), timing, sound=source) is None
    assert click(tmp_path / "out") == pytest.approx(1.0, abs=0.03)


def test_a_source_without_sound_gives_none(tmp_path: Path) -> None:
    timing = Timing.steady(5, Fraction(25))
    encode.write(tmp_path / "silent.mp4", ".mp4", pictures(5), timing)
    encode.write(tmp_path / "out", ".mp4", pictures(5), timing, sound=tmp_path / "silent.mp4")
    with av.open(str(tmp_path / "out")) as container:
        assert not container.streams.audio


# ---- labels


@pytest.mark.parametrize("ending", [*PICTURE_FILES, ".mp4"])
def test_a_label_is_found_and_leaves_the_pictures(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    encode.write(path, ending, pictures(3), Timing.steady(3, Fraction(10)))
    read = read_clip if ending == ".mp4" else read_picture_file
    before = read(path)
    embed_xmp(path, ending, labelled_xmp(None, "1.0", "AU12 0.10 to 1.00"))
    after = read(path)
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]
    assert b"compositeWithTrainedAlgorithmicMedia" in path.read_bytes()
    if ending in (".apng", ".webp"):  # Pillow does not look for it in a GIF
        with Image.open(path) as image:
            found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        assert "compositeWithTrainedAlgorithmicMedia" in str(found)


def test_two_that_save_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    folder, timing = tmp_path / "pictures", Timing.steady(2, Fraction(10))

    def saving_meanwhile() -> Iterator[np.ndarray]:
        save(folder, Animation(iter(pictures(2)), timing))
        yield from pictures(2)

    save(folder, Animation(saving_meanwhile(), timing))
    (tmp_path / "usual").mkdir()
    assert sorted(path.name for path in folder.iterdir()) == ["frame-0001.png", "frame-0002.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "usual"}
    assert folder.stat().st_mode == (tmp_path / "usual").stat().st_mode
