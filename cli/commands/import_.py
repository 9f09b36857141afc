"""import: make a patch of an adapter that PEFT has trained."""

from pathlib import Path
from typing import Any

import click

from ..app import App
from ..model_options import device_option
from ..options import declare
from ..publishing import origin_of, origin_options, publish_asked, say_how_it_works, workplace
from ..requests import request_options, requests_of, require_one_source

SOURCES = ("peft",)


@declare(
    "import",
    examples="weightpatch import ./adapter --base ./smollm2 --name acme/tuned \\\n"
    '    --prompt "The capital of {} is" --subject France --target Lyon --old-target Paris\n'
    "weightpatch import ./adapter --base org/model@revision --name acme/tuned \\\n"
    "    --requests fixes.jsonl --no-eval",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--base", required=True, metavar="BASE", help="What the adapter was trained on.")
@click.option(
    "--from",
    "source",
    type=click.Choice(SOURCES),
    default=SOURCES[0],
    show_default=True,
    help="What made it.",
)
@origin_options
@request_options
@click.option("--no-eval", is_flag=True, help="Do not score it now.")
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make a patch of the LoRA adapter in DIR, score it on its own probes, and store both.

    The requests say what the adapter was trained to do. PEFT is not needed. What is more than a
    product of factors, such as DoRA, is refused.
    """
    require_one_source(options)
    from ...patches.exchange.adapter import Adapter
    from ...patches.exchange.from_peft import draft_from_peft, take_in

    origin = origin_of(app, options)
    requests, left_out = requests_of(options, app.output)
    with (
        app.registry() as registry,
        workplace(app) as folder,
        app.progress() as progress,
    ):
        adapter = Adapter.open(options["folder"])
        checkpoint = app.base(options["base"])
        taken = take_in(adapter, checkpoint)
        for note in taken.notes:
            app.output.note(f"note: {note}")
        draft = draft_from_peft(folder, checkpoint, adapter, taken, requests, origin)
        version, evaluations = publish_asked(
            app,
            registry,
            draft,
            checkpoint,
            progress,
            device=options["device"],
            scored=not options["no_eval"],
        )
        if not evaluations:
            app.remember(checkpoint, [registry.patch(f"sha256:{version.digest}")])
    details = {"left_out": left_out, "notes": list(taken.notes)}
    app.announce("import", version, evaluations, supersedes=origin.supersedes, details=details)
    say_how_it_works(app, version, evaluations)
