"""The trainer's iteration against the plain one of reference.py: gradients, metrics and updates."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace

import pytest
import reference
import torch
from tiny import TINY, smooth_faces

from ganim.model.config import CriticSettings, GeneratorSettings, LossWeights, TrainSettings
from ganim.model.networks.generator import Generator
from ganim.model.training.distributed import Workers
from ganim.model.training.perceptual import Perceptual
from ganim.model.training.sampler import Batch
from ganim.model.training.trainer import Trainer
from ganim.model.training.views import coarsened
from ganim.model.warp import moved
from ganim.pipeline.action_units import positions

CPU = torch.device("cpu")
SETTINGS = replace(
    TINY,
    batch=3,
    epochs=4,
    decay_epochs=2,
    generator=GeneratorSettings(4, 1),
    critic=CriticSettings(4, 4),
)
FACES = smooth_faces(12, 64)
FACES = replace(FACES, aus=FACES.aus * torch.linspace(0.2, 1.0, 17))  # of unequal deviation
SOME = 11
"""A seed by which some of the first faces, but not all, are coarse and have single-AU targets."""
NO_WEIGHTS = {field.name: 0.0 for field in fields(LossWeights)}
# Large enough for every term to have a gradient that the others do not hide.
ALL_WEIGHTS = LossWeights(0.7, 10.0, 3.0, 2.0, 5.0, 4.0)
TERMS = {
    **{
        name: LossWeights(**NO_WEIGHTS | {name: 2.0}) for name in NO_WEIGHTS if name != "perceptual"
    },
    "all": ALL_WEIGHTS,
}


class Recorded:
    """A trainer with the weights before its last step, the batch of that step and its gradients.

    earlier: how many steps are made before that one.
    """

    def __init__(self, settings: TrainSettings, earlier: int = 0) -> None:
        self.trainer = Trainer(settings, FACES, CPU)
        for _ in range(earlier):
            self.trainer.step()
        self.batch = self.trainer.sampler.batch(earlier, CPU)
        self.generator, self.critic = (
            weights_of(network) for network in (self.trainer.generator, self.trainer.critic)
        )
        self.metrics = {name: float(value) for name, value in self.trainer.step().items()}

    @property
    def critic_after(self) -> reference.Weights:
        """The generator's step is taken against the critic that has just been updated."""
        return weights_of(self.trainer.critic)


def weights_of(network: torch.nn.Module) -> reference.Weights:
    return {
        name: parameter.detach().clone().requires_grad_(True)
        for name, parameter in network.named_parameters()
    }


def assert_gradients(network: torch.nn.Module, expected: reference.Weights) -> None:
    """Each agrees to 0.1% of its norm, but for what is small beside the whole gradient."""
    whole = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    found = dict(network.named_parameters())
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        mine = found[name].grad
        if mine is None:
            mine = torch.zeros_like(gradient)
        error, tolerance = (mine - gradient).norm(), 1e-3 * gradient.norm() + 1e-5 * whole
        assert error <= tolerance, f"{name}: {error:.3g} of {gradient.norm():.3g}"


def check_critic(
    recorded: Recorded,
    view: reference.View = reference.as_it_is,
    au_weight: torch.Tensor | float = 1.0,
) -> dict[str, float]:
    """Compare the critic's gradients; returns the terms of the reference."""
    batch, known = recorded.batch, positions(recorded.trainer.settings.generator.aus)
    fakes = reference.blend(
        *reference.generator(recorded.generator, batch.faces, batch.target_aus[:, known]),
        batch.faces,
    )
    w, faces, fakes = recorded.critic, view(batch.faces), view(fakes.detach())
    terms = reference.critic_terms(w, faces, fakes, batch.own_aus[:, known], au_weight)
    terms["gp"] = reference.gradient_penalty(w, faces, fakes, batch.alpha)
    loss = reference.total(terms, asdict(recorded.trainer.settings.weights))
    assert_gradients(recorded.trainer.critic, reference.gradients(loss, recorded.critic))
    return {name: float(term.detach()) for name, term in terms.items()}


