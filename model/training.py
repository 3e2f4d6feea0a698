"""The training of a GANimation generator: the paper's iteration, and the state it leaves.

Every random draw of an iteration comes from a generator seeded with the run's seed and the
iteration's number, so a resumed run goes on with the very draws it would have made.
"""

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..pipeline.errors import WrongUse
from . import losses
from .checkpoint import load_state, save_weights
from .critic import Critic, CriticSettings
from .data import Faces, to_model
from .ema import averaged
from .generator import Generator, GeneratorSettings, Masks, load_generator
from .losses import LossWeights

STATE = "state.pt"
WEIGHTS = "generator.safetensors"


@dataclass(frozen=True)
class TrainSettings:
    """What decides the outcome of a training. The defaults are the paper's."""

    size: int = 128
    """Side of the faces, in pixels; a multiple of 4, from 64."""
    batch: int = 25
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
    """Share of the targets that are the face's own AUs with one of them drawn anew from 0-1, as
    users ask for it; the others are those of a random other face, as all of the paper's are."""
    ema: float = 0.999
    """Decay of the averaged generator, which is the one that is written."""
    seed: int = 0
    precision: str = "auto"
    """`bf16` or `fp32`; `auto` takes bf16 where the device computes in it."""
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    weights: LossWeights = field(default_factory=LossWeights)

    def validate(self) -> None:
        """Raise WrongUse for a value outside its range."""
        if self.size < 64 or self.size % 4:
            raise WrongUse(f"--size {self.size}: faces are 64 px or more, in multiples of 4.")
        if self.batch < 1 or self.epochs < 1 or self.critic_steps < 1:
            raise WrongUse("--batch, --epochs and --critic-steps must be 1 or more.")
        if not 0 <= self.single_au <= 1:
            raise WrongUse(f"--single-au {self.single_au:g} is a share, 0 to 1.")
        if not 0 <= self.decay_epochs <= self.epochs:
            raise WrongUse(
                f"--decay-epochs {self.decay_epochs} is outside 0 to --epochs {self.epochs}."
            )
        self.generator.validate()
        self.critic.validate(self.size)


