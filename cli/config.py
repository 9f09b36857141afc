"""The only place that reads the environment."""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path


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
        actor=os.environ.get("WEIGHTPATCH_ACTOR") or _user(),
    )


def _home() -> Path:
    if named := os.environ.get("WEIGHTPATCH_HOME"):
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("weightpatch", appauthor=False))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
