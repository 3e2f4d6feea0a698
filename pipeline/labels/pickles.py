"""Labels from the original GANimation's pickle, read without executing anything in it."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..action_units import COUNT
from ..errors import WrongUse


def read_pickle(path: Path) -> list[tuple[str, np.ndarray | None]]:
    """Read a dictionary of image name to 17 numbers: each image's name and numbers.

    An entry that is not 17 numbers has None. Raises WrongUse if the file is not such a
    dictionary, or has objects other than containers, text, numbers and arrays of numbers.
    """
    try:
        with path.open("rb") as file:
            labels = _NumbersUnpickler(file, encoding="latin1").load()
    except WrongUse as error:
        raise WrongUse(f"{path} is refused: {error}") from error
    except Exception as error:  # a damaged pickle can raise any exception
        raise WrongUse(f"{path} cannot be read as a pickle: {error or repr(error)}") from error
    if not isinstance(labels, dict):
        raise WrongUse(f"{path} has a {type(labels).__name__}, not a dictionary of image names.")
    faces = [(str(name), _to_numbers(value)) for name, value in labels.items()]
    if all(numbers is None for _, numbers in faces):
        raise WrongUse(
            f"{path} has no image with {COUNT} intensities. Name the file aus_openface.pkl of "
            "the original GANimation."
        )
    return faces


def _to_numbers(value: Any) -> np.ndarray | None:
    """(17,) float32; None for a value that is not 17 numbers."""
    try:
        aus = np.asarray(value, np.float32).ravel()
    except (TypeError, ValueError):
        return None
    return aus if aus.shape == (COUNT,) else None


def _encode_latin1(text: str, encoding: str) -> bytes:
    """The only use of `codecs.encode` in pickles of protocol 2: text that stands for bytes."""
    if encoding != "latin1":
        raise WrongUse(f"it uses the codec {encoding}.")
    return text.encode("latin1")


class _NumbersUnpickler(pickle.Unpickler):
    """An unpickler of containers, text, numbers and numpy arrays, which refuses all else."""

    # The functions are taken from numpy's own pickles, as their modules differ between numpy 1
    # and 2.
    _ALLOWED: Mapping[tuple[str, str], Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0],
        ("numpy.core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
        ("numpy.core.numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
        ("collections", "OrderedDict"): dict,
        ("_codecs", "encode"): _encode_latin1,
    }

    def find_class(self, module: str, name: str) -> Any:
        key = (module.replace("numpy._core", "numpy.core"), name)
        if key not in self._ALLOWED:
            raise WrongUse(
                f"it needs {module}.{name}, which is not a number. A pickle can run any program, "
                "so only numbers are read; convert the labels to a table."
            )
        return self._ALLOWED[key]
