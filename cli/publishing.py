"""Name a new version, score it, and put both into the registry."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..patches.progress import Progress
from .app import App, timestamp
from .scoring import score

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.checkpoints.models import EditableModel
    from ..patches.draft import Origin
    from ..patches.evaluation.base import Evaluation
    from ..patches.format.patch import Draft
    from ..registry.registry import Registry, VersionInfo


def origin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --name, --message, --licence and --supersedes, read by `origin_of`."""
    for option in (
        click.option("--supersedes", metavar="REF", help="The version that this one replaces."),
        click.option("--licence", help="SPDX name of its licence."),
        click.option("--message", default="", help="What the patch is for."),
        click.option("--name", required=True, metavar="NS/NAME", help="Name of the patch."),
    ):
        command = option(command)
    return command


def origin_of(app: App, options: Mapping[str, Any], *, parents: tuple[str, ...] = ()) -> "Origin":
    """What `origin_options` were given, refused before the work if a manifest would refuse it.

    Raises NameRefused, ManifestError, and as `App.digest`.
    """
    from ..patches.draft import Origin
    from ..patches.format.fields import Fields
    from ..patches.format.names import check_patch_name

    check_patch_name(options["name"])
    texts = Fields(dict(options), "the command line")
    texts.text("message")
    texts.optional_line("licence")
    return Origin(
        options["name"],
        author=app.config.actor,
        created=timestamp(),
        message=options["message"],
        licence=options["licence"],
        parents=parents,
        supersedes=app.digest(options["supersedes"]),
    )


@contextmanager
def workplace(app: App) -> "Iterator[Path]":
    """A folder beside the registry, gone afterwards: a delta may be large, and /tmp may be memory.

    What killed runs left is swept first.
    """
    from ..patches.builds.staging import full_disk, locked_name, sweep

    target = app.config.cache / "draft"
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    with full_disk(target), locked_name(target) as folder:
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish_scored(
    app: App,
    registry: "Registry",
    draft: "Draft",
    model: "EditableModel",
    progress: Progress,
    efforts: "Sequence[Evaluation]" = (),
) -> "tuple[VersionInfo, tuple[Evaluation, ...]]":
    """Score a draft on its own probes, and publish it with these scores first, then `efforts`."""
    evaluation = score(model, draft.as_patch(), "requests", progress, app.config.cache)
    evaluations = (evaluation, *efforts)
    return publish(registry, draft, model.checkpoint, evaluations), evaluations


def publish_asked(
    app: App,
    registry: "Registry",
    draft: "Draft",
    checkpoint: "Checkpoint",
    progress: Progress,
    *,
    device: str,
    scored: bool,
) -> "tuple[VersionInfo, tuple[Evaluation, ...]]":
    """Publish a draft, scored on its own probes by the base's model, or without loading it."""
    if not scored:
        return registry.publish(draft), ()
    from ..patches.checkpoints.models import load_model

    return publish_scored(app, registry, draft, load_model(checkpoint, device=device), progress)


def say_how_it_works(app: App, version: "VersionInfo", evaluations: "Sequence[Evaluation]") -> None:
    """Warn of a version that does not do what it was made for, or say that it was not scored."""
    if not evaluations:
        app.output.line(f"not scored yet: weightpatch eval {version.label}")
    elif evaluations[0].means()["reliability.exact-match"].after < 1:
        app.output.note("warning: the patch does not give every target on its own prompt")


def publish(
    registry: "Registry",
    draft: "Draft",
    checkpoint: "Checkpoint",
    evaluations: "Sequence[Evaluation]",
) -> "VersionInfo":
    """Publish a draft with what was measured of it on its base.

    The first evaluation is recorded last: `list` and `show` begin with that one.
    """
    registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
    version = registry.publish(draft)
    for evaluation in reversed(evaluations):
        registry.record_evaluation(version.digest, checkpoint.fingerprint, evaluation)
    return version
