"""The losses of GANimation (Pumarola et al. 2018, section 5), each a mean.

Every term is a mean over faces, pixels and AUs, so that its weight holds at any batch size and
resolution. `facts.md` of the original code gives the mapping of its weights at batch 25 and
128 px: its AU loss of 4000 on MSE/batch is 160 on a mean over elements; its total variation of
1e-5 on a sum is about 4 on a mean; the others are means already.
"""

from collections.abc import Callable

from torch import Tensor


def critic_adversarial_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Image adversarial loss of the critic: E[D(fake)] - E[D(real)] (Gulrajani et al. 2017)."""
    return fake.mean() - real.mean()


def generator_adversarial_loss(fake: Tensor) -> Tensor:
    """Image adversarial loss of the generator: -E[D(fake)]."""
    return -fake.mean()


def gradient_penalty(
    slope: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """E[(||grad D(x)||_2 - 1)^2] at x between real and fake faces (Gulrajani et al. 2017).

    slope: faces (n, 3, h, w) to the gradients of their scores, in the graph of the critic's
    weights; a score is a mean over patches, as in the losses above. mix: (n,) in 0-1, the share
    of the real face.
    """
    mix = mix.view(-1, 1, 1, 1)
    gradient = slope((mix * real + (1 - mix) * fake).detach())
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def au_loss(regressed: Tensor, aus: Tensor, emphasis: Tensor | float = 1.0) -> Tensor:
    """Conditional expression loss: mean squared error of regressed AUs.

    emphasis: factors of the squares; the paper has none.
    """
    return (emphasis * (regressed - aus).square()).mean()


def attention_loss(attention: Tensor) -> Tensor:
    """Attention loss: the mean, so that attention does not saturate at 1, which is copying."""
    return attention.mean()


def total_variation(attention: Tensor) -> Tensor:
    """Attention smoothness: mean absolute difference between neighbours, down and across."""
    down = (attention[:, :, 1:] - attention[:, :, :-1]).abs().mean()
    across = (attention[:, :, :, 1:] - attention[:, :, :, :-1]).abs().mean()
    return down + across


def cycle_loss(restored: Tensor, face: Tensor) -> Tensor:
    """Identity loss: L1 between a face and its way there and back."""
    return (restored - face).abs().mean()
