"""What the panel of `ganim studio` shows: masks, motion, AUs read and identity."""

from pathlib import Path

import numpy as np
import pytest

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
