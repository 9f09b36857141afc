"""What the command line reads from the environment, and what it sets there."""

import os

from weightpatch.cli.config import limit_transfers


def test_transfers_have_limits_unless_the_user_says_otherwise(monkeypatch):
    for name in list(os.environ):
        if name.startswith("HF_XET_CLIENT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_XET_CLIENT_READ_TIMEOUT", "5s")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    limit_transfers()
    assert os.environ["HF_XET_CLIENT_READ_TIMEOUT"] == "5s"
    assert os.environ["HF_XET_CLIENT_RETRY_MAX_ATTEMPTS"] == "3"