class Trainer:
    """The networks, their optimisers and the position in a run.

    faces: what to train on. device: where. init: weights of a generator to start from, or the
    folder of another run, whose critic and optimisers then come along.
    """

    def __init__(
        self, settings: TrainSettings, faces: Faces, device: torch.device, init: Path | None = None
    ) -> None:
        settings.validate()
        if len(faces) < settings.batch:
            raise WrongUse(
                f"{len(faces)} annotated faces are fewer than a batch of {settings.batch}: add "
                f"photographs, or train with --batch {len(faces)}."
            )
        self.settings, self.faces, self.device = settings, faces, device
        torch.manual_seed(settings.seed)
        generator = (
            _start_from(init, settings.generator)
            if init is not None and not init.is_dir()
            else Generator(settings.generator)
        )
        self.generator = generator.to(device)
        self.critic = Critic(settings.size, settings.critic).to(device)
        self.average = averaged(self.generator, settings.ema, warm=init is None)
        betas = (0.5, 0.999)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), settings.rate, betas)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), settings.rate, betas)
        if init is not None and init.is_dir():
            self._continue(init)
        self.iteration = 0
        self.iterations_per_epoch = len(faces) // settings.batch
        self.iterations = self.iterations_per_epoch * settings.epochs
        bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and computes_bf16(device)
        )
        self._shuffled: tuple[int, Tensor] = (-1, torch.empty(0))
        self._autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=bf16)

    def step(self) -> dict[str, Tensor]:
        """One iteration: the critic, and every `critic_steps`-th the generator. Returns losses."""
        self._set_rates()
        draw = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.iteration)
        faces, own_aus, target_aus = self._batch(draw)
        turn = self.iteration - self.settings.critic_warmup
        self.iteration += 1
        if turn < 0:
            return self._warmup_step(faces, own_aus)
        generators_turn = turn % self.settings.critic_steps == 0
        # The critic's step leaves the generator as it is, so one forward pass serves both.
        with self._autocast(), torch.set_grad_enabled(generators_turn):
            there = self.generator(faces, target_aus)
            fakes = there.blend(faces)
        figures = self._critic_step(faces, own_aus, fakes.detach(), draw)
        if generators_turn:
            figures |= self._generator_step(faces, own_aus, target_aus, there, fakes)
        return figures

    def _warmup_step(self, faces: Tensor, own_aus: Tensor) -> dict[str, Tensor]:
        with self._autocast():
            aus = losses.au_loss(self.critic(faces).aus, own_aus)
        self.critic_adam.zero_grad(set_to_none=True)
        (self.settings.weights.aus * aus).backward()
        self.critic_adam.step()
        return {"critic_aus": aus.detach()}

    def _critic_step(
        self, faces: Tensor, own_aus: Tensor, fakes: Tensor, draw: torch.Generator
    ) -> dict[str, Tensor]:
        weights = self.settings.weights
        with self._autocast():
            real = self.critic(faces)
            fake = self.critic(fakes)
        adversarial = losses.critic_adversarial_loss(real.realism, fake.realism)
        aus = losses.au_loss(real.aus, own_aus)
        mix = torch.rand(len(faces), generator=draw).to(self.device)
        # In full precision: a penalty on a norm near 1 is lost in bf16's three digits.
        penalty = losses.gradient_penalty(lambda x: self.critic(x).realism, faces, fakes, mix)
        loss = weights.adversarial * adversarial + weights.aus * aus + weights.penalty * penalty
        self.critic_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_adam.step()
        return {
            "critic": adversarial.detach(),
            "critic_aus": aus.detach(),
            "penalty": penalty.detach(),
        }

    def _generator_step(
        self, faces: Tensor, own_aus: Tensor, target_aus: Tensor, there: Masks, fakes: Tensor
    ) -> dict[str, Tensor]:
        weights = self.settings.weights
        self.critic.requires_grad_(False)
        with self._autocast():
            verdict = self.critic(fakes)
            back = self.generator(fakes, own_aus)
        adversarial = losses.generator_adversarial_loss(verdict.realism)
        aus = losses.au_loss(verdict.aus, target_aus)
        attention = losses.attention_loss(there.attention) + losses.attention_loss(back.attention)
        smoothness = losses.total_variation(there.attention) + losses.total_variation(
            back.attention
        )
        cycle = losses.cycle_loss(back.blend(fakes), faces)
        loss = (
            weights.adversarial * adversarial
            + weights.aus * aus
            + weights.attention * attention
            + weights.smoothness * smoothness
            + weights.cycle * cycle
        )
        self.generator_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.generator_adam.step()
        self.critic.requires_grad_(True)
        self.average.update_parameters(self.generator)
        return {
            "generator": adversarial.detach(),
            "generator_aus": aus.detach(),
            "attention": attention.detach() / 2,
            "smoothness": smoothness.detach() / 2,
            "cycle": cycle.detach(),
        }

    def _batch(self, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Faces, their own AUs, and targets: those of random other faces with noise, or one AU
        changed."""
        settings = self.settings
        epoch, position = divmod(self.iteration, self.iterations_per_epoch)
        order = self._order(epoch)
        chosen = order[position * settings.batch : (position + 1) * settings.batch]
        faces = to_model(self.faces.images[chosen])
        mirrored = torch.rand(settings.batch, generator=draw) < 0.5
        faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
        others = torch.randint(len(self.faces), (settings.batch,), generator=draw)
        noise = torch.rand(settings.batch, self.faces.aus.shape[1], generator=draw) * 2 - 1
        targets = (self.faces.aus[others] + settings.au_noise * noise).clamp(0.0, 1.0)
        own = self.faces.aus[chosen]
        if settings.single_au:
            changed = own.scatter(
                1,
                torch.randint(own.shape[1], (settings.batch, 1), generator=draw),
                torch.rand(settings.batch, 1, generator=draw),
            )
            alone = torch.rand(settings.batch, 1, generator=draw) < settings.single_au
            targets = torch.where(alone, changed, targets)
        return faces.to(self.device), own.to(self.device), targets.to(self.device)

    def _order(self, epoch: int) -> Tensor:
        """The faces of an epoch, shuffled; drawn once an epoch."""
        if epoch == self._shuffled[0]:
            return self._shuffled[1]
        draw = torch.Generator().manual_seed(self.settings.seed * 1_000_003 - epoch - 1)
        self._shuffled = epoch, torch.randperm(len(self.faces), generator=draw)
        return self._shuffled[1]

    def _set_rates(self) -> None:
        left = self.iterations - self.iteration
        decay = self.settings.decay_epochs * self.iterations_per_epoch
        rate = self.settings.rate * min(1.0, left / decay if decay else 1.0)
        for adam in (self.generator_adam, self.critic_adam):
            for group in adam.param_groups:
                group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "settings": asdict(self.settings),
            "faces": len(self.faces),
            "iteration": self.iteration,
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.state_dict(),
            "generator_adam": self.generator_adam.state_dict(),
            "critic_adam": self.critic_adam.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same settings. Raises WrongUse for another's."""
        mine = asdict(self.settings)
        for name, value in mine.items():
            if state["settings"].get(name) != value:
                raise WrongUse(
                    f"The run was started with {name}={state['settings'].get(name)}, this command "
                    f"says {value}. Repeat the earlier setting, or choose another --run."
                )
        if state["faces"] != len(self.faces):
            raise WrongUse(
                f"The run was started on {state['faces']} faces, the shards now hold "
                f"{len(self.faces)}. Choose another --run."
            )
        self.iteration = state["iteration"]
        self._load(state)

    def _continue(self, run: Path) -> None:
        if not (run / STATE).exists():
            raise WrongUse(f"{run} holds no {STATE}: name the folder of a run, or a weights file.")
        state = load_state(run / STATE)
        for name in ("size", "generator", "critic"):
            mine = asdict(self.settings)[name]
            if state["settings"][name] != mine:
                raise WrongUse(
                    f"{run} was trained with {name}={state['settings'][name]}, this command says "
                    f"{mine}. Only other settings can change on the way."
                )
        self._load(state)

    def _load(self, state: dict[str, Any]) -> None:
        for name in ("generator", "critic", "average", "generator_adam", "critic_adam"):
            getattr(self, name).load_state_dict(state[name])

    @property
    def averaged_generator(self) -> Generator:
        """The generator whose weights are the running average."""
        return cast(Generator, self.average.module)

    def save_generator(self, path: Path) -> None:
        """Write the averaged generator, with all its use and its history need."""
        settings = asdict(self.settings)
        save_weights(
            path,
            self.averaged_generator.state_dict(),
            "generator",
            {
                "generator": settings["generator"],
                "size": self.settings.size,
                "training": settings,
                "faces": len(self.faces),
                "iteration": self.iteration,
            },
        )


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in the hardware; elsewhere it would be slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def _start_from(init: Path, asked: GeneratorSettings) -> Generator:
    generator, _ = load_generator(init)
    if generator.settings != asked:
        raise WrongUse(
            f"{init} holds a generator of {asdict(generator.settings)}, but the settings ask for "
            f"{asdict(asked)}. Leave width, blocks and upsampling to the file."
        )
    return generator.train()
