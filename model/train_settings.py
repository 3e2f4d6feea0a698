"""What decides the outcome of a training."""

from dataclasses import dataclass, field, fields
from typing import Any, Self

from ..pipeline.errors import WrongUse
from .critic import CriticSettings
from .generator import GeneratorSettings
from .losses import LossWeights


@dataclass(frozen=True)
class TrainSettings:
    """The settings of a training. The defaults are the paper's."""

    size: int = 128
    """Side of the faces, in pixels; a multiple of 4, from 64."""
    batch: int = 25
    """Faces of one iteration, over all processes together."""
    epochs: int = 30
    decay_epochs: int = 10
    """Over so many last epochs the learning rate falls linearly to zero."""
    critic_steps: int = 5
    """Iterations of the critic to one step of the generator."""
    critic_warmup: int = 0
    """Iterations at the start in which the critic learns to read AUs, and nothing else happens.
    Until it can, the generator only learns to copy. The paper has none."""
    rate: float = 1e-4
    """Adam's learning rate, with betas 0.5 and 0.999."""
    au_noise: float = 0.1
    """Half-width of the uniform noise on target AUs, which are then clamped to 0-1."""
    single_au: float = 0.0
    """Share of the targets that are the face's own AUs with one of them drawn anew, as users ask
    for it, and with more weight on that one; the others are those of a random other face, as all
    of the paper's are."""
    balanced_aus: bool = False
    """Whether the error of each AU counts by its inverse variance over the training faces, so that
    those that seldom show are learned, too; the paper counts all alike."""
    critic_jitter: float = 0.0
    """How far faces, real and generated, are moved before the critic sees them, the same way in
    its turn and in the generator's (Zhao et al. 2020, DiffAugment): turned by up to so many
    radians, shifted by up to this share of half the side, enlarged by up to its exponential. What
    is to please the critic must then do so wherever the face lies. The paper has none."""
    ema: float = 0.999
    """Decay of the averaged generator, which is the one that is written."""
    seed: int = 0
    precision: str = "auto"
    """`bf16` or `fp32`; `auto` takes bf16 where the device computes in it."""
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    weights: LossWeights = field(default_factory=LossWeights)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Settings from `dataclasses.asdict` of earlier ones, of another version even: what is
        not among them has its default, what is no setting any more is left out."""
        parts = {"generator": GeneratorSettings, "critic": CriticSettings, "weights": LossWeights}
        known = {name: kind(**_known(kind, saved[name])) for name, kind in parts.items()}
        return cls(**_known(cls, saved) | known)

    def validate(self) -> None:
        """Raise WrongUse for a value outside its range."""
        if self.size < 64 or self.size % 4:
            raise WrongUse(f"--size {self.size}: faces are 64 px or more, in multiples of 4.")
        if self.batch < 1 or self.epochs < 1 or self.critic_steps < 1:
            raise WrongUse("--batch, --epochs and --critic-steps must be 1 or more.")
        if not 0 <= self.single_au <= 1:
            raise WrongUse(f"--single-au {self.single_au:g} is a share, 0 to 1.")
        if not 0 <= self.critic_jitter <= 0.5:
            raise WrongUse(f"--critic-jitter {self.critic_jitter:g}: 0 to 0.5, of half the side.")
        if not 0 <= self.decay_epochs <= self.epochs:
            raise WrongUse(
                f"--decay-epochs {self.decay_epochs} is outside 0 to --epochs {self.epochs}."
            )
        self.generator.validate()
        self.critic.validate(self.size)


def _known(kind: type, saved: dict[str, Any]) -> dict[str, Any]:
    """Those of the saved values that are fields of a dataclass."""
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in saved.items() if name in names}
