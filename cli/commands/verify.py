"""verify: check that nothing was changed behind your back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...patches.digests import is_sha256
from ...patches.errors import (
    CheckpointRefused,
    InputError,
    NameRefused,
    PluginMissing,
    VerificationFailed,
)
from ...registry.paths import user_path
from ..app import App, held
from ..harm import warn
from ..options import declare
from ..output import TENSORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...patches.builds.record import BuildRecord
    from ...patches.builds.verify import Mismatch
    from ...patches.format.patch import Patch

MISMATCHES = 20
"""Lines for people about what differs; a program gets all of it."""


@declare(
    "verify",
    examples="weightpatch verify ./smollm2-fixed\n"
    "weightpatch verify ./smollm2-fixed --full --base ./smollm2\n"
    "weightpatch verify acme/capitals@1",
)
@click.argument("target", metavar="REF|BUILD")
@click.option("--full", is_flag=True, help="Compare the untouched tensors with the base, too.")
@click.option("--base", metavar="BASE", help="For --full; the remembered base by default.")
def command(app: App, target: str, base: str | None, *, full: bool) -> None:
    """Hash a build's changed tensors and files, or a version's files, and compare with the record.

    Exit status 3 if anything differs.
    """
    from ...patches.builds.record import is_build

    if is_build(Path(target)):
        _verify_build(app, Path(target), base, full=full or base is not None)
    elif _is_path(target) and _is_plain(target):
        raise _neither(target)
    elif full or base is not None:
        raise click.UsageError("--full and --base belong to a build")
    else:
        _verify_version(app, target)


def _verify_build(app: App, folder: Path, base: str | None, *, full: bool) -> None:
    from ...patches.builds.record import read_record
    from ...patches.builds.underlying import require_base_of
    from ...patches.builds.verify import changed, compare, verify

    record = read_record(folder)
    wrong = {one.what: one for one in verify(folder)}
    if full:
        checkpoint = app.base_under(record, base)
        if checkpoint is None:
            raise CheckpointRefused(
                f"no base of {folder} is known on this machine",
                hint="name it with --base FOLDER or --base org/model@revision",
            )
        require_base_of(record, checkpoint)
        for one in compare(folder, checkpoint):
            wrong.setdefault(one.what, one)
    inside = [patch.digest for layer in record.layers for patch in layer.patches]
    harm = warn(app, str(folder), inside)
    app.output.data(
        "verify",
        {
            "ok": not wrong,
            "mismatches": list(map(vars, wrong.values())),
            "holds_malicious": harm,
        },
    )
    _show_checked(app, record, wrong)
    if wrong:
        raise changed(folder, next(iter(wrong.values())))
    applied = ", ".join(patch.label for patch in record.patches)
    what = (
        "every tensor and file is" if full else "the changed tensors and the files beside them are"
    )
    app.output.line(f"{folder} is {record.base_id} with {applied}: {what} as recorded")


def _show_checked(app: App, record: "BuildRecord", wrong: "Mapping[str, Mismatch]") -> None:
    """All that differs, as far as it fits, and then some of what does not."""
    app.output.lines(
        [
            f"DIFFERS {one.what}  {_short(one.expected)} → {_short(one.found)}"
            for one in wrong.values()
        ],
        MISMATCHES,
        "… and {} more that differ",
    )
    tensors = {name: tensor.sha256 for name, tensor in record.results.items()}
    app.output.lines(
        [
            f"ok      {name}  {digest[:12]}…"
            for name, digest in [*tensors.items(), *record.files.items()]
            if name not in wrong
        ],
        TENSORS,
        "… and {} more as recorded",
    )


def _short(text: str) -> str:
    return f"{text[:12]}…" if is_sha256(text) else text


def _is_path(target: str) -> bool:
    """Whether a target can only be a folder, not the name of a version."""
    return target.startswith((".", "/", "~")) or target.count("/") > 1


def _is_plain(target: str) -> bool:
    """Whether a target is a folder that is neither a build nor a patch."""
    from ...patches.builds.record import RECORD
    from ...patches.format.patch_files import MANIFEST

    folder = user_path(target)
    return folder.is_dir() and not any((folder / name).exists() for name in (RECORD, MANIFEST))


def _neither(target: str) -> CheckpointRefused:
    from ...patches.builds.record import RECORD
    from ...patches.format.patch_files import MANIFEST

    return CheckpointRefused(
        f"{target} is neither a build nor a patch",
        why=f"it holds no {RECORD} and no {MANIFEST}",
        hint="give what `weightpatch apply --out` wrote, the folder of a patch, or NS/NAME",
    )


def _verify_version(app: App, reference: str) -> None:
    from ...registry.errors import BlobLost, NotFound, RegistryMissing

    try:
        patch = app.patches([reference], to_read=True)[0]
        unread = _read_all(patch)
    except (NameRefused, NotFound, RegistryMissing) as error:
        if _is_plain(reference):
            raise _neither(reference) from error
        raise
    except (InputError, BlobLost) as error:
        if _is_path(reference) and not user_path(reference).exists():
            raise
        raise VerificationFailed(
            f"{reference} is not whole: {error.message}", why=error.why, hint=error.hint
        ) from error
    harm = warn(app, patch.label, held(patch), own=patch.digest)
    app.output.data(
        "verify",
        {
            "ok": True,
            "label": patch.label,
            "digest": patch.digest,
            "holds_malicious": harm,
        },
    )
    app.output.line(f"{patch.label} is whole: sha256:{patch.digest}")
    if unread:
        app.output.line(f"its digests agree; what it holds was not read: {unread}")
    else:
        changed, asked = len(patch.operations), len(patch.requests)
        app.output.line(f"files, {changed} changed tensors and {asked} requests agree")


def _read_all(patch: "Patch") -> str | None:
    """Read everything strictly; gives why the operations could not be read, if they are foreign."""
    _ = patch.requests
    try:
        _ = patch.operations, patch.auxiliary
    except PluginMissing as error:
        return error.message
    return None
