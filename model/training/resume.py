"""How a training begins: anew, from earlier weights, from another run, or where it was stopped.

What carries over, from what:

    from                         generator, average       critic          Adam    iteration
    the same run                 yes                      yes             yes     yes
    --init RUN                   yes                      yes             yes     no
      with another --size        yes                      enlarged        no      no
      with --motion, RUN without yes, and motion learned  yes             yes     no
      with other --aus           refused                  refused         -       -
    --init WEIGHTS               yes                      no              no      no
      with another --size        yes                      no              no      no
      with --motion, if without  yes, and motion learned  no              no      no
      with other --aus           columns of the known AUs no              no      no

The same run is resumed with the settings, and the number of faces, that it was started with; all
others are refused. `--init RUN` takes any settings but those of the architecture of generator and
critic. `--init WEIGHTS` takes any settings but those of the architecture of the generator; both
its weights and its average are those of the file.

A paired training starts in the same ways, but for another `--size`, which its critics take as they
are, and for other `--aus`, which are refused. The frame of the faces carries over.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...pipeline.action_units import in_words
from ...pipeline.errors import WrongUse
from ..checkpoint import last_state
from ..config import GeneratorSettings, TrainSettings
from ..data import Faces
from ..networks.flow_generator import FlowGenerator
from ..networks.generator import Generator
from ..networks.load import load_generator
from .base_trainer import BaseTrainer
from .distributed import Workers
from .log import current_names
from .paired_trainer import PairedTrainer
from .trainer import PREVIOUS_STATE, STATE, WEIGHTS, Trainer

AnyTrainer = BaseTrainer[Any]


def start(
    settings: TrainSettings,
    faces: Faces,
    device: torch.device,
    init: Path | None = None,
    workers: Workers | None = None,
    on_message: Callable[[str], None] = lambda said: None,
) -> AnyTrainer:
    """A trainer at iteration 0: a PairedTrainer if the settings ask for pairs, else a Trainer.

    init: None for random weights; a weights file; or the folder of another run. See the table
    above. on_message: is called with a sentence if the last state of that run is damaged and the
    one before it is used. Raises WrongUse for weights and runs that do not fit the settings, and
    as Trainer does.
    """
    kind = PairedTrainer if settings.paired else Trainer
    if init is None:
        return kind(settings, faces, device, workers)
    if init.is_dir():
        trainer = kind(settings, faces, device, workers, warm_average=False)
        _init_from_run(trainer, init, on_message)
        return trainer
    if settings.paired:
        initial_flow = partial(_init_flow_from_weights, init, settings.generator)
        return PairedTrainer(settings, faces, device, workers, initial_flow, warm_average=False)
    initial_generator = partial(_init_from_weights, init, settings.generator)
    return Trainer(settings, faces, device, workers, initial_generator, warm_average=False)


def resume(trainer: AnyTrainer, run: Path, on_message: Callable[[str], None]) -> None:
    """Continue the training in a run folder from its last readable state, if it has a state.

    on_message: is called with a sentence if the last state is damaged and the one before it is
    used. Raises WrongUse if all states are damaged, or if the last one has other settings.
    """
    found = last_state(run / STATE, run / PREVIOUS_STATE)
    if found is not None:
        state, path = found
        resume_from_state(trainer, state)
        if path != run / STATE and (run / STATE).exists():
            on_message(
                f"{run / STATE} is damaged: resuming from the state before it, of iteration "
                f"{trainer.iteration}."
            )
            if trainer.workers.first:  # otherwise the next save would replace the good one by it
                (run / STATE).unlink(missing_ok=True)
    if len(set(trainer.workers.gather(trainer.iteration))) > 1:
        raise WrongUse(
            f"The processes do not find the same state in {run}: it must be a folder that all of "
            "them share."
        )


def resume_from_state(trainer: AnyTrainer, state: dict[str, Any]) -> None:
    """Continue from a state that `Trainer.state_dict` gave. Raises WrongUse for other settings."""
    for name, then, now in _differences(state, trainer.settings):
        raise WrongUse(
            f"The run was started with {name}={then}, this command says {now}. Repeat the "
            "earlier setting, or choose another --run."
        )
    if state["faces"] != len(trainer.faces):
        raise WrongUse(
            f"The run was started on {state['faces']} faces, the shards now hold "
            f"{len(trainer.faces)}. Choose another --run."
        )
    trainer.load_state_dict(state)
    trainer.iteration = state["iteration"]
    unlogged = current_names(state.get("unlogged", {}))  # early states have none
    trainer.unlogged = {name: list(each.to(trainer.device)) for name, each in unlogged.items()}


def for_aus(generator: Generator, aus: tuple[int, ...]) -> Generator:
    """The same generator for other AUs, to train it further.

    Each AU has one column in the weights of the first layer: of the embedding, or of the first
    convolution. The columns of AUs that both know are copied, those of new AUs are zero. So at
    first the new generator makes the faces that the old one makes with 0 for every AU that the new
    one does not know, and ignores the new AUs.
    """
    known = generator.settings.aus
    other = Generator(replace(generator.settings, aus=aus))
    # The first convolution has three channels of colour before those of the AUs.
    name, first = ("encoder.0.weight", 3) if other.embedding is None else ("embedding.0.weight", 0)
    weights = generator.state_dict()
    before = weights[name]
    after = before.new_zeros(before.shape[0], first + len(aus), *before.shape[2:])
    after[:, :first] = before[:, :first]
    for column, number in enumerate(aus, first):
        if number in known:
            after[:, column] = before[:, first + known.index(number)]
    other.load_state_dict(weights | {name: after})
    return other


def with_motion(generator: Generator) -> Generator:
    """The same generator with a `motion` that has not learned any displacements yet."""
    other = Generator(replace(generator.settings, motion=True))
    other.load_state_dict(other.state_dict() | generator.state_dict())
    return other


def _init_from_weights(path: Path, asked: GeneratorSettings) -> Generator:
    generator, _ = load_generator(path)
    if not isinstance(generator, Generator):
        raise WrongUse(
            f"{path} holds a generator of --architecture flow, which trains with --paired alone."
        )
    if asked.motion and not generator.settings.motion:
        generator = with_motion(generator)
    if replace(generator.settings, aus=asked.aus) != asked:
        raise WrongUse(
            f"{path} holds a generator of {asdict(generator.settings)}, but the settings ask for "
            f"{asdict(asked)}. Leave width, blocks and upsampling to the file."
        )
    return for_aus(generator, asked.aus).train()


def _init_flow_from_weights(path: Path, asked: GeneratorSettings) -> FlowGenerator:
    generator, _ = load_generator(path)
    if not isinstance(generator, FlowGenerator):
        raise WrongUse(f"{path} holds no generator of --architecture flow, as --paired needs.")
    if generator.settings != asked:
        raise WrongUse(
            f"{path} holds a generator of {asdict(generator.settings)}, but the settings ask for "
            f"{asdict(asked)}. Leave its options to the file."
        )
    return generator.train()


def _init_from_run(trainer: AnyTrainer, run: Path, on_message: Callable[[str], None]) -> None:
    try:
        found = last_state(run / STATE, run / PREVIOUS_STATE)
    except WrongUse as damage:
        raise WrongUse(
            f"The state in {run} is damaged. Start from its generator alone, --init "
            f"{run / WEIGHTS}, or from another run."
        ) from damage
    if found is None:
        raise WrongUse(f"{run} holds no {STATE}: name the folder of a run, or a weights file.")
    state, path = found
    if path != run / STATE:
        on_message(f"{run / STATE} is damaged: starting from the state before it.")
    asked, started = trainer.settings, TrainSettings.from_dict(state["settings"])
    if started.generator.architecture != asked.generator.architecture:
        raise WrongUse(
            f"{run} trained a generator of --architecture {started.generator.architecture}, this "
            f"command says {asked.generator.architecture}: neither starts from the other."
        )
    if started.generator.aus != asked.generator.aus:
        raise WrongUse(
            f"The critic of {run} reads {in_words(started.generator.aus)}, and this command asks "
            f"for others. Start from the generator alone: --init {run / WEIGHTS}, with "
            "--critic-warmup."
        )
    if asked.generator.motion and not started.generator.motion:
        state["settings"]["generator"]["motion"] = True
        for name, network in (("generator", trainer.generator), ("average", trainer.average)):
            state[name] = network.state_dict() | state[name]  # motion from the new network
    for name, then, now in _differences(state, asked):
        if name in ("generator", "critic"):
            raise WrongUse(
                f"{run} was trained with {name}={then}, this command says {now}. Only other "
                "settings can change on the way."
            )
    if started.size == asked.size or not isinstance(trainer, Trainer):
        trainer.load_state_dict(state)
        return
    # Adam's moments of the critic's AU head have another shape; they are estimated anew.
    trainer.generator.load_state_dict(state["generator"])
    trainer.average.load_state_dict(state["average"])
    trainer.critic.load_resized(state["critic"])


def _differences(state: dict[str, Any], settings: TrainSettings) -> list[tuple[str, Any, Any]]:
    """Name, value of the state and value now of the settings that differ."""
    then, now = asdict(TrainSettings.from_dict(state["settings"])), asdict(settings)
    return [(name, then[name], now[name]) for name in now if then[name] != now[name]]
