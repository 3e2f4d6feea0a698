"""EXIF, XMP and resolution pass on through every format; the label says what a picture is."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from ganim.pipeline.images.metadata import SOURCE_TYPE, Metadata, labelled_xmp, upright_exif
from ganim.pipeline.images.picture import Picture, read_picture
from ganim.pipeline.images.write import encode

XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">
<dc:creator><rdf:Seq><rdf:li>Somebody</rdf:li></rdf:Seq></dc:creator></rdf:Description>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
PIXELS = np.arange(48 * 32 * 3, dtype=np.uint8).reshape(32, 48, 3)


def exif_block(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Copyright] = "somebody"
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:01 10:00:00"
    return exif.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_metadata_pass_on(source: str, suffix: str) -> None:
    file = io.BytesIO()
    options = {"exif": exif_block(), "dpi": (240, 240), "xmp": XMP}
    Image.fromarray(PIXELS).save(file, source, **options)
    picture = read_picture(file.getvalue())
    assert picture.pixels.shape == (48, 32, 3), "upright"
    again = Image.open(io.BytesIO(encode(picture, suffix)[0]))
    again.load()
    exif = again.getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert exif[ExifTags.Base.Copyright] == "somebody"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    assert details[ExifTags.Base.DateTimeOriginal] == "2024:05:01 10:00:00"
    if suffix in (".png", ".jpg", ".tif") and source in ("PNG", "JPEG", "TIFF"):
        assert again.info["dpi"][0] == pytest.approx(240, abs=0.1)


def test_the_resolution_of_a_webp_is_in_its_exif() -> None:
    content, _ = encode(Picture(PIXELS, "RGB", Metadata(dpi=(240.0, 240.0))), ".webp")
    assert Image.open(io.BytesIO(content)).getexif()[ExifTags.Base.XResolution] == 240


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_picture_is_labelled_and_keeps_its_other_xmp(suffix: str, deep: bool) -> None:
    pixels = PIXELS.astype(np.uint16) * 257 if deep else PIXELS
    metadata = Metadata(xmp=labelled_xmp(XMP, "1.2.3", "AU12 = 1"))
    content, _ = encode(Picture(pixels, "RGB", metadata), suffix)
    xmp = read_picture(content).metadata.xmp
    assert xmp is not None
    assert xmp.count(b"DigitalSourceType=") == 1 and SOURCE_TYPE.encode() in xmp
    assert b'ganim:Version="1.2.3"' in xmp and b'ganim:ActionUnits="AU12 = 1"' in xmp
    assert b"<dc:creator>" in xmp and b"Somebody" in xmp and b"digitalCapture" not in xmp
    again = labelled_xmp(xmp, "1.2.4", "AU4 = 1")
    assert again.count(b"DigitalSourceType=") == 1 and b"1.2.3" not in again


@pytest.mark.parametrize(
    "xmp", [None, b"", b"no xml", b"<a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe"]
)
def test_malformed_xmp_is_replaced_by_the_label(xmp: bytes | None) -> None:
    assert SOURCE_TYPE.encode() in labelled_xmp(xmp, "1", "")


def test_only_the_orientation_of_an_exif_block_changes() -> None:
    block = exif_block()
    upright = upright_exif(block)
    assert upright is not None and len(upright) == len(block)
    assert sum(a != b for a, b in zip(block, upright, strict=True)) == 1
    again = Image.Exif()
    again.load(upright)
    assert again[ExifTags.Base.Orientation] == 1 and again[ExifTags.Base.Make] == "Camera"


@pytest.mark.parametrize("block", [None, b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"??"])
def test_a_malformed_exif_block_is_left_out(block: bytes | None) -> None:
    assert upright_exif(block) is None


def test_too_long_for_a_jpeg_is_said() -> None:
    long = upright_exif(exif_block() + bytes(70_000))
    content, notes = encode(Picture(PIXELS, "RGB", Metadata(exif=long)), ".jpg")
    assert "EXIF block is too long" in notes[0]
    assert read_picture(content).metadata.exif is None
