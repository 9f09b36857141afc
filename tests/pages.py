"""What a page of the documentation shows: commands to type, and Python to run."""

import re
import shlex

_BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """The kind and the content of each block of commands or Python, in order."""
    return _BLOCK.findall(text)


def commands(text: str) -> list[list[str]]:
    """The arguments of each command in the blocks of a page, `weightpatch` itself left out."""
    found = [
        shlex.split(line.removeprefix("$ "))
        for kind, block in blocks(text)
        if kind == "console"
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("$ ")
    ]
    assert all(command[0] == "weightpatch" for command in found)
    return [command[1:] for command in found]


def snippets(text: str) -> list[str]:
    """The blocks of Python of a page."""
    return [block for kind, block in blocks(text) if kind == "python"]