def check_generator(recorded: Recorded, **options: object) -> dict[str, float]:
    """Compare the generator's gradients; returns the terms of the reference."""
    batch, known = recorded.batch, positions(recorded.trainer.settings.generator.aus)
    terms = reference.generator_terms(
        recorded.generator,
        recorded.critic_after,
        batch.faces,
        batch.own_aus[:, known],
        batch.target_aus[:, known],
        **options,
    )
    loss = reference.total(terms, asdict(recorded.trainer.settings.weights))
    assert_gradients(recorded.trainer.generator, reference.gradients(loss, recorded.generator))
    return {name: float(term.detach()) for name, term in terms.items()}


@pytest.mark.parametrize("weights", TERMS.values(), ids=TERMS)
def test_gradients_are_those_of_the_equations(weights: LossWeights) -> None:
    recorded = Recorded(replace(SETTINGS, weights=weights))
    of_critic, of_generator = check_critic(recorded), check_generator(recorded)
    # The metrics are the terms without weights; those of the attention are means of two passes.
    expected = of_critic | of_generator
    expected |= {name: expected[name] / 2 for name in ("attention", "tv")}
    batch = recorded.batch
    _, read = reference.critic(recorded.critic, batch.faces)
    expected["copy_aus"] = float((read - batch.target_aus).square().mean().detach())
    assert recorded.metrics == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_later_iteration_is_like_the_first() -> None:
    recorded = Recorded(replace(SETTINGS, weights=ALL_WEIGHTS, lr=1e-3), earlier=2)
    check_critic(recorded)
    check_generator(recorded)


def test_every_term_has_a_gradient_here() -> None:
    """Or its comparison with the reference would be one of zeros."""
    for name, weights in TERMS.items():
        trainer = Recorded(replace(SETTINGS, weights=weights)).trainer
        gradients = {
            network: max(
                float(parameter.grad.abs().max())
                for parameter in getattr(trainer, network).parameters()
                if parameter.grad is not None
            )
            for network in ("generator", "critic")
        }
        assert (gradients["critic"] > 1e-4) == (name in ("adversarial", "gp", "aus", "all")), name
        assert (gradients["generator"] > 1e-4) == (name != "gp"), name


def test_a_generator_of_few_aus_is_trained_on_these() -> None:
    known = (1, 4, 12, 25)
    generator = replace(SETTINGS.generator, aus=known)
    recorded = Recorded(replace(SETTINGS, generator=generator, weights=ALL_WEIGHTS))
    check_critic(recorded)
    check_generator(recorded)


def test_a_single_au_counts_five_times_in_the_generators_step_alone() -> None:
    recorded = Recorded(replace(SETTINGS, weights=ALL_WEIGHTS, single_au=1.0))
    batch = recorded.batch
    changed = batch.own_aus != batch.target_aus
    assert changed.any()
    check_critic(recorded)
    check_generator(recorded, au_weight=torch.where(changed, 5.0, 1.0))
    plain = check_terms_of_aus(recorded, torch.ones(()))
    assert recorded.metrics["aus"] == pytest.approx(plain, rel=1e-4), "the metric counts each once"


def check_terms_of_aus(recorded: Recorded, au_weight: torch.Tensor) -> float:
    batch = recorded.batch
    terms = reference.generator_terms(
        recorded.generator,
        recorded.critic_after,
        batch.faces,
        batch.own_aus,
        batch.target_aus,
        au_weight,
    )
    return float(terms["aus"].detach())


def test_balanced_aus_count_by_their_inverse_deviation_in_both_steps() -> None:
    deviation = FACES.aus.std(0, correction=0)
    counts = deviation.square().mean() / deviation.mean() / deviation
    assert counts.max() / counts.min() > 2
    recorded = Recorded(replace(SETTINGS, weights=ALL_WEIGHTS, balanced_aus=True))
    check_critic(recorded, au_weight=counts)
    check_generator(recorded, au_weight=counts)


def augmented(batch: Batch) -> Callable[[torch.Tensor], torch.Tensor]:
    assert batch.augmentation is not None
    matrix, shift, coarse = batch.augmentation
    return lambda faces: coarsened(moved(faces, matrix, shift), coarse)


def test_the_critic_sees_all_faces_moved_and_reads_aus_of_the_coarse_ones() -> None:
    settings = replace(
        SETTINGS, weights=ALL_WEIGHTS, critic_jitter=0.1, critic_coarse=0.6, seed=SOME
    )
    recorded = Recorded(settings)
    batch = recorded.batch
    coarse = batch.augmentation.coarse
    assert 0 < coarse.sum() < 3
    au_weight = coarse[:, None] / 0.6
    check_critic(recorded, view=augmented(batch), au_weight=au_weight)
    check_generator(recorded, view=augmented(batch), au_weight=au_weight)


