"""What the events of the page have in common: how they answer, and how errors become sentences."""

import sys
import traceback
from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np

from ..pipeline.errors import GanimError
from .session import to_jpeg

Changes = dict[Any, Any]
"""New values of some components; the others stay as they are."""
CALM: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of an event that is answered at once."""
_BROKEN = "Something went wrong in the studio. Try again, or give it another photograph."


def sentence(text: str) -> str:
    """A line of status for the page; screen readers say it."""
    return f'<p role="status">{escape(text)}</p>'


def guarded(status: Any, work: Callable[[], Changes]) -> Changes:
    """Do some work; an error in it becomes a sentence in the component `status`."""
    try:
        return work()
    except GanimError as error:
        return {status: sentence(str(error))}
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return {status: sentence(_BROKEN)}


def data_url(pixels: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 RGB as an address that the page can show."""
    return "data:image/jpeg;base64," + b64encode(to_jpeg(pixels)).decode()
