"""Render self-contained HTML pages from jinja2 templates that extend `page.html.j2`."""

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from PIL import Image

from ..files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEMPLATES = Path(__file__).parent


def render(template: Path, **values: Any) -> str:
    """Render a template, which may extend `page.html.j2`. Values are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(values)


def write(path: Path, page: str) -> None:
    """Write a page, entirely or not at all. Characters that are not valid UTF-8 are escaped."""
    write_whole(path, lambda beside: beside.write_bytes(page.encode(errors="backslashreplace")))


def data_uri(image: Image.Image, subsampling: int = -1) -> str:
    """Return an image as a JPEG data URI. subsampling: Pillow's; 0 keeps the full colour detail."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=85, subsampling=subsampling)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def svg_element(figure: "Figure", salt: str) -> str:
    """A matplotlib figure as an SVG element, with text as text and a transparent background.

    salt: of the identifiers in it. With the same salt, and as it holds no date, the same figure
    gives the same element.
    """
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    return re.sub("<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
