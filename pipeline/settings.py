"""Settings that are declared once: a dataclass field with its help, range and choices.

A declaration serves twice: `Settings.validate` checks values by it, and `commands.options` makes a
command-line option of it. So a new setting is one line.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from .errors import WrongUse

_KEY = "setting"


@dataclass(frozen=True)
class Declaration:
    """What is known about a setting, beside its name, type and default."""

    help: str
    """One sentence, as the command line shows it."""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None
    """How a value is read from the command line, where its type does not say so."""
    metavar: str | None = None
    """How the help names such a value; None: by the name of the setting."""
    default_text: str | None = None
    """How the help shows the default, where its value would not be readable."""
    old_flags: tuple[str, ...] = ()
    """Names that the option had in earlier versions and that still work."""
    option: bool = True
    """Whether the command line has an option for it."""

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, as the end of a sentence; None if nothing is."""
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        wrong = (
            (self.at_least is not None and value < self.at_least)
            or (self.at_most is not None and value > self.at_most)
            or (self.above is not None and value <= self.above)
            or (self.below is not None and value >= self.below)
        )
        if wrong:
            return f"must be {self._range()}"
        if self.multiple_of is not None and value % self.multiple_of:
            return f"must be a multiple of {self.multiple_of}"
        return None

    def _range(self) -> str:
        limits = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        return " and ".join(f"{name} {one:g}" for name, one in limits.items() if one is not None)


def setting(default: Any, help: str, **declared: Any) -> Any:
    """A dataclass field of a `Settings` class. `declared`: further fields of `Declaration`."""
    return field(default=default, metadata={_KEY: Declaration(help, **declared)})


def declarations(kind: type["Settings"]) -> dict[str, Declaration]:
    """The declaration of each field that `setting` made, by the name of the field."""
    return {one.name: one.metadata[_KEY] for one in fields(kind) if _KEY in one.metadata}


@dataclass(frozen=True)
class Settings:
    """Base class of settings. A field is made by `setting`, or is a part: Settings in turn."""

    prefix: ClassVar[str] = ""
    """What the names of the options have before the name of the field."""

    @classmethod
    def parameter(cls, name: str) -> str:
        """The name of a field among the parameters of a command: `critic_width`."""
        return cls.prefix + name

    @classmethod
    def flag(cls, name: str) -> str:
        """The option of a field on the command line: `--critic-width`."""
        return "--" + cls.parameter(name).replace("_", "-")

    def validate(self) -> None:
        """Raise WrongUse for the first value, also of a part, that its declaration excludes."""
        for name, declaration in declarations(type(self)).items():
            value = getattr(self, name)
            if problem := declaration.problem(value):
                raise WrongUse(f"{self.flag(name)} {value} {problem}.")
        for part in self._parts().values():
            part.validate()

    def updated(self, values: Mapping[str, Any]) -> Self:
        """A copy with values by the names of parameters; unknown names are ignored."""
        changed: dict[str, Any] = {
            name: values[self.parameter(name)]
            for name in declarations(type(self))
            if self.parameter(name) in values
        }
        parts = {name: part.updated(values) for name, part in self._parts().items()}
        return replace(self, **changed, **parts)

    def _parts(self) -> dict[str, "Settings"]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Settings)}
