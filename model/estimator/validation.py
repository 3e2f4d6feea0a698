"""Agreement of an estimator with OpenFace and with human coders, on held-out examples."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .agreement import agreement, by_folder, mean_r
from .data import Examples
from .network import Estimator
from .reader import Coding


def predict(estimator: Estimator, images: Tensor, coding: Coding) -> np.ndarray:
    """AUs (n, 17) in 0-1 of crops (n, 3, size, size), uint8."""
    estimator.eval()
    return torch.cat([estimator.read(batch, coding).aus for batch in images.split(64)]).numpy()


def agreement_tables(
    estimator: Estimator, held_out: Examples
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield names of references and tables of `agreement.agreement`.

    The references are OpenFace, on all examples, and human coders, on those that they scored, if
    there are any.
    """
    read = predict(estimator, held_out.faces.images, "openface")
    yield "OpenFace", agreement(read, held_out.faces.aus.numpy())
    coded = held_out.subset(held_out.coded)
    if len(coded):
        read = predict(estimator, coded.faces.images, "facs")
        yield "human coders", agreement(read, coded.facs.numpy())


def agreement_summary(estimator: Estimator, held_out: Examples) -> str:
    """The mean correlation with each reference, as text."""
    tables = agreement_tables(estimator, held_out)
    return ", ".join(f"r with {reference} {mean_r(table):.4f}" for reference, table in tables)


def print_agreement(estimator: Estimator, held_out: Examples) -> None:
    """Print the agreement with each reference, and that with OpenFace by folder."""
    for reference, table in agreement_tables(estimator, held_out):
        print(f"\nAgreement with {reference}\n{table.round(3).to_string()}")
    read = predict(estimator, held_out.faces.images, "openface")
    aus = held_out.faces.aus.numpy()
    print("\nMean r with OpenFace over the AUs whose sd exceeds 0.2, by folder")
    for folder, chosen in by_folder(held_out.faces.sources).items():
        print(f"{folder}: {len(chosen)} faces, {mean_r(agreement(read[chosen], aus[chosen])):.4f}")
