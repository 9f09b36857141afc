"""Which software made a patch."""

from importlib.metadata import version

from weightpatch.patches.tools import versions


def test_versions_are_those_installed_and_ours_is_among_them():
    found = versions(["numpy"])
    assert found == {"numpy": version("numpy"), "weightpatch": version("weightpatch")}
