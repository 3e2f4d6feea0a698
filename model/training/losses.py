"""The objective of GANimation (Pumarola et al., ECCV 2018, section 4.2), as named terms.

The critic minimises the sum of weight x term over `critic_terms`, the generator over
`generator_terms`. Together they are the full loss of the paper:

    term                  loss of the paper          weight in LossWeights
    critic_adversarial    image adversarial          adversarial
    critic_aus            conditional expression     aus
    gp                    image adversarial          gp
    adversarial           image adversarial          adversarial
    aus                   conditional expression     aus
    attention             attention                  attention
    tv                    attention                  tv
    cycle                 identity                   cycle
    perceptual            none                       perceptual

The log, and the options of `ganim train` (`--lambda-gp` sets the weight `gp`), use the same names.

Every term is a mean over faces, pixels and AUs, so a weight has the same effect at any batch size
and resolution. The original code instead has sums in two terms, at a batch of 25 and 128 px: its
weight of 4000 on AUs is 160 on a mean, its weight of 1e-5 on total variation is about 4 on a mean.
"""

from collections.abc import Callable

from torch import Tensor

from ..config import LossWeights, PairWeights
from ..editing.masks import Masks
from ..networks.critic import CriticOutput

Terms = dict[str, Tensor]
"""Scalars by the names of the table above, not weighted."""


def critic_terms(
    real: CriticOutput,
    fake: CriticOutput,
    gradient: Tensor,
    own_aus: Tensor,
    au_weight: Tensor | float = 1.0,
) -> Terms:
    """What the critic minimises.

    real, fake: its output for the faces, and for the generated faces, which are constants here.
    gradient: (n, 3, h, w), of its score at points that `interpolated` gives. own_aus: (n, AUs), of
    the faces; AUs are learned from real faces only. au_weight: see `au_loss`.
    """
    return {
        "critic_adversarial": critic_adversarial_loss(real.scores, fake.scores),
        "critic_aus": au_loss(real.aus, own_aus, au_weight),
        "gp": gradient_penalty(gradient),
    }


def generator_terms(
    faces: Tensor,
    generated: Masks,
    restored: Masks,
    fake: CriticOutput,
    target_aus: Tensor,
    au_weight: Tensor | float = 1.0,
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Terms:
    """What the generator minimises.

    faces: (n, 3, h, w). generated: its output for the faces and the target AUs. restored: its
    output for the generated faces and the faces' own AUs. fake: the critic's output for the
    generated faces. target_aus: (n, AUs). au_weight: see `au_loss`. perceptual: a distance of two
    batches of faces, for the term of that name, which the paper does not have.
    """
    terms = {
        "adversarial": generator_adversarial_loss(fake.scores),
        "aus": au_loss(fake.aus, target_aus, au_weight),
        "attention": attention_loss(generated.attention) + attention_loss(restored.attention),
        "tv": total_variation(generated.attention) + total_variation(restored.attention),
    }
    restored_faces = restored.blend()
    terms["cycle"] = cycle_loss(restored_faces, faces)
    if perceptual is not None:
        terms["perceptual"] = perceptual(restored_faces, faces)
    return terms


def weighted_sum(terms: Terms, weights: LossWeights | PairWeights) -> Tensor:
    """Full loss: the sum of weight x term. A term `critic_x` has the weight of `x`."""
    first, *rest = (
        getattr(weights, name.removeprefix("critic_")) * term for name, term in terms.items()
    )
    for each in rest:
        first = first + each
    return first


def critic_adversarial_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Image adversarial loss of the critic, from scores of patches.

    E[D(fake)] - E[D(real)], as in a Wasserstein GAN (Gulrajani et al. 2017).
    """
    return fake.mean() - real.mean()


def generator_adversarial_loss(fake: Tensor) -> Tensor:
    """Image adversarial loss of the generator, from scores of patches: -E[D(fake)]."""
    return -fake.mean()


def interpolated(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """Points between real and generated faces, at which the gradient penalty is taken.

    real, fake: (n, 3, h, w). alpha: (n,) in 0-1, the share of the real face. The result carries no
    gradient to either.
    """
    alpha = alpha.view(-1, 1, 1, 1)
    return (alpha * real + (1 - alpha) * fake).detach()


def gradient_penalty(gradient: Tensor) -> Tensor:
    """Gradient penalty of the image adversarial loss (Gulrajani et al. 2017).

    E[(||gradient||_2 - 1)^2].

    gradient: (n, 3, h, w), of the critic's score of each face with respect to that face. The score
    of a face is the mean over its patches, as in the adversarial losses.
    """
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def au_loss(regressed: Tensor, aus: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Conditional expression loss: mean squared error of AUs.

    regressed, aus: (n, AUs), on the 0-1 scale. weight: factors of the squared errors, of a shape
    that broadcasts to (n, AUs); the paper has none.
    """
    return (weight * (regressed - aus).square()).mean()


def attention_loss(attention: Tensor) -> Tensor:
    """Attention loss: mean of an attention mask (n, 1, h, w), whose value 1 keeps the face.

    The paper has the L2 norm, its code the mean. Without this term attention saturates at 1, and
    the generator copies its input.
    """
    return attention.mean()


def total_variation(attention: Tensor) -> Tensor:
    """Attention loss: total variation of an attention mask (n, 1, h, w), for smoothness.

    The mean absolute difference of vertical neighbours plus that of horizontal ones. The paper has
    squared differences, its code absolute ones.
    """
    down = (attention[:, :, 1:] - attention[:, :, :-1]).abs().mean()
    across = (attention[:, :, :, 1:] - attention[:, :, :, :-1]).abs().mean()
    return down + across


def cycle_loss(restored: Tensor, faces: Tensor) -> Tensor:
    """Identity loss: mean absolute difference of faces and restored faces."""
    return (restored - faces).abs().mean()
