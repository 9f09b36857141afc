"""Constraints that several tables share, read alike by SQLite and PostgreSQL.

`trim(x, 'abc') = ''` says that x has no character but a, b and c. (No letter may follow a colon
there, or it would be a parameter.) Texts that an index may hold are bounded, since PostgreSQL's
indexes hold no long ones.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import CheckConstraint

MAX_SHORT = 255


def short(*columns: str) -> Iterator[CheckConstraint]:
    """At most 255 characters."""
    for column in columns:
        yield CheckConstraint(f"length({column}) <= {MAX_SHORT}", name=f"{column}_short")


def sha256(*columns: str) -> Iterator[CheckConstraint]:
    """64 hexadecimal digits in small letters."""
    for column in columns:
        yield CheckConstraint(
            f"length({column}) = 64 AND trim({column}, '0123456789abcdef') = ''",
            name=f"{column}_sha256",
        )


def utc(*columns: str) -> Iterator[CheckConstraint]:
    """A time as in 2026-01-31T12:00:00Z."""
    for column in columns:
        yield CheckConstraint(
            f"length({column}) = 20 AND trim({column}, '0123456789TZ-:') = ''",
            name=f"{column}_utc",
        )


def patch_half(*columns: str) -> Iterator[CheckConstraint]:
    """A namespace or a name, as `check_patch_name` allows it."""
    for column in columns:
        yield CheckConstraint(
            f"length({column}) BETWEEN 1 AND 96 AND trim({column}, '._-') = {column} "
            f"AND trim({column}, 'abcdefghijklmnopqrstuvwxyz0123456789._-') = ''",
            name=f"{column}_spelling",
        )


def at_least(least: int, *columns: str) -> Iterator[CheckConstraint]:
    """A number that is not below `least`."""
    for column in columns:
        yield CheckConstraint(f"{column} >= {least}", name=f"{column}_least")


def one_of(column: str, values: Sequence[str]) -> str:
    """The condition that a column has one of some values, or none at all."""
    return f"{column} IN ({', '.join(map(repr, values))})"
