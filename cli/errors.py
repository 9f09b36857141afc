"""How an error looks: what, why, what to do next; as JSON where that was asked for."""

import errno
import json

from ..patches.errors import WeightpatchError

_CAUSES = {
    errno.ENOSPC: ("E_SPACE", "free some space, or write to another disk"),
    errno.EACCES: ("E_ACCESS", "check who may read and write there"),
    errno.EPERM: ("E_ACCESS", "check who may read and write there"),
    errno.EROFS: ("E_ACCESS", "the file system is read-only; write somewhere else"),
}


def from_os_error(error: OSError) -> WeightpatchError:
    """An error of the operating system in our form."""
    code, hint = _CAUSES.get(error.errno or 0, ("E_SYSTEM", None))
    place = f"{error.filename}: " if error.filename else ""
    found = WeightpatchError(f"{place}{error.strerror or error}", hint=hint)
    found.code = code
    return found


def in_our_form(error: Exception) -> WeightpatchError:
    """Any error as one of ours; one that nobody foresaw asks to be reported."""
    if isinstance(error, WeightpatchError):
        return error
    if isinstance(error, OSError):
        return from_os_error(error)
    if isinstance(error, MemoryError):
        return WeightpatchError("there is not enough memory for this")
    return WeightpatchError(
        f"this should not have happened: {type(error).__name__}: {error}",
        hint="please report it, with what WEIGHTPATCH_DEBUG=1 prints",
    )


def usage_error(message: str) -> WeightpatchError:
    """Wrong usage of the command line in our form."""
    found = WeightpatchError(message, hint="see --help")
    found.code = "E_USAGE"
    return found


def as_text(error: WeightpatchError) -> str:
    """At most three lines, the last of which says what to do."""
    lines = [f"error[{error.code}]: {error.message}"]
    if error.why:
        lines.append(f"  why: {error.why}")
    if error.hint:
        lines.append(f"  next: {error.hint}")
    return printable("\n".join(lines))


def as_json(error: WeightpatchError) -> str:
    """One JSON object on one line."""
    return json.dumps(
        {
            "error": {
                "code": error.code,
                "message": error.message,
                "why": error.why,
                "hint": error.hint,
            }
        }
    )


def printable(text: str) -> str:
    """Text from outside with its control characters made visible, so it cannot drive a terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )
