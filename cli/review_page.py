"""A review as people read it: who proposes what, what differs, what clashes, how well it works."""

import shlex
from typing import TYPE_CHECKING, Any

from .difference import difference_json, show_requests, show_tensors, summary
from .finding_table import finding_rows, finding_table
from .output import Output
from .reviewing import SUITE, Measurement, after, before, score_table
from .texts import counted, moment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..patches.diff import Difference
    from ..patches.evaluation.base import Evaluation
    from ..registry.remotes.proposals import Proposal
    from ..registry.sharing.comparing import Measured
    from ..registry.sharing.reviewing import Review
    from .finding_table import Row

ROWS = 50
"""Findings that people are shown; a program gets all of them."""
FILES = 10


def show_waiting(
    output: Output, place: str, found: "Sequence[Proposal]", overtaken: "Collection[int]"
) -> None:
    """The proposals of a patch that wait to be accepted; some are `overtaken` by a version."""
    proposals = [{**vars(one), "overtaken": one.number in overtaken} for one in found]
    output.data("proposals", {"place": place, "proposals": proposals})
    rows = [
        [
            one.number,
            "overtaken" if one.number in overtaken else one.status,
            one.author,
            moment(one.created),
            one.title,
        ]
        for one in found
    ]
    output.table(["#", "status", "who", "time", "title"], rows, wrapped=["who"])
    if found:
        one = shlex.quote(f"{place}/pr/{found[0].number}")
        output.line(f"look at one with: weightpatch review {one}")
        if overtaken:
            output.note("note: a version took the number of those that are overtaken, since")
    else:
        output.note(f"nothing waits at {place}")


def show_review(
    output: Output, seen: "Review", found: "Difference | None", measured: Measurement | None
) -> None:
    """All that is to be known before a proposal is accepted."""
    _show_identity(output, seen)
    _show_other_files(output, seen)
    output.line()
    if seen.is_there:
        output.line(f"{seen.patch.label} is a version there already")
    if found is None or seen.current is None:
        output.line("there is no other version to compare it with")
    else:
        output.line(f"against {_current(seen)}: {summary(found)}")
        show_requests(output, found.requests)
        show_tensors(output, found)
        _show_findings(output, seen)
    if measured:
        _show_measured(output, seen, measured)
    _show_published(output, seen, measured)


def review_json(
    seen: "Review", found: "Difference | None", measured: Measurement | None, harm: "list[Any]"
) -> dict[str, Any]:
    """A review as plain JSON values."""
    patch, current = seen.patch, seen.current
    report = seen.found.report if seen.found else None
    compared = difference_json(current, patch, found) if current and found else None
    return {
        "place": str(seen.place),
        "proposal": vars(seen.candidate.proposal),
        "revision": seen.candidate.revision,
        "version": {
            "name": patch.manifest.name,
            "version": patch.manifest.version,
            "digest": patch.digest,
        },
        "folder": str(seen.folder),
        "newest": seen.newest,
        "besides": list(seen.candidate.besides),
        "hindrance": seen.hindrance,
        "holds_malicious": harm,
        "difference": compared,
        "findings": [vars(one) for one in report.findings] if report else [],
        "left_out": report.left_out if report else {},
        "not_compared": seen.found.unread if seen.found else None,
        "base": measured.checkpoint.id if measured else None,
        "scores": [one.to_json() for one in measured.answers] if measured else [],
        "published": {
            "proposed": [_published_json(one) for one in seen.published],
            "current": [_published_json(one) for one in seen.before],
        },
    }


def _published_json(one: "Measured") -> dict[str, Any]:
    return {**vars(one), "means": {name: mean._asdict() for name, mean in one.means.items()}}


def _show_identity(output: Output, seen: "Review") -> None:
    proposal, manifest = seen.candidate.proposal, seen.patch.manifest
    pairs = [
        ("proposal", str(seen.place)),
        ("title", proposal.title),
        ("proposed by", proposal.author),
        ("on", moment(proposal.created)),
        ("status", proposal.status),
        ("version", seen.patch.label),
        ("digest", f"sha256:{seen.patch.digest}"),
        ("base", ", ".join(base.label for base in manifest.bases)),
        ("method", f"{manifest.method.name} {manifest.method.version}"),
        ("author", manifest.author),
        ("message", manifest.message),
        ("copy", str(seen.folder)),
    ]
    output.fields([(name, text.replace("\n", " ")) for name, text in pairs])


