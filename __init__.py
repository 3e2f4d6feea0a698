"""ganim animates faces by action units: prepare, annotate, train, animate.

In Python:

    import ganim

    animator = ganim.load()
    smile = animator.animate("face.jpg", {12: 1.0, 6: 0.7})
    smile.save("smile.jpg")
    animator.video("face.jpg", "smile.mp4", {12: 1.0})
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model.animation.library import Ganim
    from .model.animation.networks import Runtime

__version__ = "0.1.0"


def load(
    weights: str | Path | None = None, device: str = "cpu", runtime: "Runtime" = "torch"
) -> "Ganim":
    """Load a generator, that which ships unless `weights` names a file; see `Ganim`.

    Raises WrongUse if the file is not the weights of a generator.
    """
    from .model.animation.library import Ganim

    return Ganim(weights, device, runtime)
