"""The user's token goes to the Hub, and nowhere else: not to a file, a screen or an error."""

import dataclasses
from pathlib import Path

import loopback_accounts
import pytest
from huggingface_hub import constants
from loopback_faults import Fault
from loopback_messages import Refused

TOKEN = "hf_SeCrEtThAtNoBoDyMaYrEaD"
WRONG = "hf_WrOnGtHaTnObOdYmAyReAd"


@pytest.fixture
def secretive(stocked, hub, monkeypatch):
    """The desk of alice, whose token is told by a file as `hf auth login` writes it."""
    alice = loopback_accounts.ACCOUNTS["hf_alice"]
    monkeypatch.setitem(loopback_accounts.ACCOUNTS, TOKEN, dataclasses.replace(alice))
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("WEIGHTPATCH_DEBUG", "1")
    return stocked


@pytest.fixture
def token_file(tmp_path, monkeypatch) -> Path:
    """Where the Hub's own command keeps the token."""
    file = tmp_path / "elsewhere" / "token"
    file.parent.mkdir()
    monkeypatch.setenv("HF_TOKEN_PATH", str(file))
    return file


def test_a_token_is_nowhere_to_be_found(secretive, hub, token_file, tmp_path, monkeypatch):
    told = []

    def run(status, *arguments):
        found = secretive.run(*arguments)
        told.append(found.stdout + found.stderr)
        assert found.returncode == status, told[-1]

    token_file.write_text(TOKEN)
    run(0, "push", "acme/one", "hf://", "--json")
    run(0, "pull", "acme/one", "hf://")
    run(0, "pull", "hf://acme/one@v1", "--json")
    run(0, "propose", "acme/two", "hf://acme/one", "--json")
    run(0, "review", "hf://acme/one/pr/1", "--no-eval", "--json")
    run(0, "search", "--hub", "one", "--json")
    run(0, "show", "hf://acme/one", "--json")
    run(0, "log", "--json")
    told_the_token = Refused(403, None, f"Authorization: Bearer {TOKEN} at https://x/?sig=abc")
    hub.faults.append(Fault("GET", "/refs$", instead=told_the_token.reply, times=None))
    for verb, place in (("pull", "hf://acme/one@v1"), ("review", "hf://acme/one/pr/1")):
        run(1, verb, place)
        assert "the Hub says: Authorization: … at https://x/…" in told[-1]
    run(1, "show", "hf://acme/one", "--json")
    hub.faults[0].times = hub.faults[0].hits
    token_file.write_text(WRONG)
    run(1, "push", "acme/two", "hf://")
    assert "hf auth login" in told[-1]
    run(1, "search", "--hub", "one")
    assert "hf auth login" in told[-1]
    monkeypatch.setenv("HF_TOKEN", WRONG)
    run(1, "apply", "acme/one", "--base", "acme/one", "--out", tmp_path / "out")
    assert "error[E_AUTH]" in told[-1]

    written = [path for path in tmp_path.rglob("*") if path.is_file() and path != token_file]
    cached = [path for path in Path(constants.HF_HOME).rglob("*") if path.is_file()]
    for text in [*told, *(path.read_bytes().decode("latin-1") for path in [*written, *cached])]:
        assert TOKEN not in text
        assert WRONG not in text
    assert any(path.name == "registry.db" for path in written)
