"""What decides the outcome of a training. Knows nothing of torch: the command line shows these
defaults, and its help must come at once."""

from dataclasses import dataclass, field, fields
from typing import Any, Self

from ..pipeline.action_units import NUMBERS
from ..pipeline.errors import WrongUse


@dataclass(frozen=True)
class GeneratorSettings:
    """What a generator is built from; travels inside its weights."""

    width: int = 64
    """Channels of the first layer; the paper's 64 gives 8.5 million parameters."""
    blocks: int = 6
    """Residual blocks at a quarter of the resolution."""
    upsampling: str = "transposed"
    """`transposed` convolutions as in the paper, or `nearest`: enlarge, then convolve, which
    leaves no checkerboard (Odena et al. 2016)."""
    conditioning: str = "concat"
    """`concat`: AUs tiled as channels of the input, as in the paper. `adain`: through a learned
    embedding that scales and shifts the features of bottleneck and decoder (Huang & Belongie
    2017), so that they need not get past the instance normalisation of the first layers."""
    colour: str = "absolute"
    """`absolute`: the colour mask is regressed as it stands, as in the paper. It is noise at first,
    so attention flees to 1 within a hundred steps, and Adam remembers the large gradients of that
    flight for thousands. `residual`: what is regressed is its difference from the face, starting
    at 0, so that training starts from a copy with attention 0.5."""
    attention: bool = True
    """Without, the colour mask is the new face, and attention 0 everywhere (StarGAN's way)."""
    affine: bool = True
    """Whether instance normalisation learns a scale and shift of its own. AdaIN's come from the
    AUs in either case."""
    relative: bool = False
    """The generator is told target minus own AUs, in -1..1, in place of the target."""
    motion: bool = False
    """The face is moved to where faces with the target AUs have brows, lids and lips, and the
    masks are for what is then left to paint (motion.py). The paper paints alone."""
    aus: tuple[int, ...] = NUMBERS
    """The AUs that it knows, ascending: of the 17 it is told, it looks at these alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "aus", tuple(self.aus))  # a list, where they come from JSON

    def validate(self) -> None:
        """Raise WrongUse for a value that builds no network."""
        if self.width < 4 or self.blocks < 0:
            raise WrongUse("A generator needs a width of 4 or more, and blocks of 0 or more.")
        if self.upsampling not in ("transposed", "nearest"):
            raise WrongUse(f"upsampling {self.upsampling!r} is neither transposed nor nearest.")
        if self.conditioning not in ("concat", "adain"):
            raise WrongUse(f"conditioning {self.conditioning!r} is neither concat nor adain.")
        if self.colour not in ("absolute", "residual"):
            raise WrongUse(f"colour {self.colour!r} is neither absolute nor residual.")
        if not self.aus or self.aus != tuple(one for one in NUMBERS if one in self.aus):
            raise WrongUse(f"aus {self.aus} are not some of the 17 AUs, ascending, once each.")


@dataclass(frozen=True)
class CriticSettings:
    """What a critic is built from."""

    width: int = 64
    """Channels of the first layer; each next layer has twice as many."""
    layers: int = 6
    """Convolutions of stride 2; the paper's 6 bring 128 px to 2."""

    def validate(self, size: int) -> None:
        """Raise WrongUse if the layers shrink a face of `size` px to nothing."""
        if self.layers < 1 or size // 2**self.layers < 1:
            raise WrongUse(
                f"A critic of {self.layers} layers does not fit faces of {size} px: use at most "
                f"{size.bit_length() - 1}."
            )


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms, as the original code has them in effect."""

    adversarial: float = 0.25
    """Wasserstein terms of critic and generator. The paper's is 1; but its code holds the slope of
    the *sum* of its 2x2 patches at 1 and adds up their *mean*, which is 1/4 in effect."""
    gp: float = 10.0
    """Gradient penalty (lambda_gp)."""
    attention: float = 0.1
    """Mean of the attention, on both passes (lambda_A)."""
    tv: float = 4.0
    """Total variation of the attention (lambda_TV, 1e-5 on a sum)."""
    aus: float = 160.0
    """AU regression, in critic and generator (lambda_y, 4000 on MSE/batch)."""
    cycle: float = 10.0
    """L1 of the way back to the own AUs (lambda_idt)."""
    perceptual: float = 0.0
    """The same by features of a network that reads faces; the paper has none."""


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
    """Whether the error of each AU counts in inverse proportion to its standard deviation over the
    training faces, so that those that seldom show are learned, too; the paper counts all alike."""
    critic_jitter: float = 0.0
    """How far faces, real and generated, are moved before the critic sees them, the same way in
    its turn and in the generator's (Zhao et al. 2020, DiffAugment): turned by up to so many
    radians, shifted by up to this share of half the side, enlarged by up to its exponential. What
    is to please the critic must then do so wherever the face lies. The paper has none."""
    critic_coarse: float = 0.0
    """Share of the faces, real and generated, that the critic sees grey and without detail finer
    than three pixels, the same ones in both turns. AUs are then read from these alone, realism is
    judged of all: an expression must show in broad strokes of light and shade, and no fine
    pattern or tint can be taken for one. The paper has none."""
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
        if not 0 <= self.critic_coarse <= 1:
            raise WrongUse(f"--critic-coarse {self.critic_coarse:g} is a share, 0 to 1.")
        if not 0 <= self.decay_epochs <= self.epochs:
            raise WrongUse(
                f"--decay-epochs {self.decay_epochs} is outside 0 to --epochs {self.epochs}."
            )
        self.generator.validate()
        self.critic.validate(self.size)


_EARLIER_NAMES = {"penalty": "gp", "smoothness": "tv"}
"""Fields of LossWeights by the names that versions up to 0.1 wrote."""


def _known(kind: type, saved: dict[str, Any]) -> dict[str, Any]:
    """Those of the saved values that are fields of a dataclass."""
    names = {one.name for one in fields(kind)}
    saved = {_EARLIER_NAMES.get(name, name): value for name, value in saved.items()}
    return {name: value for name, value in saved.items() if name in names}
