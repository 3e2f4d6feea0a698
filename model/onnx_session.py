"""Open an ONNX file that ganim wrote, in ONNX Runtime. Nothing here imports torch."""

from pathlib import Path
from typing import Any

from ..pipeline.errors import WrongUse


def open_session(path: Path, what: str, key: str) -> tuple[Any, dict[str, str]]:
    """The session of a file, and the file's metadata, in which `key` is.

    what: what the file should be, in words. Raises WrongUse if it is not, or if ONNX Runtime is
    not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise WrongUse(
            f"{path} needs ONNX Runtime. Install it: pip install 'ganim[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    # Idle threads would wait in a loop, and take the time of those that encode the pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        known: dict[str, str] = session.get_modelmeta().custom_metadata_map
        known[key]
    except Exception as error:  # KeyError for another network, the runtime's own errors else
        raise WrongUse(f"{path} is not {what}: {error}") from error
    return session, known
