"""The sound of a clip, in step with its pictures, in another clip."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from ...pipeline.images.video import open_clip


class Sound:
    """Writes the first sound track of a clip into an output container.

    The track is copied if the container takes its codec, and otherwise encoded anew. Its time is
    counted from the clip's first picture.

    Args:
        source: the clip. Without a sound track nothing is written.
        output: where the pictures are written, too.
        copied: the codecs that the container takes.
        codec: what other tracks are encoded to.
    """

    def __init__(
        self, source: Path, output: OutputContainer, copied: tuple[str, ...], codec: str
    ) -> None:
        self.problem: str | None = None
        """Why the sound was not read to its end; None if it was."""
        self._output = output
        self._input = open_clip(source)
        self._next: Packet | None = None
        tracks = self._input.streams.audio
        if not tracks:
            return
        self._offset = _first_picture(source)
        self._packets = self._read(tracks[0], copied, codec)
        self._next = next(self._packets, None)

    def write_until(self, end: Fraction) -> None:
        """Write what begins before `end`, in seconds, and was not written yet."""
        while self._next is not None and _start(self._next) < end:
            self._output.mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the clip."""
        self._input.close()

    def _read(self, track: AudioStream, copied: tuple[str, ...], codec: str) -> Iterator[Packet]:
        try:
            if track.codec_context.name in copied:
                yield from self._copied(track)
            else:
                yield from self._encoded(track, codec)
        except av.error.FFmpegError as error:
            self.problem = error.strerror or str(error)

    def _copied(self, track: AudioStream) -> Iterator[Packet]:
        target = self._output.add_stream_from_template(track)
        for packet in self._input.demux(track):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue  # the last, which is empty
            shift = round(self._offset / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = target
            yield packet

    def _encoded(self, track: AudioStream, codec: str) -> Iterator[Packet]:
        rate = 48_000 if codec == "libopus" else track.codec_context.sample_rate
        target = self._output.add_stream(codec, rate, layout="stereo")
        assert isinstance(target, AudioStream)
        for frame in self._input.decode(track):
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._offset / frame.time_base)
            yield from target.encode(frame)
        yield from target.encode(None)


def _start(packet: Packet) -> Fraction:
    return (packet.pts or 0) * (packet.time_base or Fraction(0))


def _first_picture(source: Path) -> Fraction:
    """The time of a clip's first picture on the clip's own clock, in seconds."""
    with open_clip(source) as container:
        frame = next(container.decode(video=0))
        return (frame.pts or 0) * (frame.time_base or Fraction(0))
