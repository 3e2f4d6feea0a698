"""`ganim studio` as a process, and its page in a real browser."""

import base64
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import numpy as np
from browser import PROGRAM, QUIET
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

WAIT = 180_000
"""Milliseconds after which what should happen has failed; the machine may be busy."""
_AFTER, _BEFORE = ".stage .after", ".stage .before"


class Studio:
    """A running studio."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process = process
        self.address = address

    @property
    def uploads(self) -> list[Path]:
        """Its files that were uploaded; Gradio leaves an empty one for each upload."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.stat().st_size]
        return [path for path in files if self.folder / "results" not in path.parents]

    @property
    def folder(self) -> Path:
        """Where it keeps files."""
        [folder] = [
            folder
            for parent in ("/dev/shm", gettempdir())
            for folder in Path(parent).glob(f"ganim-studio-{self.process.pid}-*")
        ]
        return folder


@contextmanager
def running(*arguments: str | Path) -> Iterator[Studio]:
    """Start `ganim studio` at a free port, and end it."""
    command = [sys.executable, "-m", "ganim.cli", "studio", "--port", "0", "--no-browser"]
    with subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"http://\S+", line)
            assert match is not None, line + process.stdout.read()
            yield Studio(process, match[0])
        finally:
            process.terminate()
            process.communicate(timeout=60)


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """A headless Chromium, with more options of its command line."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=[*QUIET, *options])
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person with the page open in a browser of their own, who notes what it asks for."""

    def __init__(self, browser: Browser, address: str, **options: object) -> None:
        self.context = browser.new_context(**options)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("#au45 input[type=range]")

    def close(self) -> None:
        self.context.close()

    def slider(self, number: int) -> Locator:
        return self.page.locator(f"#au{number} input[type=range]")

    def positions(self) -> list[float]:
        sliders = self.page.locator("#sliders input[type=range]")
        return [float(value) for value in sliders.evaluate_all("all => all.map(s => s.value)")]

    @property
    def shown(self) -> str:
        """The picture as it stands on the page, as an address."""
        return self.page.get_attribute(_AFTER, "src") or ""

    @property
    def given(self) -> str:
        """The photograph as it was given."""
        return self.page.get_attribute(_BEFORE, "src") or ""

    def wait_for_picture(self, other_than: str = "") -> str:
        """Wait until another picture is shown, and return it."""
        self.page.wait_for_function(
            "([after, old]) => { const now = document.querySelector(after).src;"
            " return now.startsWith('data:') && now !== old; }",
            arg=[_AFTER, other_than],
        )
        return self.shown

    def text(self, selector: str) -> str:
        """What stands in a field, also where it is folded away."""
        return self.page.locator(selector).input_value()

    def download(self, button: str, folder: Path) -> Path:
        """Click a button that downloads a file, and save it under its name in a folder."""
        with self.page.expect_download() as expected:
            self.page.click(button)
        path = folder / expected.value.suggested_filename
        expected.value.save_as(path)
        return path

    def give(self, name: str, content: bytes) -> None:
        """Choose a file in the field for photographs."""
        file = {"name": name, "mimeType": "image/png", "buffer": content}
        self.page.locator("#photograph input[type=file]").set_input_files(file)  # type: ignore[arg-type]

    def wait_for_status(self, text: str) -> None:
        self.page.locator("#status", has_text=text).wait_for()


def pixels(address: str) -> np.ndarray:
    """The pixels (h, w, 3) of a picture in a data URL."""
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))
