"""What an entry of the ledger says besides who, when and what, on one line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .texts import size

if TYPE_CHECKING:
    from ..registry.registry import LedgerEntry

FROM_TO = ("from", "to")


def told(entry: "LedgerEntry") -> str:
    """Which alias, why, where to: empty for what has nothing more to say."""
    detail = entry.detail
    kind = entry.action.partition(".")[0]
    if kind == "alias":
        return _with_reason(
            f"{_after_at(detail.get('alias'))}: {_moved(detail)}", detail.get("reason")
        )
    if kind == "remote":
        return str(detail.get("location") or "none")
    if "reason" in detail:
        state = detail.get("severity") or detail.get("state")
        return _with_reason(str(state or ""), detail["reason"])
    for key in ("to", "from", "out", "location"):
        if kind != "registry" and detail.get(key):
            return str(detail[key])
    if "bytes" in detail:
        count = detail.get("count")
        return f"{count} file{'' if count == 1 else 's'}, {size(int(detail['bytes']))}"
    return str(detail.get("suite", ""))


def _moved(detail: Mapping[str, Any]) -> str:
    ends = [f"@{_after_at(detail.get(end))}" if detail.get(end) else "none" for end in FROM_TO]
    return " → ".join(ends)


def _with_reason(text: str, reason: object) -> str:
    return f"{text}: {reason}" if reason else text


def _after_at(label: object) -> str:
    return str(label or "").rpartition("@")[2]
