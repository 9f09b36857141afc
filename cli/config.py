"""The only place that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..registry import defaults
from ..registry.paths import user_path

_XET = {
    "CONNECT_TIMEOUT": "10s",
    "READ_TIMEOUT": "60s",
    "RETRY_MAX_ATTEMPTS": "3",
    "RETRY_MAX_DURATION": "120s",
}


@dataclass(frozen=True)
class Config:
    """Where the registry lies, which database it uses, and who is acting."""

    home: Path
    database: str | None
    actor: str

    @property
    def cache(self) -> Path:
        """Where digests and statistics that can be computed again are kept."""
        return self.home / "cache"


def read_config(database: str | None) -> Config:
    """From WEIGHTPATCH_HOME, WEIGHTPATCH_DB and WEIGHTPATCH_ACTOR; `database` goes before."""
    return Config(
        home=_home(),
        database=database or os.environ.get("WEIGHTPATCH_DB") or None,
        actor=os.environ.get("WEIGHTPATCH_ACTOR") or defaults.actor(),
    )


def _home() -> Path:
    if named := os.environ.get("WEIGHTPATCH_HOME"):
        return user_path(named).absolute()
    return defaults.home()


def shown(path: Path) -> str:
    """A path as text that can be stored and printed, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def limit_transfers() -> None:
    """Let Xet's client wait a minute, not five, and try three times; the user may say otherwise.

    It reads its limits from the environment alone, when it begins.
    """
    for name, value in _XET.items():
        os.environ.setdefault(f"HF_XET_CLIENT_{name}", value)


def debugging() -> bool:
    """Whether WEIGHTPATCH_DEBUG asks for tracebacks."""
    return bool(os.environ.get("WEIGHTPATCH_DEBUG"))
