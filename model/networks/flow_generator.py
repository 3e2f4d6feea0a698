"""The generator that moves a face before it paints: flow fields of AUs, then masks.

The generator of the GANimation paper paints in place, so a raised brow is a second brow above the
first. This one regresses a flow field for each AU from the face alone, moves the face by the sum of
the fields, each times the change of its AU, and paints what motion cannot show (teeth, furrows,
closed lids) through the paper's attention and colour masks (Pumarola et al. 2018, section 4.1).
Warping features and photograph by one flow follows Siarohin et al. 2019 (First Order Motion Model);
flow that is linear in the AUs follows the linear shape models of faces (Blanz & Vetter 1999).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...pipeline.action_units import COUNT, positions
from ..config import GeneratorSettings
from ..editing.brows import brows_of
from ..editing.changes import as_lips_show, shown_change
from ..editing.cheeks import with_fainter_cheeks
from ..editing.cleaning import cleaned
from ..editing.expression_ratios import ExpressionRatios
from ..editing.eyes import cleaned_eyes
from ..editing.fields import shown_fields
from ..editing.furrows import FurrowNetwork
from ..editing.lines import with_deeper_lines
from ..editing.lips import lips_apart
from ..editing.masks import Masks
from ..editing.mouth import MouthNetwork, lips_in
from ..editing.occlusion import OcclusionNetwork, bounds, covered, limited, uncovered
from ..editing.sharpness import as_sharp_as, sharpness_of
from ..editing.smiles import without_smile
from ..editing.tint import toned_like, with_skin_colours
from ..editing.upper_face import UpperFaceNetwork
from ..landmarks.points import POINTS
from ..layers import Residual, convolution, doubled
from ..warp import coordinates, resized, warped

NUISANCE = 12
"""Numbers that tell how the photographs of a pair differ beside their AUs (landmarks/nuisance.py):
head pose (2), gaze (2), mean colour of the skin (3), light from the side (1), and more of the pose
(4). They are zero where a face is only asked for AUs."""
UNLIMITED = 100.0
"""More than any change. Infinity would be NaN in a moving average."""
_FIELD_SCALE = 0.25  # of the last layer's output; keeps the first fields small
_GATE_SLOPE = 8.0  # painting reaches 96% of its strength at a change of 0.25
_LIDS = (1, 2, 45)  # the AUs that unfold the upper lids: raised brows, closed eyes
_OPEN_EYES, _CLOSED_EYES = (5,), (45,)


class FlowOutputs(NamedTuple):
    """What the generator gives for n faces, with what its training penalises."""

    masks: Masks
    fields: Tensor
    """(n, AUs + NUISANCE, 2, h/4, w/4): the flow of a change by 1 of each, in half sides."""
    rest: Tensor
    """(n, 2, h/4, w/4): the part of the flow that is not linear in the change."""

    def part(self, chosen: slice) -> "FlowOutputs":
        """The outputs for some of the faces."""
        attention, colour, face, flow, _ = self.masks  # no blur in training
        assert flow is not None
        masks = Masks(attention[chosen], colour[chosen], face[chosen], flow[chosen])
        return FlowOutputs(masks, *(each[chosen] for each in self[1:]))


class FaceFeatures(NamedTuple):
    """What depends on n faces alone, whatever AUs they are asked for."""

    faces: Tensor
    """(n, 3, h, w) in -1..1; of `encode`, in the colours of skin if they had none."""
    at_2: Tensor
    """(n, channels, h/2, w/2); likewise `at_4`, `at_8` and `at_16`."""
    at_4: Tensor
    at_8: Tensor
    at_16: Tensor
    fields: Tensor
    """As in FlowOutputs."""
    occlusion: Tensor
    """(n, 1, h/2, w/2) in 0-1: what covers the face, and is neither moved nor painted."""
    bounds: Tensor
    """(n, 2, h/4, w/4): how far the face is moved near to that."""
    lips: Tensor
    """(n, 4, some columns): where lips end, by `MouthNetwork.ends_of`."""
    upper_face: Tensor
    """(n, 4, w): where brows, lids and eyes end, by `UpperFaceNetwork.ends_of`."""
    irises: Tensor
    """(n, 2, 3): where irises lie, by `UpperFaceNetwork.irises_in`."""
    sharpness: Tensor
    """(n, 1, h/2, w/2), by `sharpness_of`."""
    photographs: Tensor
    """(n, 3, h, w) in -1..1: the faces as they were given."""

    def repeated(self, count: int) -> "FaceFeatures":
        """The features of one face for `count` sets of AUs, without copying them."""
        return FaceFeatures(*(x.expand(count, *x.shape[1:]) for x in self))


class FlowGenerator(nn.Module):
    """Faces (n, 3, h, w) in -1..1, target AUs (n, 17) and the faces' own AUs, in 0-1, to Masks.

    h and w: multiples of 16. Faces lie as in training: upright, in the frame of the weights.
    Without a change of AUs the masks keep every pixel: the flow is 0 and the attention is 1.
    """

    gain: Tensor
    """(17,): factor of the change of each AU, so that an AU asked for is read as much. Set by
    calibration after the training; 1 until then."""
    reference: Tensor
    """(68, 2): where the landmarks of a mean face lie in the frame, -1..1; faces are cut so that
    theirs come near to these."""
    whitening: Tensor
    """(AUs + NUISANCE, the same): the layers that depend on the change take change @ whitening.
    The identity until `whiten`."""
    painting_limit: Tensor
    """(17,): painting is told a change of an AU as at most so large, since it has not seen larger
    ones, and their colours would be beyond those of faces. Motion has no limit. UNLIMITED until the
    training sets it."""

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        self.settings = settings
        self._known: Tensor
        self.register_buffer("_known", torch.tensor(positions(settings.aus)), persistent=False)
        self.register_buffer("gain", torch.ones(COUNT))
        self.register_buffer("reference", torch.zeros(POINTS, 2))
        count = len(settings.aus)
        self.register_buffer("whitening", torch.eye(count + NUISANCE))
        self.register_buffer("painting_limit", torch.full((COUNT,), UNLIMITED))
        half, quarter, eighth, sixteenth = (settings.width * k for k in (1, 2, 4, 6))
        style = settings.width * 3
        self.embedding = nn.Sequential(
            nn.Linear(2 * count + NUISANCE, 2 * style), nn.ReLU(), nn.Linear(2 * style, style),
            nn.ReLU(),
        )  # fmt: skip
        self.encoder = nn.ModuleList(
            [
                convolution(14, half, 5),  # 2x2 pixels as channels, and the place of each
                convolution(half, quarter, 4, stride=2),
                convolution(quarter, eighth, 4, stride=2),
                convolution(eighth, sixteenth, 4, stride=2),
            ]
        )
        self.face_blocks = nn.ModuleList(Residual(sixteenth) for _ in range(2))
        self.to_field_features = convolution(sixteenth + eighth, eighth, 3)
        self.to_fields = nn.Sequential(
            convolution(eighth + quarter, 64, 3), nn.Conv2d(64, 2 * (count + NUISANCE), 3, 1, 1)
        )
        self.blocks_16 = nn.ModuleList(Residual(sixteenth, style) for _ in range(3))
        self.enlarge_8 = convolution(sixteenth + eighth, eighth, 3)
        self.blocks_8 = nn.ModuleList(Residual(eighth, style) for _ in range(2))
        self.enlarge_4 = convolution(eighth + quarter, quarter, 3)
        self.to_rest = nn.Sequential(
            nn.Conv2d(quarter, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 2, 3, 1, 1)
        )
        self.blocks_4 = nn.ModuleList(Residual(quarter, style) for _ in range(2))
        self.enlarge_2 = convolution(quarter + half, half, 3)
        self.block_2 = Residual(half, style)
        self.to_masks = nn.Conv2d(half, 16, 3, 1, 1)  # 2x2 pixels of attention and colour
        self.occlusion = OcclusionNetwork(half, quarter, eighth, sixteenth).requires_grad_(False)
        self.mouth = MouthNetwork().requires_grad_(False)
        self.upper_face = UpperFaceNetwork().requires_grad_(False)
        self.ratios = ExpressionRatios()
        self.furrows = FurrowNetwork().requires_grad_(False)
        for last in (self.to_fields[-1], self.to_rest[-1], self.to_masks):
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights that know fewer nuisances have no fields for the others, and do not see them.
        Those without whitening have the identity, those without a limit of painting none, and
        those without networks of occlusions, mouths, upper faces and furrows, or with such of the
        kinds of before versions 16 and 18, have some that find and paint nothing; those without
        expression ratio images have none."""
        old = [] if prefix + "mouth.lips.last.weight" in state_dict else ["mouth"]
        for key in list(state_dict):
            if key.startswith(tuple(f"{prefix}{name}." for name in (*old, "brows"))):
                del state_dict[key]
        if prefix + "reference" in state_dict:
            state_dict.setdefault(prefix + "whitening", torch.eye(len(self.whitening)))
            unlimited = torch.full_like(self.painting_limit, UNLIMITED)
            state_dict.setdefault(prefix + "painting_limit", unlimited)
            for name in ("occlusion", "mouth", "upper_face", "ratios", "furrows"):
                untrained = self.get_submodule(name).state_dict(prefix=f"{prefix}{name}.")
                for key, tensor in untrained.items():
                    state_dict.setdefault(key, tensor)
        for name in ("embedding.0.weight", "to_fields.1.weight", "to_fields.1.bias"):
            if prefix + name in state_dict:
                saved = state_dict[prefix + name]
                state_dict[prefix + name] = _padded(saved, self.get_parameter(name))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @torch.no_grad()
    def whiten(self, matrix: Tensor) -> None:
        """Take another matrix as `whitening`, with weights by which the outputs stay the same.

        AUs come in company, so their changes vary much along some directions, and little along
        others, such as raising the inner brow alone. A gradient is as large as what it is
        multiplied by varies, so the latter are learned late, and single AUs with them. Multiplied
        by the inverse square root of their covariance, changes vary alike in all directions, and
        are learned at one pace (LeCun et al. 1998, Efficient BackProp, section 4.3).

        matrix: (AUs + NUISANCE, the same), invertible.
        """
        matrix = matrix.to(self.whitening)
        turn = torch.linalg.solve(matrix, self.whitening)
        for name in ("to_fields.1.weight", "to_fields.1.bias"):
            rows = self.get_parameter(name)
            rows.copy_((turn @ rows.view(len(turn), -1)).view_as(rows))
        columns = self.get_parameter("embedding.0.weight")[:, -len(turn) :]
        columns.copy_(columns @ turn.T)
        self.whitening.copy_(matrix)

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor) -> Masks:
        """The cleaned masks of faces that are asked for `aus`; the change of each AU times its
        gain. Training uses `outputs`."""
        return self.animate(self.encode(faces), aus, own_aus)

    def animate(self, face: FaceFeatures, aus: Tensor, own_aus: Tensor) -> Masks:
        """`forward` of faces that are encoded: once for a face that shows many expressions.

        What spoils pictures is taken from the masks here, and not in training (cleaning.py,
        smiles.py, eyes.py, sharpness.py), what covers the face is not painted, brows and lids are
        moved by upper_face.py, mouths that open, close, or show their teeth are made by mouth.py,
        and skin gets folds by expression_ratios.py, lines.py and furrows.py; tint.py keeps grey
        photographs grey.
        """
        apart = lips_apart(face.lips, face.faces.shape[2]) + 1 - self.mouth.trained
        aus, own_aus = as_lips_show(aus, own_aus, apart)
        brows = brows_of(face.upper_face)
        opening = self.upper_face.opening(own_aus, aus, brows)
        closing = self.upper_face.closing(own_aus, aus)
        change = self.shown_change(aus, own_aus)
        change = self.upper_face.left_to_flow(change, brows)
        nuisance = change.new_zeros(aus.shape[0], NUISANCE)
        asked, aus = aus, (own_aus + change).clamp(0, 1)
        fields = shown_fields(face.fields, aus, change, self.settings.aus)
        face = face._replace(fields=fields)
        masks = self.before_mouths(face, aus, change, nuisance)
        free = 1 - face.occlusion
        masks = self.upper_face.shown(
            masks, face.faces, brows, face.irises, change, opening, closing, free, face.bounds
        )
        masks = self.mouth.painted(masks, face.faces, face.lips, own_aus, aus, free)
        masks = as_sharp_as(without_smile(masks, change, free), face.sharpness)
        rise = (asked - own_aus) * self.upper_face.trained * self.mouth.trained
        lips = lips_in(face.faces, face.lips, torch.ones_like(rise[:, 0]))
        masks = self.ratios.shown(masks, brows, lips, free, rise)
        masks = with_deeper_lines(masks, brows, lips, free, rise)
        masks = self.furrows.shown(masks, brows, free, asked, own_aus)
        return toned_like(masks, face.photographs, face.faces)

    def before_mouths(
        self, face: FaceFeatures, aus: Tensor, change: Tensor, nuisance: Tensor
    ) -> Masks:
        """The cleaned masks, in which lips are moved and painted like the rest of the face."""
        moved = self.render(face, aus, change, nuisance).masks
        lids, opening, closing = (
            self._flow_of(numbers, face, change) for numbers in (_LIDS, _OPEN_EYES, _CLOSED_EYES)
        )
        opening = opening - self._flow_of(_CLOSED_EYES, face, -change)  # closed eyes open, too
        masks = cleaned_eyes(cleaned(moved, lids), lids, opening, closing)
        masks = with_fainter_cheeks(masks, change)
        return uncovered(masks, face.occlusion)

    def shown_change(self, aus: Tensor, own_aus: Tensor) -> Tensor:
        """(n, 17): the change by which faces are moved in use."""
        return shown_change(aus, own_aus, self.gain)

    def _flow_of(self, numbers: Sequence[int], face: FaceFeatures, change: Tensor) -> Tensor:
        """(n, 2, h/2, w/2): the part of the flow that is due to some AUs where they rise."""
        known = [at for at, number in enumerate(self.settings.aus) if number in numbers]
        rise = change[:, self._known][:, known].clamp(min=0)
        flow = (face.fields[:, known] * rise[:, :, None, None, None]).sum(1)
        return resized(limited(flow, face.bounds), face.at_2)

    def outputs(self, faces: Tensor, aus: Tensor, change: Tensor, nuisance: Tensor) -> FlowOutputs:
        """All outputs, for training: `change` (n, 17) may go beyond the AUs' range, `nuisance`
        (n, NUISANCE) is what differs beside the AUs."""
        return self.render(self._encode(faces), aus, change, nuisance)

    def encode(self, faces: Tensor) -> FaceFeatures:
        """Features and flow fields of faces (n, 3, h, w) in -1..1, as they are used.

        In training, photographs without colours have none.
        """
        return self._encode(with_skin_colours(faces))._replace(photographs=faces)

    def _encode(self, faces: Tensor) -> FaceFeatures:
        at_2, at_4, at_8, x = self._features(faces)
        features = self.to_field_features(torch.cat([doubled(x), at_8], 1))
        fields = self.to_fields(torch.cat([doubled(features), at_4], 1)).float() * _FIELD_SCALE
        fields = fields.unflatten(1, (-1, 2))
        with torch.autocast(fields.device.type, enabled=False):
            fields = (self.whitening @ fields.flatten(2)).view_as(fields)
        # Detached, as training shall not change what is found.
        known = (each.detach() for each in (at_2, at_4, at_8, x))
        occlusion = covered(self.occlusion(faces, *known))
        seen = faces.detach()
        ends = self.upper_face.ends_of(seen)
        irises = self.upper_face.irises_in(seen, ends)
        found = bounds(occlusion), self.mouth.ends_of(seen), ends, irises
        sharpness = sharpness_of(seen)
        return FaceFeatures(faces, at_2, at_4, at_8, x, fields, occlusion, *found, sharpness, faces)

    def occlusion_logits(self, faces: Tensor) -> Tensor:
        """What `occlusion` gives for faces (n, 3, h, w) in -1..1, for its training."""
        return self.occlusion(faces, *self._features(faces))

    def _features(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The features of faces, as in FaceFeatures."""
        halves = F.pixel_unshuffle(faces, 2)
        place = coordinates(halves)
        at_2 = self.encoder[0](torch.cat([halves, place], 1))
        at_4 = self.encoder[1](at_2)
        at_8 = self.encoder[2](at_4)
        x = self.encoder[3](at_8)
        for block in self.face_blocks:
            x = block(x)
        return at_2, at_4, at_8, x

    def render(
        self, face: FaceFeatures, aus: Tensor, change: Tensor, nuisance: Tensor
    ) -> FlowOutputs:
        """`outputs` of faces that are encoded."""
        faces, at_2, at_4, at_8, x, fields, _, most, *_ = face
        painted = change.clamp(-self.painting_limit, self.painting_limit)[:, self._known]
        aus, change = aus[:, self._known], change[:, self._known]
        told = torch.cat([change, nuisance], 1)
        painted = torch.cat([painted, nuisance], 1)
        style = self.embedding(torch.cat([aus, painted @ self.whitening], 1))
        strength = told.norm(dim=1)[:, None, None, None]
        gate = torch.tanh(_GATE_SLOPE * strength)
        flow = (fields * told[:, :, None, None, None]).sum(1)

        for block in self.blocks_16:
            x = block(x, style)
        x = self.enlarge_8(torch.cat([doubled(x), at_8], 1))
        for block in self.blocks_8:
            x = block(x, style)
        x = self.enlarge_4(torch.cat([doubled(x), at_4], 1))
        rest = self.to_rest(x).float() * _FIELD_SCALE * gate
        flow = limited(flow + rest, most)

        x = _warp(x, flow)
        for block in self.blocks_4:
            x = block(x, style)
        x = self.enlarge_2(torch.cat([doubled(x), _warp(at_2, flow)], 1))
        x = self.block_2(x, style)
        logits = F.pixel_shuffle(self.to_masks(x), 2).float()

        full_flow = resized(flow, faces)
        moved = warped(faces.float(), full_flow)
        attention = 1 - gate * (1 - torch.sigmoid(logits[:, :1]))
        colour = (moved + 2 * torch.tanh(logits[:, 1:])).clamp(-1, 1)
        masks = Masks(attention, colour, moved, full_flow)
        return FlowOutputs(masks, fields, rest)


def _padded(saved: Tensor, like: Tensor) -> Tensor:
    """A tensor with zeros after its last rows and columns, so that it has the shape of another."""
    for axis in range(min(saved.dim(), 2)):
        missing = like.shape[axis] - saved.shape[axis]
        if missing > 0:
            shape = [missing if each == axis else size for each, size in enumerate(saved.shape)]
            saved = torch.cat([saved, saved.new_zeros(shape)], axis)
    return saved


def _warp(features: Tensor, flow: Tensor) -> Tensor:
    """Features, moved by a flow of any resolution, in full precision."""
    return warped(features.float(), resized(flow, features)).to(features.dtype)
