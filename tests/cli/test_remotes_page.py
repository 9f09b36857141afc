"""docs/remotes.md: its commands and its Python run from top to bottom."""

from pathlib import Path

import pytest
from pages import commands, snippets
from weightpatch.registry.registry import Registry

PAGE = (Path(__file__).parents[2] / "docs" / "remotes.md").read_text()


@pytest.fixture
def workplace(pico, tmp_path, monkeypatch, hub) -> Path:
    """A folder with a registry that has the patch of which the page speaks, and a Hub."""
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(pico.patch(pico.base("smollm2"), "acme/capitals", seed=1))
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
    assert "acme/capitals@1 False" in capsys.readouterr().out