def test_everything_at_once() -> None:
    settings = replace(
        SETTINGS,
        weights=ALL_WEIGHTS,
        critic_jitter=0.1,
        critic_coarse=0.6,
        balanced_aus=True,
        single_au=0.7,
        seed=SOME,
    )
    recorded = Recorded(settings)
    batch = recorded.batch
    deviation = FACES.aus.std(0, correction=0)
    balance = deviation.square().mean() / deviation.mean() / deviation
    coarse = batch.augmentation.coarse[:, None] / 0.6
    changed = batch.own_aus != batch.target_aus
    single = (changed.sum(1, keepdim=True) == 1) & changed
    assert 0 < single.sum() < 3
    check_critic(recorded, view=augmented(batch), au_weight=balance * coarse)
    au_weight = torch.where(single, 5.0, 1.0) * balance * coarse
    check_generator(recorded, view=augmented(batch), au_weight=au_weight)


def test_the_perceptual_term_compares_the_restored_face_with_the_face() -> None:
    weights = LossWeights(**NO_WEIGHTS | {"perceptual": 2.0})
    recorded = Recorded(replace(SETTINGS, weights=weights))
    batch, w = recorded.batch, recorded.generator
    fakes = reference.blend(*reference.generator(w, batch.faces, batch.target_aus), batch.faces)
    restored = reference.blend(*reference.generator(w, fakes, batch.own_aus), fakes)
    distance = Perceptual()(restored, batch.faces)
    assert_gradients(recorded.trainer.generator, reference.gradients(2.0 * distance, w))
    assert recorded.metrics["perceptual"] == pytest.approx(float(distance.detach()), rel=1e-4)
    assert distance > 1e-3


def test_a_relative_generator_is_told_differences_both_ways() -> None:
    generator = replace(SETTINGS.generator, relative=True)
    recorded = Recorded(replace(SETTINGS, generator=generator))
    batch, w = recorded.batch, recorded.generator
    difference = batch.target_aus - batch.own_aus
    fakes = reference.blend(*reference.generator(w, batch.faces, difference), batch.faces)
    restored = reference.blend(*reference.generator(w, fakes, -difference), fakes)
    cycle = float((restored - batch.faces).abs().mean().detach())
    assert recorded.metrics["cycle"] == pytest.approx(cycle, rel=1e-4)


def test_the_penalty_is_computed_in_full_precision() -> None:
    """With a generator that copies, it depends on the faces and the critic only."""
    generator = replace(SETTINGS.generator, colour="residual")
    trainer = Trainer(replace(SETTINGS, precision="bf16", generator=generator), FACES, CPU)
    with torch.no_grad():
        for weight in trainer.critic.parameters():
            weight *= 3  # new weights have gradients near 0, and penalties near 1
    w, faces = weights_of(trainer.critic), trainer.sampler.batch(0, CPU).faces
    exact = float(reference.gradient_penalty(w, faces, faces, torch.ones(3)).detach())
    with torch.autocast("cpu", torch.bfloat16):
        coarse = float(reference.gradient_penalty(w, faces, faces, torch.ones(3)).detach())
    assert trainer.step()["gp"].item() == pytest.approx(exact, rel=1e-5)
    assert abs(coarse / exact - 1) > 1e-3


# The steps


