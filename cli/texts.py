"""Numbers, times and digests as a person reads them."""

import re

_DIGEST = re.compile(r"[0-9a-f]{64}")


def size(number: int) -> str:
    """Bytes as a person reads them."""
    amount = float(number)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 entry`, `2 entries`."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def shortened(text: str) -> str:
    """A text with the beginning alone of each digest in it."""
    return _DIGEST.sub(lambda match: f"{match[0][:12]}…", text)


def moment(time: str) -> str:
    """A time of the ledger as a person reads it, in UTC."""
    return time.replace("T", " ").removesuffix("Z")
