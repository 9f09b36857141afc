"""docs/remotes.md: its commands and its Python run from top to bottom."""

from pathlib import Path

import pytest
from pages import commands, snippets
from weightpatch.registry.registry import Registry

PAGE = (Path(__file__).parents[2] / "docs" / "remotes.md").read_text()


@pytest.fixture
def workplace(pico, tmp_path, monkeypatch, hub) -> Path:
    """A folder with a registry that has the patches of which the page speaks, and a Hub."""
    base = pico.base("smollm2")
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(pico.patch(base, "acme/capitals", seed=1))
        registry.admit(pico.patch(base, "carol/capitals", seed=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs_from_top_to_bottom(workplace: Path, run_command, hub, capsys):
    assert len(commands(PAGE)) >= 10
    for command in commands(PAGE):
        found = run_command(*command)
        assert found.returncode == 0, (command, found.stderr)
    assert not hub["acme/capitals"].private
    assert "language:\n- en\n" in hub["acme/capitals"].head()["README.md"].data.decode()
    (snippet,) = snippets(PAGE)
    exec(compile(snippet, "remotes.md", "exec"), {"home": workplace / "home"})
    printed = capsys.readouterr().out
    assert "acme/capitals@1 False" in printed
    assert "1 Propose acme/capitals@2: a fix" in printed
