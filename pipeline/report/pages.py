"""Pages that need nothing else: jinja2 templates in the frame of `page.html.j2`, with pictures."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from ..files import write_whole

_FRAME = Path(__file__).parent


def render(template: Path, **values: Any) -> str:
    """A page from a template, which may extend `page.html.j2`; values are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _FRAME]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(values)


def write(path: Path, page: str) -> None:
    """Write a page, whole or not at all; names of files that are no text are spelt out."""
    write_whole(path, lambda beside: beside.write_bytes(page.encode(errors="backslashreplace")))


def data_uri(picture: Image.Image, subsampling: int = -1) -> str:
    """A picture as a JPEG within the page. subsampling: Pillow's; 0 keeps all of the colour."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=85, subsampling=subsampling)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