def test_adam_is_the_papers() -> None:
    """Two updates of both networks, worked out from their gradients."""
    settings = replace(SETTINGS, weights=ALL_WEIGHTS, lr=1e-3)
    trainer = Trainer(settings, FACES, CPU)
    for network, optimiser in (
        (trainer.generator, trainer.generator_adam),
        (trainer.critic, trainer.critic_adam),
    ):
        assert len(optimiser.param_groups) == 1
        weights = [each for each in network.parameters() if each.requires_grad]
        held = optimiser.param_groups[0]["params"]
        assert [id(each) for each in held] == [id(each) for each in weights]
    networks = (trainer.generator, trainer.critic)
    moments = [
        [(torch.zeros_like(p), torch.zeros_like(p)) for p in network.parameters()]
        for network in networks
    ]
    for step in (1, 2):
        before = [[p.detach().clone() for p in network.parameters()] for network in networks]
        trainer.step()
        for network, old, means in zip(networks, before, moments, strict=True):
            for index, (parameter, value) in enumerate(zip(network.parameters(), old, strict=True)):
                first, second = means[index]
                first = 0.5 * first + 0.5 * parameter.grad
                second = 0.999 * second + 0.001 * parameter.grad.square()
                means[index] = first, second
                unbiased = first / (1 - 0.5**step), second / (1 - 0.999**step)
                expected = value - 1e-3 * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
                torch.testing.assert_close(parameter.detach(), expected, rtol=1e-4, atol=1e-6)


def test_the_default_rate_is_the_papers() -> None:
    defaults = TrainSettings()
    assert (defaults.lr, defaults.batch, defaults.epochs, defaults.decay_epochs) == (
        1e-4,
        25,
        30,
        10,
    )
    assert defaults.critic_steps == 5 and defaults.au_noise == 0.1
    assert defaults.weights == LossWeights(0.25, 10.0, 0.1, 4.0, 160.0, 10.0, 0.0)
    assert defaults.critic_warmup == defaults.single_au == defaults.critic_jitter == 0
    assert defaults.critic_coarse == 0 and not defaults.balanced_aus


def test_the_rate_of_both_networks_falls_linearly_over_the_last_epochs() -> None:
    trainer = Trainer(SETTINGS, FACES, CPU)
    assert trainer.iterations == 16 and trainer.iterations_per_epoch == 4
    rates = []
    for iteration in range(16):
        trainer.iteration = iteration
        trainer.step()
        (of_generator,), (of_critic,) = (
            [group["lr"] for group in adam.param_groups]
            for adam in (trainer.generator_adam, trainer.critic_adam)
        )
        assert of_generator == of_critic
        rates.append(of_critic / SETTINGS.lr)
    assert rates == pytest.approx([1.0] * 8 + [each / 8 for each in (8, 7, 6, 5, 4, 3, 2, 1)])
    constant = Trainer(replace(SETTINGS, decay_epochs=0), FACES, CPU)
    constant.iteration = 15
    constant.step()
    assert constant.critic_adam.param_groups[0]["lr"] == SETTINGS.lr


def snapshot(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten().clone() for each in network.state_dict().values()])


def test_the_generator_steps_in_every_critic_steps_th_iteration() -> None:
    trainer = Trainer(replace(SETTINGS, critic_steps=3, epochs=9), FACES, CPU)
    for iteration in range(7):
        before = [snapshot(each) for each in (trainer.generator, trainer.critic, trainer.average)]
        metrics = trainer.step()
        after = [snapshot(each) for each in (trainer.generator, trainer.critic, trainer.average)]
        changed = [not torch.equal(*both) for both in zip(before, after, strict=True)]
        turn = iteration % 3 == 0
        assert changed == [turn, True, turn]
        assert ("adversarial" in metrics) == turn
        assert trainer.iteration == iteration + 1
    assert all(each.requires_grad for each in trainer.critic.parameters())


def test_warmup_trains_the_critic_on_aus_alone() -> None:
    settings = replace(SETTINGS, critic_warmup=2, critic_steps=2, weights=ALL_WEIGHTS, epochs=9)
    recorded = Recorded(settings)
    own = recorded.batch.own_aus
    _, read = reference.critic(recorded.critic, recorded.batch.faces)
    loss = (read - own).square().mean()
    expected = reference.gradients(ALL_WEIGHTS.aus * loss, recorded.critic)
    assert_gradients(recorded.trainer.critic, expected)
    assert recorded.metrics == {"critic_aus": pytest.approx(float(loss.detach()), rel=1e-4)}
    trainer = recorded.trainer
    generator = weights_of(trainer.generator)
    assert set(trainer.step()) == {"critic_aus"}
    assert all(torch.equal(generator[name], each) for name, each in recorded.generator.items())
    # The first iteration after it is the generator's.
    turns = ["adversarial" in trainer.step() for _ in range(3)]
    assert turns == [True, False, True]


