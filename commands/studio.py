"""ganim studio: a page in the browser with a slider for each AU."""

from importlib.util import find_spec
from pathlib import Path

import click

from ..pipeline.errors import NothingUsable, WrongUse
from .console import say, stopped_by_signals
from .options import EXISTING_FILE, EXISTING_FOLDER, FILE


@click.command()
@click.argument("photograph", type=EXISTING_FILE, required=False)
@click.option(
    "--weights", type=FILE, show_default="the one that ships", help="Weights of a generator."
)
@click.option("--run", type=EXISTING_FOLDER, help="A run folder of ganim train, watched live.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, help="0: any free port.")
@click.option("--host", default="127.0.0.1", help="0.0.0.0: other computers reach it too.")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
def studio(
    photograph: Path | None,
    weights: Path | None,
    run: Path | None,
    port: int,
    host: str,
    browser: bool,
) -> None:
    """Open a page with a face and a slider for each AU.

    It starts with PHOTOGRAPH, or one that is dropped on the page, works without internet, and keeps
    uploads and results in a temporary folder, removed at the end. Ctrl-C ends it.
    """
    if find_spec("gradio") is None:
        raise WrongUse(
            'The studio needs Gradio, which is not installed: pip install "ganim[studio]"'
        )

    from ..model.animation.animator import SHIPPED, Animator
    from ..studio.photograph import open_photograph
    from ..studio.server import host_and_port, listen, serve

    listening = listen(host, port)
    animator = Animator(weights or SHIPPED)
    initial = None
    if photograph is not None:
        try:
            content = photograph.read_bytes()
        except OSError as error:
            raise NothingUsable(f"{photograph} cannot be read: {error.strerror}.") from error
        initial = open_photograph(content, photograph.name, animator)
    address = f"http://{host_and_port(host, listening.getsockname()[1])}"
    say(f"The studio is at {address} (Ctrl-C ends it).")
    with stopped_by_signals():  # so that the folder of uploads is removed
        serve(listening, animator, initial, run, browser)
