"""Occlusions drawn over a face, and photographs turned into drawings, all by code.

Occlusions take the photograph (h, w, 3) uint8 RGB and its 68 landmarks in pixels; drawings take the
photograph. Both return a picture of the same size.
"""

from collections.abc import Callable

import cv2
import numpy as np

from ganim.model.training.canvas import Canvas, ellipse


def glasses(photograph: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Dark frames with clear lenses."""
    canvas, frame = Canvas(photograph.shape[:2], landmarks), (35, 28, 26)
    for x in (-0.5, 0.5):
        rim = ellipse(0.42, 0.32, 3, (x, 0.06))
        canvas.polygon(rim, (210, 225, 240), 0.1)
        canvas.line(rim, 0.06, frame)
        canvas.line([[x - 0.22, -0.1], [x - 0.08, -0.18]], 0.03, 255, 0.47)
    canvas.line([[-0.09, 0.0], [0, -0.04], [0.09, 0.0]], 0.06, frame)
    for side, sign in zip(canvas.sides, (-1, 1), strict=True):
        canvas.line([[sign * 0.91, -0.02], side - np.array([0, 0.1])], 0.05, frame)
    return canvas.over(photograph)[0]


def hat(photograph: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A woollen hat down to the brows."""
    canvas = Canvas(photograph.shape[:2], landmarks)
    wide, low = 1.32, canvas.brows - 0.12
    angle = np.linspace(np.pi, 2 * np.pi, 60)
    crown = np.stack([wide * np.cos(angle), low + 1.5 * np.sin(angle)], 1)
    canvas.polygon(crown, (92, 32, 44))
    for x in np.linspace(-wide, wide, 24):
        height = 1.5 * np.sqrt(max(0.0, 1 - (x / wide) ** 2))
        canvas.line([[x * 0.99, low], [x * 0.7, low - height]], 0.03, (112, 48, 60))
    canvas.line([[-wide, low], [0, low + 0.1], [wide, low]], 0.34, (76, 24, 36))
    for x in np.linspace(-wide, wide, 36):
        y = low + 0.1 * (1 - (x / wide) ** 2)
        canvas.line([[x, y - 0.13], [x, y + 0.13]], 0.02, (104, 44, 56))
    return canvas.over(photograph)[0]


def hair(photograph: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A fringe that falls over the brows and one eye."""
    canvas, draw = Canvas(photograph.shape[:2], landmarks), np.random.default_rng(0)
    for _ in range(420):
        start = draw.uniform(-0.5, 0.7)
        end = start * 1.9 - 0.5 + draw.normal(0, 0.06)
        top, bottom = canvas.brows - draw.uniform(0.75, 0.95), 0.16 - 0.42 * abs(end + 0.55)
        bend = [(start + end) / 2 - 0.12, (top + bottom) / 2 - 0.12]
        tone = int(draw.integers(24, 66))
        strand = (tone + 12, tone, tone * 2 // 3)
        canvas.line([[start, top], bend, [end, bottom]], draw.uniform(0.015, 0.035), strand)
    return canvas.over(photograph)[0]


def hand(photograph: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Four fingers over one half of the mouth and the chin."""
    canvas = Canvas(photograph.shape[:2], landmarks)
    x, y = canvas.place(landmarks[48:68].mean(0))
    column, row = np.rint((landmarks[1] + landmarks[30]) / 2).astype(int)  # of a cheek
    skin = photograph[row - 3 : row + 4, column - 3 : column + 4].mean((0, 1))
    shades = [(skin * k).clip(0, 255) for k in (0.55, 0.92, 1.06)]
    for number in (3, 2, 1, 0):
        tip = np.array([x - 0.16 + 0.09 * number, y - 0.28 + 0.24 * number])
        knuckle = tip + np.array([0.62, 0.16])
        wrist = np.array([x + 1.25, y + 1.0])
        for width, shade, shift in ((0.25, 0, 0.0), (0.22, 1, -0.005), (0.07, 2, -0.055)):
            bones = np.stack([tip, knuckle, wrist]) + np.array([0, shift])
            canvas.line(bones, width, shades[shade])
    return canvas.over(photograph)[0]


OCCLUSIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "glasses": glasses,
    "hat": hat,
    "hair": hair,
    "hand": hand,
}


def pencil(photograph: np.ndarray) -> np.ndarray:
    """A pencil drawing: the light divided by the blurred light."""
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY).astype(np.float32) + 1
    blurred = cv2.GaussianBlur(grey, (0, 0), max(photograph.shape[:2]) / 90)
    lines = np.clip(grey / blurred, 0, 1) ** 2 * 0.75 + 0.25 * (grey / 256) ** 0.5
    return _toned(lines, (45, 43, 42), (250, 248, 240))


