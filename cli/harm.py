"""Warnings of what holds a malicious version, wherever it is looked at."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .app import App


def warn(
    app: App, holder: str, digests: Sequence[str], *, own: str | None = None
) -> list[dict[str, Any]]:
    """Name the malicious versions that `holder` has in it, for people, and as JSON values.

    `digests` are those of `Registry.malicious`; `own` is that of the holder, which is told of
    elsewhere. Nothing is known without a registry, or where it cannot be read: that is noted.
    """
    from ..registry.errors import RegistryError, RegistryMissing

    try:
        with app.registry() as registry:
            found = [one for one in registry.malicious(digests) if one.digest != own]
    except RegistryMissing:
        return []
    except RegistryError as error:
        app.output.note(f"note: whether it holds a malicious version is not known: {error.message}")
        return []
    for one in found:
        said = one.standing
        app.output.note(
            f"warning: {holder} holds {one.label}, yanked as malicious by {said.who} on "
            f"{said.when[:10]}: {said.reason}"
        )
    return [asdict(one) for one in found]
