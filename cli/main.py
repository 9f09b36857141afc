"""The command line: its groups, its global options, and the one place where errors end."""

import os
import signal
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword

import click

from .. import __version__
from .config import debugging, limit_transfers
from .errors import as_json, as_text, in_our_form, usage_error

SECTIONS = {
    "Start": {
        "init": "Make a registry.",
        "doctor": "Say how the registry is, and mend what can be mended.",
        "db": "Show or upgrade the database's schema.",
    },
    "Make": {
        "create": "Make a patch from edit requests.",
        "method": "List the editing methods, and show what each can be told.",
        "sweep": "Find the layer that a method should edit in a model.",
        "extract": "Make a patch of the difference between two checkpoints.",
        "import": "Make a patch of an adapter that PEFT has trained.",
        "compose": "Make one patch of several.",
        "rebase": "Make a patch again on another base.",
    },
    "Look": {
        "list": "List patches.",
        "search": "Find versions by words, base, method, tensor, subject or score.",
        "show": "Show a version: what, from what, how well.",
        "diff": "Compare two versions, tensor by tensor.",
        "blame": "Show which version changed a tensor of a build.",
        "log": "Show who changed what, and when.",
        "lineage": "Show what a version was made from, and what came of it.",
    },
    "Judge": {
        "eval": "Score a version on its base.",
        "report": "Compare versions in one table and one picture.",
        "check": "Find what clashes between patches.",
        "verify": "Check that nothing was changed behind your back.",
    },
    "Use": {
        "apply": "Write a patched checkpoint.",
        "revert": "Make the base again from a build.",
        "export": "Hand a patch out to PEFT or as plain tensors.",
    },
    "Share": {
        "push": "Send a version to a remote.",
        "pull": "Fetch a version from a remote.",
        "outdated": "Find what a remote has newer versions of.",
        "propose": "Offer a version to somebody else's patch.",
        "review": "Look at what is offered, check and score it, and accept it.",
        "remote": "Name the places where patches are exchanged.",
    },
    "Keep": {
        "alias": "Let a name mean a version, and tell what it meant when.",
        "yank": "Warn of a version, and keep names from meaning it.",
        "delete": "Take a version away, its tombstone left.",
        "gc": "Free the room that deleted versions and killed processes took.",
        "ledger": "Show, verify and prove the log of every change.",
    },
}
INTERRUPTED = 130
_INTERRUPTS: list[int] = []
"""SIGINTs since the start; what is imported meanwhile may turn one into another error."""

_HELP = {name: text for section in SECTIONS.values() for name, text in section.items()}


class Commands(click.Group):
    """Loads a command's file only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the help page."""
        return list(_HELP)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in _HELP:
            return None
        file = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        module = import_module(f".commands.{file}", __package__)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a guess at what was meant."""
        if args and args[0] not in _HELP and not args[0].startswith("-"):
            near = get_close_matches(args[0], _HELP, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{guess}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands in their sections, without importing them."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, text in commands.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="REF is ns/name, ns/name@3, ns/name@alias, sha256:…, or a folder. BASE is a folder, or "
    "org/model@revision on the Hugging Face Hub. WEIGHTPATCH_HOME says where the registry lies, "
    "WEIGHTPATCH_DB or --db names another database, WEIGHTPATCH_ACTOR who is acting (you, by "
    "default). Exit status: 0 done, 1 failed, 2 wrong usage, 3 the answer is no, 130 interrupted.",
)
@click.version_option(__version__, prog_name="weightpatch")
def cli() -> None:
    """A registry of model edits: exact, small, scored and auditable patches."""


def main() -> int:
    """Run the command line and give its exit status; every error ends here."""
    _prepare()
    limit_transfers()
    status = _run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done: too late to interrupt it
    if status == INTERRUPTED:
        click.echo("interrupted", err=True)
    return _flushed(status)


def _prepare() -> None:
    """Streams that take any text, and an end by a signal that cleans up as an error does."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - stays open
        getattr(sys, name).reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    _INTERRUPTS.clear()
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, _frame: object) -> None:
    _INTERRUPTS.append(number)
    raise KeyboardInterrupt


def _run() -> int:
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return _wrong_usage(error)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except Exception as error:  # noqa: BLE001 - the last resort, so that no traceback is shown
        return INTERRUPTED if _INTERRUPTS else _report(error)
    return 0


def _flushed(status: int) -> int:
    """The status, once all that was printed is out; 1 if it could not be."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        return status or 1
    except OSError as error:
        return _report(error)
    return status


def _wrong_usage(error: click.ClickException) -> int:
    if _wants_json():
        click.echo(as_json(usage_error(error.format_message())), err=True)
    else:
        error.show()
    return error.exit_code


def _report(error: Exception) -> int:
    if debugging():
        traceback.print_exception(error)
    found = in_our_form(error)
    click.echo(as_json(found) if _wants_json() else as_text(found), err=True)
    return found.exit_code


def _wants_json() -> bool:
    return "--json" in sys.argv
