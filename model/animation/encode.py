"""Write the pictures of an animation as a clip or an animated picture, with PyAV."""

import itertools
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.filter
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from ...pipeline.execution.ahead import ahead
from .sound import Sound
from .timing import Timing

_CENTISECOND, _MILLISECOND = Fraction(1, 100), Fraction(1, 1000)
_BT709 = 1
"""The number of ITU-T BT.709 in the lists of colour spaces, primaries and transfer functions of
ITU-T H.273."""


@dataclass(frozen=True)
class _Format:
    """How a kind of file is written."""

    name: str
    """FFmpeg's name of the container."""
    codec: str
    pixels: str
    """FFmpeg's name of the pixel format."""
    options: dict[str, str]
    """Of the codec."""
    time_base: Fraction | None = None
    """The unit of time of the container; None for any."""
    copied_sound: tuple[str, ...] = ()
    """The codecs of sound that it takes as they are."""
    sound: str | None = None
    """The codec of other sound; None if it holds none."""
    repeats: Callable[[Timing, int], dict[str, str]] | None = None
    """The container's options for a number of plays; None if it cannot repeat by itself."""
    container: dict[str, str] = field(default_factory=dict)


def _gif(timing: Timing, plays: int) -> dict[str, str]:
    # GIF counts repetitions: 0 is for ever, and -1 writes no count, which plays once.
    last = max(round((timing.end - timing.times[-1]) / _CENTISECOND), 1)
    return {"loop": str(plays - 1 if plays > 1 else -plays), "final_delay": str(last)}


def _apng(timing: Timing, plays: int) -> dict[str, str]:
    last = (timing.end - timing.times[-1]).limit_denominator(1000)
    return {"plays": str(plays), "final_delay": f"{last.numerator}/{last.denominator}"}


