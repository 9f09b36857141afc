"""Times as people write them: a day, or a second of it, always UTC."""

from datetime import UTC, datetime, timedelta
from functools import partial

from .options import Parsed

_FORMS = {"%Y-%m-%d": timedelta(days=1), "%Y-%m-%dT%H:%M:%SZ": timedelta(seconds=1)}


def instant(text: str, *, last: bool = False) -> datetime:
    """The first or `last` second of `2026-03-03`, or `2026-03-03T12:00:00Z`; raises ValueError."""
    for form, lasts in _FORMS.items():
        try:
            start = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if start.strftime(form) == text:
            return start + (lasts - timedelta(seconds=1)) if last else start
    raise ValueError(f"{text!r} is no time: write 2026-03-03, or 2026-03-03T12:00:00Z (UTC)")


FROM = Parsed("time", instant)
"""A time, or the first second of a day."""

UNTIL = Parsed("time", partial(instant, last=True))
"""A time, or the last second of a day."""
