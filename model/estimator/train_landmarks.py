"""First stage of the training of the estimator: landmarks, by gradient descent."""

import torch

from ..landmarks.points import SIZE
from ..pixels import to_model
from .augment import Augmentation
from .batches import batches, one_cycle
from .data import Examples
from .network import Estimator
from .settings import EstimatorSettings


def train_landmarks(
    estimator: Estimator, examples: Examples, held_out: Examples, settings: EstimatorSettings
) -> None:
    """Train the aligner of `estimator` on dlib's landmarks, with the L1 loss.

    Prints one line per epoch, with the mean distance on the held-out examples in px.
    """
    aligner = estimator.aligner.to(memory_format=torch.channels_last)
    steps = len(examples) // settings.batch
    total_steps = steps * settings.landmark_epochs
    optimizer, schedule = one_cycle(
        aligner.parameters(), settings.landmark_lr, settings.weight_decay, total_steps
    )
    loader = batches(
        examples,
        total_steps,
        Augmentation(),
        size=settings.batch,
        seed=settings.seed,
        coded_share=settings.coded_share,
    )
    for epoch in range(settings.landmark_epochs):
        aligner.train()
        mean_loss = 0.0
        for _ in range(steps):
            batch = next(loader)
            with torch.autocast("cpu", torch.bfloat16):
                found = aligner(batch.crops)
            loss = (found - batch.landmarks).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            mean_loss += loss.item() / steps
        aligner.eval()
        error = _error(estimator, held_out)
        print(
            f"landmarks {epoch + 1:3d}  loss {mean_loss:.4f}  held-out {error:.2f} px", flush=True
        )


@torch.inference_mode()
def _error(estimator: Estimator, held_out: Examples) -> float:
    """Mean distance to dlib's landmarks, in px of a crop of SIZE px."""
    parts = held_out.faces.images.split(64)
    found = torch.cat([estimator.aligner(to_model(part)) for part in parts])
    return float((found - held_out.landmarks).norm(dim=-1).mean() * SIZE / 2)
