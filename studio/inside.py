"""How a picture was made, drawn: masks and motion; and how it reads: AUs and identity."""

import cv2
import numpy as np
import torch

from ..model.animation.faces import read_face
from ..model.editing.masks import Masks
from ..model.networks.flow_generator import FlowGenerator
from ..model.networks.torch_renderer import TorchRenderer
from ..model.pixels import from_model
from ..pipeline.action_units import COUNT, positions
from ..pipeline.faces.identity import describe_landmarks
from .session import RENDERING, Session, Shown

SIDE = 384
"""Of the pictures, in pixels."""
EXAGGERATION = 2
"""Arrows are longer by this factor than the motion."""
_SPACING, _SHORTEST = 16, 1.0
"""Between arrows, and of an arrow before it is lengthened, in pixels of the picture."""
_ARROW = (255, 214, 31)


class Inside:
    """What the generator computed of a picture that a session shows.

    Args:
        session: with an animator in torch.
        shown: the picture.
    """

    @torch.inference_mode()
    def __init__(self, session: Session, shown: Shown) -> None:
        renderer = session.animator.renderer
        assert isinstance(renderer, TorchRenderer)
        self._session, self._shown, network = session, shown, renderer.network
        self._crop = session.region.cut(session.photograph.preview, renderer.size)
        pixels = renderer.inputs(self._crop[None])
        target, own = (
            torch.from_numpy(aus)[None].to(pixels.device) for aus in (shown.target, session.own_aus)
        )
        with RENDERING:
            self._masks: Masks
            self._fields: dict[int, np.ndarray] = {}
            if not isinstance(network, FlowGenerator):
                self._masks = network(pixels, target, own)
            else:
                features = network.encode(pixels)
                self._masks = network.animate(features, target, own)
                fields = features.fields[0, : len(renderer.aus)]
                each_alone = torch.eye(COUNT, device=pixels.device)
                shown_by_1 = network.shown_change(each_alone, torch.zeros_like(each_alone)).diag()
                factors = shown_by_1[positions(renderer.aus)][:, None, None, None]
                by_au = (fields * factors).permute(0, 2, 3, 1).cpu().numpy()
                self._fields = dict(zip(renderer.aus, by_au, strict=True))

    @property
    def attention(self) -> np.ndarray:
        """The attention mask (SIDE, SIDE, 3) uint8, white where the photograph is kept."""
        levels = (self._masks.attention[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        return _enlarged(np.repeat(levels, 3, 2))

    @property
    def colour(self) -> np.ndarray:
        """The colour mask (SIDE, SIDE, 3) uint8 RGB."""
        return _enlarged(
            from_model(self._masks.colour[0]).permute(1, 2, 0).round().byte().cpu().numpy()
        )

    def motion(self, number: int | None) -> np.ndarray | None:
        """The face, dim, with arrows that show where its parts move; (SIDE, SIDE, 3) uint8 RGB.

        number: an AU, drawn for a change by 1; None: all that is asked for now.

        Returns None for a generator that moves nothing.
        """
        if self._masks.flow is None:
            return None
        flow = self._masks.flow[0].permute(1, 2, 0).cpu().numpy()
        if number is not None:
            flow = self._fields[number]
        grey = cv2.cvtColor(_enlarged(self._crop), cv2.COLOR_RGB2GRAY)
        drawn = np.repeat((grey * 0.6).astype(np.uint8)[:, :, None], 3, 2)
        across = cv2.resize(flow, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) * (SIDE / 2)
        for y in range(_SPACING // 2, SIDE, _SPACING):
            for x in range(_SPACING // 2, SIDE, _SPACING):
                # The flow says where a pixel comes from; the face moves the other way.
                motion = -across[y, x]
                if np.hypot(*motion) >= _SHORTEST:
                    right, down = np.rint(np.array([x, y]) + EXAGGERATION * motion).astype(int)
                    tip = (int(right), int(down))
                    cv2.arrowedLine(drawn, (x, y), tip, _ARROW, 1, cv2.LINE_AA, tipLength=0.35)
        return drawn

    def read(self) -> tuple[np.ndarray, float]:
        """The AUs (17,) in 0-1 that the estimator reads in the picture, and its identity distance:
        that of dlib's descriptors of the faces in photograph and picture."""
        session, pixels = self._session, self._shown.pixels
        if np.array_equal(self._shown.target, session.own_aus):
            return session.own_aus, 0.0
        face = read_face(session.animator.reader, pixels, session.view)
        assert face.landmarks is not None
        after = describe_landmarks(pixels, face.landmarks)
        return face.own_aus, float(np.linalg.norm(after - session.descriptor))


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
