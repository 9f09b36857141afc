"""How a verification of the ledger is told, by `log --verify` and `ledger verify` alike."""

from typing import TYPE_CHECKING

from ..patches.errors import VerificationFailed
from .output import Output
from .texts import counted

if TYPE_CHECKING:
    from ..registry.registry import LedgerReport


def show_verification(output: Output, report: "LedgerReport") -> None:
    """Say that a ledger is sound; raises VerificationFailed, HistoryRewritten if it is not."""
    output.data("ledger", {**vars(report), "ok": report.ok})
    if report.rewritten and report.broken is None:
        from ..registry.errors import HistoryRewritten

        raise HistoryRewritten(
            "the ledger is not the one that the checkpoint was made of",
            why=report.flaw,
            hint="compare with a copy of the database from before",
        )
    if not report.ok:
        where = "" if report.broken is None else f": entry {report.broken} is broken"
        raise VerificationFailed(
            f"the ledger was tampered with{where}",
            why=report.flaw,
            hint="compare with a copy of the database from before",
        )
    entries = counted(report.sound, "entry", "entries")
    output.line(f"the ledger is sound: {entries}, each with the hash of the one before")
