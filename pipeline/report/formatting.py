"""Format numbers and names for tables and pages."""

import math


def percent(share: float) -> str:
    """Format a share (0-1) in percent so that 0% and 100% stand only for none and all."""
    if 0 < share < 0.01:
        return f"{share:.1%}" if share >= 0.001 else "<0.1%"
    return f"{math.floor(share * 100) if share > 0.99 else round(share * 100)}%"


def number(value: float) -> str:
    """Format a number of pixels or a score: no decimals from 10 on, otherwise two."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}"


def printable(text: str) -> str:
    """Escape unprintable characters of a file name: newlines, control and direction characters."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
