"""Bad input gets one clear error, an exit status from 1 to 3, no traceback, and changes nothing."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from weightpatch.cli.errors import as_json, as_text, from_os_error, in_our_form
from weightpatch.patches.errors import BaseMismatch


def test_text_says_what_why_and_what_next():
    error = BaseMismatch("made for another base", why="one byte differs", hint="use the right one")
    assert as_text(error).splitlines() == [
        "error[E_BASE]: made for another base",
        "  why: one byte differs",
        "  next: use the right one",
    ]


def test_json_is_one_object():
    found = json.loads(as_json(BaseMismatch("made for another base")))
    assert found["error"]["code"] == "E_BASE"
    assert found["error"]["hint"] is None


def test_a_full_disk_has_a_code_and_a_hint():
    error = from_os_error(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert error.code == "E_SPACE"
    assert "/data/x" in error.message
    assert error.hint


def test_control_characters_cannot_drive_the_terminal():
    assert "\x1b" not in as_text(BaseMismatch("\x1b[2Jgone"))


def test_without_a_registry_the_next_step_is_init(desk):
    assert "weightpatch init" in desk.fails(1, "E_NO_REGISTRY", "list")


def test_a_mistyped_command_is_guessed(run_command):
    found = run_command("lsit")
    assert found.returncode == 2
    assert "Did you mean 'list'?" in found.stderr


def test_a_mistyped_reference_is_guessed(stocked):
    assert "acme/one" in stocked.fails(1, "E_NOT_FOUND", "show", "acme/onee")


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("E_PLUGIN", ["create", "rme", "base", "--name", "a/b", "--data", "counterfact"]),
        ("E_NAME", ["create", "rome", "base", "--name", "A/b", "--data", "counterfact"]),
        ("E_NAME", ["show", "no-namespace"]),
        ("E_REFERENCE", ["show", "acme/one@latest"]),
        ("E_CHECKPOINT", ["create", "rome", ".", "--name", "a/b", "--prompt", "{} is",
                          "--subject", "x", "--target", "y"]),
    ],
)  # fmt: skip
def test_wrong_input_has_its_own_code(stocked, code, arguments):
    stocked.fails(1, code, *arguments)


def test_an_error_as_json_goes_to_stderr_and_stdout_stays_empty(stocked):
    found = stocked.run("show", "acme/nope", "--json")
    assert found.returncode == 1
    assert found.stdout == ""
    assert json.loads(found.stderr)["error"]["code"] == "E_NOT_FOUND"


@pytest.mark.parametrize(
    "arguments",
    [
        ["log", "--limit", "99999999999999999999"],
        ["list", "--limit", "0"],
        ["create", "rome", "base", "--name", "a/b", "--seed", "-1"],
        ["create", "rome", "base", "--name", "a/b", "--requests", "/dev/null"],
        ["check", "acme/one"],
        ["apply", "acme/one"],
    ],
)
def test_wrong_usage_is_status_2(stocked, arguments):
    found = stocked.run(*arguments)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr


def test_wrong_usage_as_json_is_json_too(stocked):
    found = stocked.run("list", "--limit", "0", "--json")
    assert found.returncode == 2
    assert json.loads(found.stderr)["error"]["code"] == "E_USAGE"


def test_what_nobody_foresaw_is_still_one_clear_error():
    error = in_our_form(ZeroDivisionError("division by zero"))
    assert error.code == "E_FAILED"
    assert "report" in as_text(error)


def test_a_message_that_the_manifest_would_refuse_is_refused_before_the_work(stocked):
    stocked.fails(
        1, "E_MANIFEST", "create", "rome", stocked.base.path, "--name", "a/b", "--prompt", "{} is",
        "--subject", "x", "--target", "y", "--message", "a\x1b[31mb",
    )  # fmt: skip


def test_text_that_the_locale_cannot_print_does_not_end_a_command(stocked, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    stocked.ok("verify", "acme/one")


def test_closed_stdout_is_no_traceback(stocked):
    found = started(stocked, "list", stdout=subprocess.DEVNULL, preexec_fn=lambda: os.close(1))
    assert "Traceback" not in found.stderr


def test_a_reader_that_stops_early_gets_no_traceback(stocked):
    reader, writer = os.pipe()
    os.close(reader)
    found = started(stocked, "list", stdout=writer)
    os.close(writer)
    assert (found.returncode, found.stderr) == (1, "")


def test_what_cannot_be_printed_is_an_error(stocked):
    with Path("/dev/full").open("wb") as full:
        found = started(stocked, "list", stdout=full)
    assert found.returncode == 1
    assert "error[E_SPACE]" in found.stderr


def test_all_of_a_long_answer_comes_through_a_pipe(stocked):
    found = started(stocked, "--help", stdout=subprocess.PIPE)
    assert found.stdout.endswith("130 interrupted.\n")
    found = started(stocked, "list", "--json", stdout=subprocess.PIPE)
    assert len(json.loads(found.stdout)["versions"]) == 2


def started(stocked, *arguments: str, **streams) -> subprocess.CompletedProcess:
    """A command that Python starts anew, with streams of its own."""
    return subprocess.run(
        [sys.executable, "-m", "weightpatch", *arguments],
        env={**os.environ, "WEIGHTPATCH_HOME": str(stocked.base.path.parent / "home")},
        stderr=subprocess.PIPE, text=True, check=False, **streams,
    )  # fmt: skip
