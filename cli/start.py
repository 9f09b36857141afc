"""Where the process begins and ends: from here on an interrupt shows no traceback."""

import os
import signal
import sys
from typing import NoReturn


def console() -> NoReturn:
    """Run the command line and leave the process at once.

    Until the command line is there nothing is begun, and an interrupt ends the process. Taking the
    interpreter down module by module costs 40 ms, a tenth of a small command, and frees what the
    system frees anyway. Nor is what an import leaves behind looked through for cycles each 700
    objects: that costs another 10 ms.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.unraisablehook = _unraisable
    import gc

    from .main import main

    gc.set_threshold(50_000)
    try:
        status = main()
    except SystemExit as end:  # SIGTERM
        status = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:  # while an error was reported
        status = 130
    os._exit(status)


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Say nothing of an interrupt that came where nothing can be raised, as in a finaliser."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
