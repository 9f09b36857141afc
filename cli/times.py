"""Times as people write them: a day, or a second of it, always UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

_FORMS = {"%Y-%m-%d": timedelta(days=1), "%Y-%m-%dT%H:%M:%SZ": timedelta(seconds=1)}


class Moment(click.ParamType[datetime]):
    """`2026-03-03`, or `2026-03-03T12:00:00Z` to the second; gives its first or last second."""

    name = "time"

    def __init__(self, *, last: bool = False) -> None:
        self._last = last

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """The second that is meant; fails with click's usage error."""
        if isinstance(value, datetime):
            return value
        for form, lasts in _FORMS.items():
            try:
                start = datetime.strptime(value, form).replace(tzinfo=UTC)
            except ValueError:
                continue
            if start.strftime(form) == value:
                return start + (lasts - timedelta(seconds=1)) if self._last else start
        message = f"{value!r} is no time: write 2026-03-03, or 2026-03-03T12:00:00Z (UTC)"
        return self.fail(message, param, ctx)
