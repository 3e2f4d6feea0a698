"""Generator, critic and estimator: shapes, sizes, numbers of parameters, and weights files."""

import pytest
import torch
from tiny import randomise

from ganim.model.checkpoint import load_weights, save_weights
from ganim.model.config import CriticSettings, GeneratorSettings
from ganim.model.editing.changes import as_lips_show, opened, shown_change
from ganim.model.editing.masks import Masks
from ganim.model.estimator.network import Estimator
from ganim.model.networks.critic import Critic
from ganim.model.networks.flow_generator import UNLIMITED, FlowGenerator
from ganim.model.networks.generator import Generator
from ganim.model.networks.load import load_generator
from ganim.pipeline.action_units import COUNT, positions
from ganim.pipeline.errors import WrongUse

SMALL = GeneratorSettings(width=8, blocks=1)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_default_networks_have_the_parameters_of_the_original():
    assert parameters(Generator()) == 8_471_296
    assert parameters(Critic(128)) == 44_860_352


@pytest.mark.parametrize("size", [64, 96, 128])
@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
@pytest.mark.parametrize("batch", [1, 3])
def test_generator_keeps_size_and_ranges(size, upsampling, batch):
    generator = Generator(GeneratorSettings(8, 1, upsampling))
    faces = torch.rand(batch, 3, size, size) * 2 - 1
    masks = generator(faces, torch.rand(batch, 17))
    assert masks.attention.shape == (batch, 1, size, size)
    assert masks.colour.shape == faces.shape
    assert masks.attention.min() >= 0 and masks.attention.max() <= 1
    assert masks.blend().abs().max() <= 1


def test_an_untrained_generator_with_residual_colour_copies_its_input():
    generator = Generator(GeneratorSettings(8, 1, colour="residual"))
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    masks = generator(faces, torch.rand(2, 17))
    assert torch.allclose(masks.blend(), faces, atol=1e-6)
    assert masks.attention.mean() == 0.5


@pytest.mark.parametrize("conditioning", ["concat", "adain"])
def test_every_au_has_an_effect_on_every_part_of_the_face(conditioning):
    torch.manual_seed(0)
    generator = Generator(GeneratorSettings(8, 1, "nearest", conditioning))
    faces, aus = torch.rand(1, 3, 64, 64), torch.zeros(1, 17, requires_grad=True)
    colour = generator(faces, aus).colour
    for part in (colour[..., :8, :8], colour[..., 28:36, 28:36]):
        (gradient,) = torch.autograd.grad(part.sum(), aus, retain_graph=True)
        assert (gradient != 0).all()


def test_without_attention_the_colour_mask_is_the_output():
    generator = Generator(GeneratorSettings(8, 1, attention=False))
    faces = torch.rand(2, 3, 64, 64) * 2 - 1
    masks = generator(faces, torch.rand(2, 17))
    assert torch.equal(masks.blend(), masks.colour)
    assert generator.to_masks.weight.shape[0] == 3


@pytest.mark.parametrize("conditioning", ["concat", "adain"])
def test_a_relative_generator_depends_only_on_the_difference(conditioning):
    torch.manual_seed(0)
    generator = Generator(GeneratorSettings(8, 1, conditioning=conditioning, relative=True))
    faces, own = torch.rand(2, 3, 64, 64), torch.full((2, 17), 0.25)
    more = generator(faces, own + 0.5, own).colour
    assert torch.equal(more, generator(faces, own + 0.25, own - 0.25).colour)
    assert not torch.allclose(more, generator(faces, own, own).colour)
    with pytest.raises(ValueError, match="own AUs"):
        generator(faces, own)


def test_attention_of_one_keeps_the_input():
    face = torch.rand(1, 3, 8, 8)
    assert torch.equal(Masks(torch.ones(1, 1, 8, 8), torch.zeros_like(face), face).blend(), face)


def test_generator_is_the_same_in_training_and_evaluation_mode():
    torch.manual_seed(0)
    generator = Generator(SMALL)
    faces = torch.rand(2, 3, 64, 64)
    low, high = torch.zeros(2, 17), torch.ones(2, 17)
    in_training = generator.train()(faces, low).colour
    in_evaluation = generator.eval()(faces, low).colour
    assert torch.equal(in_training, in_evaluation)
    assert not torch.allclose(in_evaluation, generator(faces, high).colour)
    # Other faces in the batch have no effect, because no statistics are shared.
    assert torch.allclose(in_evaluation[:1], generator(faces[:1], low[:1]).colour, atol=1e-5)


