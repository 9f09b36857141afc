"""Versions by their scores: those of the last evaluation."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, select

from ...patches.evaluation.measures import MEASURES
from ...patches.format.names import quoted
from ..database import schema
from ..errors import QueryRefused
from . import postings
from .bases import OfBase
from .postings import Condition, Postings
from .score_conditions import SHORT_NAMES, ScoreCondition


def require_known(connection: Connection, conditions: Sequence[ScoreCondition]) -> None:
    """Raise QueryRefused for a measure that is neither ours nor in any evaluation here."""
    for condition in conditions:
        name = condition.measure
        if name in MEASURES:
            continue
        mean = schema.mean.c
        if connection.scalar(select(mean.measure).where(mean.measure == name).limit(1)) is None:
            raise QueryRefused(
                f"no score is called {quoted(name)}",
                why=f"known are {', '.join(MEASURES)}",
                hint=f"or in short: {', '.join(SHORT_NAMES)}",
            )


def rare(connection: Connection, conditions: Sequence[ScoreCondition]) -> list[Postings]:
    """Lists for those conditions that few evaluations meet; the others are looked up one by one.

    They may hold more versions than the condition does.
    """
    found = []
    mean, evaluation = schema.mean, schema.evaluation
    for condition in conditions:
        version = (
            select(evaluation.c.version_id)
            .where(evaluation.c.id == mean.c.evaluation_id)
            .correlate(mean)
            .scalar_subquery()
            .label("version_id")
        )
        few = (
            select(version)
            .where(mean.c.measure == condition.measure, condition.met(mean.c.after))
            .limit(postings.COUNTED)
        )
        each = Postings(few.subquery().c.version_id, exact=False)
        if sum(each.counts(connection)) < postings.COUNTED:
            found.append(each)
    return found


def met(condition: ScoreCondition, version: ColumnElement[int], of_base: OfBase) -> Condition:
    """That the last evaluation of a version that has the measure meets a condition.

    The measure's mean is looked up by evaluation: through the index of means by value, SQLite would
    read all that are high enough for every version.
    """
    evaluation, mean = schema.evaluation.alias(), schema.mean.alias()
    value = (
        select(mean.c.after)
        .where(mean.c.evaluation_id == evaluation.c.id, mean.c.measure == condition.measure)
        .correlate_except(mean)
        .scalar_subquery()
    )
    last = (
        select(value)
        .where(
            evaluation.c.version_id == version,
            value.is_not(None),
            of_base(evaluation.c.base),
        )
        .order_by(evaluation.c.id.desc())
        .limit(1)
        .correlate_except(evaluation)
        .scalar_subquery()
    )
    return condition.met(last)