_FORMATS = {
    ".gif": _Format("gif", "gif", "pal8", {}, _CENTISECOND, repeats=_gif),
    ".apng": _Format("apng", "apng", "rgb24", {"pred": "up"}, repeats=_apng),
    ".webp": _Format(
        "webp",
        "libwebp_anim",
        "yuv420p",
        {"quality": "90", "compression_level": "2"},
        _MILLISECOND,
        repeats=lambda timing, plays: {"loop": str(plays)},
    ),
    ".mp4": _Format(
        "mp4",
        "libx264",
        "yuv420p",
        {"crf": "17", "preset": "veryfast"},
        copied_sound=("aac", "mp3", "ac3"),
        sound="aac",
        container={"movflags": "faststart"},
    ),
    ".webm": _Format(
        "webm",
        "libvpx-vp9",
        "yuv420p",
        {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
        _MILLISECOND,
        copied_sound=("opus", "vorbis"),
        sound="libopus",
    ),
}
ENDINGS = tuple(_FORMATS)
"""The endings, in lower case, of files that `write` writes."""


def repeats(ending: str) -> bool:
    """Whether a file with one of ENDINGS can repeat the animation by itself, as a GIF does."""
    return _FORMATS[ending].repeats is not None


def holds_sound(ending: str) -> bool:
    """Whether a file with one of ENDINGS can have sound."""
    return _FORMATS[ending].sound is not None


def write(
    path: Path,
    ending: str,
    pictures: Iterable[np.ndarray],
    timing: Timing,
    plays: int = 0,
    sound: Path | None = None,
    comment: str = "",
) -> str | None:
    """Write pictures as one file.

    Args:
        path: the file, whatever it is called.
        ending: one of ENDINGS, which says how it is written.
        pictures: (h, w, 3) uint8 RGB, all of one size, as many as `timing` has times. They are
            computed in a thread.
        timing: when each is shown.
        plays: how often a file that repeats by itself is shown; 0 is without end.
        sound: a clip whose sound goes with the pictures, if the file can have sound.
        comment: what clips say about themselves.

    Returns why the sound is not whole, or None. Raises OSError if the file cannot be written.
    """
    kind = _FORMATS[ending]
    options = kind.container | (kind.repeats(timing, plays) if kind.repeats else {})
    computed = ahead(pictures)
    with (
        closing(computed),
        av.open(str(path), "w", format=kind.name, container_options=options) as output,
        ExitStack() as opened,
    ):
        output.metadata["comment"] = comment
        first = next(computed)
        stream = _add_pictures(output, kind, timing, *first.shape[1::-1])
        track = None
        if sound is not None and kind.sound is not None:
            track = Sound(sound, output, kind.copied_sound, kind.sound)
            opened.callback(track.close)
        base = stream.codec_context.time_base
        starts = [round(time / base) for time in timing.times]
        starts.append(max(round(timing.end / base), starts[-1] + 1))
        durations = {start: end - start for start, end in pairwise(starts) if end > start}
        # Of pictures that start in one unit of the file's time, the last one is shown.
        are_shown = [end > start for start, end in pairwise(starts)]
        shown = itertools.compress(itertools.chain([first], computed), are_shown)
        frames = _frames(shown, durations, base)
        for frame in itertools.chain(
            _in_one_palette(frames) if ending == ".gif" else frames, [None]
        ):
            if track is not None:
                track.write_until(timing.end if frame is None else (frame.pts or 0) * base)
            if frame is not None and kind.pixels == "yuv420p":
                frame = _to_yuv(frame, stream.width, stream.height, ending)
            for packet in stream.encode(frame):
                packet.duration = durations.get(packet.pts or 0, 1)
                output.mux(packet)
    if ending == ".webp":
        _set_last_duration(path, durations[starts[-2]])
    return None if track is None else track.problem


def _add_pictures(
    output: OutputContainer, kind: _Format, timing: Timing, width: int, height: int
) -> VideoStream:
    stream = output.add_stream(kind.codec, timing.rate, options=kind.options)
    assert isinstance(stream, VideoStream)
    even = kind.sound is not None  # players refuse clips of odd sides
    stream.width, stream.height = (side + (side % 2 if even else 0) for side in (width, height))
    stream.pix_fmt = kind.pixels
    context = stream.codec_context
    context.time_base = kind.time_base or timing.time_base
    if kind.sound is not None:
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
    return stream


def _frames(
    pictures: Iterable[np.ndarray], durations: Mapping[int, int], base: Fraction
) -> Iterator[av.VideoFrame]:
    """Pictures as frames. durations: by start, in units of `base`."""
    for picture, (start, duration) in zip(pictures, durations.items(), strict=True):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.duration, frame.time_base = start, duration, base
        yield frame


def _to_yuv(frame: av.VideoFrame, width: int, height: int, ending: str) -> av.VideoFrame:
    """A frame in YUV. Its last column and row are repeated up to width and height."""
    right, below = width - frame.width, height - frame.height
    if right or below:
        larger = np.pad(frame.to_ndarray(), ((0, below), (0, right), (0, 0)), mode="edge")
        durations = {frame.pts or 0: frame.duration}
        [frame] = _frames([larger], durations, frame.time_base or _MILLISECOND)
    space = Colorspace.ITU601 if ending == ".webp" else Colorspace.ITU709
    return frame.reformat(format="yuv420p", dst_colorspace=space, dst_color_range=ColorRange.MPEG)


def _in_one_palette(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Frames in the 256 colours that suit them all.

    Colours between are dithered in a pattern that depends on the place alone, so that pixels that
    do not change stay as they are.
    """
    first = next(frames)
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=first.width, height=first.height, format=first.format, time_base=first.time_base
    )
    split, sink = graph.add("split"), graph.add("buffersink")
    # Every second pixel of every second row: enough colours, in a quarter of the time.
    few = graph.add("scale", "ceil(iw/2):ceil(ih/2):flags=neighbor")
    find = graph.add("palettegen", "stats_mode=diff:reserve_transparent=1")
    use = graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle")
    source.link_to(split)
    split.link_to(few, 0, 0)
    few.link_to(find)
    split.link_to(use, 1, 0)
    find.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for frame in itertools.chain([first], frames, [None]):
        source.push(frame)
        # The colours of a frame are counted when one is asked for. So ask after each: the thread
        # that computes the pictures goes on meanwhile.
        yield from _reduced(graph)


def _reduced(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    """The frames that have left the graph: none before the last one has entered it."""
    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pict_type = PictureType.NONE
        yield frame


def _set_last_duration(path: Path, milliseconds: int) -> None:
    """Write how long the last picture of a WebP is shown, which FFmpeg sets to a mean."""
    with path.open("r+b") as file:
        file.seek(12)
        place = None
        while header := file.read(8):
            kind, size = struct.unpack("<4sI", header)
            if kind == b"ANMF":
                place = file.tell() + 12
            file.seek(size + size % 2, os.SEEK_CUR)
        if place is not None:
            file.seek(place)
            file.write(milliseconds.to_bytes(3, "little"))
