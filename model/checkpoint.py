"""Weights (safetensors) and training states on disk. Files are replaced atomically."""

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
"""The folder of the weights that ship with the package."""


def save_weights(
    path: Path,
    tensors: dict[str, Tensor],
    kind: str,
    settings: dict[str, Any],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the weights of a network, with the settings that are needed to build it.

    Args:
        path: the safetensors file.
        tensors: the state dict.
        kind: `generator` or `estimator`, which `load_weights` checks.
        settings: arguments of the network's constructor, and facts about its training; stored as
            JSON in the metadata.
        dtype: the type in which floating-point tensors are stored.

    Raises OSError if the file cannot be written.
    """
    stored = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in tensors.items()
    }
    metadata = {"kind": kind, "settings": json.dumps(settings)}
    with _writing(path):
        write_whole(path, lambda beside: save_file(stored, beside, metadata))


def load_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights that `save_weights` wrote.

    Returns the state dict, with floating-point tensors as float32, and the settings. Raises
    WrongUse if the file is missing, is not a safetensors file, or is of another kind.
    """
    if not path.exists():
        raise WrongUse(f"There are no weights at {path}. Train a generator first: ganim train")
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
    """Call `build_network`, which builds a network from the settings in `path`.

    Raises WrongUse if the settings lack a value or have an unknown one.
    """
    try:
        return build_network()
    except (KeyError, TypeError) as error:
        raise WrongUse(
            f"The weights in {path} are of another version of ganim. Train again, or install the "
            "version that wrote them."
        ) from error


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the tensors read from `path` into a network.

    Raises WrongUse if their names or shapes are not those of the network.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WrongUse(
            f"The weights in {path} do not fit the network that its settings describe: the file is "
            "damaged, or of another version of ganim. Train again: ganim train"
        ) from error


def save_state(path: Path, state: dict[str, Any], previous: Path) -> None:
    """Write a training state, and keep the one before it.

    At any moment at least one of the two files is complete.

    Args:
        path: the state file.
        state: nested dicts and lists of tensors, numbers and strings.
        previous: where the file that is replaced is kept.

    Raises OSError if a file cannot be written.
    """
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
    """Raise OSError in place of what torch and safetensors raise when the disk is full."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(f"{path.name} could not be written; is the disk full?") from error


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state that `save_state` wrote, with tensors on the CPU.

    It is read with `weights_only`, so that no code in it is run. Raises WrongUse if the file is
    damaged or is not a training state.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make torch raise errors of many types
        raise WrongUse(
            f"{path} cannot be read as a training state. Choose another --run, or delete the file "
            "to start again."
        ) from error


def last_state(path: Path, previous: Path) -> tuple[dict[str, Any], Path] | None:
    """The last readable one of the two states that `save_state` keeps, and its file; None if there
    are none. Raises WrongUse if all are damaged."""
    damage: WrongUse | None = None
    for each in (path, previous):
        if each.exists():
            try:
                return load_state(each), each
            except WrongUse as error:
                damage = error
    if damage is not None:
        raise damage
    return None
