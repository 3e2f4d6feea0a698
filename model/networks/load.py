"""Generators of both architectures, built from settings and loaded from weights."""

from pathlib import Path

from ...pipeline.errors import WrongUse
from ..checkpoint import build, fill, load_weights
from ..config import GeneratorSettings
from .flow_generator import FlowGenerator
from .generator import Generator

AnyGenerator = Generator | FlowGenerator


def build_generator(settings: GeneratorSettings) -> AnyGenerator:
    """A generator with random weights, of the architecture in its settings."""
    return FlowGenerator(settings) if settings.architecture == "flow" else Generator(settings)


def load_generator(path: Path) -> tuple[AnyGenerator, int]:
    """Load a generator from a weights file.

    Returns the generator in evaluation mode and the side of the faces in pixels on which it was
    trained. Raises WrongUse if the file is missing, or does not contain the weights of a generator
    of this version.
    """
    tensors, settings = load_weights(path, kind="generator")
    generator = build(lambda: build_generator(GeneratorSettings(**settings["generator"])), path)
    fill(generator, tensors, path)
    return generator.eval(), settings["size"]


def load_flow_generator(path: Path) -> tuple[FlowGenerator, int]:
    """`load_generator`, for the training of a part of it. Raises WrongUse, too, if the generator is
    of another architecture."""
    generator, size = load_generator(path)
    if not isinstance(generator, FlowGenerator):
        raise WrongUse(f"{path} is not of the architecture flow: it moves no faces.")
    return generator, size
