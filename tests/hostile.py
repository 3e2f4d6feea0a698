"""Make a folder of broken, lying, enormous and odd files: what people's folders really hold.

python tests/hostile.py FOLDER

All are made from the two portraits in examples/ by a fixed seed. `make` returns what is there, so
that a test can ask for each of them what became of it.
"""

import io
import itertools
import os
import socket
import struct
import sys
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, features

EXAMPLES = Path(__file__).parents[1] / "examples"
FORMATS = ("jpg", "png", "webp", "bmp", "tif", "gif", "ppm", "avif")
HUGE = 60_000
"""Side that bombs claim, in pixels."""
NO_PICTURES = ("notes.txt", "no suffix", "picture.jpg.part", "picture.svg")
"""Names, below lying/, that are not those of pictures."""
LYING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture comes to lie as each EXIF orientation says."""


@dataclass
class Folder:
    """What `make` made."""

    path: Path
    entries: set[bytes] = field(default_factory=set)
    """Names, below `path`, of everything that is no folder."""
    good: set[bytes] = field(default_factory=set)
    """Those in which a face is to be found."""
    bombs: set[bytes] = field(default_factory=set)
    """Those that are to be refused before they are decoded."""

    def add(self, name: str | bytes, content: bytes, good: bool = False) -> None:
        name = os.fsencode(name)
        path = os.path.join(os.fsencode(self.path), name)  # noqa: PTH118, a name is bytes here
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "xb") as file:  # noqa: PTH123
            file.write(content)
        self.entries.add(name)
        if good:
            self.good.add(name)

    def add_bomb(self, name: str, content: bytes) -> None:
        assert len(content) < 20_000_000, "a bomb is small as a file"
        self.add(name, content)
        self.bombs.add(name.encode())


def make(path: Path, seed: int = 0) -> Folder:
    """Fill `path`, which must not exist, with more than 200 files."""
    path.mkdir(parents=True)
    folder = Folder(path)
    rng = np.random.default_rng(seed)
    with (
        Image.open(EXAMPLES / "astronaut.png") as first,
        Image.open(EXAMPLES / "grace_hopper.jpg") as second,
    ):
        portraits = [first.convert("RGB").resize((256, 256)), second.convert("RGB")]
    portraits[1].thumbnail((320, 320))
    files = {suffix: encode(portraits[0], suffix) for suffix in FORMATS if _can_write(suffix)}
    _good(folder, portraits, files)
    _damaged(folder, files, rng)
    _lying(folder, files)
    _odd_shapes(folder, portraits[0])
    _bombs(folder)
    _stuffed(folder, files)
    _special(folder, files["jpg"])
    return folder


def encode(picture: Image.Image, suffix: str, **options: object) -> bytes:
    """The picture as the bytes of a file with that suffix."""
    buffer = io.BytesIO()
    picture.save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    return buffer.getvalue()


_serial = itertools.count()


def signed(jpeg: bytes) -> bytes:
    """The same picture in a file with other bytes: prepare reads identical files only once."""
    comment = b"ganim %d" % next(_serial)
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + jpeg[2:]


def _can_write(suffix: str) -> bool:
    return suffix != "avif" or features.check("avif")


def _good(folder: Folder, portraits: list[Image.Image], files: dict[str, bytes]) -> None:
    """Pictures that are odd, but pictures: a face must be found in each."""
    for suffix, content in files.items():
        folder.add(f"good/plain.{suffix}", content, good=True)
    one, two = portraits
    for number, suffix in enumerate(files, 1):
        loud = encode(one.crop((0, 0, 256 - number, 256)), suffix)
        folder.add(f"good/loud.{suffix.upper()}", loud, good=True)
    folder.add("good/png named.jpg", encode(one.crop((0, 0, 240, 256)), "png"), good=True)
    folder.add("good/jpg named.png", signed(files["jpg"]), good=True)
    names = [
        "two  spaces.jpg",
        "line\nbreak.jpg",
        "tab\t.jpg",
        "quote'\".jpg",
        "perc%20ent.jpg",
        "-dash.jpg",
        "*star?.jpg",
        "back\\slash.jpg",
        "Zoë 顔写真 🙂.jpg",
        "e\u0301.jpg",
        "\u202eright-to-left.jpg",
        "\u200b.jpg",
        "many.dots.in.a.name.jpg",
        "x" * 251 + ".jpg",
        "/".join(["deep"] * 30) + "/a.jpg",
    ]
    for name in names:
        folder.add(f"good/{name}", signed(files["jpg"]), good=True)
    folder.add(b"good/latin-\xe9\xff.jpg", signed(files["jpg"]), good=True)
    folder.add("good/second.jpg", encode(two, "jpg"), good=True)
    folder.add("good/progressive.jpg", encode(one, "jpg", progressive=True), good=True)
    folder.add("good/cmyk.jpg", encode(one.convert("CMYK"), "jpg", quality=95), good=True)
    folder.add("good/cmyk.tif", encode(one.convert("CMYK"), "tif"), good=True)
    folder.add("good/grey.png", encode(one.convert("L"), "png"), good=True)
    folder.add("good/palette.gif", encode(one.quantize(64), "gif"), good=True)
    folder.add("good/palette.png", encode(one.quantize(200), "png"), good=True)
    folder.add("good/alpha.png", encode(one.convert("RGBA"), "png"), good=True)
    folder.add("good/alpha.webp", encode(one.convert("RGBA"), "webp"), good=True)
    deep = np.asarray(one.convert("L")).astype(np.uint16) * 257
    for suffix in ("png", "tif"):
        folder.add(f"good/16bit.{suffix}", encode(Image.fromarray(deep), suffix), good=True)
    for compression in ("tiff_lzw", "packbits", "tiff_deflate", "jpeg"):
        content = encode(one, "tif", compression=compression)
        folder.add(f"good/{compression}.tif", content, good=True)
    for suffix in ("gif", "webp", "png", "tif"):
        several = encode(one, suffix, save_all=True, append_images=[two.resize((256, 256))])
        folder.add(f"good/several-frames.{suffix}", several, good=True)
    for orientation in range(9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = one.transpose(LYING[orientation]) if orientation in LYING else one
        folder.add(f"good/turned-{orientation}.jpg", encode(lying, "jpg", exif=exif), good=True)
    interlaced = interlaced_png(np.asarray(one.convert("L").crop((60, 0, 220, 160))))
    folder.add("good/interlaced.png", interlaced)
    big = one.resize((2560, 2560), Image.Resampling.BICUBIC)
    folder.add("good/large.jpg", encode(big, "jpg"), good=True)


def interlaced_png(grey: np.ndarray) -> bytes:
    """An Adam7 PNG, which Pillow reads but does not write."""
    height, width = grey.shape
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    passes.append((0, 1, 1, 2))
    rows = [b"\0" + row.tobytes() for x, y, dx, dy in passes for row in grey[y::dy, x::dx]]
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return png(header, (b"IDAT", zlib.compress(b"".join(rows))))


def _damaged(folder: Folder, files: dict[str, bytes], rng: np.random.Generator) -> None:
    """Cut short, with bits flipped, with noise in the header, with a hole, doubled."""
    for suffix, content in files.items():
        for kept in (0.01, 0.1, 0.5, 0.9, 0.999):
            cut = content[: int(len(content) * kept)]
            folder.add(f"damaged/cut-{kept:g}.{suffix}", cut)
        for number in range(6):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), 1 + 4**number // 4):
                damaged[place] ^= 1 << rng.integers(8)
            folder.add(f"damaged/flipped-{number}.{suffix}", bytes(damaged))
        for number in range(6):
            damaged = bytearray(content)
            for place in rng.integers(0, 64, 1 + number):
                damaged[place] = rng.integers(256)
            folder.add(f"damaged/header-{number}.{suffix}", bytes(damaged))
        third = len(content) // 3
        folder.add(f"damaged/hole.{suffix}", content[:third] + content[2 * third :])
        folder.add(f"damaged/zeros.{suffix}", content[:third] + bytes(third) + content[2 * third :])
        folder.add(f"damaged/doubled.{suffix}", content + content)


def _lying(folder: Folder, files: dict[str, bytes]) -> None:
    """Files that are not what their name says."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("a.jpg", files["jpg"])
    contents = {
        "empty.jpg": b"",
        "one-byte.jpg": b"\xff",
        "text.jpg": b"I am a text.\n" * 100,
        "page.png": b"<!doctype html><title>404 Not Found</title>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "archive.png": archive.getvalue(),
        "document.jpg": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\n%%EOF",
        "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage",
        "program.png": b"\x7fELF\x02\x01\x01" + bytes(200),
        "zeros.jpg": bytes(100_000),
        "pickle.jpg": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07os.exit\x94.",
        "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "clip.jpg": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(500),
        "only-signature.png": b"\x89PNG\r\n\x1a\n",
        "only-signature.gif": b"GIF89a",
        "only-signature.jpg": b"\xff\xd8\xff\xe0",
        "only-signature.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        "only-signature.tif": b"II*\0\x08\0\0\0",
        "only-signature.bmp": b"BM",
        "only-signature.ppm": b"P6\n",
        "notes.txt": b"not a picture by its name either",
        "no suffix": files["jpg"],
        "picture.jpg.part": files["jpg"],
        "picture.svg": b"<svg/>",
    }
    for name, content in contents.items():
        folder.add(f"lying/{name}", content)


