"""Each loss against values worked out by hand, and against its own definition."""

import pytest
import torch

from ganim.model.config import CriticSettings, LossWeights
from ganim.model.estimator.network import load_estimator
from ganim.model.networks.critic import Critic
from ganim.model.training import losses
from ganim.model.training.perceptual import Perceptual


def test_adversarial_losses_by_hand():
    real, fake = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.5, -0.5]])
    assert losses.critic_adversarial_loss(real, fake).item() == pytest.approx(-2.0)
    assert losses.generator_adversarial_loss(fake).item() == pytest.approx(0.0)


def test_au_loss_is_a_mean_over_elements():
    regressed, aus = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert losses.au_loss(regressed, aus).item() == pytest.approx(0.125)
    emphasised = losses.au_loss(regressed + 0.2, aus, torch.tensor([[5.0, 1.0]]))
    assert emphasised.item() == pytest.approx((5 * 0.49 + 0.04) / 2)
    # The original code has 4000 * sum / batch at batch 25 on a mean over AUs: 160 on a mean.
    assert LossWeights().aus == 4000 / 25


def test_total_variation_by_hand():
    attention = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    assert losses.total_variation(attention).item() == pytest.approx(1.0)  # across only
    assert losses.total_variation(torch.full((2, 1, 8, 8), 0.3)).item() == 0.0


@pytest.mark.parametrize("term", [losses.attention_loss, losses.total_variation])
def test_attention_terms_do_not_depend_on_batch(term):
    attention = torch.rand(3, 1, 16, 16)
    assert term(attention).item() == pytest.approx(term(attention.repeat(4, 1, 1, 1)).item())


def test_gradient_penalty_of_a_linear_critic_is_exact():
    # D(x) = <w, x> has the gradient w everywhere: the penalty is (|w| - 1)^2.
    weight = torch.randn(1, 3, 8, 8)
    penalty = losses.gradient_penalty(weight.expand(4, -1, -1, -1))
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)


def by_autograd(critic):
    """The gradients of a critic's scores, as autograd finds them."""

    def slope(x):
        x = x.requires_grad_(True)
        return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]

    return slope


@pytest.mark.parametrize(("size", "layers"), [(64, 4), (100, 5)])
def test_the_critics_own_slope_is_autograds_and_trains_it_alike(size, layers):
    torch.manual_seed(0)
    critic = Critic(size, CriticSettings(8, layers)).double()
    real, fake = torch.randn(2, 2, 3, size, size).double().unbind()
    gradients = []
    for slope in (critic.slope, by_autograd(lambda x: critic(x).scores.double().mean((1, 2, 3)))):
        critic.zero_grad()
        between = losses.interpolated(real, fake, torch.tensor([0.3, 0.8]).double())
        penalty = losses.gradient_penalty(slope(between))
        penalty.backward()
        weights = [p for p in critic.parameters() if p.dim() > 1 and p is not critic.to_aus.weight]
        gradients.append([penalty, *(weight.grad.clone() for weight in weights)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9)
    assert all(gradient.abs().max() > 0 for gradient in gradients[0])


def test_gradient_penalty_against_finite_differences():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 1, 3, 3).double(), torch.randn(2, 1, 3, 3).double()
    alpha = torch.tensor([0.3, 0.8]).double()
    scale = torch.nn.Parameter(torch.tensor(1.3).double())

    def critic(x):
        return (x.pow(3) * scale).flatten(1).mean(1)

    slope = by_autograd(critic)
    penalty = losses.gradient_penalty(slope(losses.interpolated(real, fake, alpha)))
    between = alpha.view(-1, 1, 1, 1) * real + (1 - alpha.view(-1, 1, 1, 1)) * fake
    step, gradient = 1e-6, torch.zeros_like(between)
    for index in range(9):
        move = torch.zeros(9).double()
        move[index] = step
        move = move.view(1, 1, 3, 3)
        slope = (critic(between + move) - critic(between - move)) / (2 * step)
        gradient.flatten(1)[:, index] = slope.detach()
    expected = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-6)
    penalty.backward()
    assert scale.grad is not None and scale.grad.abs() > 0, "the penalty must train the critic"


def test_cycle_loss_by_hand():
    assert losses.cycle_loss(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)).item() == 1.0


def test_the_perceptual_distance_is_that_of_features_of_unit_length():
    """Squared, it is 2 - 2 cos of the angle between the features of a place."""
    torch.manual_seed(0)
    one, other = (torch.rand(2, 2, 3, 128, 128) * 2 - 1).unbind()
    features = [torch.nn.functional.avg_pool2d(faces, 2) for faces in (one, other)]
    distances = []
    for layer in load_estimator().aligner.layers[:4]:
        features = [layer(each) for each in features]
        cosine = torch.nn.functional.cosine_similarity(*features, dim=1)
        distances.append((2 - 2 * cosine).mean())
    distance = Perceptual()(one, other)
    assert distance.item() == pytest.approx(torch.stack(distances).mean().item(), rel=1e-3)
    assert 0 < distance < 4
