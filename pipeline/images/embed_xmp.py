"""Put an XMP packet into a file that was written without: clips and animated pictures. Chunks of
PNG files.

By the XMP specification, part 3 (ISO 16684), and Google's of the WebP container.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

_MP4_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])
_WEBP_FLAG = 4


def embed_xmp(path: Path, ending: str, packet: bytes) -> None:
    """Put an XMP packet into a file.

    ending: .mp4, .gif, .apng or .webp, the latter with the extended header of animations.
    """
    if ending == ".mp4":  # whose boxes come in any order
        with path.open("ab") as file:
            file.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + _MP4_BOX + packet)
        return
    path.write_bytes(_INTO[ending](path.read_bytes(), packet))


def _into_gif(content: bytes, packet: bytes) -> bytes:
    # The trailer makes the packet, which is no chain of blocks, end as one.
    extension = b"\x21\xff\x0bXMP DataXMP" + packet + _GIF_TRAILER
    colours = 2 << (content[10] & 7) if content[10] & 0x80 else 0
    header = 13 + 3 * colours
    return content[:header] + extension + content[header:]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file, of a kind of four letters."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def xmp_chunk(packet: bytes) -> bytes:
    """The chunk of a PNG file that holds an XMP packet."""
    return png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)


def with_chunks(content: bytes, chunks: bytes) -> bytes:
    """A PNG file with further chunks, which stand before those that it has."""
    header = 8 + 25  # the signature, and the chunk IHDR
    return content[:header] + chunks + content[header:]


def _into_webp(content: bytes, packet: bytes) -> bytes:
    chunk = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    flags = content[20] | _WEBP_FLAG
    body = content[8:20] + bytes([flags]) + content[21:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


_INTO: dict[str, Callable[[bytes, bytes], bytes]] = {
    ".gif": _into_gif,
    ".apng": lambda content, packet: with_chunks(content, xmp_chunk(packet)),
    ".webp": _into_webp,
}
