"""The batches of a training: order, mirroring, targets, noise and the other random draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TINY, smooth_faces

from ganim.model.config import TrainSettings
from ganim.model.data import Faces
from ganim.model.pixels import to_model
from ganim.model.training.sampler import Batch, Sampler
from ganim.pipeline.errors import WrongUse

CPU = torch.device("cpu")
PLAIN = replace(TINY, batch=5, au_noise=0.0)
FACES = smooth_faces(23, 64)


def with_aus(aus: torch.Tensor) -> Faces:
    return replace(FACES, aus=aus.expand(23, 17).float())


def batches(settings: TrainSettings, count: int, faces: Faces = FACES) -> list[Batch]:
    sampler = Sampler(faces, settings)
    return [sampler.batch(iteration, CPU) for iteration in range(count)]


def numbers(aus: torch.Tensor) -> list[int]:
    """Which of FACES have these AUs (n, 17)."""
    distances = (aus[:, None] - FACES.aus[None]).abs().amax(2)
    assert (distances.amin(1) == 0).all(), "these are AUs of faces"
    return distances.argmin(1).tolist()


def test_an_epoch_has_each_face_at_most_once_in_an_order_of_its_own() -> None:
    """23 faces in batches of 5: three are left out, others in each epoch."""
    epochs = [
        numbers(torch.cat([each.own_aus for each in batches(PLAIN, 28)[start : start + 4]]))
        for start in range(0, 28, 4)
    ]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 7
    assert set().union(*epochs) == set(range(23))
    assert epochs[0] != sorted(epochs[0])
    assert Sampler(FACES, PLAIN).per_epoch == 4


def test_a_face_stands_with_its_own_aus() -> None:
    for batch in batches(PLAIN, 8):
        originals = to_model(FACES.images[numbers(batch.own_aus)])
        for face, original in zip(batch.faces, originals, strict=True):
            assert torch.equal(face, original) or torch.equal(face, original.flip(2))
    assert batch.faces.min() >= -1 and batch.faces.max() <= 1


def test_half_of_the_faces_are_mirrored_each_by_its_own_draw() -> None:
    mirrored = []
    for batch in batches(PLAIN, 80):
        originals = to_model(FACES.images[numbers(batch.own_aus)])
        mirrored.append((batch.faces == originals.flip(3)).flatten(1).all(1))
    share = torch.stack(mirrored).float()
    assert 0.4 < share.mean() < 0.6, "of 400"
    assert ((share.mean(1) > 0) & (share.mean(1) < 1)).float().mean() > 0.8
    assert ((share.mean(0) > 0.3) & (share.mean(0) < 0.7)).all()


def test_targets_are_the_aus_of_random_faces() -> None:
    drawn = batches(PLAIN, 200)
    donors = numbers(torch.cat([batch.target_aus for batch in drawn]))
    owners = numbers(torch.cat([batch.own_aus for batch in drawn]))
    counts = np.bincount(donors, minlength=23)
    assert counts.min() > 20 and counts.max() < 75, "43 each, of 1000"
    assert 15 < sum(one == other for one, other in zip(donors, owners, strict=True)) < 80
    assert max(donors[:23].count(number) for number in range(23)) > 1, "drawn with replacement"


def test_noise_is_uniform_and_drawn_for_each_au_of_each_face() -> None:
    """All faces have the same AUs, so what differs is the noise."""
    settings = replace(PLAIN, au_noise=0.1)
    drawn = batches(settings, 100, with_aus(torch.full((1, 17), 0.5)))
    noise = torch.stack([batch.target_aus for batch in drawn]) - 0.5
    assert noise.abs().max() <= 0.1 + 1e-6
    assert noise.min() < -0.099 and noise.max() > 0.099
    assert noise.mean().abs() < 0.005
    assert noise.std().item() == pytest.approx(0.2 / 12**0.5, rel=0.05)
    for dimension in range(3):
        assert noise.std(dimension).mean() > 0.04, "nothing has one draw in common"
    assert all((batch.own_aus == 0.5).all() for batch in drawn), "the own AUs have none"


def test_noisy_targets_are_clamped() -> None:
    settings = replace(PLAIN, au_noise=0.3)
    for level in (0.0, 1.0):
        drawn = batches(settings, 20, with_aus(torch.full((1, 17), level)))
        targets = torch.cat([batch.target_aus for batch in drawn])
        assert targets.min() >= 0 and targets.max() <= 1
        assert 0.4 < (targets == level).float().mean() < 0.6, "half of the noise is cut off"


def test_alpha_is_uniform_and_drawn_for_each_face() -> None:
    alpha = torch.stack([batch.alpha for batch in batches(PLAIN, 200)])
    assert alpha.shape == (200, 5)
    assert alpha.min() < 0.02 and alpha.max() > 0.98
    assert alpha.mean().item() == pytest.approx(0.5, abs=0.03)
    assert alpha.std(1).min() > 0.02


def test_a_share_of_the_targets_changes_one_au_of_the_face() -> None:
    drawn = batches(replace(PLAIN, single_au=0.3), 100)
    changes = torch.cat([(batch.own_aus != batch.target_aus).sum(1) for batch in drawn])
    assert 0.2 < (changes == 1).float().mean() < 0.4


def test_single_aus_are_drawn_among_the_known_up_to_what_faces_show() -> None:
    known = (1, 12, 45)
    generator = replace(PLAIN.generator, aus=known)
    aus = torch.rand(23, 17) * 0.5
    aus[:, 16] = torch.linspace(0, 1, 23)
    settings = replace(PLAIN, single_au=1.0, generator=generator)
    drawn = batches(settings, 120, replace(FACES, aus=aus))
    own, target = (
        torch.cat([getattr(batch, name) for batch in drawn]) for name in ("own_aus", "target_aus")
    )
    changed = own != target
    assert (changed.sum(1) == 1).all()
    columns = [0, 8, 16]
    share = changed[:, columns].float().mean(0)
    assert share.sum() == pytest.approx(1) and share.min() > 0.25, "of three"
    highest = np.minimum(np.quantile(aus.numpy(), 0.999, axis=0) * 1.2, 1.0)
    for column in columns:
        levels = target[changed[:, column], column]
        assert 0 <= levels.min() < 0.05 * highest[column]
        assert 0.95 * highest[column] < levels.max() <= highest[column] + 1e-6
        assert levels.mean().item() == pytest.approx(highest[column] / 2, rel=0.15)
    weights = torch.cat([batch.target_weight for batch in drawn])
    assert torch.equal(weights, torch.where(changed[:, columns], 5.0, 1.0))
    assert all((batch.au_weight == 1).all() for batch in drawn)
    with pytest.raises(WrongUse, match="--single-au"):
        replace(TINY, single_au=1.5).validate()


def test_balanced_aus_have_weights_up_to_ten() -> None:
    aus = torch.rand(23, 17)
    aus[:, 3] *= 0.5
    aus[:, 5] = 0.2
    (batch,) = batches(replace(PLAIN, balanced_aus=True), 1, replace(FACES, aus=aus))
    deviation = aus.std(0, correction=0)
    expected = deviation.square().mean() / deviation.mean() / deviation
    expected[5] = 10  # constant
    assert torch.allclose(batch.au_weight, expected.expand(5, 17))
    assert torch.equal(batch.target_weight, batch.au_weight)
    copied = (expected * deviation.square()).sum(), deviation.square().sum()
    assert copied[0].item() == pytest.approx(copied[1].item())


def test_jitter_turns_enlarges_and_shifts_up_to_its_limits() -> None:
    drawn = batches(replace(PLAIN, critic_jitter=0.2), 200)
    matrix, shift, coarse = (
        torch.cat([batch.augmentation[part] for batch in drawn]) for part in range(3)
    )
    assert not coarse.any()
    angle = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])
    scale = torch.linalg.det(matrix).log() / 2
    assert torch.allclose(matrix[:, 0, 0], matrix[:, 1, 1])
    assert torch.allclose(matrix[:, 0, 1], -matrix[:, 1, 0])
    draws = torch.stack([angle, scale, shift[:, 0], shift[:, 1]])
    assert draws.abs().max() <= 0.2 + 1e-5
    assert draws.amin(1).max() < -0.19 and draws.amax(1).min() > 0.19
    assert draws.std(1).tolist() == pytest.approx([0.4 / 12**0.5] * 4, rel=0.06)
    assert (torch.corrcoef(draws) - torch.eye(4)).abs().max() < 0.15, "four draws"
    assert batches(PLAIN, 1)[0].augmentation is None


def test_coarse_faces_alone_count_for_their_aus() -> None:
    drawn = batches(replace(PLAIN, critic_coarse=0.3), 200)
    coarse = torch.cat([batch.augmentation.coarse for batch in drawn])
    assert 0.25 < coarse.float().mean() < 0.35
    for name in ("au_weight", "target_weight"):
        weights = torch.cat([getattr(batch, name) for batch in drawn])
        assert torch.allclose(weights, (coarse / 0.3)[:, None].expand(1000, 17))


ALL = replace(TINY, batch=6, single_au=0.5, critic_jitter=0.1, critic_coarse=0.5, balanced_aus=True)


def tensors(batch: Batch) -> list[torch.Tensor]:
    return [*batch[:-1], *batch.augmentation]


def test_a_part_of_a_batch_is_a_slice_of_the_whole() -> None:
    sampler = Sampler(FACES, ALL)
    for iteration in (0, 4):
        whole = tensors(sampler.batch(iteration, CPU))
        parts = [
            tensors(sampler.batch(iteration, CPU, slice(start, start + 2))) for start in (0, 2, 4)
        ]
        for index, value in enumerate(whole):
            assert torch.equal(torch.cat([part[index] for part in parts]), value)


def test_draws_depend_on_seed_and_iteration_and_on_nothing_else() -> None:
    first, again = Sampler(FACES, ALL), Sampler(FACES, ALL)
    torch.manual_seed(1)
    one = [tensors(first.batch(iteration, CPU)) for iteration in (0, 1, 2, 3)]
    torch.manual_seed(2)
    other = [tensors(again.batch(iteration, CPU)) for iteration in (3, 2, 1, 0)][::-1]
    for here, there in zip(one, other, strict=True):
        assert all(torch.equal(*both) for both in zip(here, there, strict=True))
    assert not torch.equal(one[0][5], one[1][5]), "alpha"
    reseeded = tensors(Sampler(FACES, replace(ALL, seed=1)).batch(0, CPU))
    for index in (0, 1, 2, 5, 6):
        assert not torch.equal(one[0][index], reseeded[index])


@pytest.mark.parametrize(
    ("setting", "value"), [("critic_jitter", 0.6), ("critic_coarse", 1.1), ("single_au", -0.1)]
)
def test_shares_and_limits_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(WrongUse, match="--" + setting.replace("_", "-")):
        replace(TINY, **{setting: value}).validate()
