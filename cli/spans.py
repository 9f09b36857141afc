"""Spans of time, as people write them: 90m, 24h, 7d."""

import re
from datetime import timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"([0-9]{1,6})([smhd])")


def read_span(text: str) -> timedelta:
    """Read a number and its unit; raises click's usage error."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise click.BadParameter(f"{text!r} is not a span of time, such as 90m, 24h or 7d.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def shown_span(span: timedelta) -> str:
    """A span in its largest whole unit."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
