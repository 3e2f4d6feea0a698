"""The settings of a training, all in one place: `TrainSettings`, with its parts.

Nothing here imports torch: the command line makes its options from these declarations, and its
help must come at once. The defaults are the paper's; where the paper has no such setting, the
default is without it. The help of a setting says what it is; the docstring below it says why.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from ..pipeline.action_units import NUMBERS, parse_numbers
from ..pipeline.errors import WrongUse
from ..pipeline.settings import Settings, setting


@dataclass(frozen=True)
class GeneratorSettings(Settings):
    """What a generator is built from. Its weights file holds them."""

    width: int = setting(64, "Channels of the generator's first layer.", at_least=4)
    """The paper's value gives 8.5 million parameters."""
    blocks: int = setting(6, "Residual blocks of the generator.", at_least=0)
    """They work at a quarter of the resolution."""
    upsampling: str = setting(
        "transposed", "How the generator enlarges features.", choices=("transposed", "nearest")
    )
    """`transposed`: transposed convolutions, as in the paper. `nearest`: nearest-neighbour
    enlargement, then a convolution, which leaves no checkerboard (Odena et al. 2016)."""
    conditioning: str = setting(
        "concat", "How AUs enter the generator.", choices=("concat", "adain")
    )
    """`concat`: AUs are constant channels of the input, as in the paper. `adain`: an embedding of
    the AUs scales and shifts the features of bottleneck and decoder (Huang & Belongie 2017), so
    the AUs do not pass through the instance normalisation of the first layers."""
    colour: str = setting(
        "absolute", "What the colour mask is regressed as.", choices=("absolute", "residual")
    )
    """`absolute`: as a picture, as in the paper. This picture is noise at first, so the attention
    grows to 1 within a hundred steps, and Adam's averages hold the large gradients of these steps
    for thousands more. `residual`: as a difference from the face that starts at 0, so training
    starts from a copy with attention 0.5."""
    attention: bool = setting(True, "Blend face and colour mask by an attention mask.")
    """Without it, the attention is 0 everywhere, and the colour mask is the output (StarGAN)."""
    affine: bool = setting(True, "Learn a scale and a shift in each instance normalisation.")
    """AdaIN's scales and shifts are computed from the AUs in either case."""
    relative: bool = setting(False, "Give the generator target minus own AUs, in -1 to 1.")
    """The paper gives it the target AUs."""
    motion: bool = setting(False, "Warp the face by its AUs before the masks are blended.")
    """networks/motion.py describes the warp. The paper has none."""
    aus: tuple[int, ...] = setting(
        NUMBERS,
        "AUs that the generator knows, such as 1,4,12.",
        parse=parse_numbers,
        default_text="all 17",
    )
    """Ascending. The generator receives all 17 values, and uses those of these AUs."""
    architecture: str = setting(
        "ganimation", "What the generator is.", choices=("ganimation", "flow")
    )
    """`ganimation`: the paper's, which paints in place (networks/generator.py). `flow`: moves the
    face by a flow field of each AU, then paints (networks/flow_generator.py); of these settings
    it has `width` and `aus` alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "aus", tuple(self.aus))  # a list, where they come from JSON

    def validate(self) -> None:
        """Raise WrongUse for a value that no generator can be built from."""
        super().validate()
        if not self.aus or self.aus != tuple(one for one in NUMBERS if one in self.aus):
            raise WrongUse(f"--aus {self.aus} must be some of the 17 AUs, ascending, once each.")


@dataclass(frozen=True)
class CriticSettings(Settings):
    """What a critic is built from."""

    prefix: ClassVar[str] = "critic_"

    width: int = setting(64, "Channels of the critic's first layer.", at_least=1)
    """Each further layer has twice as many."""
    layers: int = setting(6, "Convolutions of stride 2 in the critic.", at_least=1)
    """The paper's 6 reduce 128 pixels to 2."""

    def check_size(self, size: int) -> None:
        """Raise WrongUse if the layers reduce a face of `size` pixels to nothing."""
        self.validate()
        if size // 2**self.layers < 1:
            raise WrongUse(
                f"A critic of {self.layers} layers does not fit faces of {size} px: use at most "
                f"{size.bit_length() - 1}."
            )


