"""Train the estimator on shards that OpenFace annotated, and on human coding where there is any.

    python -m ganim.model.estimator.train --shards shards/ --out estimator.safetensors

The test split of the shards is held out. `--human` names a table of AUs by trained coders, with the
columns `photo`, `person` and `aus` (as `1C 12D 15LB`). The FACS coding is trained on its
photographs, which are split by person.
"""

from dataclasses import asdict
from pathlib import Path

import click
import torch

from ...pipeline.errors import GanimError
from ..checkpoint import save_weights
from ..landmarks.alignment import mean_face
from ..landmarks.points import SIZE
from .data import Examples, load_examples
from .network import Estimator
from .settings import EstimatorSettings
from .train_correction import calibrate_confidence, train_correction
from .train_landmarks import train_landmarks
from .train_linear import train_linear
from .validation import agreement_summary, print_agreement

VERSION = "2"


def train(examples: Examples, held_out: Examples, settings: EstimatorSettings) -> Estimator:
    """Train an estimator in three stages: landmarks, linear reading, correction.

    Prints one line per epoch, with the error or agreement on the held-out examples.
    """
    torch.manual_seed(settings.seed)
    estimator = Estimator()
    with torch.no_grad():
        estimator.view.mean_face.copy_(mean_face(examples.landmarks))
        estimator.aligner.head.bias.copy_(examples.landmarks.mean(0).flatten())
    train_landmarks(estimator, examples, held_out, settings)
    train_linear(estimator, examples, settings)
    print(f"linear: {agreement_summary(estimator, held_out)}", flush=True)
    estimator = train_correction(estimator, examples, held_out, settings)
    calibrate_confidence(estimator, examples)
    return estimator


@click.command(help=__doc__)
@click.option("--shards", type=click.Path(path_type=Path), required=True)
@click.option("--human", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", type=click.IntRange(min=1), default=EstimatorSettings.epochs)
def main(shards: Path, human: Path | None, out: Path, epochs: int) -> None:
    """Train, write the weights, and print the agreement on the held-out examples."""
    settings = EstimatorSettings(epochs=epochs)
    try:
        examples, held_out = load_examples(shards, human, SIZE)
    except GanimError as error:
        raise click.ClickException(str(error)) from error
    print(f"{len(examples)} faces to train on, {len(examples.coded)} of them coded;", end=" ")
    print(f"{len(held_out)} held out, {len(held_out.coded)} of them coded", flush=True)
    estimator = train(examples, held_out, settings)
    save_weights(
        out,
        estimator.state_dict(),
        "estimator",
        estimator.settings | {"version": VERSION, "recipe": asdict(settings)},
    )
    print_agreement(estimator, held_out)


if __name__ == "__main__":
    main()
