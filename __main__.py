"""Run the command line with `python -m weightpatch`."""

from .cli.main import console

console()
