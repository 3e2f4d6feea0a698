"""What a picture file says beside its pixels, and the label of pictures that were made by a model.

The label is the IPTC's digital source type in XMP, which Google Images, Meta and others read.
"""

import io
import math
import re
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from PIL import ExifTags, Image

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC: "mix or composite of several elements, at least one of which is synthetic"."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_GANIM = "urn:ganim:edit#"
_SOURCE_TYPE_NAME = f"{{{_IPTC}}}DigitalSourceType"
_ORIENTATION, _SHORT = 0x0112, 3
# TIFF keeps EXIF among tags that describe how its pixels are stored. These describe the picture.
_DESCRIBING = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
_PACKET = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n%s\n<?xpacket end="w"?>'


@dataclass(frozen=True)
class Metadata:
    """What is passed on from a photograph to what is made of it."""

    icc: bytes | None = field(default=None, repr=False)
    """The ICC profile of the pixels; None: sRGB."""
    exif: bytes | None = field(default=None, repr=False)
    """The EXIF block, which starts with `Exif\\0\\0`. Its orientation is 1, as pixels are upright,
    and it contains no thumbnail."""
    xmp: bytes | None = field(default=None, repr=False)
    """The XMP packet."""
    dpi: tuple[float, float] | None = None
    """Dots per inch, across and down."""


def read_metadata(image: Image.Image) -> Metadata:
    """The metadata of a picture that Pillow has loaded. What is malformed is left out."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return Metadata(
        image.info.get("icc_profile") or None,
        _tiff_exif(image) if image.format == "TIFF" else upright_exif(image.info.get("exif")),
        xmp if isinstance(xmp, bytes) and xmp else None,
        _dpi(image),
    )


def upright_exif(exif: bytes | None) -> bytes | None:
    """An EXIF block with orientation 1 and without its thumbnail, which shows another picture.

    Only these bytes are changed, so that makers' notes, whose entries point at places in the block,
    stay readable. None for a block that is malformed.
    """
    if not exif:
        return None
    block = bytearray(exif.removeprefix(b"Exif\0\0"))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    try:
        if order is None:
            return None
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for place in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, place)
            if tag == _ORIENTATION and kind == _SHORT:
                struct.pack_into(f"{order}H", block, place + 8, 1)
        struct.pack_into(f"{order}I", block, first + 2 + 12 * count, 0)
    except struct.error:
        return None
    return b"Exif\0\0" + bytes(block)


def _tiff_exif(image: Image.Image) -> bytes | None:
    """The describing tags of a TIFF as an EXIF block."""
    try:
        tags, chosen = image.getexif(), Image.Exif()
        for tag in _DESCRIBING:
            if tag in tags:
                chosen[tag] = tags[tag]
        for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if inner := tags.get_ifd(ifd):
                chosen[ifd] = dict(inner)
        return upright_exif(chosen.tobytes()) if len(chosen) else None
    except Exception:  # Pillow raises nearly any exception on malformed tags
        return None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    # A TIFF that states no resolution has one of 1.
    usable = all(math.isfinite(value) and 1 < value < 1e5 for value in (across, down))
    return (across, down) if usable else None


def labelled_xmp(xmp: bytes | None, version: str, aus: str) -> bytes:
    """An XMP packet that says that a picture was made by this version of ganim from a photograph.

    xmp: the photograph's packet, whose other statements are kept unless it is malformed.
    aus: the AUs that were asked for, for people to read.
    """
    root = _parsed(xmp)
    rdf = root.find(f".//{{{_RDF}}}RDF") if root is not None else None
    if root is None or rdf is None:
        root = ET.Element("{adobe:ns:meta/}xmpmeta")
        rdf = ET.SubElement(root, f"{{{_RDF}}}RDF")
    for description in rdf:
        for name in [name for name in description.attrib if _ours(name)]:
            del description.attrib[name]
        for element in [element for element in description if _ours(element.tag)]:
            description.remove(element)
    ET.SubElement(
        rdf,
        f"{{{_RDF}}}Description",
        {
            f"{{{_RDF}}}about": "",
            _SOURCE_TYPE_NAME: SOURCE_TYPE,
            f"{{{_GANIM}}}Version": version,
            f"{{{_GANIM}}}ActionUnits": aus,
        },
    )
    for prefix, name in (("x", "adobe:ns:meta/"), ("rdf", _RDF), ("Iptc4xmpExt", _IPTC)):
        ET.register_namespace(prefix, name)
    ET.register_namespace("ganim", _GANIM)
    return _PACKET % ET.tostring(root, "utf-8", xml_declaration=False)


def _ours(name: str) -> bool:
    return name == _SOURCE_TYPE_NAME or name.startswith(f"{{{_GANIM}}}")


def _parsed(xmp: bytes | None) -> ET.Element | None:
    """The root of an XMP packet, whose prefixes are kept; None if it cannot be read."""
    if not xmp or b"<!" in xmp:  # a document type could define entities without end
        return None
    xmp = xmp.strip(b"\0 \r\n\t")
    try:
        for _, (prefix, name) in ET.iterparse(io.BytesIO(xmp), ["start-ns"]):
            if prefix and not re.fullmatch(r"ns\d+|xml", prefix):
                ET.register_namespace(prefix, name)
        return ET.fromstring(xmp)
    except (ET.ParseError, ValueError):
        return None
