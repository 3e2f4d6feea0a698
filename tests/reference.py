"""One iteration of GANimation, stated plainly: fp32, autograd, a function for each step.

It is written from Pumarola et al. (ECCV 2018, section 4), and, where the paper and its code differ,
from the code: attention 1 keeps the face (in the first version of the paper, 0 does), the attention
loss is a mean, total variation has absolute differences. It shares no code with ganim.model. Tests
compare the trainer with it, and bench/training.py measures its speed.

The networks are functions of their weights, by the names of `Generator.state_dict()` and
`Critic.state_dict()`. Each loss is a mean over faces, pixels and AUs.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = Mapping[str, Tensor]
View = Callable[[Tensor], Tensor]
"""What is done to faces before the critic sees them."""


def as_it_is(faces: Tensor) -> Tensor:
    return faces


# The networks (section 4.1)


def generator(
    w: Weights, faces: Tensor, aus: Tensor, residual: bool = False
) -> tuple[Tensor, Tensor]:
    """Attention (n, 1, h, w) in 0-1 and colour (n, 3, h, w) in -1..1.

    aus: (n, AUs). Which variation it is, AdaIN or concatenation, nearest or transposed, with
    attention or without, is seen from the weights, but for `residual`.
    """
    style = None
    if "embedding.0.weight" in w:
        style = torch.relu(F.linear(aus, w["embedding.0.weight"], w["embedding.0.bias"]))
        x = faces
    else:
        count, _, height, width = faces.shape
        maps = aus.reshape(count, -1, 1, 1).expand(-1, -1, height, width)
        x = torch.cat([faces, maps], 1)
    for layer, stride, padding in ((0, 1, 3), (3, 2, 1), (6, 2, 1)):
        x = F.conv2d(x, w[f"encoder.{layer}.weight"], stride=stride, padding=padding)
        x = torch.relu(_norm(w, f"encoder.{layer + 1}", x))
    block = 0
    while f"bottleneck.{block}.conv1.weight" in w:
        name = f"bottleneck.{block}"
        y = F.conv2d(x, w[f"{name}.conv1.weight"], padding=1)
        y = torch.relu(_norm(w, f"{name}.norm1", y, style))
        y = F.conv2d(y, w[f"{name}.conv2.weight"], padding=1)
        x = x + _norm(w, f"{name}.norm2", y, style)
        block += 1
    for name in ("decoder.0", "decoder.1"):
        if f"{name}.conv.weight" in w:
            x = F.conv_transpose2d(x, w[f"{name}.conv.weight"], stride=2, padding=1)
        else:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.conv2d(x, w[f"{name}.conv.1.weight"], padding=1)
        x = torch.relu(_norm(w, f"{name}.norm", x, style))
    masks = F.conv2d(x, w["to_masks.weight"], padding=3)
    colour = torch.tanh(masks[:, -3:])
    if residual:
        colour = torch.clamp(faces + 2 * colour, -1, 1)
    if masks.shape[1] == 3:
        return torch.zeros_like(masks[:, :1]), colour
    return torch.sigmoid(masks[:, :1]), colour


def _norm(w: Weights, name: str, x: Tensor, style: Tensor | None = None) -> Tensor:
    """Instance normalisation, its scale and shift learned or computed from a style."""
    if f"{name}.from_style.weight" in w:
        assert style is not None
        both = F.linear(style, w[f"{name}.from_style.weight"], w[f"{name}.from_style.bias"])
        scale, shift = both[:, : x.shape[1], None, None], both[:, x.shape[1] :, None, None]
        return F.instance_norm(x) * (1 + scale) + shift
    if f"{name}.norm.weight" in w:
        name = f"{name}.norm"
    return F.instance_norm(x, weight=w.get(f"{name}.weight"), bias=w.get(f"{name}.bias"))


def critic(w: Weights, faces: Tensor) -> tuple[Tensor, Tensor]:
    """D_I, a score for each patch (n, 1, h, w), and D_y, AUs (n, AUs)."""
    x, layer = faces, 0
    while f"trunk.{layer}.weight" in w:
        x = F.conv2d(x, w[f"trunk.{layer}.weight"], w[f"trunk.{layer}.bias"], 2, 1)
        x = F.leaky_relu(x, 0.01)
        layer += 2
    scores = F.conv2d(x, w["to_realism.weight"], padding=1)
    return scores, F.conv2d(x, w["to_aus.weight"]).flatten(1)


def blend(attention: Tensor, colour: Tensor, faces: Tensor) -> Tensor:
    """The new faces (section 4.1)."""
    return attention * faces + (1 - attention) * colour


# The losses (section 4.2)


def _total_variation(masks: Tensor) -> Tensor:
    return masks.diff(dim=2).abs().mean() + masks.diff(dim=3).abs().mean()


def gradient_penalty(w: Weights, faces: Tensor, fakes: Tensor, alpha: Tensor) -> Tensor:
    """At points between real and generated faces; alpha (n,) is the share of the real face."""
    alpha = alpha.reshape(-1, 1, 1, 1)
    between = (alpha * faces + (1 - alpha) * fakes).detach().requires_grad_(True)
    scores, _ = critic(w, between)
    score_of_each = scores.mean((1, 2, 3))
    (gradient,) = torch.autograd.grad(score_of_each.sum(), between, create_graph=True)
    norms = gradient.square().sum((1, 2, 3)).sqrt()
    return ((norms - 1) ** 2).mean()


def critic_terms(
    w: Weights,
    faces: Tensor,
    fakes: Tensor,
    own_aus: Tensor,
    au_weight: Tensor | float = 1.0,
) -> dict[str, Tensor]:
    """Image adversarial and conditional expression loss of the critic, without the penalty."""
    real_scores, real_aus = critic(w, faces)
    fake_scores, _ = critic(w, fakes.detach())
    return {
        "critic_adversarial": fake_scores.mean() - real_scores.mean(),
        "critic_aus": (au_weight * (real_aus - own_aus) ** 2).mean(),
    }


def generator_terms(
    w: Weights,
    critic_weights: Weights,
    faces: Tensor,
    own_aus: Tensor,
    target_aus: Tensor,
    au_weight: Tensor | float = 1.0,
    view: View = as_it_is,
) -> dict[str, Tensor]:
    """What the generator minimises."""
    attention, colour = generator(w, faces, target_aus)
    fakes = blend(attention, colour, faces)
    attention_back, colour_back = generator(w, fakes, own_aus)
    restored = blend(attention_back, colour_back, fakes)
    scores, aus = critic(critic_weights, view(fakes))
    return {
        "adversarial": -scores.mean(),
        "aus": (au_weight * (aus - target_aus) ** 2).mean(),
        "attention": attention.mean() + attention_back.mean(),
        "tv": _total_variation(attention) + _total_variation(attention_back),
        "cycle": (restored - faces).abs().mean(),
    }


def total(terms: dict[str, Tensor], lambdas: dict[str, float]) -> Tensor:
    """The full loss. lambdas: by the names adversarial, gp, aus, attention, tv and cycle."""
    result = torch.zeros(())
    for name, term in terms.items():
        result = result + lambdas[name.replace("critic_", "")] * term
    return result


def gradients(loss: Tensor, w: Weights) -> Weights:
    """Of a loss with respect to each weight, zero where it does not depend on it."""
    found = torch.autograd.grad(loss, list(w.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if gradient is None else gradient
        for (name, value), gradient in zip(w.items(), found, strict=True)
    }
