"""Photographs that several tests share. All come from examples/, or are made from it."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# The networks of the tests are tiny: threads cost them more than they give. Set before torch is
# imported, and for the processes that the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
WILD = ROOT.parent / "shared" / "faces" / "wild"


@pytest.fixture(scope="session")
def astronaut_path() -> Path:
    return ROOT / "examples" / "astronaut.png"


@pytest.fixture(scope="session")
def astronaut(astronaut_path: Path) -> np.ndarray:
    """(512, 512, 3) uint8 RGB, with one face at about (179, 83, 267, 171)."""
    with Image.open(astronaut_path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.fixture(scope="session")
def small_jpeg(astronaut: np.ndarray) -> bytes:
    """The astronaut at 256x256, whose face is still found, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(astronaut).resize((256, 256)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def wild() -> Path:
    """A folder of photographs of all kinds, which stands beside the repository of its makers."""
    if not WILD.is_dir():
        pytest.skip(f"needs the photographs in {WILD}")
    return WILD
