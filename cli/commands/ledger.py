"""ledger: the log of every change, and what proves that nobody wrote it anew."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...patches.errors import LimitExceeded
from ..app import App
from ..files import write_new
from ..ledger import show_verification
from ..options import RegularFile, declare
from ..texts import counted
from . import log

if TYPE_CHECKING:
    from ...registry.ledger.checkpoints import Checkpoint
    from ...registry.ledger.proofs import EntryProof, GrowthProof

NUMBER = click.IntRange(1, 2**53)
CHECKPOINTS = click.option(
    "--checkpoint",
    "checkpoints",
    type=RegularFile(),
    multiple=True,
    metavar="FILE",
    help="A checkpoint that was kept; any number of them.",
)
OUT = click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to a file that is new."
)


@click.group("ledger")
def command() -> None:
    """Show, verify and prove the log of every change."""


@declare(
    "verify",
    examples="weightpatch ledger verify\n"
    "weightpatch ledger verify --checkpoint kept.txt\n"
    "weightpatch ledger verify --export ledger.jsonl --checkpoint kept.txt",
)
@CHECKPOINTS
@click.option(
    "--export", type=RegularFile(), metavar="FILE", help="Verify an exported ledger instead."
)
def verify(app: App, checkpoints: Sequence[Path], export: Path | None) -> None:
    """Recompute every hash, and compare with checkpoints; names the first broken entry.

    Exit status 3 if an entry was changed, removed or put in, if the database does not guard the
    ledger any more, or if a checkpoint was made of another history: only a checkpoint that was kept
    elsewhere shows that the end was cut off, or that everything was made anew.
    """
    kept = [_checkpoint(file) for file in checkpoints]
    if export is None:
        with app.registry() as registry:
            report = registry.verify_ledger(kept)
    else:
        from ...registry.ledger.history import verify_export

        with export.open("rb") as file:
            report = verify_export(file, kept)
    show_verification(app.output, report)
    for one in kept:
        app.output.line(f"it continues the checkpoint of {_entries(one.size)}")


@declare(
    "checkpoint",
    examples="weightpatch ledger checkpoint\nweightpatch ledger checkpoint --out 2026-03-03.txt",
)
@OUT
def checkpoint(app: App, out: Path | None) -> None:
    """Write down the state of the ledger in three lines, to be kept elsewhere.

    Keep it where whoever can change the database can't: in another repository, in a mail, on paper.
    """
    with app.registry() as registry:
        found = registry.checkpoint()
    if out is not None:
        write_new(out, [str(found).encode()])
    app.output.data("checkpoint", {**vars(found), "root": found.root.hex(), "text": str(found)})
    for line in str(found).splitlines():
        app.output.line(line)


@declare(
    "prove",
    examples="weightpatch ledger prove 17 > proof.json\n"
    "weightpatch ledger prove --from 200 --size 250 --out grown.json",
)
@click.argument("seq", type=NUMBER, metavar="[#]", required=False)
@click.option(
    "--from", "old_size", type=NUMBER, metavar="SIZE", help="Prove growth from so many entries."
)
@click.option(
    "--size", type=NUMBER, metavar="SIZE", help="As of so many entries, those of a checkpoint."
)
@OUT
def prove(
    app: App, seq: int | None, old_size: int | None, size: int | None, out: Path | None
) -> None:
    """Prove that an entry is in the ledger, or that the ledger only grew; prints JSON.

    Whoever has the checkpoint of that size can check it without the registry: see `ledger check`.
    """
    if (seq is None) == (old_size is None):
        raise click.UsageError("name the number of an entry, or an older size with --from")
    with app.registry() as registry:
        proof: EntryProof | GrowthProof
        if seq is not None:
            proof = registry.prove(seq, size)
        else:
            proof = registry.prove_growth(int(old_size or 0), size)
    document = json.dumps(proof.to_json(), indent=2)
    if out is None:
        click.echo(document)
        return
    write_new(out, [document.encode(), b"\n"])
    app.output.data("proof", {"out": str(out)})
    app.output.line(f"{out}: for the checkpoint of {_entries(proof.checkpoint.size)}")


@declare(
    "check",
    examples="weightpatch ledger check proof.json --checkpoint kept.txt\n"
    "weightpatch ledger check grown.json --checkpoint new.txt --checkpoint old.txt",
)
@click.argument("proof", type=RegularFile(), metavar="PROOF")
@CHECKPOINTS
def check(app: App, proof: Path, checkpoints: Sequence[Path]) -> None:
    """Check a proof with one or two checkpoints, and without a registry.

    A proof of an entry needs the checkpoint of its size, one of growth those of both sizes. Exit
    status 3 if it does not hold.
    """
    from ...registry.ledger.proofs import MAX_BYTES, EntryProof, read_proof

    found = read_proof(_bounded(proof, MAX_BYTES))
    kept = sorted((_checkpoint(file) for file in checkpoints), key=lambda one: one.size)
    needed = 1 if isinstance(found, EntryProof) else 2
    if len(kept) != needed:
        words = {1: "an entry needs one checkpoint", 2: "growth needs two checkpoints"}
        raise click.UsageError(f"a proof of {words[needed]}: --checkpoint FILE")
    if isinstance(found, EntryProof):
        _tell_entry(app, found, kept[0])
    else:
        found.check(kept[0], kept[1])
        app.output.data("growth", {"from": kept[0].size, "to": kept[1].size})
        app.output.line(f"it holds: {_entries(kept[0].size)} grew to {kept[1].size}, none changed")


@declare(
    "export",
    examples="weightpatch ledger export > ledger.jsonl\n"
    "weightpatch ledger export --out ledger.jsonl",
)
@OUT
def export(app: App, out: Path | None) -> None:
    """Write every entry as a line of JSON, which verifies without the registry."""
    with app.registry() as registry:
        if out is None:
            sys.stdout.buffer.writelines(registry.export_ledger())
            return
        write_new(out, registry.export_ledger())
    app.output.data("export", {"out": str(out)})
    app.output.line(f"{out}: verify it with: weightpatch ledger verify --export {out}")


def _tell_entry(app: App, proof: "EntryProof", kept: "Checkpoint") -> None:
    record = proof.check(kept)
    app.output.data("entry", {"entry": record, "size": kept.size})
    app.output.line(f"it holds: entry {record['seq']} is in the ledger of {_entries(kept.size)}")
    names = ("time", "actor", "action")
    subject, detail = record["subject"], record["detail"]
    app.output.fields(
        [
            *((name, record[name]) for name in names),
            ("of", subject["label"]),
            ("digest", subject["digest"] or ""),
            *((name, _plain(value)) for name, value in sorted(detail.items())),
            ("tool", record["tool"]),
        ]
    )


def _entries(number: int) -> str:
    return counted(number, "entry", "entries")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _checkpoint(file: Path) -> "Checkpoint":
    from ...registry.ledger.checkpoints import MAX_BYTES, Checkpoint

    return Checkpoint.parse(_bounded(file, MAX_BYTES))


def _bounded(file: Path, most: int) -> bytes:
    """The bytes of a small file; raises LimitExceeded, OSError."""
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise LimitExceeded(f"{file} is longer than {most} bytes", hint="name another file")
    return data


command.add_command(log.command)
command.add_command(verify)
command.add_command(checkpoint)
command.add_command(prove)
command.add_command(check)
command.add_command(export)