def test_the_average_follows_the_generator() -> None:
    settings = replace(SETTINGS, ema=0.3, lr=1e-2)
    trainer = Trainer(settings, FACES, CPU)
    mean = snapshot(trainer.averaged_generator)
    assert torch.equal(mean, snapshot(trainer.generator)), "it starts there"
    for step in range(1, 5):
        trainer.step()
        decay = min(0.3, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * snapshot(trainer.generator)
        torch.testing.assert_close(snapshot(trainer.averaged_generator), mean)


def test_the_average_of_trained_weights_leaves_them_slowly() -> None:
    trainer = Trainer(replace(SETTINGS, ema=0.9, lr=1e-2), FACES, CPU, warm_average=False)
    start = snapshot(trainer.generator)
    trainer.step()
    expected = 0.9 * start + 0.1 * snapshot(trainer.generator)
    torch.testing.assert_close(snapshot(trainer.averaged_generator), expected)


# Several processes


class Alone(Workers):
    """One of two workers, whose gradients are not averaged with those of the other."""

    def average_gradients(self, network: torch.nn.Module) -> None:
        pass


class Silenced(Workers):
    def average_gradients(self, network: torch.nn.Module) -> None:
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()


def test_the_mean_of_the_parts_gradients_is_the_gradient_of_the_batch() -> None:
    settings = replace(
        SETTINGS, batch=4, weights=ALL_WEIGHTS, single_au=0.5, critic_jitter=0.1, lr=1e-30
    )
    whole = Trainer(settings, FACES, CPU)
    parts = [Trainer(settings, FACES, CPU, Alone(rank, 2)) for rank in (0, 1)]
    for trainer in (whole, *parts):
        trainer.step()
    for network in ("generator", "critic"):
        mean = {
            name: (p.grad + dict(getattr(parts[1], network).named_parameters())[name].grad) / 2
            for name, p in getattr(parts[0], network).named_parameters()
        }
        assert_gradients(getattr(whole, network), mean)
    sums = [parts[rank].critic.to_aus.weight.grad.sum() for rank in (0, 1)]
    assert sums[0] != sums[1], "they are of different faces"


def test_gradients_are_averaged_before_the_update() -> None:
    trainer = Trainer(SETTINGS, FACES, CPU, Silenced())
    before = [snapshot(each) for each in (trainer.generator, trainer.critic)]
    trainer.step()
    after = [snapshot(each) for each in (trainer.generator, trainer.critic)]
    assert all(torch.equal(*both) for both in zip(before, after, strict=True))


# The networks


VARIATIONS = {
    "paper": {},
    "adain": {"conditioning": "adain"},
    "nearest": {"upsampling": "nearest"},
    "residual": {"colour": "residual"},
    "no attention": {"attention": False},
    "not affine": {"affine": False},
    "two blocks": {"blocks": 2},
}


@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=VARIATIONS)
def test_the_generator_computes_what_the_reference_does(variation: dict[str, object]) -> None:
    torch.manual_seed(0)
    settings = replace(SETTINGS.generator, **variation)
    trainer = Trainer(replace(SETTINGS, generator=settings), FACES, CPU)
    network, batch = trainer.generator, trainer.sampler.batch(0, CPU)
    for parameter in network.parameters():  # residual colour, scale and shift start at 0 or 1
        torch.nn.init.normal_(parameter, std=0.2)
    masks = network(batch.faces, batch.target_aus, batch.own_aus)
    residual = settings.colour == "residual"
    attention, colour = reference.generator(
        weights_of(network), batch.faces, batch.target_aus, residual
    )
    torch.testing.assert_close(masks.attention, attention, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(masks.colour, colour, rtol=1e-4, atol=1e-4)
    expected = reference.blend(attention, colour, batch.faces)
    torch.testing.assert_close(masks.blend(), expected, rtol=1e-4, atol=1e-4)


def test_a_relative_generator_is_given_the_target_minus_the_own_aus() -> None:
    torch.manual_seed(0)
    absolute = Generator(replace(SETTINGS.generator, relative=False))
    relative = Generator(replace(SETTINGS.generator, relative=True))
    relative.load_state_dict(absolute.state_dict())
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    target, own = torch.rand(2, 2, 17)
    expected = absolute(faces, target - own)
    given = relative(faces, target, own)
    assert torch.equal(given.colour, expected.colour)
    assert torch.equal(given.attention, expected.attention)
