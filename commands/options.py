"""Options that are made from settings, and those that several commands have."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import click
from click.core import ParameterSource

from ..pipeline.errors import WrongUse
from ..pipeline.settings import Declaration, Settings, declarations

if TYPE_CHECKING:
    import torch

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class FiniteRange(click.FloatRange):
    """A number in a range. `nan`, which Python's float() reads, is in none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def setting_options(kind: type[Settings]) -> Decorator:
    """Add an option for each setting of a class and of its parts.

    The options only have defaults for the help: `kind().updated(given(context))` takes from the
    command line what was given there.
    """
    return combined(list(_setting_options(kind)))


def combined(options: Sequence[Decorator]) -> Decorator:
    """One decorator that adds several options, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):  # click shows the one that is added last first
            command = option(command)
        return command

    return decorate


def _setting_options(kind: type[Settings]) -> Iterator[Decorator]:
    declared, types = declarations(kind), get_type_hints(kind)
    for one in fields(kind):
        if is_dataclass(types[one.name]):
            yield from _setting_options(types[one.name])
        elif declared[one.name].option:
            yield _setting_option(kind, one.name, types[one.name], one.default, declared[one.name])


def _setting_option(
    kind: type[Settings], name: str, type_: Any, default: Any, declared: Declaration
) -> Decorator:
    flag = kind.flag(name)
    if type_ is bool:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    help_ = declared.help
    if declared.multiple_of is not None:
        help_ += f" A multiple of {declared.multiple_of}."
    return click.option(
        flag,
        *declared.old_flags,
        kind.parameter(name),
        type=_click_type(type_, declared),
        metavar=None if declared.parse is None else declared.metavar or name.upper(),
        default=None if declared.default_text else default,
        show_default=declared.default_text or True,
        help=help_,
    )


def _click_type(type_: Any, declared: Declaration) -> Any:
    if declared.parse is not None:
        return declared.parse
    if declared.choices:
        return click.Choice(declared.choices)
    if type_ not in (int, float):
        return type_
    low = declared.at_least if declared.above is None else declared.above
    high = declared.at_most if declared.below is None else declared.below
    if low is None and high is None:
        return type_
    range_: Any = click.IntRange if type_ is int else FiniteRange
    return range_(low, high, declared.above is not None, declared.below is not None)


class _FaceNumber(click.ParamType):
    """A number from 1, or `all`, which becomes None."""

    name = "N|all"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        if isinstance(value, int):
            return value
        if value == "all":
            return None
        if not value.isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number from 1 nor 'all'.", param, ctx)
        return int(value)


face_option = click.option(
    "--face",
    type=_FaceNumber(),
    default=1,
    help="Which face, by size: 1 is the largest; or all.",
)
"""Which faces of a photograph: a number from 1, None for all."""


def given(context: click.Context) -> dict[str, Any]:
    """The parameters that the user gave; those that have their default are left out."""
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


device_option = click.option(
    "--device", show_default="cuda if there is a GPU, otherwise cpu", help="Such as cpu or cuda:1."
)
"""Where torch computes; `torch_device` reads it."""


def torch_device(name: str | None) -> "torch.device | None":
    """The device of that name; None for None. Raises WrongUse if torch cannot compute on it."""
    if name is None:
        return None
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise WrongUse(f"--device {name}: torch cannot use it on this machine.") from error
    return device
