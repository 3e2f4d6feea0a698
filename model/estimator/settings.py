"""The settings of the training of the estimator."""

from dataclasses import dataclass, field

from .augment import Augmentation
from .losses import EstimatorWeights

READING = Augmentation(
    shift=0.05,
    scale=0.07,
    turn=0.1,
    mirror=0.0,
    gamma=0.4,
    blur=0.12,
    jpeg=0.15,
    occlusion=0.08,
)
"""Augmentation in the second and third stage. It is weaker than that for landmarks: the aligned
view removes most of the translation, scale and rotation, and degrading more crops lowers the
accuracy on clear ones. Crops are not mirrored, because OpenFace's models weigh left and right
differently, and its AUs of a mirrored face differ from those of the face."""


@dataclass(frozen=True)
class EstimatorSettings:
    """The settings of all three stages. The defaults are those of the shipped weights."""

    landmark_epochs: int = 16
    """Epochs of the first stage."""
    landmark_lr: float = 2e-3
    """Peak learning rate of AdamW in the first stage, reached after a tenth of the steps and
    followed by a cosine to zero."""
    ridge_passes: int = 2
    """Passes over the faces in the second stage: the first without augmentation, the others with
    it."""
    ridge: float = 2e-3
    """Ridge penalty on the linear weights, per face."""
    epochs: int = 8
    """Epochs of the third stage."""
    lr: float = 5e-4
    """Peak learning rate of the third stage, with the same schedule; at 2e-3 the loss does not
    converge."""
    batch: int = 64
    weight_decay: float = 0.1
    ema: float = 0.998
    """Decay of the averaged weights in the third stage."""
    corrupted: int = 4
    """Corrupted crops of each batch in the third stage, on which only the doubt is trained."""
    coded_share: float = 0.08
    """Fraction of each batch that is drawn again from the faces that human coders scored."""
    weights: EstimatorWeights = field(default_factory=EstimatorWeights)
    seed: int = 0