def _show_other_files(output: Output, seen: "Review") -> None:
    others = seen.candidate.besides
    for name in others[:FILES]:
        output.note(f"warning: it also changes {name!r}, which belongs to no version")
    if len(others) > FILES:
        output.note(f"warning: and {len(others) - FILES} more")
    if seen.hindrance:
        output.note(f"warning: it cannot be accepted: {seen.hindrance}")


def _show_findings(output: Output, seen: "Review") -> None:
    found = seen.found
    if found is None or seen.current is None:
        return
    output.line()
    if found.unread:
        output.line(f"not checked for conflicts: {found.unread}")
        return
    rows = [_told_apart(seen, row) for row in finding_rows(found.report.findings)]
    finding_table(output, rows[:ROWS])
    if len(rows) > ROWS:
        output.line(f"… and {counted(len(rows) - ROWS, 'more row')}; --json has them all")
    said = [counted(count, severity) for severity, count in _counts(seen)]
    output.line(f"{', '.join(said) or 'no conflict'} with {_current(seen)}")


def _current(seen: "Review") -> str:
    """The version there, which may have the label of the one proposed."""
    label = seen.current.label if seen.current else ""
    return f"{label} there" if label == seen.patch.label else label


def _told_apart(seen: "Review", row: "Row") -> "Row":
    """A row in which the two versions have other names, if both have the same number."""
    severity, level, pair, *rest = row
    there, proposed = _names(seen)
    twice = f"{seen.patch.label} + {seen.patch.label}"
    return [severity, level, f"{there} + {proposed}" if pair == twice else pair, *rest]


def _counts(seen: "Review") -> "Sequence[tuple[str, int]]":
    counts = seen.found.counts() if seen.found else {}
    return [(severity, count) for severity, count in counts.items() if count]


def _show_measured(output: Output, seen: "Review", measured: Measurement) -> None:
    for number, answers in enumerate(measured.answers):
        there, proposed = _names(seen)
        columns = {"before": before(answers.proposed.means())}
        if answers.current:
            columns[there] = after(answers.current.means())
        columns[proposed] = after(answers.proposed.means())
        if said := _same_questions(seen, answers.proposed):
            columns[f"{proposed} as published"] = after(said.means)
        output.line()
        whose = "the requests of the proposal"
        if number:
            same = answers.asked == seen.patch.label
            whose = f"the requests of {answers.asked}{' there' if same else ''}"
        output.line(f"scored here on {measured.checkpoint.id}, {whose}")
        score_table(output, columns)


def _names(seen: "Review") -> tuple[str, str]:
    """What the version there and the proposed one are called above a column.

    By their numbers, unless both have the same one.
    """
    proposed = seen.patch.manifest.version
    there = seen.current.manifest.version if seen.current else None
    if there == proposed:
        return f"@{there} there", f"@{proposed} proposed"
    return f"@{there}", f"@{proposed}"


def _same_questions(seen: "Review", ours: "Evaluation") -> "Measured | None":
    """What came with the proposal of the same suite and the same requests, if anything did."""
    asked = ours.suite, ours.suite_digest
    return next((one for one in seen.published if (one.suite, one.suite_digest) == asked), None)


def _show_published(output: Output, seen: "Review", measured: Measurement | None) -> None:
    """The scores that came with the two versions, where they do not stand beside ours."""
    from ..patches.format.front_matter import newest_of_each

    ours, theirs = newest_of_each(seen.published), newest_of_each(seen.before)
    for suite in dict.fromkeys([*ours, *theirs]):
        own = ours.get(suite)
        beside = measured and own and own.suite_digest == measured.own.suite_digest
        if suite == SUITE and beside:
            continue
        columns = {}
        for side, name in zip((theirs.get(suite), own), _names(seen), strict=True):
            if side:
                columns[f"{name} before"] = before(side.means)
                columns[f"{name} after"] = after(side.means)
        output.line()
        output.line(f"scores of the suite {suite}, as their publishers say")
        score_table(output, columns)
    if not ours:
        output.line()
        output.line("its proposer says nothing of its scores")
