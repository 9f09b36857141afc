"""What a patch promises of its results, and the error for a result that is another one."""

from collections.abc import Iterable

from .errors import DigestMismatch
from .format.manifest import BaseRecord, TensorRecord


def require_promised(
    bases: Iterable[BaseRecord], name: str, record: TensorRecord, found: str
) -> None:
    """Raise DigestMismatch unless `found` is what is promised of the tensor `name`.

    Only the bases count whose tensor is that of `record`.
    """
    for base in bases:
        if base.tensors[name] == record and base.result[name] != found:
            raise unexpected(name, base.result[name], found)


def unexpected(name: str, expected: str, found: str) -> DigestMismatch:
    """The error for a result that is not the promised one; `expected` and `found` are sha256."""
    return DigestMismatch(
        f"the result for {name} is not the promised one",
        why=f"promised sha256 {expected[:12]}…, computed {found[:12]}…",
        hint="nothing was changed; the patch may be damaged, please report it",
    )
