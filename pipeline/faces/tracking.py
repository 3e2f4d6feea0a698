"""Follow the faces of a clip from frame to frame: each person keeps a number.

A face is the same person's as one of the frame before if it is at the same place and looks the
same, pixel for pixel. Where that is not clear, as after a cut, behind another face or after an
absence, dlib's descriptors decide; and where these do not, the face is a new person's. At the end
of the clip such new persons are joined with those whom they resemble and never meet. So a person
may be counted twice, but two persons are not taken for one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from . import CROP_SIZE, MARGIN
from .crop import Box, decode_crop
from .detect import iou
from .extract import FaceCrop
from .identity import describe
from .landmarks import box_in_crop

_OVERLAP = 0.3
"""The least intersection over union of the boxes of one face in two frames."""
_ABSENT_FRAMES = 5
"""After so many frames without a person, their place says nothing any more."""
_ALIKE = 0.8
"""The least correlation of the pictures of one face in two frames that follow each other."""
_SAME_PERSON, _SAME_PERSON_AND_PLACE = 0.45, 0.55
"""The largest distance of descriptors of one person; dlib's own threshold is 0.6."""
_CLEARER = 0.08
"""By how much the nearest person must be nearer than the next one."""
_DESCRIPTORS, _DESCRIBE_EVERY = 6, 25
"""How many descriptors a person has at most, and the frames between two of them."""
_SMALL = 24


@dataclass
class _Person:
    number: int
    box: Box
    picture: np.ndarray
    frames: list[int] = field(default_factory=list)
    """The frames in which this person was seen."""
    descriptors: list[np.ndarray] = field(default_factory=list)
    described: int = 0
    """The frame of the last descriptor."""


class FaceTracker:
    """Numbers the persons of a clip, from 0 in the order in which they appear."""

    def __init__(
        self,
        margin: float = MARGIN,
        describe: Callable[[np.ndarray, list[int]], np.ndarray] = describe,
    ) -> None:
        """margin: of the crops, as a fraction of the HOG box.
        describe: as `identity.describe`."""
        self._margin, self._describe = margin, describe
        self._people: list[_Person] = []
        self._frame = -1

    def follow(self, faces: Sequence[FaceCrop]) -> list[int]:
        """Return the number of the person of each face of the next frame."""
        self._frame += 1
        crops = [decode_crop(face.jpeg, CROP_SIZE) for face in faces]
        pictures = [self._small(crop) for crop in crops]
        numbers: dict[int, int] = {}
        free = {person.number for person in self._people}
        near = [self._near(face.box) for face in faces]
        for index, people in enumerate(near):
            if len(people) != 1:
                continue
            [person] = people
            rivals = sum(person in others for others in near)
            if rivals == 1 and float(person.picture @ pictures[index]) >= _ALIKE:
                numbers[index] = person.number
                free.discard(person.number)
        rest = [index for index in range(len(faces)) if index not in numbers]
        described = {index: self._described(crops[index]) for index in rest}
        numbers |= self._by_looks(rest, described, near, free)
        for index, face in enumerate(faces):
            if index not in numbers:
                numbers[index] = len(self._people)
                self._people.append(_Person(numbers[index], face.box, pictures[index]))
            person = self._people[numbers[index]]
            person.box, person.picture = face.box, pictures[index]
            person.frames.append(self._frame)
            self._remember(person, crops[index], described.get(index))
        return [numbers[index] for index in range(len(faces))]

    def joined(self) -> list[int]:
        """For each number that `follow` has given, the lowest number of the same person.

        Two numbers are joined if their descriptors are near and they are never in the same frame,
        unless somebody who is in a frame with one of them resembles the other as much.
        """
        groups = [[person] for person in self._people]
        pairs = [
            (distance, one.number, other.number)
            for one in self._people
            for other in self._people[: one.number]
            if (distance := _distance([one], [other])) <= _SAME_PERSON
        ]
        for distance, *numbers in sorted(pairs):
            one, other = (
                next(group for group in groups if any(p.number == number for p in group))
                for number in numbers
            )
            rest = [group for group in groups if group is not one and group is not other]
            rivals = [_distance(other, third) for third in rest if _meet(one, third)]
            rivals += [_distance(one, third) for third in rest if _meet(other, third)]
            if (
                one is not other
                and not _meet(one, other)
                and distance + _CLEARER <= min(rivals, default=np.inf)
            ):
                groups = [*rest, one + other]
        lowest = {p.number: min(q.number for q in group) for group in groups for p in group}
        return [lowest[person.number] for person in self._people]

    def _near(self, box: Box) -> list[_Person]:
        """The persons whose place a box may be."""
        return [
            person
            for person in self._people
            if self._frame - person.frames[-1] <= _ABSENT_FRAMES
            and iou(person.box, box) >= _OVERLAP
        ]

    def _by_looks(
        self,
        rest: Sequence[int],
        described: dict[int, np.ndarray],
        near: Sequence[list[_Person]],
        free: set[int],
    ) -> dict[int, int]:
        """The known persons among faces of a frame, by their descriptors, the nearest first."""
        numbers: dict[int, int] = {}
        pairs = []
        for index in rest:
            distances = {
                person.number: min(
                    float(np.linalg.norm(known - described[index])) for known in person.descriptors
                )
                for person in self._people
            }
            for number, distance in distances.items():
                here = any(person.number == number for person in near[index])
                others = [other for one, other in distances.items() if one != number]
                if (
                    number in free
                    and distance <= (_SAME_PERSON_AND_PLACE if here else _SAME_PERSON)
                    and distance + _CLEARER <= min(others, default=np.inf)
                ):
                    pairs.append((distance, index, number))
        for _, index, number in sorted(pairs):
            if index not in numbers and number not in numbers.values():
                numbers[index] = number
        return numbers

    def _described(self, crop: np.ndarray) -> np.ndarray:
        return self._describe(crop, box_in_crop(crop.shape[0], self._margin))

    def _remember(self, person: _Person, crop: np.ndarray, descriptor: np.ndarray | None) -> None:
        """Keep a descriptor of a person, now and then."""
        due = self._frame - person.described >= _DESCRIBE_EVERY
        if not person.descriptors or (due and len(person.descriptors) < _DESCRIPTORS):
            person.descriptors.append(self._described(crop) if descriptor is None else descriptor)
            person.described = self._frame

    def _small(self, crop: np.ndarray) -> np.ndarray:
        """The face in a crop as a small grey picture of mean 0 and length 1, flat."""
        left, top, right, bottom = box_in_crop(crop.shape[0], self._margin)
        grey = cv2.cvtColor(crop[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        return (small / max(float(np.linalg.norm(small)), 1e-6)).ravel()


def _distance(some: Sequence[_Person], others: Sequence[_Person]) -> float:
    """The distance of the two nearest descriptors."""
    return min(
        float(np.linalg.norm(one - other))
        for person in some
        for one in person.descriptors
        for another in others
        for other in another.descriptors
    )


def _meet(some: Sequence[_Person], others: Sequence[_Person]) -> bool:
    """Whether some are seen in a frame with others."""
    frames = {frame for person in some for frame in person.frames}
    return any(frame in frames for person in others for frame in person.frames)
