"""Objects that are drawn over photographs of faces, with masks of what they cover.

The drawings need not look real: that a network which learned to find them finds real glasses and
hands was seen on photographs (docs/editing.md). So all that may vary is drawn at random:
shape, size, colour, thickness, reflections, shadows (domain randomisation, Tobin et al. 2017).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from .canvas import Canvas, ellipse

_GLASSES, _OBJECTS = 0.5, 0.15
"""Shares of faces with glasses and with other objects; the others stay as they are."""
_LARGEST = 0.45
"""Of a picture, that an object may cover."""


def occluded(
    face: np.ndarray, landmarks: np.ndarray, others: Sequence[np.ndarray], random: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A face with an object over it, or as it is.

    Args:
        face: (side, side, 3) uint8.
        landmarks: (68, 2) in its pixels.
        others: faces of any size, of which objects have their texture.
        random: draws all.

    Returns the picture, and the share of each pixel (side, side) that an object covers.
    """
    kind = random.random()
    if kind < _GLASSES:
        return with_glasses(face, landmarks, random)
    if kind < _GLASSES + _OBJECTS:
        canvas = Canvas(face.shape[:2], landmarks)
        _draw_object(canvas, random)
        canvas.textured(_texture(others, random))
        picture, mask = canvas.over(face, random.uniform(0, 0.3))
        if mask.mean() < _LARGEST:
            return picture, mask
    return face, np.zeros(face.shape[:2], np.float32)


