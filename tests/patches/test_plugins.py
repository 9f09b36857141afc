"""Plugins are found by name: ours without a search, those of others by entry points."""

import tomllib
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from weightpatch.patches import plugins
from weightpatch.patches.errors import PluginMissing
from weightpatch.patches.operations.lowrank import LowRank

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(monkeypatch):
    """Pretend that another package is installed that brings operations."""
    found = [
        EntryPoint("shuffle", "collections:Counter", "weightpatch.operations"),
        EntryPoint("lowrank", "collections:Counter", "weightpatch.operations"),
    ]
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda **wanted: EntryPoints(found).select(**wanted)
    )
    plugins.load.cache_clear()
    yield
    plugins.load.cache_clear()


def test_ours_are_those_of_the_entry_points():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for kind, built_in in plugins.BUILT_IN.items():
        assert project["entry-points"][f"weightpatch.{kind}"] == built_in
        for name in built_in:
            assert plugins.load(kind, name).__name__ == built_in[name].partition(":")[2]


def test_those_of_other_packages_are_found(installed):
    assert plugins.load("operations", "shuffle").__name__ == "Counter"
    assert "shuffle" in plugins.names("operations")


def test_ours_cannot_be_replaced(installed):
    assert plugins.load("operations", "lowrank") is LowRank


def test_one_that_is_missing_is_named_with_those_that_are_there():
    with pytest.raises(PluginMissing, match="no method named 'memory'") as refused:
        plugins.load("methods", "memory")
    assert "rome" in refused.value.why
