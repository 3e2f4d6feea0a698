"""Weights and training states on disk: safetensors, written whole or not at all."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..pipeline.errors import WrongUse
from ..pipeline.files import write_whole

Network = TypeVar("Network", bound=nn.Module)
WEIGHTS = Path(__file__).parent / "weights"
"""What ships with the package."""


def save_weights(
    path: Path,
    tensors: dict[str, Tensor],
    kind: str,
    settings: dict[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a network's weights with all that is needed to build it again.

    kind: `generator` or `estimator`. settings: what the network's constructor takes, and
    anything a reader may want to know; JSON. Floating-point tensors are stored as `dtype`.
    """
    stored = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in tensors.items()
    }
    metadata = {"kind": kind, "settings": json.dumps(settings)}
    with _writing(path):
        write_whole(path, lambda beside: save_file(stored, beside, metadata))


def load_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights as float32 tensors, and their settings. Raises WrongUse for any other file."""
    if not path.exists():
        raise WrongUse(f"There are no weights at {path}. Train some first: ganim train")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WrongUse(f"{path} is not a safetensors file: {error}") from error
    if metadata.get("kind") != kind:
        raise WrongUse(
            f"{path} holds {metadata.get('kind', 'something else')}, not weights of kind {kind}."
        )
    tensors = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    return tensors, json.loads(metadata["settings"])


def build(build_network: Callable[[], Network], path: Path) -> Network:
    """A network from the settings read from `path`; WrongUse if they are for none we know."""
    try:
        return build_network()
    except (KeyError, TypeError) as error:
        raise WrongUse(
            f"The weights in {path} are of another version of ganim. Train again, or install the "
            "version they were made with."
        ) from error


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put weights read from `path` into a network; WrongUse if they are of another shape."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WrongUse(
            f"The weights in {path} do not fit the network they say they are for: the file is "
            "damaged, or of another version of ganim. Train again: ganim train"
        ) from error


def save_state(path: Path, state: dict[str, Any], previous: Path) -> None:
    """Write a training state (nested tensors, numbers, texts) for resuming, and keep the one
    before it as `previous`. At every moment one of the two is whole."""
    if path.exists():
        previous.unlink(missing_ok=True)
        try:
            previous.hardlink_to(path)
        except OSError:  # some file systems have no links
            path.replace(previous)
    with _writing(path):
        write_whole(path, lambda beside: torch.save(state, beside))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns what torch and safetensors raise when a disk is full into an OSError."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(f"{path.name} could not be written; is the disk full?") from error


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state; no code in it is run. Raises WrongUse for any other file."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything on damaged files
        raise WrongUse(
            f"{path} cannot be read as the state of a run. Choose another --run, or begin anew: "
            "delete the file."
        ) from error
