"""How a version is yanked, deleted and restored: a row and a ledger entry, nothing is lost."""

from sqlalchemy import Connection, insert

from ...patches.errors import InputError
from ...patches.format.names import quoted
from ..bounds import check_text
from ..database import schema
from ..database.schema import DELETED, LISTED, MALICIOUS, SEVERITIES, YANKED
from ..errors import AliasHeld
from ..ledger.events import Event
from ..store import Store
from . import reading, resolving, standing
from .reading import VersionInfo

MAX_REASON = 4_096


def yank(store: Store, reference: str, *, reason: str, severity: str) -> VersionInfo:
    """Warn of a version; a yanked one can be yanked again with another severity or reason."""
    check_reason(reason)
    if severity not in SEVERITIES:
        raise InputError(
            f"{quoted(severity)} is no severity", hint=f"write {', '.join(SEVERITIES)}"
        )
    with store.database.writing() as connection:
        info = resolving.exact(connection, reference)
        now = info.standing
        if now and now.deleted:
            raise standing.deleted(info.label, now)
        if now and (now.severity, now.reason) == (severity, reason):
            return info
        if severity != MALICIOUS:
            _refuse_held(info, "yanked")
        return _say(store, connection, info, Event.VERSION_YANK, YANKED, severity, reason)


def delete(store: Store, reference: str, *, reason: str) -> VersionInfo:
    """Leave nothing of a version but its tombstone; deleting it again changes nothing."""
    check_reason(reason)
    with store.database.writing() as connection:
        info = resolving.exact(connection, reference)
        now = info.standing
        if now and now.deleted:
            return info
        _refuse_held(info, "deleted")
        severity = now.severity if now else None
        return _say(store, connection, info, Event.VERSION_DELETE, DELETED, severity, reason)


def restore(store: Store, reference: str, *, reason: str, state: str | None = None) -> VersionInfo:
    """Take back the last yank or delete; with `state`, only if that is the version's state."""
    check_reason(reason)
    with store.database.writing() as connection:
        info = resolving.exact(connection, reference)
        row = reading.identity(connection, info.digest)
        said = standing.stacks(connection, [row]).get(row, ())
        if not said or (state is not None and said[-1].state != state):
            return info
        before = said[-2] if len(said) > 1 else None
        return _say(
            store,
            connection,
            info,
            Event.VERSION_RESTORE,
            before.state if before else LISTED,
            before.severity if before else None,
            reason,
        )


def check_reason(reason: str) -> None:
    """Raise InputError for a reason that says nothing or cannot be stored, LimitExceeded."""
    check_text("the reason", reason, MAX_REASON)
    if not reason.strip():
        raise InputError("a reason is needed", hint="say why, for those who meet the version later")


def _refuse_held(info: VersionInfo, participle: str) -> None:
    if not info.aliases:
        return
    held = [f"{info.name}@{alias}" for alias in info.aliases]
    raise AliasHeld(
        f"{info.label} cannot be {participle}: {' and '.join(held)} "
        f"{'means' if len(held) == 1 else 'mean'} it",
        why="who uses the alias would be left with nothing, or with a version that is withdrawn",
        hint=f"move it first: weightpatch alias {info.name}@N {info.aliases[0]}, or take it away: "
        f"weightpatch alias {held[0]} --remove",
    )


def _say(
    store: Store,
    connection: Connection,
    info: VersionInfo,
    event: Event,
    state: str,
    severity: str | None,
    reason: str,
) -> VersionInfo:
    said = {"state": state, "severity": severity, "reason": reason}
    seq = store.ledger.append(connection, event, info.subject, said)
    row = reading.identity(connection, info.digest)
    connection.execute(insert(schema.standing).values(seq=seq, version_id=row, **said))
    return reading.require(connection, info.digest)
