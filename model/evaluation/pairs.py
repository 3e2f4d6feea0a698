"""Errors to photographs of the asked expression: pairs of photographs of one person.

A series holds photographs of one person under the same conditions. One of a pair is animated to the
AUs of the other and compared with it. Both are seen in one frame, in which the landmarks that
expressions hardly move lie in the same places.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from ...pipeline import shards
from ...pipeline.action_units import COLUMNS, positions, to_unit
from ...pipeline.faces.crop import CROP_SIZE, Box, decode_crop
from ...pipeline.faces.frame import Frame
from ...pipeline.faces.paste import Change
from ..animation.animator import Animator, faces_of_crops, paste
from ..estimator.network import load_estimator
from ..estimator.reader import landmarks_in
from ..landmarks.nuisance import difference, nuisance
from ..landmarks.placing import FIXED_BY_SCHEME, place_frame
from ..networks.flow_generator import FlowGenerator
from ..networks.torch_renderer import TorchRenderer
from ..pixels import to_model
from . import metrics
from .features import batches, concatenate
from .pair_readings import read_rises

_PER_SERIES = 12
_MOST = 600
"""Pairs of all series together. If there are more series, each gives fewer pairs."""
_FRAME_SCALE, _FRAME_DOWN = 1.087, 0.351
"""Place the estimator's mean face in the frame of the comparison: brows to chin, cheek to cheek."""
_BORDER = 10
"""Pixels of the frame of 128 px that are left out at each edge: the eyes are 52 px apart."""

ERRORS = ("l1", "ssim_error", "landmark_error")
"""`l1`: mean absolute difference in -1..1, the mean over three scales. `ssim_error`: 1 - SSIM.
`landmark_error`: mean distance of 68 landmarks, in % of the distance between the eyes."""
Errors = dict[str, np.ndarray]
"""By the names in ERRORS, (pairs,)."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of photographs of one person. The targets are what generators are asked for."""

    sources: np.ndarray
    """(n, 128, 128, 3) uint8: crops."""
    own_aus: np.ndarray
    """(n, 17) in 0-1: the labels of the sources."""
    target_aus: np.ndarray
    """(n, 17) in 0-1: the labels of the targets; of AUs that are not edited, the sources'."""
    nuisance: np.ndarray
    """(n, 12): what differs beside the AUs (landmarks/nuisance.py)."""
    frames: list[Frame]
    """For each source, the part of the crop that is compared."""
    targets: np.ndarray
    """(n, 128, 128, 3) uint8: the targets in the frame."""
    target_landmarks: np.ndarray
    """(n, 68, 2) in the frame, -1..1: the estimator's landmarks of the targets."""
    series: list[str]
    """The series of each pair."""

    def __len__(self) -> int:
        return len(self.sources)


def load_pairs(folder: Path, seed: int, aus: Sequence[int]) -> Pairs | None:
    """Draw pairs of the test split of a shard set; None if no series has two photographs.

    aus: the numbers of the AUs that are edited.
    """
    faces = shards.annotated_faces(folder, "test")
    return make_pairs(faces, draw_pairs(series_of(faces), seed), aus)


def series_of(faces: pd.DataFrame) -> list[str | None]:
    """The series of each of some faces of `shards.annotated_faces`; None where there is none."""
    if "series" not in faces:
        return [None] * len(faces)
    return [name if isinstance(name, str) and name else None for name in faces["series"]]


