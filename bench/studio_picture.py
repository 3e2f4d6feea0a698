"""Draw docs/studio.jpg anew, with the weights that ship: python bench/studio_picture.py"""

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from studio_browser import Visitor, chromium, running  # noqa: E402

with running(ROOT / "examples" / "astronaut.png") as studio, chromium() as browser:
    visitor = Visitor(browser, studio.address, viewport={"width": 1400, "height": 940})
    shown = visitor.wait_for_picture()
    for number, value in ((4, "0.7"), (12, "0"), (25, "0")):
        visitor.slider(number).fill(value)
        shown = visitor.wait_for_picture(other_than=shown)
    visitor.page.evaluate("scrollTo(0, 0)")
    with Image.open(io.BytesIO(visitor.page.screenshot())) as picture:
        picture.convert("RGB").save(ROOT / "docs" / "studio.jpg", quality=85)
