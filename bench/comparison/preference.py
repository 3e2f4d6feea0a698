"""A page on which a person chooses between two pictures without being told which models made them.

Each question shows a face, a photograph of the expression that it is asked for, and what two models
made of it, left and right at random. Every two models meet equally often. The page counts in the
browser, keeps its count there, and shows names only when it is asked for the count. It needs no
server; the pictures are in it.
"""

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganim.model.animation.animator import faces_of_crops
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, to_unit
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.faces.crop import CROP_SIZE, decode_crop
from ganim.pipeline.report import pages

from .measure import Contender

_TEMPLATE = Path(__file__).with_name("preference.html.j2")


def write_page(
    path: Path,
    contenders: list[Contender],
    folder: Path,
    count: int,
    seed: int,
    device: torch.device,
    on_progress: Callable[[int], None] = lambda count: None,
) -> None:
    """Write the page.

    Args:
        path: of the page.
        contenders: the models that meet, two or more.
        folder: an annotated shard set, whose test split gives the faces.
        count: how many questions.
        seed: of faces, targets, and what stands left.
        device: where the generators compute.
        on_progress: is called with 1 after each contender.

    Raises WrongUse for fewer than two contenders or faces.
    """
    if len(contenders) < 2:
        raise WrongUse("A choice needs two models: train another one first.")
    faces = shards.annotated_faces(folder, "test")
    if len(faces) < 2:
        raise WrongUse(f"{folder} has {len(faces)} annotated test faces, and a choice needs two.")
    draw = np.random.default_rng(seed)
    sources, targets = _two_faces(len(faces), count, draw)
    crops = np.stack([decode_crop(image, CROP_SIZE) for image in faces["image"]])
    aus = np.nan_to_num(to_unit(faces[list(COLUMNS)].to_numpy(np.float32)))
    meetings = list(itertools.combinations(range(len(contenders)), 2))
    order = np.concatenate(
        [draw.permutation(len(meetings)) for _ in range(-(-count // len(meetings)))]
    )[:count]
    sides = [draw.permutation(meetings[index]) for index in order]
    pictures: list[dict[int, str]] = [{} for _ in range(count)]
    for number, contender in enumerate(contenders):
        animator = contender.load(device)
        for question in (index for index, side in enumerate(sides) if number in side):
            source, target = sources[question], targets[question]
            made = animator.render_batch(
                crops[source : source + 1],
                faces_of_crops(aus[source : source + 1]),
                aus[target : target + 1],
            )
            pictures[question][number] = _uri(made.pictures[0])
        on_progress(1)
    questions = [
        {
            "source": _uri(crops[source]),
            "asked": _uri(crops[target]),
            "left": made[int(left)],
            "right": made[int(right)],
            "models": [int(left), int(right)],
        }
        for source, target, (left, right), made in zip(
            sources, targets, sides, pictures, strict=True
        )
    ]
    data: dict[str, Any] = {
        "titles": [contender.title for contender in contenders],
        "questions": questions,
    }
    # A page of other pictures does not go on with the count of this one.
    data["name"] = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    pages.write(path, pages.render(_TEMPLATE, data=data))


def _two_faces(faces: int, count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each question a face and another one, whose expression it is asked for."""
    sources = draw.integers(faces, size=count)
    return sources, (sources + draw.integers(1, faces, size=count)) % faces


def _uri(picture: np.ndarray) -> str:
    return pages.data_uri(Image.fromarray(picture), subsampling=0)
