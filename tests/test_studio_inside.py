"""The panel of `ganim studio` with masks, motion, AUs read and identity, in a real browser."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser
from studio_browser import Visitor, chromium, pixels, running

from ganim.model.animation.animator import Animator
from ganim.pipeline.action_units import NUMBERS
from ganim.studio.inside import Inside
from ganim.studio.photograph import open_photograph
from ganim.studio.session import Session

pytest.importorskip("gradio", reason="needs the extra: pip install 'ganim[studio]'")


@pytest.fixture(scope="module")
def session(astronaut_path: Path) -> Session:
    animator = Animator()
    return Session(animator, open_photograph(astronaut_path.read_bytes(), "a.png", animator))


def test_masks_and_motion_are_where_the_mouth_is(session: Session) -> None:
    """In the frame of the weights the mouth is in the lower middle, brows are in the upper half."""
    calm = session.own_aus.copy()
    calm[NUMBERS.index(12)] = 0
    pixels = session.preview(calm)
    inside = Inside(session, session.latest)
    attention = inside.attention
    mouth, brow = np.s_[250:330, 110:270], np.s_[40:90, 110:270]
    assert attention[mouth].mean() < attention[brow].mean() - 8
    assert inside.colour.shape == attention.shape == (384, 384, 3)
    motion = inside.motion(None)
    assert motion is not None
    drawn = motion.max(2) - motion.min(2) > 60  # arrows alone are coloured
    assert drawn[mouth].mean() > 1.5 * drawn[brow].mean()
    brows = inside.motion(1)
    assert brows is not None
    raised = brows.max(2) - brows.min(2) > 60
    assert raised[:190].mean() > 1.5 * raised[250:].mean()

    read, distance = inside.read()
    assert read[NUMBERS.index(12)] < session.own_aus[NUMBERS.index(12)] - 0.2
    assert 0.02 < distance < 0.6
    assert not np.array_equal(pixels, session.photograph.preview)
    session.preview(session.own_aus)
    assert Inside(session, session.latest).read()[1] == 0


@needs_browser
@pytest.mark.slow
def test_the_panel_follows_the_picture_while_it_is_open(astronaut_path: Path) -> None:
    with running(astronaut_path) as studio, chromium() as browser:
        visitor = Visitor(browser, studio.address)
        first = visitor.wait_for_picture()
        assert visitor.page.locator("#inside img").count() == 0
        visitor.page.get_by_text("How it was made, and how it reads").click()
        visitor.page.get_by_text("Identity distance 0.00").wait_for()
        visitor.slider(12).fill("0")
        visitor.wait_for_picture(other_than=first)
        said = visitor.page.locator("#identity", has_text=re.compile(r"distance 0\.[1-9]"))
        said.wait_for()
        row = visitor.page.locator("#readings tr", has_text="AU12 lip corner puller").last
        _, before, asked, read = row.locator("td").all_inner_texts()
        assert float(before) > 0.5 and float(asked) == 0 and float(read) < 0.4

        titles = visitor.page.locator("#inside img").evaluate_all("all => all.map(i => i.alt)")
        assert [title.split(".")[0] for title in titles] == [
            "Attention mask", "Colour mask", "Motion field",
        ]  # fmt: skip
        arrows = visitor.page.locator("#inside img").last
        asked_for = arrows.get_attribute("src") or ""
        visitor.page.locator("#arrows input").click()
        visitor.page.get_by_role("option", name="AU1 inner brow raiser, by 1").click()
        visitor.page.get_by_text("Motion of AU1 inner brow raiser, by 1").wait_for()
        assert not np.array_equal(pixels(arrows.get_attribute("src") or ""), pixels(asked_for))
        assert "Traceback" not in visitor.page.content()
