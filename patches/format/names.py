"""Names that are safe everywhere: of tensors in a delta, of a delta's keys, of patches."""

import re
import unicodedata
from collections.abc import Iterable

from ..errors import NameRefused

MAX_TENSOR_NAME = 255
MAX_PATCH_HALF = 96
SEPARATOR = "::"
AUXILIARY = "aux"

_TENSOR_NAME = re.compile(r"[!#-&(-\[\]-_a-~]+")  # printable ASCII but \ " ' ` and space
_OPERATION = re.compile(r"([a-z][a-z0-9_]*)\.((?:0|[1-9][0-9]{0,4})\.[A-Za-z][A-Za-z0-9_]*)")
_AUX = re.compile(r"(aux)\.([A-Za-z0-9_][A-Za-z0-9_.-]*)")
_PATCH_HALF = re.compile(r"[a-z0-9]([a-z0-9._-]{0,94}[a-z0-9])?")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_HUB_SUFFIXES = (".git", ".ipc")


def quoted(name: str) -> str:
    """Quote a name from outside so that it is fit to print: escaped, and cut if it is long."""
    return repr(name) if len(name) <= 80 else f"{name[:80]!r}…"


def check_tensor_name(name: str) -> str:
    """Give `name` back if it may name a tensor of a delta; raises NameRefused.

    It is 1 to 255 printable ASCII characters, no space, quote or backslash among them, and as a
    path it would stay where it is put.
    """
    if len(name) > MAX_TENSOR_NAME:
        raise NameRefused(f"a tensor name is longer than {MAX_TENSOR_NAME} characters")
    if not _TENSOR_NAME.fullmatch(name):
        raise NameRefused(
            f"{quoted(name)} cannot name a tensor of a delta",
            why="what cannot be seen or typed can pass for another name",
            hint="names are printable ASCII without spaces, quotes and backslashes",
        )
    if name.startswith("/") or ".." in re.split(f"/|{SEPARATOR}", name):
        raise NameRefused(
            f"{quoted(name)} cannot name a tensor of a delta",
            why="as a path it would lead out of its folder",
        )
    return name


def check_distinct(names: Iterable[str]) -> None:
    """Raise NameRefused if two names are equal, or would be but for case or normalisation."""
    seen: dict[str, str] = {}
    for name in names:
        folded = _folded(name)
        if folded in seen:
            raise NameRefused(
                f"{quoted(seen[folded])} and {quoted(name)} are too alike",
                why="some file systems and databases take them for one name",
            )
        seen[folded] = name


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def split_key(key: str) -> tuple[str, str, str]:
    """Take a key of a delta apart: parameter, operation or "aux", and the rest.

    `w::lowrank.0.A` gives ("w", "lowrank", "0.A"), `w::aux.keys` gives ("w", "aux", "keys").
    Raises NameRefused.
    """
    check_tensor_name(key)
    parameter, separator, tail = key.partition(SEPARATOR)
    pattern = _AUX if tail.startswith(f"{AUXILIARY}.") else _OPERATION
    match = pattern.fullmatch(tail)
    if not parameter or not separator or not match:
        raise NameRefused(
            f"{quoted(key)} is not a key of a delta",
            hint="keys are PARAMETER::OPERATION.INDEX.PART or PARAMETER::aux.WHAT",
        )
    return parameter, match[1], match[2]


def join_key(parameter: str, operation: str, *rest: str | int) -> str:
    """Put a key together that `split_key` takes apart again; raises NameRefused.

    `rest` is index and part for an operation, and one name for "aux".
    """
    tail = ".".join(map(str, rest))
    key = f"{parameter}{SEPARATOR}{operation}.{tail}"
    if split_key(key) != (parameter, operation, tail):
        raise NameRefused(
            f"{quoted(key)} is not a key of a delta",
            why=f"the parameter's name, {quoted(parameter)}, holds {SEPARATOR}",
        )
    return key


def check_patch_name(name: str) -> str:
    """Give `name` back if it is `namespace/name` as registry and Hub allow it; raises NameRefused.

    Each half is 1 to 96 characters of a-z, 0-9, dot, hyphen and underscore, begins and ends with a
    letter or digit, and is no name that the Hub or Windows keeps for itself.
    """
    halves = name.split("/")
    if len(halves) != 2:
        raise NameRefused(
            f"{quoted(name)} is not a patch name",
            hint=f"write NAMESPACE/NAME, as in acme/{_suggestion(halves[-1])}",
        )
    for half in halves:
        why = _why_refused(half)
        if why:
            raise NameRefused(
                f"{quoted(name)} is not a patch name",
                why=f"{quoted(half)} {why}",
                hint="try " + "/".join(map(_suggestion, halves)),
            )
    return name


def _why_refused(half: str) -> str | None:
    if len(half) > MAX_PATCH_HALF:
        return f"is longer than {MAX_PATCH_HALF} characters"
    if not _PATCH_HALF.fullmatch(half):
        return (
            "must be a-z, 0-9, dot, hyphen and underscore, and begin and end with a letter or digit"
        )
    if "--" in half or ".." in half:
        return "holds -- or .., which the Hub forbids"
    if half.endswith(_HUB_SUFFIXES):
        return "ends in .git or .ipc, which the Hub forbids"
    if _DEVICE.fullmatch(half):
        return "is the name of a device on Windows"
    return None


def _suggestion(half: str) -> str:
    plain = re.sub(r"[^a-z0-9._]+", "-", half.lower())
    plain = re.sub(r"\.{2,}|-{2,}", "-", plain)[:MAX_PATCH_HALF].strip("._-")
    return plain if plain and not _why_refused(plain) else "my-patch"