def ink(photograph: np.ndarray) -> np.ndarray:
    """Black ink on paper, with hatching in the shadows."""
    grey = cv2.bilateralFilter(cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY), 9, 40, 5)
    block = max(11, max(photograph.shape[:2]) // 24 | 1)
    lines = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, block, 6
    )
    rows, columns = np.indices(grey.shape)
    hatched = ((rows + columns) % 6 < 2) & (grey < 70)
    smooth = cv2.GaussianBlur(np.where(hatched, 0, lines).astype(np.float32) / 255, (0, 0), 0.7)
    return _toned(smooth, (24, 22, 30), (246, 240, 226))


def oil(photograph: np.ndarray) -> np.ndarray:
    """An oil painting: short strokes along the edges, large ones first."""
    draw = np.random.default_rng(0)
    grey = cv2.GaussianBlur(cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY), (0, 0), 3)
    across, down = (cv2.Scharr(grey.astype(np.float32), cv2.CV_32F, *d) for d in ((1, 0), (0, 1)))
    painted = cv2.GaussianBlur(photograph, (0, 0), 6)
    height, width = grey.shape
    scale = max(height, width) / 512
    for size in (7, 4, 2):
        length, thick = 2 * size * scale, max(1, round(size * scale))
        colours = cv2.GaussianBlur(photograph, (0, 0), thick / 2)
        count = int(height * width / (length * thick) * 3)
        places = np.stack([draw.integers(width, size=count), draw.integers(height, size=count)], 1)
        for x, y in places:
            angle = np.arctan2(down[y, x], across[y, x]) + np.pi / 2 + draw.normal(0, 0.2)
            dx, dy = length / 2 * np.cos(angle), length / 2 * np.sin(angle)
            colour = np.clip(colours[y, x] + draw.normal(0, 7), 0, 255)
            start, end = (int(x - dx), int(y - dy)), (int(x + dx), int(y + dy))
            cv2.line(painted, start, end, colour.tolist(), thick, cv2.LINE_AA)
    return painted


def wash(photograph: np.ndarray) -> np.ndarray:
    """Outlines and smooth washes on grained paper."""
    washes = cv2.stylization(photograph, sigma_s=40, sigma_r=0.5).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1, photograph.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 1.2)[:, :, None] * 12
    return np.clip(255 - (255 - washes) * 0.85 + grain, 0, 255).astype(np.uint8)


def statue(photograph: np.ndarray) -> np.ndarray:
    """Grey stone: the light alone, in relief."""
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    smooth = cv2.bilateralFilter(grey, 9, 0.15, 5)
    relief = cv2.GaussianBlur(smooth, (0, 0), 1.5) - cv2.GaussianBlur(
        np.roll(smooth, (2, 2), (0, 1)), (0, 0), 1.5
    )
    grain = np.random.default_rng(0).normal(0, 0.02, grey.shape).astype(np.float32)
    stone = 0.25 + 0.6 * smooth**0.8 + 0.9 * relief + cv2.GaussianBlur(grain, (0, 0), 0.8)
    return _toned(np.clip(stone, 0, 1), (30, 31, 34), (236, 233, 226))


DRAWINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pencil": pencil,
    "ink": ink,
    "oil": oil,
    "wash": wash,
    "statue": statue,
}


def _toned(light: np.ndarray, dark: tuple[int, ...], bright: tuple[int, ...]) -> np.ndarray:
    """A picture of one scale of colours; light: (h, w) in 0-1."""
    tones = np.array(dark) + light[:, :, None] * (np.array(bright) - np.array(dark))
    return np.clip(np.rint(tones), 0, 255).astype(np.uint8)
