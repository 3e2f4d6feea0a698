"""Keep the palette of a picture whose pixels have changed."""

import numpy as np
from PIL import Image

from .picture import Palette

_MOST = 256


def paletted(pixels: np.ndarray, palette: Palette) -> Image.Image:
    """A picture with a palette that shows pixels (h, w, 3 or 4) uint8.

    Pixels that show what they did keep their index. For the others, colours are added in entries
    that no pixel uses, and the nearest are taken, dithered.
    """
    before = palette.colours[palette.indices]
    changed = (pixels[:, :, :3] != before).any(2)
    if palette.alphas is not None:
        changed |= pixels[:, :, 3] != palette.alphas[palette.indices]
    colours = palette.colours.copy()
    indices = palette.indices.copy()
    if changed.any():
        colours, indices = _with_changed(pixels, changed, palette)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    if palette.alphas is not None:
        alphas = np.full(len(colours), 255, np.uint8)
        alphas[: len(palette.alphas)] = palette.alphas
        image.info["transparency"] = alphas.tobytes()
    return image


def _with_changed(
    pixels: np.ndarray, changed: np.ndarray, palette: Palette
) -> tuple[np.ndarray, np.ndarray]:
    """Colours and indices in which changed pixels have the nearest opaque colours."""
    used = np.zeros(_MOST, bool)
    used[np.unique(palette.indices[~changed])] = True
    free = np.flatnonzero(~used)
    if palette.alphas is not None:  # the entries of transparent colours are not reused
        transparent = np.flatnonzero(palette.alphas < 255)
        free = np.setdiff1d(free, transparent)
    colours = np.zeros((_MOST, 3), np.uint8)
    colours[: len(palette.colours)] = palette.colours
    some = pixels[:, :, :3][changed]
    if len(free):
        strip = Image.fromarray(np.ascontiguousarray(some[None]))
        new = strip.quantize(min(len(free), _MOST), dither=Image.Dither.NONE).getpalette("RGB")
        added = np.array(new, np.uint8).reshape(-1, 3)[: len(free)]
        colours[free[: len(added)]] = added
        colours[free[len(added) :]] = added[0]
    opaque = np.ones(_MOST, bool)
    if palette.alphas is not None:
        opaque[: len(palette.alphas)] = palette.alphas == 255
    allowed = np.flatnonzero(opaque)
    allowed = np.concatenate([allowed, np.full(_MOST - len(allowed), allowed[0])])
    target = Image.new("P", (1, 1))
    target.putpalette(colours[allowed].tobytes())
    top, left = (np.flatnonzero(changed.any(axis))[0] for axis in (1, 0))
    bottom, right = (np.flatnonzero(changed.any(axis))[-1] + 1 for axis in (1, 0))
    part = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right, :3]))
    nearest = allowed[np.asarray(part.quantize(palette=target, dither=Image.Dither.FLOYDSTEINBERG))]
    indices = palette.indices.copy()
    inside = changed[top:bottom, left:right]
    indices[top:bottom, left:right][inside] = nearest[inside].astype(np.uint8)
    return colours, indices