def with_glasses(
    face: np.ndarray, landmarks: np.ndarray, random: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A face with glasses; as `occluded`."""
    canvas, middle = Canvas(face.shape[:2], landmarks), face[len(face) // 3 : len(face) // 2]
    _draw_glasses(canvas, float(np.clip(middle.mean() / 130, 0.3, 1.3)), random)
    shadow = random.uniform(0, 0.5) * (random.random() < 0.6)
    return canvas.over(face, shadow, random.normal((0, 0.03), 0.015))


class _Style(NamedTuple):
    """How frames of glasses look."""

    width: float
    colour: np.ndarray
    alpha: float
    rim: str
    """`full`, `half` (above alone), or `none`."""
    tinted: bool


def _style(light: float, random: Generator) -> _Style:
    rim = str(random.choice(["full", "half", "none"], p=[0.7, 0.2, 0.1]))
    thin = random.random() < 0.3
    width = random.uniform(0.02, 0.04) if thin else random.uniform(0.025, 0.09)
    alpha = random.uniform(0.75, 1) if random.random() < 0.85 else random.uniform(0.35, 0.75)
    if rim == "none":
        width, alpha = random.uniform(0.015, 0.03), random.uniform(0.2, 0.6)
    kind = random.random()
    if kind < 0.5:  # dark
        colour = random.uniform(5, 60) + random.normal(0, 8, 3)
    elif kind < 0.65:  # gold, brown
        colour = np.array([140, 110, 80]) * random.uniform(0.4, 1.5) + random.normal(0, 12, 3)
    elif kind < 0.8:  # silver
        colour = random.uniform(90, 230) + random.normal(0, 8, 3)
    else:
        colour = random.uniform(0, 220, 3)
    return _Style(width, (colour * light).clip(0, 255), alpha, rim, random.random() < 0.15)


def _draw_glasses(canvas: Canvas, light: float, random: Generator) -> None:
    """Glasses, or sunglasses. light: the brightness of the face, about 1."""
    style = _style(light, random)
    rims = _rims(style.tinted, random)
    _draw_lenses(canvas, rims, style.tinted, light, random)
    for rim in rims:
        top = _above(rim, rim[:, 1].mean())
        if style.rim == "half":
            canvas.line(top, style.width, style.colour, style.alpha)
            canvas.line(rim, 0.012, style.colour / 2 + 120, 0.25, closed=True)
        else:
            canvas.line(rim, style.width, style.colour, style.alpha, closed=True)
            if random.random() < 0.3:  # heavier above
                canvas.line(top, style.width * random.uniform(1.2, 1.9), style.colour, style.alpha)
        if random.random() < 0.5:  # gloss
            gloss = np.minimum(style.colour + random.uniform(40, 150), 255)
            canvas.line(
                top - [0, style.width * 0.15], style.width * 0.3, gloss, random.uniform(0.2, 0.7)
            )
    _draw_bridge_and_temples(canvas, rims, style, random)


def _rims(large: bool, random: Generator) -> list[np.ndarray]:
    """The outlines (64, 2) of the two rims."""
    apart, y = random.uniform(0.48, 0.58), random.normal(0.05, 0.06)
    half_width = min(random.uniform(0.34, 0.46), apart - 0.06)
    half_height = random.uniform(0.24, 0.45) if large else random.uniform(0.18, 0.4)
    power = random.choice([2, 2.3, 3, 4, 6])
    turned, skewed, rising, tilted = random.normal(0, (0.08, 0.12, 0.06, 0.03))
    rims = []
    for sign in (-1, 1):
        seen = 1 + sign * turned  # narrower on the side that is turned away
        rim = ellipse(half_width * seen, half_height, power)
        rim[:, 1] -= rising * sign * rim[:, 0] / half_width * 0.6
        rim[:, 0] *= 1 + skewed * rim[:, 1] / half_height * sign / 2
        rim += [sign * apart * seen, y + sign * tilted]
        rims.append(rim)
    return rims


def _draw_lenses(
    canvas: Canvas, rims: list[np.ndarray], tinted: bool, light: float, random: Generator
) -> None:
    """Dark lenses, which hide the eyes, or clear ones, some with reflections."""
    if tinted:
        colour, alpha = random.uniform(0, 60, 3), random.uniform(0.6, 1)
    else:
        colour, alpha = random.uniform(60, 255, 3), max(0.0, random.normal(0.03, 0.06))
        if random.random() < 0.08:
            alpha = random.uniform(0.2, 0.5)
    for rim in rims:
        canvas.polygon(rim, (colour * light).clip(0, 255), alpha, covers=tinted and alpha > 0.7)
        if not tinted and random.random() < 0.35:
            corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * random.uniform(0.05, 0.3, 2)
            corners = corners + random.uniform(-0.1, 0.1, (4, 2)) + random.uniform(-0.2, 0.1, 2)
            inside = np.clip(corners + rim.mean(0), rim.min(0) + 0.03, rim.max(0) - 0.03)
            canvas.polygon(inside, 255, random.uniform(0.1, 0.8), covers=False)


def _draw_bridge_and_temples(
    canvas: Canvas, rims: list[np.ndarray], style: _Style, random: Generator
) -> None:
    height, alpha = np.ptp(rims[0][:, 1]) / 2, max(style.alpha, 0.5)
    y = rims[0][:, 1].mean() + random.uniform(-0.6, 0.1) * height
    left, right = rims[0][:, 0].max() - 0.02, rims[1][:, 0].min() + 0.02
    bridge = [[left, y], [(left + right) / 2, y - random.uniform(0, 0.05)], [right, y]]
    canvas.line(bridge, style.width * random.uniform(0.7, 1.2), style.colour, alpha)
    if random.random() < 0.15:  # a second one above
        canvas.line([[left, y - 0.12], [right, y - 0.12]], style.width * 0.6, style.colour, alpha)
    for rim, side in zip(rims, canvas.sides, strict=True):
        if random.random() < 0.85:
            outer = rim[np.abs(rim[:, 0]).argmax()]
            start = [outer[0], rim[:, 1].mean() - random.uniform(0, 0.7) * height]
            end = [side[0] * random.uniform(0.95, 1.1), min(side[1], 0.3) - random.uniform(0, 0.15)]
            canvas.line([start, end], style.width * random.uniform(0.6, 1.5), style.colour, alpha)


def _draw_object(canvas: Canvas, random: Generator) -> None:
    """A hat, a bar with a head (as a microphone), fingers, or a blob, coming in from the border."""
    kind, angle = random.choice(4, p=[0.3, 0.25, 0.2, 0.25]), random.uniform(0, 2 * np.pi)
    outward = np.array([np.cos(angle), np.sin(angle)])
    if kind == 0:
        x = np.linspace(-1.6, 1.6, 9)
        y = canvas.brows - random.uniform(-0.02, 0.35) - random.normal(0, 0.12) * x**2
        edge = np.stack([x, y + random.normal(0, 0.03) * x], 1)
        canvas.polygon(np.concatenate([edge, [[1.8, -3], [-1.8, -3]]]), 0)
    elif kind == 1:
        start, width = random.uniform((-0.8, 0.6), (0.8, 2)), random.uniform(0.1, 0.4)
        canvas.line(
            np.stack([start, start + 3 * np.abs(outward) * [np.sign(outward[0]), 1]]), width, 0
        )
        if random.random() < 0.6:
            across, down = random.uniform(0.6, 1.2, 2) * width
            canvas.polygon(ellipse(across, down, centre=start), 0)
    elif kind == 2:
        place, along = [0, 0.6] + outward * [1, 1.1], np.array([-outward[1], outward[0]])
        for finger in range(random.integers(1, 5)):
            tip = place + along * 0.24 * finger + random.normal(0, 0.06, 2)
            bones = [tip, tip + outward * 0.7 + along * 0.1, tip + outward * 2]
            canvas.line(bones, random.uniform(0.16, 0.24), 0)
    else:
        round_ = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        waves = (np.sin(k * round_ + random.uniform(0, 6)) for k in (2, 3))
        radius = random.uniform(0.3, 0.9) * (1 + 0.25 * next(waves) + 0.15 * next(waves))
        outline = radius[:, None] * np.stack([np.cos(round_), np.sin(round_)], 1)
        canvas.polygon([0, 0.5] + outward * [1.3, 1.6] + outline, 0)


def _texture(others: Sequence[np.ndarray], random: Generator) -> np.ndarray:
    """A part of another photograph, or clouds of one colour."""
    kind = random.random()
    if kind < 0.5:
        other = others[int(random.integers(len(others)))]
        side = int(len(other) * random.uniform(0.12, 0.37))
        x, y = random.integers(0, len(other) - side, 2)
        return other[y : y + side, x : x + side][:: random.choice([-1, 1])]
    skin = np.array([200, 150, 125]) * random.uniform(0.3, 1.2)
    colour = random.uniform(0, 255, 3) if kind < 0.8 else skin
    clouds = random.normal(0, random.uniform(0, 40), (*random.integers(2, 7, 2), 1))
    return (colour + clouds).clip(0, 255)


def _above(rim: np.ndarray, y: float) -> np.ndarray:
    """The points of a rim above y, from left to right."""
    above = rim[rim[:, 1] < y]
    return above[np.argsort(above[:, 0])]
