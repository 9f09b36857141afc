"""Remarks and progress bars share a terminal."""

import io

import pytest
from weightpatch.cli.output import Output
from weightpatch.cli.progress import progress_bar


class Terminal(io.StringIO):
    """Text that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What stderr is from now on."""
    found = Terminal()
    monkeypatch.setattr("sys.stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
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
