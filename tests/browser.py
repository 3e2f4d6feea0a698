"""A real browser without a window, to open the pages that ganim writes and look at them."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
# What a browser does besides showing the page: update itself, ask for a network, keep a profile.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
]

needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason="needs chromium: apt-get install chromium"
)


def open_page(page: Path) -> str:
    """The page as HTML, as the browser has understood it; scripts, if any, have run."""
    return _run(page, "--dump-dom").decode()


def screenshot(
    page: Path, picture: Path, size: tuple[int, int] = (1200, 900), dark: bool = False
) -> Path:
    """The upper left of a page in a window of `size` (width, height), as a PNG file."""
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    _run(page, f"--screenshot={picture}", f"--window-size={size[0]},{size[1]}", *theme)
    return picture


def _run(page: Path, *options: str) -> bytes:
    assert PROGRAM is not None and page.is_file()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [PROGRAM, *QUIET, f"--user-data-dir={profile}", *options, page.resolve().as_uri()],
            capture_output=True,
            check=True,
            timeout=120,
        )
    return done.stdout
