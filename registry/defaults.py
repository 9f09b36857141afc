"""Where a registry lies, and who is acting, unless somebody says otherwise."""

import getpass
import os
from pathlib import Path


def home() -> Path:
    """The platform's folder for a user's data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("weightpatch", appauthor=False))


def actor() -> str:
    """The operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