def draw_pairs(
    series: Sequence[str | None], seed: int, per_series: int = _PER_SERIES, most: int = _MOST
) -> np.ndarray:
    """Draw pairs within series: (n, 2), the positions of source and target.

    Each series gives up to `per_series` different pairs, in a random order of series; fewer if
    there would be more than `most` together.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(series):
        if name:
            members[name].append(index)
    rng = np.random.default_rng(seed)
    usable = [members[name] for name in sorted(members) if len(members[name]) > 1]
    chosen = [usable[index] for index in rng.permutation(len(usable))[:most]]
    per_series = min(per_series, most // max(len(chosen), 1))
    pairs = []
    for group in chosen:
        ordered = len(group) * (len(group) - 1)
        for number in rng.permutation(ordered)[:per_series]:
            first, second = divmod(int(number), len(group) - 1)
            pairs.append((group[first], group[second + (second >= first)]))
    return np.array(pairs, int).reshape(-1, 2)


def make_pairs(faces: pd.DataFrame, indices: np.ndarray, aus: Sequence[int]) -> Pairs | None:
    """Prepare pairs for comparison; None if there are none.

    faces: as `shards.annotated_faces` returns them. indices: (n, 2), the positions of source and
    target, as `draw_pairs` gives them.
    """
    if not len(indices):
        return None
    series = series_of(faces)
    needed, places = np.unique(indices, return_inverse=True)
    faces, places = faces.iloc[needed], places.reshape(-1, 2)
    crops = np.stack([decode_crop(image, CROP_SIZE) for image in faces["image"]])
    labels = to_unit(faces[list(COLUMNS)].to_numpy(np.float32))
    found = [_find(crop) for crop in crops]
    known = [known_landmarks(row) for row in faces.get("landmarks", [None] * len(faces))]
    own, columns = labels[places[:, 0]], positions(aus)
    target_aus = own.copy()
    target_aus[:, columns] = labels[places[:, 1]][:, columns]
    frames, targets, target_landmarks, told = [], [], [], []
    for s, t in places:
        first, second = known[s], known[t]
        if first is None or second is None or len(first) != len(second):
            first, second = found[s], found[t]
        frame = place_frame(found[s], _reference())
        # The target lies as the source does, by landmarks of one scheme.
        target_frame = place_frame(second, frame.from_picture(first), FIXED_BY_SCHEME[len(second)])
        cut = [frame.cut(crops[s], CROP_SIZE), target_frame.cut(crops[t], CROP_SIZE)]
        numbers = nuisance(
            _to_tensor(np.stack(cut)),
            torch.from_numpy(
                np.stack([frame.from_picture(first), target_frame.from_picture(second)])
            ).float(),
        )
        frames.append(frame)
        targets.append(cut[1])
        target_landmarks.append(target_frame.from_picture(found[t]))
        told.append(difference(*numbers))
    return Pairs(
        crops[places[:, 0]],
        own,
        target_aus,
        torch.stack(told).numpy(),
        frames,
        np.stack(targets),
        np.stack(target_landmarks),
        [str(series[index]) for index in indices[:, 0]],
    )


def compare(pairs: Pairs, which: np.ndarray, pictures: Sequence[np.ndarray] | np.ndarray) -> Errors:
    """Compare the results for some pairs with the targets.

    which: the positions of the pairs. pictures: for each, the edited crop (128, 128, 3) uint8.
    """
    frames = [pairs.frames[index] for index in which]
    cut = _cut(pairs, which, pictures)
    landmarks = np.stack(
        [frame.from_picture(_find(one)) for frame, one in zip(frames, pictures, strict=True)]
    )
    expected = pairs.target_landmarks[which]
    eyes = [expected[:, list(corners)].mean(1) for corners in ((36, 39), (42, 45))]
    distances = np.linalg.norm(landmarks - expected, axis=2).mean(1)
    return pixel_errors(cut, pairs.targets[which]) | {
        "landmark_error": 100 * distances / np.linalg.norm(eyes[1] - eyes[0], axis=1),
    }


def pixel_errors(results: np.ndarray, targets: np.ndarray) -> Errors:
    """`l1` and `ssim_error` of results and targets (n, 128, 128, 3) uint8 in the frame."""
    results, targets = (
        faces[:, _BORDER:-_BORDER, _BORDER:-_BORDER] for faces in (results, targets)
    )
    return {
        "l1": _pyramid_l1(_to_tensor(results), _to_tensor(targets)).numpy(),
        "ssim_error": 1 - metrics.ssim(results, targets),
    }


def evaluate_pairs(
    animator: Animator, pairs: Pairs, on_progress: Callable[[int], None] = lambda count: None
) -> dict[str, float]:
    """The mean errors of a generator, of the unedited sources and of moving alone.

    Returns values by `pairs_ERROR`, for the generator that is told AUs only, and with the endings
    `_unedited`; `_moved` (pixels moved, none painted); `_told` (pose, gaze and light told, too)
    and `_used` (with gains and cleaning, as `animate` makes it); and with `_ratio` each divided by
    that of the unedited sources. Only those that the generator has. And the values of `read_rises`,
    by the estimator.
    """
    parts: dict[str, list[Errors]] = defaultdict(list)
    read: dict[str, list[np.ndarray]] = defaultdict(list)
    for which in batches(np.arange(len(pairs))):
        shown = {"_unedited": list(pairs.sources[which])} | _results(animator, pairs, which)
        for ending, pictures in shown.items():
            parts[ending].append(compare(pairs, which, pictures))
            read[ending].append(_read(_cut(pairs, which, pictures)))
        on_progress(len(which))
    values: dict[str, float] = {"pairs": float(len(pairs))}
    for ending, errors in parts.items():
        for name, rows in concatenate(errors).items():
            values[f"pairs_{name}{ending}"] = float(rows.mean())
    for name in ERRORS:
        unedited = values[f"pairs_{name}_unedited"]
        for ending in parts:
            if ending != "_unedited" and unedited:
                values[f"pairs_{name}{ending}_ratio"] = values[f"pairs_{name}{ending}"] / unedited
    aus = {ending: np.concatenate(rows) for ending, rows in read.items()}
    change, of_sources = pairs.target_aus - pairs.own_aus, aus.pop("_unedited")
    return values | read_rises(change, of_sources, _read(pairs.targets), aus)


@torch.inference_mode()
def _results(animator: Animator, pairs: Pairs, which: np.ndarray) -> dict[str, list[np.ndarray]]:
    """The edited crops of some pairs by the endings of `evaluate_pairs`."""
    crops, renderer = pairs.sources[which], animator.renderer
    assert isinstance(renderer, TorchRenderer)
    generator = renderer.network
    regions, squares = animator.cut(crops, faces_of_crops(pairs.own_aus[which]))
    inputs = renderer.inputs(squares)
    own, target, told = (
        torch.from_numpy(rows[which]).float().to(inputs.device)
        for rows in (pairs.own_aus, pairs.target_aus, pairs.nuisance)
    )
    changes: dict[str, list[Change]] = {}
    if isinstance(generator, FlowGenerator):
        of_told = generator.outputs(inputs, target, target - own, told).masks
        masks = {
            "": generator.outputs(inputs, target, target - own, torch.zeros_like(told)).masks,
            "_told": of_told,
            "_moved": of_told.without_paint(),
        }
        rows = pairs.target_aus[which], pairs.own_aus[which]
        changes["_used"] = renderer.render(squares, *rows).changes
    else:
        masks = {"": generator(inputs, target, own)}
        if masks[""].flow is not None:
            masks["_moved"] = masks[""].without_paint()
    changes |= {ending: one.changes() for ending, one in masks.items()}
    return {ending: paste(crops, regions, made) for ending, made in changes.items()}


def _cut(
    pairs: Pairs, which: np.ndarray, pictures: Sequence[np.ndarray] | np.ndarray
) -> np.ndarray:
    """(n, 128, 128, 3) uint8: what is compared of the crops of some pairs."""
    frames = [pairs.frames[index] for index in which]
    return np.stack(
        [frame.cut(one, CROP_SIZE) for frame, one in zip(frames, pictures, strict=True)]
    )


def _read(faces: np.ndarray) -> np.ndarray:
    """(n, 17) in 0-1: AUs of faces (n, 128, 128, 3) uint8 by the estimator."""
    return np.concatenate(
        [load_estimator().read_faces(faces[part]).aus for part in batches(np.arange(len(faces)))]
    )


def _pyramid_l1(a: Tensor, b: Tensor) -> Tensor:
    """(n,): mean absolute difference of faces (n, 3, h, w), the mean of scales 1, 1/2 and 1/4."""
    errors = []
    for _ in range(3):
        errors.append((a - b).abs().mean((1, 2, 3)))
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(errors).mean(0)


def _find(crop: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) of a crop in its pixels, by the estimator."""
    return landmarks_in(load_estimator(), crop, Box(0, 0, CROP_SIZE, CROP_SIZE))


def _reference() -> np.ndarray:
    """(68, 2): the mean face in the frame, -1..1. The same for all generators."""
    return load_estimator().mean_face * _FRAME_SCALE + np.array([0, _FRAME_DOWN])


def _to_tensor(pictures: np.ndarray) -> Tensor:
    """Pictures (n, h, w, 3) uint8 as (n, 3, h, w) in -1..1."""
    return to_model(torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2))


def known_landmarks(row: np.ndarray | None) -> np.ndarray | None:
    """Landmarks (points, 2) in pixels of the crop, from those of the shards in -1..1 as x0, y0, x1,
    y1, …; None if some are not known."""
    if row is None or len(row) // 2 not in FIXED_BY_SCHEME:
        return None
    landmarks = np.asarray(row, np.float64).reshape(-1, 2)
    return None if np.isnan(landmarks).any() else (landmarks + 1) * (CROP_SIZE / 2) - 0.5
