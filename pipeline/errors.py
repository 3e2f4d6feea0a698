"""The errors that a command reports, with their exit statuses."""


class GanimError(Exception):
    """An error that the user can fix. Its message says what happened and what to do."""

    exit_status = 2


class WrongUse(GanimError):
    """A setting is wrong, or a step was started before the one that it needs: exit status 2."""


class NothingUsable(GanimError):
    """The command is correct, but none of its input is usable: exit status 1."""

    exit_status = 1


def reason(error: Exception) -> str:
    """What an exception says happened: the system's words, its own, or its name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class CannotWrite(NothingUsable, OSError):
    """A file cannot be written: the disk is full, or its folder takes none."""
