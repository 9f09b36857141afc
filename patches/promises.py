"""What a patch promises of its result, and the error when it is not kept."""

from .errors import DigestMismatch


def unexpected(name: str, expected: str, found: str) -> DigestMismatch:
    """The error for a result that is not the promised one; `expected` and `found` are sha256."""
    return DigestMismatch(
        f"the result for {name} is not the promised one",
        why=f"promised sha256 {expected[:12]}…, computed {found[:12]}…",
        hint="nothing was written; the patch may be damaged, please report it",
    )
