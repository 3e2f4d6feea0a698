"""The two ways a command can fail, as the command line reports them."""


class GanimError(Exception):
    """Something a person can put right. The message says what happened and what to do."""

    exit_status = 2


class WrongUse(GanimError):
    """A bad setting, or a step taken before the one it needs: exit status 2."""


class NothingUsable(GanimError):
    """The command was right, but no input could be used: exit status 1."""

    exit_status = 1