@pytest.mark.parametrize(("size", "layers"), [(64, 6), (64, 4), (96, 5), (128, 6), (80, 4)])
def test_critic_fits_any_size(size, layers):
    verdict = Critic(size, CriticSettings(4, layers))(torch.rand(2, 3, size, size))
    assert verdict.aus.shape == (2, 17)
    assert verdict.scores.shape[:2] == (2, 1)


def test_a_critic_of_another_size_reads_the_same_of_an_enlarged_face():
    small, large = (Critic(size, CriticSettings(8, 4)) for size in (64, 96))
    large.load_resized(small.state_dict())
    features = torch.rand(1, 64, 1, 1)
    seen = small.to_aus(features.expand(-1, -1, 4, 4))
    enlarged = large.to_aus(features.expand(-1, -1, 6, 6))
    assert torch.allclose(seen, enlarged, atol=1e-6)
    assert torch.equal(small.to_realism.weight, large.to_realism.weight)


def test_critic_with_too_many_layers_is_refused():
    with pytest.raises(WrongUse, match="at most 6"):
        Critic(64, CriticSettings(4, 7))


@pytest.mark.parametrize("size", [96, 128, 200])
def test_estimator_accepts_any_size_and_keeps_its_ranges(size):
    estimator = Estimator((4, 4, 4, 4), (4, 4, 4, 4)).eval()
    torch.nn.init.uniform_(estimator.aligner.head.bias, -0.5, 0.5)
    torch.nn.init.uniform_(estimator.view.mean_face, -0.5, 0.5)
    read = estimator.read(torch.randint(0, 255, (2, 3, size, size)).byte())
    assert read.aus.shape == (2, 17) and read.confidence.shape == (2,)
    for values in (read.aus, read.confidence):
        assert values.min() >= 0 and values.max() <= 1


def test_weights_are_read_as_written_and_other_files_are_refused(tmp_path):
    generator = Generator(SMALL)
    path = tmp_path / "generator.safetensors"
    settings = {"generator": {"width": 8, "blocks": 1, "upsampling": "transposed"}, "size": 64}
    save_weights(path, generator.state_dict(), "generator", settings)
    loaded, size = load_generator(path)
    assert size == 64
    faces, aus = torch.rand(1, 3, 64, 64), torch.rand(1, 17)
    assert torch.allclose(loaded(faces, aus).colour, generator(faces, aus).colour, atol=2e-2)

    with pytest.raises(WrongUse, match="not weights of kind estimator"):
        load_weights(path, "estimator")
    with pytest.raises(WrongUse, match="ganim train"):
        load_weights(tmp_path / "absent.safetensors", "generator")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(WrongUse, match="not a safetensors file"):
        load_weights(tmp_path / "text.safetensors", "generator")
    save_weights(path, {}, "generator", settings | {"generator": {"depth": 3}})
    with pytest.raises(WrongUse, match="another version of ganim"):
        load_generator(path)
    wrong_size = settings | {"generator": settings["generator"] | {"width": 16}}
    save_weights(path, generator.state_dict(), "generator", wrong_size)
    with pytest.raises(WrongUse, match="do not fit"):
        load_generator(path)


