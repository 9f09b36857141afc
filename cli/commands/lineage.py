"""lineage: what a version was made from, and what was made from it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ...patches.errors import WeightpatchError
from ..app import App
from ..harm import warn
from ..made_from import how_rebased
from ..options import LIMIT, declare
from ..version_table import DIGEST, marked

if TYPE_CHECKING:
    from ...registry.registry import Lineage, Registry, VersionInfo

Relatives = dict[str, list[tuple[str, str]]]
"""Digests next to a digest, each with a word on how they are related."""

Rebased = Mapping[str, str]
"""How versions were rebased, by digest."""

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
    after. Each is named with its method and base, and with how it was rebased, if it was.
    """
    with app.registry() as registry:
        found = registry.lineage(reference, limit=limit)
        rebased = _rebased(registry, found)
    of = found.versions.get(found.of)
    harm = warn(app, of.label if of else reference, [found.of], own=found.of)
    app.output.data("lineage", {**_as_json(found, rebased), "holds_malicious": harm})
    for line in _dot(found, rebased) if dot else _tree(found, rebased):
        app.output.line(line)
    if not found.complete:
        app.output.note(f"there may be more; they were followed to {limit} in each direction")


def _rebased(registry: "Registry", lineage: "Lineage") -> Rebased:
    """Of those that were made from another, and are here to be read; compositions never were."""
    made = {edge.child for edge in lineage.edges if edge.relation == "parent"}
    found = {}
    for digest in made & lineage.versions.keys():
        if lineage.versions[digest].method == "compose":
            continue
        with suppress(WeightpatchError):  # deleted, or its files are lost
            method = registry.patch(f"{DIGEST}{digest}", to_read=True).manifest.method
            if how := how_rebased(method):
                found[digest] = how
    return found


def _as_json(lineage: "Lineage", rebased: Rebased) -> dict[str, object]:
    digests = [lineage.of, *lineage.ancestors, *lineage.descendants]
    return {
        "of": lineage.of,
        "nodes": [_node(lineage, digest, rebased) for digest in dict.fromkeys(digests)],
        "edges": [vars(edge) for edge in lineage.edges],
        "complete": lineage.complete,
    }


def _node(lineage: "Lineage", digest: str, rebased: Rebased) -> dict[str, object]:
    info = lineage.versions.get(digest)
    return {
        "digest": digest,
        "version": info.label if info else None,
        "method": info.method if info else None,
        "bases": info.bases if info else None,
        "rebased": rebased.get(digest),
        "state": info.standing.state if info and info.standing else "listed" if info else None,
        "severity": info.standing.severity if info and info.standing else None,
    }


def _tree(lineage: "Lineage", rebased: Rebased) -> Iterator[str]:
    above: Relatives = {}
    below: Relatives = {}
    for edge in lineage.edges:
        before, after = WORDS[edge.relation]
        above.setdefault(edge.child, []).append((edge.parent, before))
        below.setdefault(edge.parent, []).append((edge.child, after))
    yield from reversed(list(_branches(lineage, above, rebased)))
    yield f"{_label(lineage, lineage.of, rebased)}  <- this"
    yield from _branches(lineage, below, rebased)


def _branches(lineage: "Lineage", relatives: Relatives, rebased: Rebased) -> Iterator[str]:
    """A line a relative, nearest first; one that comes again is not followed again."""
    followed = {lineage.of}
    waiting = _following(relatives, lineage.of, 1)
    while waiting:
        digest, depth, word = waiting.pop()
        yield f"{'  ' * depth}{_label(lineage, digest, rebased)}{word}"
        if digest not in followed:
            followed.add(digest)
            waiting += _following(relatives, digest, depth + 1)


def _following(relatives: Relatives, digest: str, depth: int) -> list[tuple[str, int, str]]:
    """The relatives of a version, to be taken from the end."""
    return [(other, depth, word) for other, word in reversed(relatives.get(digest, []))]


def _label(lineage: "Lineage", digest: str, rebased: Rebased) -> str:
    info = lineage.versions.get(digest)
    short = f"{DIGEST}{digest[:12]}…"
    if info is None:
        return f"{short}  not known here"
    return f"{marked(info)}  {short}  {_origin(info, rebased)}"


def _origin(info: "VersionInfo", rebased: Rebased) -> str:
    """By which method it was made for which base, and how it was rebased."""
    told = f"{info.method} on {', '.join(info.bases)}"
    return f"{told}, {rebased[info.digest]}" if info.digest in rebased else told


def _dot(lineage: "Lineage", rebased: Rebased) -> Iterator[str]:
    yield "digraph lineage {"
    yield '  rankdir="BT";'
    for node in (lineage.of, *lineage.ancestors, *lineage.descendants):
        info = lineage.versions.get(node)
        lines = [marked(info), _origin(info, rebased)] if info else [f"{DIGEST}{node[:12]}"]
        label = "\\n".join(map(_quoted, lines))
        yield f'  "{node[:16]}" [label="{label}"];'
    for edge in lineage.edges:
        yield f'  "{edge.child[:16]}" -> "{edge.parent[:16]}" [label="{edge.relation}"];'
    yield "}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
