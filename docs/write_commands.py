"""Write docs/commands.md from the help of every command: python docs/write_commands.py."""

from collections.abc import Iterator
from pathlib import Path

import click
from weightpatch.cli.main import SECTIONS, cli

WIDTH = 100
HEAD = """# Commands

Written by `python docs/write_commands.py`; a test holds it to the help of the commands.
"""


def pages() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, in the order of the help page."""
    for section in SECTIONS.values():
        for name in section:
            command = cli.get_command(click.Context(cli), name)
            if isinstance(command, click.Group):
                yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())
            elif command:
                yield name, command


def render() -> str:
    """The whole page."""
    parts = [HEAD, _help("weightpatch", cli)]
    for name, command in pages():
        parts.append(f"\n## {name}\n\n" + _help(f"weightpatch {name}", command))
    return "\n".join(parts)


def _help(name: str, command: click.Command) -> str:
    # Of its parent a command has these names; click keeps the first that it was asked with.
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        command,
        info_name=name,
        max_content_width=WIDTH,
        terminal_width=WIDTH,
        help_option_names=names,
    )
    return f"```\n{command.get_help(context).rstrip()}\n```\n"


if __name__ == "__main__":
    (Path(__file__).parent / "commands.md").write_text(render())
