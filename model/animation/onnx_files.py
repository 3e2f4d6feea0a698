"""The networks as ONNX files, which are written once, from weights, and kept for the next time.

They lie in the user's cache, named by the version of ganim and the content of the weights: a file
of other weights has another name. Only writing them needs torch.
"""

import hashlib
import os
from pathlib import Path

from ... import __version__
from ...pipeline.errors import WrongUse

_FORMAT = 23
"""Raised when inputs, outputs or metadata of the files change, or what is computed from the same
weights (model/networks/flow_generator.py and what it calls)."""


def are_exported(weights: Path) -> bool:
    """Whether the generator's file is there already, so that it is not written."""
    return weights.suffix == ".onnx" or kept_file("generator", weights).exists()


def exported_generator(weights: Path) -> Path:
    """The ONNX file of generator weights. Raises WrongUse if they are none, or if the extra onnx is
    not installed, and CannotWrite."""
    path = kept_file("generator", weights)
    if not path.exists():
        from ..networks.export import export
        from ..networks.load import load_generator

        export(*load_generator(weights), path)
    return path


def exported_estimator(weights: Path) -> Path:
    """The same of an estimator's weights."""
    path = kept_file("estimator", weights)
    if not path.exists():
        from ..estimator.export import export
        from ..estimator.network import load_estimator

        export(load_estimator(weights), path)
    return path


def kept_file(kind: str, weights: Path) -> Path:
    """Where the ONNX file of weights is kept, by its kind: generator or estimator. Raises WrongUse
    if there are no weights."""
    if not weights.exists():
        raise WrongUse(f"There are no weights at {weights}. Train a generator first: ganim train")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ganim" / f"{kind}-{__version__}-{_FORMAT}-{digest}.onnx"
