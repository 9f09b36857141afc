"""Paths as people type them: one reading for bases, remotes and the command line."""

from pathlib import Path

import pytest
from weightpatch.cli.bases import named_base
from weightpatch.cli.config import Config
from weightpatch.cli.output import Output
from weightpatch.patches.errors import PathRefused
from weightpatch.registry.bases import open_base
from weightpatch.registry.paths import user_path
from weightpatch.registry.remotes.location import folder_path

STRANGER = "~nobody-of-that-name/x"


@pytest.mark.parametrize("read", [user_path, folder_path, open_base])
def test_the_home_of_a_stranger_is_refused(read):
    with pytest.raises(PathRefused, match="home folder of somebody who is not known here"):
        read(STRANGER)


def test_a_base_can_lie_in_the_home_folder(pico, tmp_path, monkeypatch):
    base = pico.base()
    monkeypatch.setenv("HOME", str(base.path.parent))
    spec = f"~/{base.path.name}"

    named = named_base(spec, Config(tmp_path / "home", None, "tester"), Output(as_json=True))

    assert named.path == base.path == open_base(spec).path
    assert user_path(spec) == folder_path(spec) == Path(base.path)