@dataclass(frozen=True)
class LossWeights(Settings):
    """Weights of the loss terms, with the values that the original code has in effect."""

    prefix: ClassVar[str] = "lambda_"

    adversarial: float = setting(0.25, "Weight of the Wasserstein terms.")
    """The paper's weight is 1. But its code bounds the gradient of the *sum* of the critic's 2x2
    patches by 1, and adds up their *mean*, which is 1/4 in effect."""
    gp: float = setting(10.0, "Weight of the gradient penalty.")
    """The paper's lambda_gp."""
    attention: float = setting(0.1, "Weight of the mean attention.")
    """The paper's lambda_A; of both passes."""
    tv: float = setting(4.0, "Weight of the attention's total variation, a mean over pixels.")
    """The paper's lambda_TV, which is 1e-5 on a sum over pixels."""
    aus: float = setting(160.0, "Weight of the AU regression, a mean over AUs.")
    """The paper's lambda_y, which is 4000 on the squared error divided by the batch. In the losses
    of critic and generator."""
    cycle: float = setting(10.0, "Weight of the cycle's L1 distance.")
    """The paper's lambda_idt: the distance from a face that is brought back to its own AUs."""
    perceptual: float = setting(0.0, "Weight of the cycle's distance between network features.")
    """The network is the estimator. The paper has no such term."""


@dataclass(frozen=True)
class PairWeights(Settings):
    """Weights of the terms of paired training (training/paired_losses.py)."""

    prefix: ClassVar[str] = "pair_"

    reconstruction: float = setting(3.0, "Weight of a result's distance from the target.")
    moved: float = setting(1.0, "Weight of the same of the moved face, before it is painted.")
    landmarks: float = setting(40.0, "Weight of the flow's error at landmarks.")
    matching: float = setting(2.0, "Weight of the distance of the critic's features.")
    adversarial: float = setting(0.15, "Weight of the critic that sees source and result.")
    result_adversarial: float = setting(0.1, "Weight of the critic that sees results alone.")
    aus: float = setting(0.0, "Weight of the AUs that the estimator reads of unpaired faces.")
    attention: float = setting(0.02, "Weight of the mean share of a face that is painted.")
    fields: float = setting(0.3, "Weight of the mean size of the AUs' flow fields.")
    rest: float = setting(10.0, "Weight of the flow that is not linear in the AUs.")
    folds: float = setting(20.0, "Weight of how far strong changes of AUs fold the face.")


