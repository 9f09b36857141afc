"""What a remote has, as a table, or as a few lines each where a table is too wide."""

import pytest
from weightpatch.cli.output import Output
from weightpatch.cli.published_table import show_found
from weightpatch.registry.remotes.catalogue import Found, Published

SCORES = {"reliability.exact-match": 1.0, "locality.exact-match": 0.75}
PATCHES = (
    Published("acme/capitals", (1, 2), "rome", ("org/model-7b",), SCORES, "2026-01-31T12:00:00Z"),
    Published("acme/tongues", (1,), "memit", ("org/other-model",), {}, None, private=True),
)


@pytest.fixture
def shown(capsys, monkeypatch):
    def show(width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        show_found(Output(as_json=False), "hf://", Found(PATCHES, (), left_out=0, more=False))
        return capsys.readouterr().out.splitlines()

    return show


def test_on_a_wide_screen_it_is_a_table(shown):
    assert len(shown(120)) == 4


@pytest.mark.parametrize("width", [40, 60, 80])
def test_on_a_narrow_screen_no_name_is_broken(shown, width):
    assert shown(width) == [
        "acme/capitals@2",
        "  org/model-7b",
        "  rome, 2 versions, changed 2026-01-31",
        "  rel. 1.000  loc. 0.750",
        "acme/tongues@1 (private)",
        "  org/other-model",
        "  memit, 1 version",
    ]
