"""lineage: what a version was made from, and what was made from it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ..app import App
from ..harm import warn
from ..options import LIMIT, declare
from ..version_table import DIGEST, marked

if TYPE_CHECKING:
    from ...registry.registry import Lineage

Relatives = dict[str, list[tuple[str, str]]]
"""Digests next to a digest, each with a word on how they are related."""

WORDS = {"parent": ("", ""), "supersedes": ("  superseded", "  supersedes it")}


@declare(
    "lineage",
    examples="weightpatch lineage acme/capitals\n"
    "weightpatch lineage acme/capitals@2 --json\n"
    "weightpatch lineage acme/capitals --dot > capitals.dot",
)
@click.argument("reference", metavar="REF")
@click.option(
    "--limit",
    type=LIMIT,
    default=200,
    show_default=True,
    metavar="N",
    help="At most N versions in each direction.",
)
@click.option("--dot", is_flag=True, help="Print a graph for Graphviz.")
def command(app: App, reference: str, limit: int, *, dot: bool) -> None:
    """Show what a version was made from and what it replaces, and what came of it.

    Above it stands what came before, indented by a step for each generation; below it what came
    after.
    """
    with app.registry() as registry:
        found = registry.lineage(reference, limit=limit)
    of = found.versions.get(found.of)
    harm = warn(app, of.label if of else reference, [found.of], own=found.of)
    app.output.data("lineage", {**_as_json(found), "holds_malicious": harm})
    for line in _dot(found) if dot else _tree(found):
        app.output.line(line)
    if not found.complete:
        app.output.note(f"there may be more; they were followed to {limit} in each direction")


def _as_json(lineage: "Lineage") -> dict[str, object]:
    digests = [lineage.of, *lineage.ancestors, *lineage.descendants]
    return {
        "of": lineage.of,
        "nodes": [_node(lineage, digest) for digest in dict.fromkeys(digests)],
        "edges": [vars(edge) for edge in lineage.edges],
        "complete": lineage.complete,
    }


def _node(lineage: "Lineage", digest: str) -> dict[str, object]:
    info = lineage.versions.get(digest)
    return {
        "digest": digest,
        "version": info.label if info else None,
        "state": info.standing.state if info and info.standing else "listed" if info else None,
        "severity": info.standing.severity if info and info.standing else None,
    }


def _tree(lineage: "Lineage") -> Iterator[str]:
    above: Relatives = {}
    below: Relatives = {}
    for edge in lineage.edges:
        before, after = WORDS[edge.relation]
        above.setdefault(edge.child, []).append((edge.parent, before))
        below.setdefault(edge.parent, []).append((edge.child, after))
    yield from reversed(list(_branches(lineage, above)))
    yield f"{_label(lineage, lineage.of)}  <- this"
    yield from _branches(lineage, below)


def _branches(lineage: "Lineage", relatives: Relatives) -> Iterator[str]:
    """A line a relative, nearest first; one that comes again is not followed again."""
    followed = {lineage.of}
    waiting = _following(relatives, lineage.of, 1)
    while waiting:
        digest, depth, word = waiting.pop()
        yield f"{'  ' * depth}{_label(lineage, digest)}{word}"
        if digest not in followed:
            followed.add(digest)
            waiting += _following(relatives, digest, depth + 1)


def _following(relatives: Relatives, digest: str, depth: int) -> list[tuple[str, int, str]]:
    """The relatives of a version, to be taken from the end."""
    return [(other, depth, word) for other, word in reversed(relatives.get(digest, []))]


def _label(lineage: "Lineage", digest: str) -> str:
    info = lineage.versions.get(digest)
    short = f"{DIGEST}{digest[:12]}…"
    return f"{marked(info)}  {short}" if info else f"{short}  not known here"


def _dot(lineage: "Lineage") -> Iterator[str]:
    yield "digraph lineage {"
    yield '  rankdir="BT";'
    for node in (lineage.of, *lineage.ancestors, *lineage.descendants):
        info = lineage.versions.get(node)
        label = marked(info) if info else f"{DIGEST}{node[:12]}"
        yield f'  "{node[:16]}" [label="{label}"];'
    for edge in lineage.edges:
        yield f'  "{edge.child[:16]}" -> "{edge.parent[:16]}" [label="{edge.relation}"];'
    yield "}"