def _odd_shapes(folder: Folder, picture: Image.Image) -> None:
    for size in ((1, 1), (1, 20_000), (20_000, 1), (2, 2), (3, 7), (79, 79), (65_000, 2)):
        shape = "x".join(map(str, size))
        folder.add(f"shapes/{shape}.png", encode(picture.resize(size), "png"))
    folder.add("shapes/1x1.jpg", encode(picture.resize((1, 1)), "jpg"))
    folder.add("shapes/all-clear.png", encode(Image.new("RGBA", (300, 300)), "png"))
    for level in (0, 128, 255):
        even = Image.new("RGB", (300, 200), (level,) * 3)
        folder.add(f"shapes/even-{level}.png", encode(even, "png"))
    noise = np.random.default_rng(1).integers(0, 256, (400, 500, 3), np.uint8)
    folder.add("shapes/noise.png", encode(Image.fromarray(noise), "png"))
    for name, width, height in (("zero.png", 0, 0), ("zero-wide.png", 0, 9), ("flat.png", 9, 0)):
        folder.add(f"shapes/{name}", png(struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))
    folder.add("shapes/zero.bmp", bmp(0, 0))
    folder.add("shapes/negative.bmp", bmp(-5, 10))
    folder.add("shapes/zero.gif", gif(0, 0, 0, 0))
    folder.add("shapes/zero.ppm", b"P6\n0 0\n255\n")
    folder.add("shapes/zero.tif", tiff({256: 0, 257: 0}))


