"""The training of a GANimation generator: the paper's iteration, and the state it leaves."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...pipeline.action_units import in_words, positions
from ...pipeline.errors import WrongUse
from ..checkpoint import load_state, save_weights
from ..config import GeneratorSettings, TrainSettings
from ..data import Faces
from ..ema import averaged
from ..estimator.augment import coarsened, moved
from ..networks.critic import Critic
from ..networks.generator import Generator, Masks, for_aus, load_generator, with_motion
from . import losses
from .distributed import Workers
from .perceptual import Perceptual
from .sampler import Batch, Sampler

STATE = "state.pt"
WEIGHTS = "generator.safetensors"


class Trainer:
    """The networks, their optimisers and the position in a run.

    faces: what to train on. device: where. init: weights of a generator to start from, perhaps of
    other AUs; or the folder of another run, whose critic and optimisers then come along. workers:
    the processes that train together; of each batch this one makes its part.
    """

    def __init__(
        self,
        settings: TrainSettings,
        faces: Faces,
        device: torch.device,
        init: Path | None = None,
        workers: Workers | None = None,
    ) -> None:
        settings.validate()
        self.workers = workers or Workers()
        self._part = self.workers.part(settings.batch)
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
        if generator.motion is not None and not generator.motion.learned:
            generator.motion.learn(faces)
        self.generator = generator.to(device)
        known = settings.generator.aus
        self._known = torch.tensor(positions(known), device=device)
        self._balance = _balance(faces.aus[:, positions(known)]).to(device)
        self.critic = Critic(settings.size, settings.critic, len(known)).to(device)
        self.average = averaged(self.generator, settings.ema, warm=init is None)
        self.generator_adam, self.critic_adam = (
            # Fused: one pass over the weights, a tenth of the time on a CPU.
            torch.optim.Adam(_trained(network), settings.lr, (0.5, 0.999), fused=True)
            for network in (self.generator, self.critic)
        )
        if init is not None and init.is_dir():
            self._continue(init)
        # Features of a frozen network, and no part of the state.
        self._perceptual = Perceptual().to(device) if settings.weights.perceptual else None
        self.iteration = 0
        self.unlogged: dict[str, list[Tensor]] = {}
        """Figures since the last line of the log; in the state, so that a run stopped between two
        lines and resumed logs what an undisturbed one does."""
        self.sampler = Sampler(faces, settings)
        self.iterations_per_epoch = self.sampler.per_epoch
        self.iterations = self.iterations_per_epoch * settings.epochs
        self.bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and computes_bf16(device)
        )
        self._autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=self.bf16)

    def step(self) -> dict[str, Tensor]:
        """One iteration: the critic, and every `critic_steps`-th the generator.

        Returns the figures of this process's part of the batch, still on the device.
        """
        self._set_rates()
        batch = self.sampler.batch(self.iteration, self.device, self._part)
        turn = self.iteration - self.settings.critic_warmup
        self.iteration += 1
        if turn < 0:
            return self._warmup_step(batch)
        generators_turn = turn % self.settings.critic_steps == 0
        # The critic's step leaves the generator as it is, so one forward pass serves both.
        with self._autocast(), torch.set_grad_enabled(generators_turn):
            there = self.generator(batch.faces, batch.target_aus, batch.own_aus)
            fakes = there.blend()
        figures = self._critic_step(batch, fakes.detach())
        if generators_turn:
            figures |= self._generator_step(batch, there, fakes)
        return figures

    def _warmup_step(self, batch: Batch) -> dict[str, Tensor]:
        with self._autocast():
            aus = self._au_loss(self.critic(_seen(batch.faces, batch)).aus, batch.own_aus, batch)
        self._descend(self.critic, self.critic_adam, self.settings.weights.aus * aus)
        return {"critic_aus": aus.detach()}

    def _critic_step(self, batch: Batch, fakes: Tensor) -> dict[str, Tensor]:
        weights = self.settings.weights
        faces, fakes = _seen(batch.faces, batch), _seen(fakes, batch)
        with self._autocast():
            both = self.critic(torch.cat([faces, fakes]))  # once costs less than twice
        real, fake = both.realism.chunk(2)
        read = both.aus[: len(fakes)]
        adversarial = losses.critic_adversarial_loss(real, fake)
        aus = self._au_loss(read, batch.own_aus, batch)
        # In full precision: a penalty on a norm near 1 is lost in bf16's three digits.
        penalty = losses.gradient_penalty(self.critic.slope, faces, fakes, batch.mix)
        loss = weights.adversarial * adversarial + weights.aus * aus + weights.gp * penalty
        self._descend(self.critic, self.critic_adam, loss)
        return {
            "critic": adversarial.detach(),
            "critic_aus": aus.detach(),
            "penalty": penalty.detach(),
            # What a generator that copies would get, by the same reader as the generator's.
            "copy_aus": self._au_loss(read.detach(), batch.target_aus, batch),
        }

    def _generator_step(self, batch: Batch, there: Masks, fakes: Tensor) -> dict[str, Tensor]:
        weights = self.settings.weights
        self.critic.requires_grad_(False)
        with self._autocast():
            verdict = self.critic(_seen(fakes, batch))
            back = self.generator(fakes, batch.own_aus, batch.target_aus)
        adversarial = losses.generator_adversarial_loss(verdict.realism)
        aus = self._au_loss(verdict.aus, batch.target_aus, batch, batch.emphasis)
        attention = losses.attention_loss(there.attention) + losses.attention_loss(back.attention)
        smoothness = losses.total_variation(there.attention) + losses.total_variation(
            back.attention
        )
        restored = back.blend()
        cycle = losses.cycle_loss(restored, batch.faces)
        loss = (
            weights.adversarial * adversarial
            + weights.aus * aus
            + weights.attention * attention
            + weights.tv * smoothness
            + weights.cycle * cycle
        )
        figures = {}
        if self._perceptual is not None:
            with self._autocast():
                perceptual = self._perceptual(restored, batch.faces)
            loss = loss + weights.perceptual * perceptual
            figures["perceptual"] = perceptual.detach()
        self._descend(self.generator, self.generator_adam, loss)
        self.critic.requires_grad_(True)
        self.average.update_parameters(self.generator)
        return figures | {
            "generator": adversarial.detach(),
            # Without emphasis, to stand beside `copy_aus`.
            "generator_aus": self._au_loss(verdict.aus.detach(), batch.target_aus, batch),
            "attention": attention.detach() / 2,
            "smoothness": smoothness.detach() / 2,
            "cycle": cycle.detach(),
        }

    def _au_loss(
        self, read: Tensor, aus: Tensor, batch: Batch, emphasis: Tensor | None = None
    ) -> Tensor:
        """Of what the critic reads: the AUs that the generator knows, and if some faces are
        coarse, from those alone."""
        counted = self._balance if self.settings.balanced_aus else torch.ones_like(self._balance)
        if emphasis is not None:
            counted = counted * emphasis[:, self._known]
        if batch.views is not None and self.settings.critic_coarse:
            counted = counted * (batch.views.coarse / self.settings.critic_coarse)[:, None]
        return losses.au_loss(read, aus[:, self._known], counted)

    def _descend(self, network: nn.Module, adam: torch.optim.Optimizer, loss: Tensor) -> None:
        adam.zero_grad(set_to_none=True)
        loss.backward()
        self.workers.average_gradients(network)
        adam.step()

    def _set_rates(self) -> None:
        left = self.iterations - self.iteration
        decay = self.settings.decay_epochs * self.iterations_per_epoch
        rate = self.settings.lr * min(1.0, left / decay if decay else 1.0)
        for adam in (self.generator_adam, self.critic_adam):
            for group in adam.param_groups:
                group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "settings": asdict(self.settings),
            "faces": len(self.faces),
            "iteration": self.iteration,
            "unlogged": {name: torch.stack(each) for name, each in self.unlogged.items()},
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.state_dict(),
            "generator_adam": self.generator_adam.state_dict(),
            "critic_adam": self.critic_adam.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same settings. Raises WrongUse for another's."""
        for name, then, now in _differences(state, self.settings):
            raise WrongUse(
                f"The run was started with {name}={then}, this command says {now}. Repeat the "
                "earlier setting, or choose another --run."
            )
        if state["faces"] != len(self.faces):
            raise WrongUse(
                f"The run was started on {state['faces']} faces, the shards now hold "
                f"{len(self.faces)}. Choose another --run."
            )
        self.iteration = state["iteration"]
        unlogged = state.get("unlogged", {})  # those of earlier versions kept none
        self.unlogged = {name: list(each.to(self.device)) for name, each in unlogged.items()}
        self._load(state)

    def _continue(self, run: Path) -> None:
        if not (run / STATE).exists():
            raise WrongUse(f"{run} holds no {STATE}: name the folder of a run, or a weights file.")
        state = load_state(run / STATE)
        started = TrainSettings.from_dict(state["settings"]).generator
        if started.aus != self.settings.generator.aus:
            raise WrongUse(
                f"The critic of {run} reads {in_words(started.aus)}, and this command asks for "
                f"others. Start from the generator alone: --init {run / WEIGHTS}, with "
                "--critic-warmup."
            )
        if self.settings.generator.motion and not started.motion:
            state["settings"]["generator"]["motion"] = True
            for name, network in (("generator", self.generator), ("average", self.average)):
                state[name] = network.state_dict() | state[name]
        for name, then, now in _differences(state, self.settings):
            if name in ("generator", "critic"):
                raise WrongUse(
                    f"{run} was trained with {name}={then}, this command says {now}. Only other "
                    "settings can change on the way."
                )
        if state["settings"]["size"] != self.settings.size:
            # The optimisers' averages would not fit; they are soon learned anew.
            self.generator.load_state_dict(state["generator"])
            self.average.load_state_dict(state["average"])
            self.critic.load_resized(state["critic"])
            return
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


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _seen(faces: Tensor, batch: Batch) -> Tensor:
    """Faces, real or generated, as the critic is to see them."""
    if batch.views is None:
        return faces
    turn, shift, coarse = batch.views
    return coarsened(moved(faces, turn, shift), coarse)


def _balance(aus: Tensor) -> Tensor:
    """(AUs,): how much the error of each AU counts, in inverse proportion to its standard deviation
    and so that copying costs as much in sum as it does unbalanced; at most tenfold."""
    spread = aus.std(0, correction=0)
    even = spread.square().mean() / spread.mean()
    return even / spread.clamp(min=even / 10)


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 arithmetic is in the hardware; elsewhere it would be slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def _differences(state: dict[str, Any], settings: TrainSettings) -> list[tuple[str, Any, Any]]:
    """Name, value then and value now of the settings that a state was not made with."""
    then, now = asdict(TrainSettings.from_dict(state["settings"])), asdict(settings)
    return [(name, then[name], now[name]) for name in now if then[name] != now[name]]


def _start_from(init: Path, asked: GeneratorSettings) -> Generator:
    generator, _ = load_generator(init)
    if asked.motion and not generator.settings.motion:
        generator = with_motion(generator)
    if replace(generator.settings, aus=asked.aus) != asked:
        raise WrongUse(
            f"{init} holds a generator of {asdict(generator.settings)}, but the settings ask for "
            f"{asdict(asked)}. Leave width, blocks and upsampling to the file."
        )
    return for_aus(generator, asked.aus).train()
