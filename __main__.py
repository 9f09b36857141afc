"""Run the command line with `python -m weightpatch`."""

from .cli.start import console

console()