def _bombs(folder: Folder) -> None:
    """A few bytes that claim, or truly unfold to, gigabytes."""
    header = struct.pack(">IIBBBBB", HUGE, HUGE, 1, 0, 0, 0, 0)
    folder.add_bomb("bombs/claims.png", png(header, (b"IDAT", zlib.compress(b"\0"))))
    rows = zlib.compressobj(9)
    row = bytes(1 + HUGE // 8)
    packed = b"".join(rows.compress(row) for _ in range(HUGE)) + rows.flush()
    folder.add_bomb("bombs/unfolds.png", png(header, (b"IDAT", packed)))
    most = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    folder.add_bomb("bombs/claims-most.png", png(most, (b"IDAT", zlib.compress(b"\0"))))
    folder.add_bomb("bombs/claims.gif", gif(HUGE, HUGE, HUGE, HUGE))
    folder.add_bomb("bombs/large-frame.gif", gif(9, 9, HUGE, HUGE))
    folder.add_bomb("bombs/claims.bmp", bmp(HUGE, HUGE))
    folder.add_bomb("bombs/packed.bmp", bmp(HUGE, HUGE, compression=1))
    folder.add_bomb("bombs/claims.tif", tiff({256: HUGE, 257: HUGE}))
    folder.add_bomb("bombs/deflate.tif", tiff({256: HUGE, 257: HUGE, 259: 8}))
    folder.add_bomb("bombs/claims.ppm", b"P6\n60000 60000\n255\n" + bytes(1000))
    folder.add_bomb("bombs/claims.webp", webp(16_384, 16_384))
    folder.add_bomb("bombs/animated.webp", webp(16_384, 16_384, animated=True))
    frame = struct.pack(">BHHB", 8, HUGE, HUGE, 3) + bytes((1, 17, 0, 2, 17, 1, 3, 17, 1))
    start = b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame
    folder.add_bomb(
        "bombs/claims.jpg", start + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0?\0" + bytes(99)
    )


def _stuffed(folder: Folder, files: dict[str, bytes]) -> None:
    """Good pictures with nonsense beside the pixels. Whether they are read is open."""
    zeros = zlib.compress(bytes(300_000_000), 9)
    start = files["png"].index(b"IDAT") - 4
    chunks = {
        "text": (b"zTXt", b"Comment\0\0" + zeros),
        "itext": (b"iTXt", b"Comment\0\1\0\0\0" + zeros),
        "profile": (b"iCCP", b"profile\0\0" + zeros),
        "long-text": (b"tEXt", b"Comment\0" + b"x" * 5_000_000),
        "unknown": (b"abCd", bytes(1_000_000)),
    }
    for name, (kind, content) in chunks.items():
        stuffed = files["png"][:start] + chunk(kind, content) + files["png"][start:]
        folder.add(f"stuffed/{name}.png", stuffed)
    lying = struct.pack(">I", 0x7FFFFFFF) + b"tEXt"
    folder.add("stuffed/long-chunk.png", files["png"][:start] + lying + files["png"][start:])
    for name, exif in {
        "noise": b"Exif\0\0" + bytes(range(256)) * 8,
        "loop": b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0",
        "far": b"Exif\0\0II*\0\xff\xff\xff\x7f",
        "short": b"Exif\0\0II",
        "text": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\4six\0\0\0\0\0",
        "not-exif": b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta",
    }.items():
        block = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        folder.add(f"stuffed/exif-{name}.jpg", files["jpg"][:2] + block + files["jpg"][2:])
    segment = b"\xff\xe2" + struct.pack(">H", 65_535) + b"ICC_PROFILE\0\1\1" + bytes(65_519)
    folder.add("stuffed/profile.jpg", files["jpg"][:2] + segment * 100 + files["jpg"][2:])
    comment = b"\xff\xfe" + struct.pack(">H", 65_535) + bytes(65_533)
    folder.add("stuffed/comments.jpg", files["jpg"][:2] + comment * 100 + files["jpg"][2:])
    folder.add("stuffed/scans.jpg", files["jpg"][:-2] + b"\xff\xda\0\x08\1\1\0\0?\0" * 5000)
    folder.add("stuffed/loop.tif", tiff({256: 9, 257: 9}, following=8))
    folder.add("stuffed/loop-inside.tif", tiff({256: 9, 257: 9, 330: 8, 34665: 8}))
    folder.add("stuffed/far.tif", tiff({256: 9, 257: 9, 273: 2**31, 279: 2**31}))
    folder.add("stuffed/many-samples.tif", tiff({256: 99, 257: 99, 277: 65_535}))


def _special(folder: Folder, jpeg: bytes) -> None:
    """What is no plain file: pipes, sockets, folders, links."""
    place = folder.path / "special"
    folder.add("special/target.jpg", signed(jpeg), good=True)
    os.mkfifo(place / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        try:
            os.chdir(place)  # a socket's path may have a hundred characters only
            listener.bind("socket.jpg")
        finally:
            os.chdir(here)
    (place / "folder.jpg").mkdir()
    (place / "folder.png").mkdir()
    folder.add("special/folder.jpg/inside.jpg", signed(jpeg), good=True)
    links = {"dangling.jpg": "absent", "itself.jpg": "itself.jpg", "device.jpg": "/dev/zero"}
    for name, target in links.items():
        (place / name).symlink_to(target)
    (place / "there.jpg").symlink_to("back.jpg")
    (place / "back.jpg").symlink_to("there.jpg")
    (place / "up").symlink_to("..", target_is_directory=True)
    names = ["pipe.jpg", "socket.jpg", *links, "there.jpg", "back.jpg"]
    folder.entries.update(f"special/{name}".encode() for name in names)
    if os.geteuid():
        folder.add("special/forbidden.jpg", signed(jpeg))
        (place / "forbidden.jpg").chmod(0)


# ---- files written by hand: what no library writes


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of this IHDR and these chunks, with right checksums."""
    parts = (chunk(*part) for part in ((b"IHDR", header), *chunks, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bmp(width: int, height: int, compression: int = 0) -> bytes:
    bits = 8 if compression else 24
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + header + bytes(2000)


def gif(width: int, height: int, frame_width: int, frame_height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, frame_width, frame_height, 0)
    return screen + frame + b"\2\2D\1\0;"


def webp(width: int, height: int, animated: bool = False) -> bytes:
    """A lossless WebP that claims this size, or an animation with that canvas."""

    def part(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    size = (width - 1) | (height - 1) << 14
    pixels = part(b"VP8L", b"\x2f" + struct.pack("<I", size) + bytes(200))
    if animated:
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        frame = bytes(6) + canvas + bytes(4) + pixels
        flags = part(b"VP8X", b"\2\0\0\0" + canvas)
        pixels = flags + part(b"ANIM", bytes(6)) + part(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", len(pixels) + 4) + b"WEBP" + pixels


def tiff(tags: dict[int, int], following: int = 0) -> bytes:
    """An 8-bit RGB TIFF with these tags, and the offset of the next directory."""
    tags = {258: 8, 259: 1, 262: 2, 273: 8, 277: 3, 278: 2**31 - 1, 279: 1000} | tags
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(1000)


if __name__ == "__main__":
    made = make(Path(sys.argv[1]))
    print(f"{len(made.entries)} files, {len(made.good)} good, {len(made.bombs)} bombs")
