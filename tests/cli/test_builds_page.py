"""docs/builds.md: its commands run from top to bottom, its fields are those of the record."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from pages import commands
from weightpatch.patches.builds.record import FORMAT, BuildRecord
from weightpatch.patches.builds.undo import MAX_ENTRIES, UNDO
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.operations.sparse import Sparse
from weightpatch.registry.registry import Registry

PAGE = (Path(__file__).parents[2] / "docs" / "builds.md").read_text()


def contents(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in folder.iterdir()}


@pytest.fixture
def workplace(pico, tmp_path, monkeypatch) -> Path:
    """A folder with a base, and a registry with the three patches that the page speaks of."""
    base = pico.base("smollm2")
    listed = {"indices": np.array([1, 9]), "values": np.ones(2, np.float32)}
    patches = [
        pico.patch(base, "acme/capitals", seed=1),
        pico.patch(base, "acme/tongues", seed=2, requests=[pico.OTHER_REQUEST]),
        pico.patch(base, "acme/spelling", operations={pico.DOWN: [Sparse.read(listed, (6, 10))]}),
    ]
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        for patch in patches:
            registry.admit(patch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs_from_top_to_bottom(workplace: Path, run_command):
    assert len(commands(PAGE)) >= 10
    made = {}
    for command in commands(PAGE):
        found = run_command(*command)
        assert found.returncode == 0, (command, found.stderr)
        made.update({name: contents(workplace / name) for name in ("again", "spelt", "both")
                     if name not in made and (workplace / name).exists()})  # fmt: skip
    base = contents(workplace / "smollm2")
    assert made["again"] == base
    assert UNDO in made["spelt"]
    assert contents(workplace / "spelt") == base
    assert contents(workplace / "both") == made["both"], "on top is not the same as together"


def test_every_field_of_the_record_is_documented():
    table = [line for line in PAGE.splitlines() if line.startswith("| `")]
    named = [name for line in table for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert named == ["format", *(field.name for field in dataclasses.fields(BuildRecord))]
    assert f"`{FORMAT}`" in table[0]


def test_the_limit_of_what_can_be_undone_is_documented():
    assert f"{MAX_ENTRIES:,}" in PAGE
