"""Video clips that several tests share."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, images: Sequence[np.ndarray], rate: int) -> None:
    """Write images (height, width, 3) uint8 RGB as an MP4 clip of `rate` frames per second."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = images[0].shape[:2]
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