@dataclass(frozen=True)
class TrainSettings(Settings):
    """The settings that decide the outcome of a training."""

    size: int = setting(128, "Side of the faces, in pixels.", at_least=64, multiple_of=4)
    batch: int = setting(25, "Faces in a batch, over all processes.", at_least=1)
    epochs: int = setting(30, "Epochs to train.", at_least=1)
    decay_epochs: int = setting(
        10, "Last epochs, in which the learning rate falls linearly to 0.", at_least=0
    )
    critic_steps: int = setting(5, "Steps of the critic per step of the generator.", at_least=1)
    critic_warmup: int = setting(
        0, "First iterations, in which only the critic's AU regression is trained.", at_least=0
    )
    """Until the critic can read AUs, the generator only learns to copy. The paper has none."""
    lr: float = setting(1e-4, "Learning rate of Adam.", above=0, old_flags=("--rate",))
    """Adam's betas are 0.5 and 0.999."""
    au_noise: float = setting(
        0.1, "Half-width of the uniform noise on target AUs.", at_least=0, option=False
    )
    """The targets are clamped to 0-1 afterwards."""
    single_au: float = setting(
        0.0, "Fraction of targets that change a single AU.", at_least=0, at_most=1
    )
    """Such a target is the face's own AUs with one of them drawn anew, as users ask for it, and
    the error of that AU has more weight. The other targets are the AUs of a random other face, as
    all targets of the paper."""
    balanced_aus: bool = setting(
        False, "Weight the error of each AU by its inverse standard deviation."
    )
    """The deviation is that over the training faces. So AUs that are seldom active are learned,
    too. The paper weights all AUs alike."""
    critic_jitter: float = setting(
        0.0,
        "Random rotation, shift and scale of the faces that the critic sees.",
        at_least=0,
        at_most=0.5,
    )
    """Real and generated faces are moved alike, in the critic's step and in the generator's
    (DiffAugment, Zhao et al. 2020): rotated by up to this angle in radians, shifted by up to this
    fraction of half the side, scaled by up to its exponential. So what the critic accepts does not
    depend on where the face is. The paper has none."""
    critic_coarse: float = setting(
        0.0,
        "Fraction of faces that the critic sees grey and blurred, and reads AUs from.",
        at_least=0,
        at_most=1,
    )
    """These faces, real and generated, have no detail finer than three pixels, and are the same in
    the critic's step and in the generator's. AUs are read from these faces alone, realism is judged
    on all: so a fine pattern or a tint cannot stand for an expression. The paper has none."""
    paired: float = setting(
        0.0, "Fraction of a batch that are pairs of a series.", at_least=0, at_most=1
    )
    """A pair is two photographs of one person, of which one is asked for and the other is given
    (training/paired_trainer.py). The other faces of a batch are asked for AUs of which there is no
    photograph. It needs `--architecture flow`, and 0 is the paper's unpaired training. Adam's betas
    are 0.5 and 0.99."""
    free_from: float = setting(
        0.6, "Fraction of a paired training without unpaired faces.", at_least=0, at_most=1
    )
    """Until then all faces are in pairs, so that a generator is judged by its results alone only
    when it knows from pairs what faces look like."""
    whole_expressions: float = setting(
        0.0,
        "Fraction of unpaired faces that are asked for all AUs of another face.",
        at_least=0,
        at_most=1,
    )
    free_gain: float = setting(
        1.0, "Factor of the AU changes that unpaired faces are asked for.", at_least=0
    )
    """The other unpaired faces are asked for one or two AUs of 0.3 to 1; this multiplies the
    changes, beside a gain of each AU (training/pair_sampler.py)."""
    ema: float = setting(0.999, "Decay of the generator's moving average.", at_least=0, below=1)
    """The averaged generator is the one that is written."""
    seed: int = setting(0, "Seed of all random numbers.")
    precision: str = setting(
        "auto", "Arithmetic of the networks.", choices=("auto", "bf16", "fp32")
    )
    """`auto`: bf16 where the device has it in hardware, otherwise fp32."""
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    weights: LossWeights = field(default_factory=LossWeights)
    pairs: PairWeights = field(default_factory=PairWeights)

    @property
    def loaded_size(self) -> int:
        """Side in px at which faces are kept in memory. Paired training turns and cuts them in the
        frame of their landmarks, which takes about three quarters of a crop."""
        return self.size * 3 // 2 if self.paired else self.size

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Settings from `dataclasses.asdict` of earlier ones, also of another version: fields that
        are missing have their default, unknown ones are ignored."""
        parts = {
            "generator": GeneratorSettings,
            "critic": CriticSettings,
            "weights": LossWeights,
            "pairs": PairWeights,
        }
        known = {name: kind(**_known(kind, saved.get(name, {}))) for name, kind in parts.items()}
        return cls(**_known(cls, saved) | known)

    def validate(self) -> None:
        """Raise WrongUse for a value outside its range, or that does not fit another."""
        super().validate()
        if self.decay_epochs > self.epochs:
            raise WrongUse(
                f"--decay-epochs {self.decay_epochs} must be at most --epochs {self.epochs}."
            )
        flow = self.generator.architecture == "flow"
        if self.paired and not flow:
            raise WrongUse(f"--paired {self.paired:g} needs --architecture flow.")
        if flow and not self.paired:
            raise WrongUse(
                "--architecture flow learns from pairs of photographs alone: add --paired 0.6, or "
                "leave it out."
            )
        if flow and self.size % 16:
            raise WrongUse(f"--size {self.size} must be a multiple of 16 for --architecture flow.")
        if not flow:
            self.critic.check_size(self.size)


_EARLIER_NAMES = {"penalty": "gp", "smoothness": "tv", "rate": "lr"}
"""Fields by the names that version 0.1 wrote."""


def _known(kind: type, saved: dict[str, Any]) -> dict[str, Any]:
    """Those of the saved values that are fields of a dataclass."""
    names = {one.name for one in fields(kind)}
    saved = {_EARLIER_NAMES.get(name, name): value for name, value in saved.items()}
    return {name: value for name, value in saved.items() if name in names}
