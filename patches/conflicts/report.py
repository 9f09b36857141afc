"""The findings of a check, so many as are worth listing, and how many there are besides."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .findings import SEVERITIES, Finding, by_gravity

MAX_LISTED = 10_000
"""Findings of one severity that are listed."""

MANY = 25
"""From this many patches on notes are counted, not listed."""


@dataclass(frozen=True)
class Report:
    """What was found between some patches, gravest first.

    `left_out` counts, by severity, findings that are not listed, and pairs NOT_COMPARED.
    """

    findings: list[Finding]
    left_out: dict[str, int] = field(default_factory=dict)

    def count(self, severity: str) -> int:
        """How many findings of a severity there are, listed or not; or pairs NOT_COMPARED."""
        listed = sum(finding.severity == severity for finding in self.findings)
        return listed + self.left_out.get(severity, 0)


class Collector:
    """Gathers findings; what is too much is only counted."""

    def __init__(self, listed: Iterable[str] = SEVERITIES) -> None:
        self._listed = set(listed)
        self._found: list[Finding] = []
        self._counts: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def takes(self, severity: str) -> bool:
        """Whether another finding of a severity would be listed."""
        return severity in self._listed and self._counts[severity] < MAX_LISTED

    def add(self, findings: Iterable[Finding]) -> None:
        """List these findings, or count them."""
        for finding in findings:
            if self.takes(finding.severity):
                self._counts[finding.severity] += 1
                self._found.append(finding)
            else:
                self.leave_out(finding.severity)

    def leave_out(self, severity: str, count: int = 1) -> None:
        """Count findings that were not made, or pairs NOT_COMPARED."""
        if count:
            self._left_out[severity] += count

    def report(self) -> Report:
        """All that was found."""
        return Report(by_gravity(self._found), dict(self._left_out))


def merged(report: Report, findings: Iterable[Finding]) -> Report:
    """A report with further findings in their places."""
    return Report(by_gravity([*report.findings, *findings]), report.left_out)
