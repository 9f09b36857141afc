"""Remarks and progress bars share a terminal."""

import io
import re

import pytest
from weightpatch.cli.output import Output
from weightpatch.cli.progress import progress_bar


class Terminal(io.StringIO):
    """Text that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 60) -> Terminal:
    """What stderr is from now on."""
    found = Terminal()
    monkeypatch.setattr("sys.stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    return found


def test_a_remark_stands_on_a_line_of_its_own_above_the_bars(monkeypatch):
    """The line of the bar is erased before it, and drawn again below."""
    screen = terminal(monkeypatch)
    with progress_bar() as progress:
        progress("edits", 1, 4)
        screen.truncate(screen.seek(0))
        Output(as_json=False).note("layer=3: [2.1] s an edit \x1b[2J " + "x" * 70)
        told = screen.getvalue()
    erase, words = told.index("\x1b[2K"), told.index("layer=3: [2.1] s an edit")
    assert erase < words < told.index("edits", words + 30)
    assert "x" * 70 + "\n" in told
    assert "\x1b[2J" not in told


def drawn(screen: Terminal) -> str:
    """What was drawn, without colours and the like."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def test_bytes_of_a_transfer_are_shown_as_people_read_them(monkeypatch):
    screen = terminal(monkeypatch, columns=100)
    with progress_bar() as progress:
        progress("download acme/pico", 1_200_000, 2_500_000_000)
        progress("edits", 1, 4)
    assert "download acme/pico" in drawn(screen)
    assert "1.2 MB/2.5 GB" in drawn(screen)
    assert "1/4" in drawn(screen)


def test_what_is_over_is_taken_away(monkeypatch):
    screen = terminal(monkeypatch)
    with progress_bar() as progress:
        progress("push acme/pico@1", 0, None)
        progress("trying again", 0, None)
        progress("trying again", 0, 0)
        progress("never begun", 0, 0)
        screen.truncate(screen.seek(0))
    assert "push acme/pico@1" in drawn(screen)
    assert "trying again" not in drawn(screen)
    assert "never begun" not in drawn(screen)


def test_bars_within_bars_are_drawn_below_them(monkeypatch):
    screen = terminal(monkeypatch)
    with progress_bar() as outer:
        outer("edits", 1, 4)
        with progress_bar() as inner:
            inner("download acme/pico", 5, 10)
        screen.truncate(screen.seek(0))
    lines = [line.split()[0] for line in drawn(screen).splitlines() if line.strip()]
    assert lines[-2:] == ["edits", "download"]


def test_a_name_from_outside_does_not_drive_the_terminal(monkeypatch):
    screen = terminal(monkeypatch)
    with progress_bar() as progress:
        progress("upload [red]x\x1b[5m", 1, 4)
    assert "[red]x\\x1b[5m" in drawn(screen)


def test_without_bars_a_remark_is_a_line(monkeypatch):
    screen = terminal(monkeypatch)
    Output(as_json=False).note("one [b]two[/b]")
    assert screen.getvalue() == "one [b]two[/b]\n"
    with progress_bar():
        pass
    screen.truncate(screen.seek(0))
    Output(as_json=False).note("three")
    assert screen.getvalue() == "three\n"


def test_what_is_no_terminal_gets_remarks_and_no_bars(capsys):
    with progress_bar() as progress:
        progress("edits", 1, 4)
        Output(as_json=False).note("one")
    assert capsys.readouterr().err == "one\n"
