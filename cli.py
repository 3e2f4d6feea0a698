"""The command line: the group of commands, and the exit status of a command that fails.

A command's file is imported when the command is asked for, and its work when it runs: so
`ganim --help` needs neither torch nor dlib.
"""

import errno
import sys
from importlib import import_module
from typing import Any

import click

from . import __version__
from .commands.console import Failure, say
from .pipeline.errors import GanimError, NothingUsable, WrongUse

COMMANDS = ("prepare", "inspect", "annotate", "train", "evaluate", "animate", "export", "studio")
"""In the order of the work. commands/NAME.py holds the click command NAME."""
RESUMABLE = ("prepare", "annotate", "train")
"""Those that continue their work when they are stopped and started again."""
_WINDOWS = (
    "ganim runs on Linux and macOS. On Windows, run it in WSL (wsl --install), where it works as "
    "on Linux."
)


class _Commands(click.Group):
    """Imports commands when they are asked for, and prints errors of the package as a sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if sys.platform == "win32":  # here, as commands import modules that Windows lacks
            raise Failure(WrongUse(_WINDOWS))
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{cmd_name}", __package__)
        return getattr(module, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GanimError as error:
            raise Failure(error) from error
        except OSError as error:
            if error.errno == errno.EPIPE or error.strerror is None:
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise Failure(NothingUsable(f"{where}{error.strerror}.")) from error
        except KeyboardInterrupt:
            resumable = ctx.invoked_subcommand in RESUMABLE
            say("Stopped." + resumable * " The same command goes on from here.", err=True)
            ctx.exit(130)


@click.group(cls=_Commands, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="ganim")
def main() -> None:
    """Animate faces by action units (AUs): prepare photographs, annotate, train, animate.

    Exit status: 0 done, 1 no input was usable, 2 wrong use.
    """


if __name__ == "__main__":
    main(prog_name="ganim")