def test_whitening_changes_no_output_and_is_kept_with_the_weights():
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow")).eval()
    randomise(generator)
    told = len(generator.whitening)
    generator.whiten(torch.eye(told) * 2)
    faces, aus, own = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 17), torch.rand(2, 17)
    change, nuisance = aus - own, torch.rand(2, told - 17)
    before = generator.outputs(faces, aus, change, nuisance)
    generator.whiten(torch.randn(told, told) / 8 + torch.eye(told))
    other = FlowGenerator(generator.settings).eval()
    other.load_state_dict(generator.state_dict())
    after = other.outputs(faces, aus, change, nuisance)
    torch.testing.assert_close(after.fields, before.fields, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(after.masks.blend(), before.masks.blend(), atol=1e-4, rtol=1e-3)

    new = ("whitening", "painting_limit")
    state = {name: each for name, each in generator.state_dict().items() if name not in new}
    other.load_state_dict(state)
    assert torch.equal(other.whitening, torch.eye(told)), "that of weights from before"
    assert (other.painting_limit == UNLIMITED).all(), "weights from before have none"


def test_beyond_the_limit_a_face_is_moved_on_and_painted_no_more():
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow")).eval()
    randomise(generator)
    torch.nn.init.zeros_(generator.to_rest[-1].weight)
    torch.nn.init.zeros_(generator.to_rest[-1].bias)
    for parameter in generator.to_fields.parameters():  # no motion, so that painting is seen alone
        torch.nn.init.zeros_(parameter)
    generator.painting_limit[8] = 0.5
    faces, aus, nuisance = torch.rand(1, 3, 32, 32) * 2 - 1, torch.zeros(1, 17), torch.zeros(1, 12)

    def painted(change: float) -> torch.Tensor:
        changes = torch.zeros(1, 17)
        changes[0, 8] = change
        return generator.outputs(faces, aus, changes, nuisance).masks.colour

    for sign in (1, -1):
        assert not torch.allclose(painted(sign * 0.3), painted(sign * 0.5), atol=1e-4)
        torch.testing.assert_close(painted(sign * 0.9), painted(sign * 0.5))
    with torch.no_grad():
        generator.to_fields[-1].bias += 0.01
    changes = torch.zeros(2, 17)
    changes[:, 8] = torch.tensor([0.5, 1.0])
    two = faces.expand(2, -1, -1, -1), aus.expand(2, -1), changes, nuisance.expand(2, -1)
    flow = generator.outputs(*two).masks.flow
    assert flow is not None
    assert flow[0].any()
    torch.testing.assert_close(flow[1], 2 * flow[0])


def pull(generator: FlowGenerator, before: dict[int, float], after: dict[int, float]) -> float:
    """How far a face is moved whose AUs change, by fields that are all alike."""
    with torch.no_grad():
        generator.to_fields[-1].bias.fill_(0.01)
    torch.manual_seed(0)
    faces, own, aus = torch.rand(1, 3, 32, 32) * 2 - 1, torch.zeros(1, 17), torch.zeros(1, 17)
    for values, numbers in ((own, before), (aus, after)):
        for number, value in numbers.items():
            values[:, positions((number,))] = value
    flow = generator(faces, aus, own).flow
    assert flow is not None
    return float(flow.detach().mean())


def test_a_smile_with_parted_lips_takes_the_corners_down_less():
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow")).eval()

    def moved(before: float, after: float, *shown: int) -> float:
        other = dict.fromkeys(shown, 0.6)
        return pull(generator, other | {15: before}, other | {15: after})

    whole, closed = moved(0, 0.3, 25), moved(0, 0.3)
    assert 0 < 2 * whole < closed, "closed lips move further"
    assert moved(0, 0.3, 12) == pytest.approx(closed)
    assert 0.1 * whole < moved(0, 0.3, 12, 25) < 0.5 * whole
    # The field points up, and where AU15 rises nothing is moved so; 0.3 of it is used across.
    assert moved(0.3, 0, 12, 25) == pytest.approx(-1.3 / 0.3 * whole), "no AU is kept by a smile"


def test_the_face_is_pulled_less_by_the_second_half_of_a_large_rise():
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow")).eval()
    generator.gain.fill_(1.6)
    for number in (12, 14):
        half = pull(generator, {number: 0}, {number: 0.5})
        assert 1.5 * half < pull(generator, {number: 0}, {number: 1}) < 1.7 * half
        assert pull(generator, {number: 0}, {number: 0.25}) == pytest.approx(half / 2)
        shown = pull(generator, {number: 0}, {number: 0.1}) * 10 / 1.6
        falling = pull(generator, {number: 1}, {number: 0})
        part = {12: 1.0, 14: 1.6}[number]
        assert falling == pytest.approx(-part * shown), "what is shown vanishes, but for smiles"
    half, whole = (pull(generator, {45: 0}, {45: level}) for level in (0.5, 1))
    assert whole == pytest.approx(2 * half), "lids must close"


def test_aus_that_raise_brows_raise_them_less_together():
    own, columns = torch.zeros(1, COUNT), positions((1, 2))

    def rise(level: float, *chosen: int) -> float:
        aus = own.clone()
        aus[:, positions(chosen)] = level
        return float(shown_change(aus, own, torch.ones(COUNT))[:, columns].sum())

    for level, few, most in ((0.3, 0.999, 1.001), (0.95, 0.6, 0.95)):
        apart = rise(level, 1) + rise(level, 2)
        assert few * apart < rise(level, 1, 2) < most * apart


def test_brows_go_up_with_upper_lids_that_are_raised_but_not_where_they_are_knit():
    own, brows = torch.full((1, COUNT), 0.2), positions((1, 2))

    def rise(**levels: float) -> torch.Tensor:
        aus = own.clone()
        for name, level in levels.items():
            aus[:, positions((int(name[2:]),))] = level
        return shown_change(aus, own, torch.ones(COUNT))[0, list(brows)]

    assert (rise(AU5=0.6) > 0.1).all() and (rise(AU5=0.6) < 0.2).all()
    torch.testing.assert_close(rise(AU5=0.6, AU1=0.4) - rise(AU1=0.4), rise(AU5=0.6))
    assert not rise(AU5=0.6, AU4=0.6).any() and not rise(AU5=0.0).any()
    assert 0 < rise(AU5=0.21).max() < 0.01


@pytest.mark.parametrize("together", [(6, 12), (25, 26)])
def test_aus_that_pull_one_part_pull_it_less_together(together: tuple[int, int]):
    generator = FlowGenerator(GeneratorSettings(8, architecture="flow")).eval()
    nothing = dict.fromkeys(together, 0.0)

    def rise(level: float, *numbers: int) -> float:
        return pull(generator, nothing, nothing | dict.fromkeys(numbers, level))

    for level, few, most in ((0.3, 0.999, 1.001), (0.95, 0.6, 0.95)):
        apart = sum(rise(level, each) for each in together)
        assert few * apart < rise(level, *together) < most * apart
    assert rise(1, *together) > rise(0.9, *together) > rise(0.8, *together)
    assert rise(0.8, *together, 45) == pytest.approx(rise(0.8, *together) + rise(0.8, 45))
    falling = pull(generator, dict.fromkeys(together, 1.0), nothing)
    parts = sum(pull(generator, nothing | {each: 1.0}, nothing) for each in together)  # gain 1
    assert falling == pytest.approx(parts), "what is shown vanishes"


def test_lips_part_by_the_root_of_the_au_that_says_so():
    aus = torch.rand(4, COUNT)
    column = positions((25,))[0]
    aus[:, column] = torch.tensor([0.0, 0.02, 0.4, 1.0])
    shown = opened(aus)
    assert torch.equal(shown[:, :column], aus[:, :column])
    assert torch.equal(shown[:, column + 1 :], aus[:, column + 1 :])
    none, little, some, whole = shown[:, column].tolist()
    assert none == 0 and little < 0.06 and 0.7 < whole < 0.75
    assert some / whole == pytest.approx(0.4**0.5, abs=0.04)


def test_lips_that_touch_part_as_if_nothing_of_the_au_were_shown():
    own, column = torch.rand(1, COUNT), positions((25,))[0]
    own[:, column] = 0.25
    touching, slightly, wide = (torch.tensor([apart]) for apart in (0.0, 0.04, 0.2))

    def shown(asked, apart):
        aus = own.clone()
        aus[:, column] = asked
        both = as_lips_show(aus, own, apart)
        for changed, given in zip(both, (aus, own), strict=True):
            others = [at for at in range(COUNT) if at != column]
            assert torch.equal(changed[:, others], given[:, others])
        return tuple(float(each[0, column]) for each in both)

    assert shown(1.0, touching) == (1.0, 0.0) and shown(1.0, wide) == (1.0, 0.25)
    assert 0 < shown(1.0, slightly)[1] < 0.25
    for apart in (touching, slightly, wide):
        same = shown(0.25, apart)
        assert same[0] == same[1], "what a face shows changes nothing"
        barely = shown(0.2501, apart)
        assert 0 < barely[0] - barely[1] < 0.001
        assert shown(0.1, apart) == pytest.approx((0.1, 0.25))
